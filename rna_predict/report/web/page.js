// What starts the page, and what the keys do.
function startPage() {
  const { counts, rows, notices } = REPORT;
  const parts = [`${plural(rows.length, "RNA")}: ${counts.done.toLocaleString("en")} done`];
  if (counts.failed) parts.push(`${counts.failed.toLocaleString("en")} failed`);
  if (counts.unfinished) parts.push(`${counts.unfinished.toLocaleString("en")} unfinished`);
  byId("summary").textContent = parts.join(", ");
  byId("notices").replaceChildren(...notices.map((text) => make("p", { class: "notice" }, text)));
  if (typeof DecompressionStream === "undefined") {
    byId("notices").append(make("p", { class: "notice bad" }, "This browser is too old for this page: it needs one of 2023 or newer."));
    return;
  }
  byId("panel").hidden = false;
  startTable((index) => openRna(index, true));
  startViewer();
  view.plots = [
    new Plot("plot-plddt", plddtPlot), new Plot("plot-dots", dotPlot), new Plot("plot-pae", paePlot), new Plot("plot-torsions", torsionPlot),
  ];
  byId("models").addEventListener("change", (event) => chooseModel(Number(event.target.value)));
  for (const id of ["look", "paint", "show-clashes"]) byId(id).addEventListener("change", () => drawMolecule(true));
  byId("overlay").addEventListener("change", chooseOverlay);
  byId("drawing-paint").addEventListener("change", paintDrawing);
  byId("reset").addEventListener("click", () => { if (molecule.viewer) fitMolecule(); molecule.viewer?.render(); });
  byId("save").addEventListener("click", savePdb);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("sequence").addEventListener("click", (event) => {
    const letter = event.target.closest(".letter");
    if (letter) selectResidue(Number(letter.dataset.residue), true);
  });
  byId("drawing").addEventListener("click", (event) => {
    const circles = [...byId("drawing").querySelectorAll(".residues circle")];
    const found = circles.indexOf(event.target.closest(".residues circle"));
    if (found >= 0) selectResidue(found, true);
  });
  byId("sequence").addEventListener("keydown", (event) => {
    const last = view.panel.sequence.length - 1, from = view.residue;
    const to = { ArrowRight: from === null ? 0 : from + 1, ArrowLeft: from === null ? last : from - 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") selectResidue(null);
    if (to === undefined) return;
    event.preventDefault();
    selectResidue(Math.min(Math.max(to, 0), last));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "n") step(1);
    if (event.key === "p") step(-1);
    const chosen = byId("models").querySelectorAll("input")[Number(event.key) - 1];
    if (chosen && view.panel) chosen.click();
  });
  const named = rows.findIndex((row) => row.id === decodeURIComponent(location.hash.slice(1)));
  const first = named >= 0 ? named : Math.max(rows.findIndex((row) => row.opens), 0);
  openRna(first, named >= 0);
}

startPage();
