"""The page in a headless Chromium: it opens offline and without errors, shows models, and does what is clicked."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import gemmi
import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
    *("--disable-gpu-compositing", "--disable-gpu-rasterization", "--disable-accelerated-2d-canvas"),
)
"""WebGL without a graphics card, and all else without it too, as that would be slower; no sandbox, as root has none."""

PIXELS = """(name) => {
  const canvas = document.querySelector(name), copy = document.createElement("canvas");
  copy.width = canvas.width; copy.height = canvas.height;
  const context = copy.getContext("2d");
  context.fillStyle = "#fff"; context.fillRect(0, 0, copy.width, copy.height); context.drawImage(canvas, 0, 0);
  const data = context.getImageData(0, 0, copy.width, copy.height).data;
  let painted = 0, sum = 0;
  for (let k = 0; k < data.length; k += 4) {
    const ink = 765 - data[k] - data[k + 1] - data[k + 2];
    if (ink > 30) painted++;
    sum = (sum * 31 + ink * (k + 1)) % 2147483647;
  }
  return [painted / (data.length / 4), sum];
}"""
"""Share of a canvas that is not white, and a checksum of its pixels."""

HAIRPIN = "GGGCUUCGGCCC"
VIEWER = "#viewer canvas"
PLOTS = ("#plot-plddt", "#plot-dots", "#plot-pae", "#plot-torsions")


@dataclass
class Visit:
    """An open page, and what went wrong on it."""

    page: "sync_api.Page"
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def heard(self, message: "sync_api.ConsoleMessage") -> None:
        """Keep what the page says on its console, except that `pixels` reads them, which is slow."""
        if "GPU stall due to ReadPixels" not in message.text:
            self.errors.append(f"{message.type}: {message.text}")

    def pixels(self, canvas: str) -> tuple[float, int]:
        """Share that is painted, and checksum."""
        self.page.wait_for_timeout(150)  # two frames: 3Dmol draws when the browser asks it to
        return tuple(self.page.evaluate(PIXELS, canvas))

    def open(self, id: str) -> None:
        """Click an RNA of the table."""
        self.page.locator("#table tbody th", has_text=id).click()
        self.page.wait_for_selector(f"html[data-ready='{id}']", state="attached")

    def ids(self) -> list[str]:
        """The RNAs of the table, from top to bottom."""
        return self.page.locator("#table tbody th").all_inner_texts()


@pytest.fixture(scope="module")
def browser():
    """Chromium; without one the tests are skipped, except where RNA_PREDICT_BROWSER says that there must be one."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        missing = "no Chromium on this machine: apt-get install chromium, or make install-browser as root"
        (pytest.fail if os.environ.get("RNA_PREDICT_BROWSER") == "required" else pytest.skip)(missing)
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="module")
def opened(browser, page_file) -> Iterator[Visit]:
    """The page, offline. One for all tests: without a graphics card each start of WebGL takes seconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    opened = Visit(context.new_page())
    opened.page.set_default_timeout(60_000)
    opened.page.on("console", opened.heard)
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(page_file.as_uri())
    opened.page.wait_for_selector("html[data-ready]", state="attached")
    yield opened
    context.close()


@pytest.fixture
def visit(opened) -> Visit:
    """The page as at its start, with `alpha` open, in the order of the last test."""
    page = opened.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("#filter").fill("")
    page.locator("#least-plddt").fill("")
    page.get_by_label("All 5").check()
    for box in ("#overlay", "#show-clashes"):
        if page.locator(box).is_visible():
            page.locator(box).uncheck()
    opened.open("beta")
    opened.open("alpha")
    for menu, choice in (("#look", "cartoon"), ("#paint", "plddt")):
        page.locator(menu).select_option(choice)
    return opened


def test_models_and_plots_are_painted(visit):
    assert 0.02 < visit.pixels(VIEWER)[0] < 0.6
    for plot in PLOTS:
        assert visit.pixels(plot)[0] > 0.01, plot
    assert visit.page.locator("#drawing .residues circle").count() == len(HAIRPIN)


def test_a_click_switches_the_model_and_everything_that_belongs_to_it(visit):
    first = [visit.pixels(canvas)[1] for canvas in (VIEWER, "#plot-plddt")]
    visit.page.get_by_label("Model 3").check()
    visit.page.wait_for_selector("html[data-model='3']", state="attached")
    third = [visit.pixels(canvas)[1] for canvas in (VIEWER, "#plot-plddt")]
    assert all(one != other for one, other in zip(first, third, strict=True))
    assert visit.page.locator("#h-checks").inner_text() == "Model 3: confidence and checks"
    breaks = visit.page.locator("#checks tbody tr", has_text="Chain breaks").inner_text()
    assert "✕ 1 of 11" in breaks
    assert "Breaks after U6." in visit.page.locator("#confidence-note").inner_text()


def test_a_model_that_was_only_turned_and_moved_is_shown_like_the_first(visit):
    """All models are laid on the best; colours by letter, as the second's pLDDT is lower by one."""
    visit.page.locator("#paint").select_option("letter")
    first = visit.pixels(VIEWER)[0]
    visit.page.keyboard.press("2")
    visit.page.wait_for_selector("html[data-model='2']", state="attached")
    assert visit.pixels(VIEWER)[0] == pytest.approx(first, rel=0.01)


def test_the_table_sorts_by_a_click_upwards_and_downwards(visit):
    def click(name: str) -> list[str]:
        visit.page.locator("#table thead").get_by_role("button", name=name).click()
        return visit.ids()

    assert click("Length")[:2] == ["alpha", "beta"]
    assert visit.page.locator("th[aria-sort='ascending']").inner_text().startswith("Length")
    assert click("Length")[:2] == ["beta", "alpha"]
    assert click("pLDDT")[:2] == ["alpha", "beta"]  # what is better when high begins with the highest
    assert click("pLDDT")[:2] == ["beta", "alpha"]
    assert click("RNA") == ["alpha", "beta", "delta", "epsilon", "gamma"]
    assert click("RNA") == ["gamma", "epsilon", "delta", "beta", "alpha"]


def test_the_table_filters_by_text_status_and_plddt(visit):
    visit.page.locator("#filter").fill("9xyz")
    assert visit.ids() == ["beta"]
    visit.page.locator("#filter").fill("")
    visit.page.get_by_label("Failed 1").check()
    assert visit.ids() == ["gamma"]
    assert visit.page.locator("#shown").inner_text() == "1 of 5 RNAs"
    visit.page.get_by_label("All 5").check()
    visit.page.locator("#least-plddt").fill("60")
    assert visit.ids() == ["alpha"]


def test_a_failed_rna_shows_its_reason_as_text(visit, markup):
    visit.open("gamma")
    line = visit.page.locator("#table tbody tr", has_text="gamma").inner_text()
    assert markup in line
    notice = visit.page.locator("#rna-notices").inner_text()
    assert notice == f"Failed in stage_a_adjacency: {markup}"
    assert visit.page.locator("#cards").is_hidden()
    assert visit.page.evaluate("window.hacked === undefined && !document.querySelector('img')")
    visit.open("epsilon")
    assert "Nothing of it was begun" in visit.page.locator("#rna-notices").inner_text()


def test_the_arrow_keys_walk_through_residues_and_rows(visit):
    ground = visit.pixels("#plot-plddt")[1], visit.pixels(VIEWER)[1]
    visit.page.locator("#sequence").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        visit.page.keyboard.press(key)
    assert visit.page.locator("[aria-selected='true']").get_attribute("aria-label") == "G2"
    assert visit.page.locator("#residue").inner_text().startswith("G2: pLDDT ")
    marked = visit.pixels("#plot-plddt")[1], visit.pixels(VIEWER)[1]
    assert all(one != other for one, other in zip(ground, marked, strict=True))
    assert visit.page.locator("#drawing circle.chosen").count() == 1
    lines = visit.ids()
    visit.page.locator("#table tbody tr").first.focus()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(f"html[data-ready='{lines[1]}']", state="attached")
    assert visit.page.url.endswith(f"#{lines[1]}")


def test_a_click_on_a_plot_selects_the_residue_under_it(visit):
    box = visit.page.locator("#plot-plddt").bounding_box()
    bars = box["width"] - 34 - 8
    visit.page.locator("#plot-plddt").click(position={"x": 34 + bars * 4.5 / len(HAIRPIN), "y": 60})
    assert visit.page.locator("[aria-selected='true']").get_attribute("aria-label") == "U5"
    visit.page.locator("#plot-plddt").hover(position={"x": 34 + bars * 0.5 / len(HAIRPIN), "y": 60})
    assert visit.page.locator("#tip").inner_text() == "G1: pLDDT 95.0"


def test_the_saved_pdb_has_the_atoms_of_the_results(visit, results, tmp_path):
    visit.page.keyboard.press("3")
    visit.page.wait_for_selector("html[data-model='3']", state="attached")
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.name == "alpha_model_3.pdb"
    found = gemmi.read_structure(str(saved))[0][0]
    wanted = gemmi.read_structure(str(results / "stages/alpha/d_models.cif"))[2][0]
    atoms = [[(r.name, r.seqid.num, a.name, a.element.name) for r in one for a in r] for one in (found, wanted)]
    assert atoms[0] == atoms[1]
    for part in ("pos", "b_iso"):
        values = [np.array([np.r_[getattr(a, part).tolist() if part == "pos" else a.b_iso] for r in one for a in r])
                  for one in (found, wanted)]  # fmt: skip
        np.testing.assert_allclose(*values, atol=0.0051 if part == "b_iso" else 1e-6)


@pytest.mark.parametrize("width", [1280, 800])
def test_nothing_is_wider_than_the_window(visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.open("beta")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.page.locator("#templates").get_by_text("9xyz_A").is_visible()
    loop = visit.page.locator("#templates tr", has_text="8abc_B")
    assert [loop.get_by_text(text, exact=True).is_visible() for text in ("hairpin", "GAAAC", "0.77")] == [True] * 3
    inside = visit.page.evaluate(
        "[...document.querySelectorAll('.card')].every((card) => card.scrollWidth <= card.clientWidth + 1)"
    )
    assert inside


def test_costs_path_and_weights_are_on_the_page(visit):
    costs = visit.page.locator("#costs").inner_text().split()
    assert costs[costs.index("prepare_input") :][:3] == ["prepare_input", "0.3", "s"] or "0.3 s" in " ".join(costs)
    assert "332 MB" in " ".join(costs)
    made = visit.page.locator("#made").inner_text()
    assert "a test's own" in made
    assert "abababab" in made
    assert "nerf" in made


def test_a_link_to_an_rna_leads_to_it(browser, page_file):
    page = browser.new_context(offline=True).new_page()
    page.goto(page_file.as_uri() + "#gamma")
    page.wait_for_selector("html[data-ready='gamma']", state="attached")
    page.context.close()


def test_every_look_and_colour_works_without_an_error_or_a_request(opened, visit, page_file):
    """Also counts what all tests before this one did on the page."""
    for box in ("#overlay", "#show-clashes"):
        visit.page.locator(box).check()
    for menu, choice in (("#look", "both"), ("#look", "trace"), ("#paint", "order"), ("#paint", "state")):
        visit.page.locator(menu).select_option(choice)
    assert visit.pixels(VIEWER)[0] > 0.01
    assert opened.errors == []
    assert {url for url in opened.requests if not url.startswith("blob:")} == {page_file.as_uri()}


def test_its_policy_lets_no_script_ask_the_network(visit):
    asked = visit.page.evaluate("fetch('https://example.org/').then(() => 'answered', (error) => error.name)")
    assert asked == "TypeError"
    assert any("Content Security Policy" in error for error in visit.errors)
    visit.errors.clear()
