// The panel of one RNA: everything that is known of it, and of the model that is chosen.
const view = { index: null, panel: null, models: [], model: null, residue: null, stateOf: [], inContact: new Set(), plots: [] };
// Chain and number in it of a residue; the name is `G12`, or `B:G3` where there are several chains.
const chainStarts = () => [0, ...view.panel.breaks];
function placeOf(residue) {
  const starts = chainStarts(), chain = starts.findLastIndex((start) => start <= residue);
  return { chain: String.fromCharCode(65 + chain), number: residue - starts[chain] + 1 };
}
function residueName(residue) {
  const { chain, number } = placeOf(residue);
  return `${view.panel.breaks.length ? `${chain}:` : ""}${view.panel.sequence[residue]}${number}`;
}
const pairName = ([i, j]) => `${residueName(i)}–${residueName(j)}`;
const percent = (share) => `${(100 * share).toFixed(0)} %`;
let opening = 0;

// Show an RNA of the table; of one without a result its reason.
async function openRna(index, scroll) {
  const row = REPORT.rows[index], turn = ++opening;
  markSelected(index);
  nameInAddress(row.id);
  byId("rna-name").textContent = row.id;
  const panel = row.opens ? await unpack(`panel-${index}`) : null;
  const best = panel ? await unpack(`model-${index}-0`) : null;
  if (turn !== opening) return; // another RNA was asked for meanwhile
  Object.assign(view, { index, panel, models: panel ? Array(row.kept).fill(null) : [], model: best, residue: null });
  if (best) view.models[0] = best;
  byId("cards").classList.toggle("away", !panel);
  drawHeading(row);
  if (panel) {
    drawModelButtons(row);
    drawSequenceGround();
    drawDrawing();
    drawMade();
    drawTemplates();
    drawCosts();
    drawModel(false);
  }
  document.documentElement.dataset.ready = row.id;
  if (scroll) byId("panel").scrollIntoView({ block: "start" });
}

// The address names the RNA, so that a link leads to it; a page that another page holds may not change its address.
function nameInAddress(id) {
  if (location.protocol === "file:" || location.protocol.startsWith("http")) history.replaceState(null, "", `#${encodeURIComponent(id)}`);
}

function drawHeading(row) {
  byId("rna-facts").textContent = row.nt === undefined ? "" : `${plural(row.nt, "nucleotide")}, ${plural(row.pairs, "pair")} of stage A, ${plural(row.models, "model")}`;
  const notices = [];
  if (row.status !== "done") notices.push(make("p", { class: "notice bad" }, make("b", {}, `${row.status === "failed" ? "Failed" : "Unfinished"}${row.stage ? ` in ${row.stage}` : ""}: `), row.reason));
  else if (!row.opens) notices.push(make("p", { class: "notice" }, "There was no room for its models on this page: name its id to rna-predict report."));
  if (row.untrained) notices.push(make("p", { class: "notice bad" }, "UNTRAINED: networks ran on random weights. Neither models nor numbers are predictions."));
  for (const text of view.panel?.notices ?? []) notices.push(make("p", { class: "notice" }, text));
  byId("rna-notices").replaceChildren(...notices);
  const place = table.shown.indexOf(view.index);
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place < 0 || place >= table.shown.length - 1;
}

function step(by) {
  const next = table.shown[table.shown.indexOf(view.index) + by];
  if (next !== undefined) openRna(next, false);
}

// Models ---------------------------------------------------------------------------------------------------------
function drawModelButtons(row) {
  const buttons = view.models.map((_, k) => make("label", {}, make("input", { type: "radio", name: "model", value: k, checked: k === 0 }), make("span", {}, `Model ${k + 1}`)));
  const left = row.models - row.kept;
  if (left > 0) buttons.push(make("span", { class: "faint small" }, `${plural(left, "more")} left out for room`.replace("mores", "more")));
  byId("models").replaceChildren(make("legend", { class: "hidden" }, "Model"), ...buttons);
  byId("overlay").checked = false;
  byId("overlay").disabled = view.models.length < 2;
}

async function chooseModel(rank) {
  const turn = opening, index = view.index;
  view.models[rank] ??= await unpack(`model-${index}-${rank}`);
  if (turn !== opening) return;
  view.model = view.models[rank];
  drawModel(true);
}

async function chooseOverlay() {
  const turn = opening, index = view.index;
  for (let k = 0; k < view.models.length && byId("overlay").checked; k++) {
    const model = view.models[k] ?? (await unpack(`model-${index}-${k}`));
    if (turn !== opening) return;
    view.models[k] = model;
  }
  drawMolecule(true);
}

function drawModel(keep) {
  const { panel, model } = view;
  molecule.atoms = atomsOf(panel.sequence);
  view.stateOf = [...panel.sequence].map(() => "unpaired");
  for (const [i, j] of model.other_pairs) view.stateOf[i] = view.stateOf[j] = "other";
  for (const [i, j] of model.canonical) view.stateOf[i] = view.stateOf[j] = "canonical";
  view.inContact = new Set();
  for (let k = 0; k < model.contacts.length; k += 2) view.inContact.add(model.contacts[k] * 10000 + model.contacts[k + 1]);
  document.documentElement.dataset.model = model.rank;
  for (const place of document.querySelectorAll(".model-number")) place.textContent = model.rank;
  drawMolecule(keep);
  drawChecks();
  paintSequence();
  paintDrawing();
  drawNotes();
  for (const plot of view.plots) plot.draw();
  selectResidue(view.residue);
}

function drawChecks() {
  const { model, panel } = view;
  const facts = [
    ["Mean pLDDT", model.plddt.toFixed(1), bandOf(model.plddt)],
    ["pTM", model.ptm.toFixed(2)],
    ["Ranking score", model.score.toPrecision(4)],
    ["Seed", model.seed],
  ];
  byId("confidence").replaceChildren(...facts.map(([name, value, band]) => {
    const shown = make("dd", {}, String(value));
    if (band) {
      const square = make("i", { class: "swatch", title: band.name });
      square.style.background = band.colour;
      shown.append(square);
    }
    return make("div", {}, make("dt", {}, name), shown);
  }));
  const rows = model.checks.map((check) => {
    const mark = check.good === null ? "" : check.good ? "✓ " : "✕ ";
    const css = check.good === null ? null : check.good ? "good-text" : "bad-text";
    return make("tr", {}, make("th", { scope: "row" }, check.name), make("td", {}, make("span", { class: css }, mark), check.found), make("td", { class: "faint" }, check.wanted));
  });
  byId("checks").tBodies[0].replaceChildren(...rows);
  const where = [];
  if (model.other) where.push(`This model is of another secondary structure, of a chance of at most ${model.other.chance}: ${model.other.structure}.`);
  if (model.breaks.length) where.push(`Breaks after ${model.breaks.map(residueName).join(", ")}.`);
  if (model.clashes.length) where.push(`Clashes${model.clashes.length >= REPORT.clashes_shown ? ` (the first ${REPORT.clashes_shown})` : ""}: ${model.clashes.slice(0, 6).map((pair) => pair.map(atomName).join(" – ")).join("; ")}${model.clashes.length > 6 ? " …" : ""}.`);
  where.push(panel.confidence_kind === "heuristic" ? "pLDDT, pTM and PAE come from formulas (heuristic), not from a trained network: read them as guesses." : "pLDDT, pTM and PAE come from a network that was trained on models of known structures.");
  byId("confidence-note").textContent = where.join(" ");
}

const atomName = (k) => `${residueName(molecule.atoms[k].residue)} ${molecule.atoms[k].name}`;

// Sequence and residue -------------------------------------------------------------------------------------------
const BLOCK = 10;
function drawSequenceGround() {
  const { sequence, dot_bracket } = view.panel;
  const blocks = [];
  const ends = [...view.panel.breaks, sequence.length];
  for (let start = 0; start < sequence.length; ) {
    const stop = Math.min(start + BLOCK, ends.find((end) => end > start)), { chain, number } = placeOf(start);
    const letters = [...sequence.slice(start, stop)].map((letter, k) => {
      const residue = start + k;
      return make("span", { class: "letter", role: "option", id: `residue-${residue}`, "data-residue": residue, "aria-label": residueName(residue), "aria-selected": "false" }, make("b", {}, letter), make("small", {}, dot_bracket[residue]));
    });
    const count = ends.length > 1 ? `${chain}:${number}` : String(number);
    blocks.push(make("span", { class: "block" }, make("span", { class: "count" }, count), ...letters));
    start = stop;
  }
  byId("sequence").replaceChildren(...blocks);
}

function paintSequence() {
  for (const letter of byId("sequence").querySelectorAll(".letter")) {
    const colour = bandOf(view.model.residue_plddt[Number(letter.dataset.residue)]).colour;
    letter.firstChild.style.background = colour;
    letter.firstChild.style.color = inkOn(colour);
  }
}

// Mark a residue in every picture; the same again takes the mark away.
function selectResidue(residue, again = false) {
  view.residue = again && residue === view.residue ? null : residue;
  byId("sequence").querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  const chosen = view.residue === null ? null : byId(`residue-${view.residue}`);
  chosen?.setAttribute("aria-selected", "true");
  if (chosen) byId("sequence").setAttribute("aria-activedescendant", chosen.id);
  else byId("sequence").removeAttribute("aria-activedescendant");
  byId("residue").textContent = view.residue === null ? "" : residueText(view.residue);
  for (const circle of byId("drawing").querySelectorAll(".residues circle.chosen")) circle.classList.remove("chosen");
  if (view.residue !== null) byId("drawing").querySelectorAll(".residues circle")[view.residue]?.classList.add("chosen");
  for (const plot of view.plots) plot.mark();
  markMolecule();
}

function residueText(residue) {
  const { panel, model } = view;
  const asked = panel.pairs.find((pair) => pair.includes(residue));
  const built = [...model.canonical, ...model.other_pairs].filter((pair) => pair[0] === residue || pair[1] === residue);
  const partner = (pair) => residueName(pair[0] === residue ? pair[1] : pair[0]);
  const parts = [`pLDDT ${model.residue_plddt[residue].toFixed(1)}`];
  parts.push(asked ? `stage A pairs it with ${partner(asked)} (${panel.pair_probabilities[panel.pairs.indexOf(asked)].toFixed(2)})` : "stage A leaves it unpaired");
  parts.push(built.length ? `in the model with ${built.map((pair) => partner(pair) + (pair[2] ? ` (${pair[2]})` : "")).join(", ")}` : "in the model unpaired");
  return `${residueName(residue)}: ${parts.join("; ")}`;
}

// Drawing of the secondary structure -----------------------------------------------------------------------------
function drawDrawing() {
  // Our own SVG: its texts were escaped where it was written, and the page's policy runs no script in it.
  byId("drawing").innerHTML = view.panel.drawing;
  for (const circle of byId("drawing").querySelectorAll(".residues circle")) circle.dataset.fill = circle.getAttribute("fill");
  for (const letter of byId("drawing").querySelectorAll(".letters text")) letter.dataset.fill = letter.getAttribute("fill");
}

function paintDrawing() {
  const confident = byId("drawing-paint").value === "plddt";
  const letters = byId("drawing").querySelectorAll(".letters text");
  byId("drawing").classList.toggle("by-plddt", confident);
  byId("drawing").querySelectorAll(".residues circle").forEach((circle, residue) => {
    const colour = confident ? bandOf(view.model.residue_plddt[residue]).colour : circle.dataset.fill;
    circle.setAttribute("fill", colour);
    letters[residue]?.setAttribute("fill", confident ? inkOn(colour) : letters[residue].dataset.fill);
  });
}

// Words beside the plots -----------------------------------------------------------------------------------------
function drawNotes() {
  const { panel, model } = view;
  const built = new Set(model.canonical.map(([i, j]) => i * 10000 + j));
  const wanted = model.other?.pairs ?? panel.pairs;
  const formed = wanted.filter(([i, j]) => built.has(i * 10000 + j)).length;
  const swatch = (colour, text) => {
    const square = make("i", { class: "swatch" });
    square.style.background = colour;
    return make("span", {}, square, text);
  };
  const ramp = make("i", { class: "ramp" });
  byId("dots-key").replaceChildren(
    make("span", {}, "above: probability of stage A ", ramp, " 0 to 1"),
    swatch("#2f45a8", "below: canonical pair"), swatch("#d55e00", "other pair"), swatch("#d3d8e2", "contact"),
  );
  const left = panel.dots_left_out ? ` ${plural(panel.dots_left_out, "dot")} below that are left out for room.` : "";
  byId("dots-note").textContent = `Model ${model.rank} forms ${formed} of ${plural(wanted.length, "pair")} of ${model.other ? "its structure" : "stage A"}; it has ${plural(model.canonical.length, "canonical pair")} and ${plural(model.other_pairs.length, "other", "others")}. Dots: p > ${panel.dot_threshold}, area by p.${left} Contact: heavy atoms within ${REPORT.contact} Å, at least ${REPORT.apart} residues apart.`;
  const width = model.pae_width > 1 ? ` Each cell is the mean of ${model.pae_width} × ${model.pae_width} residues.` : "";
  const mean = model.pae.reduce((sum, value) => sum + value, 0) / model.pae.length / 10;
  byId("pae-note").textContent = `Error expected of the column's residue when the row's is aligned; mean ${mean.toFixed(1)} Å.${width}`;
  byId("plot-plddt").setAttribute("aria-label", `Bar chart of pLDDT by residue, mean ${model.plddt.toFixed(1)}, least ${Math.min(...model.residue_plddt).toFixed(1)}`);
  byId("plot-dots").setAttribute("aria-label", byId("dots-note").textContent);
  byId("plot-pae").setAttribute("aria-label", `Heat map of predicted aligned error, mean ${mean.toFixed(1)} Å`);
  byId("plot-torsions").setAttribute("aria-label", "Dials of the seven torsions and the sugar's phase, a dot for each residue");
}

function plainTable(heads, rows) {
  const head = make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))));
  return make("table", { class: "plain" }, head, make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => (cell instanceof Node ? cell : make("td", {}, String(cell))))))));
}

function drawMade() {
  const hash = (text) => make("td", {}, text === "none" ? "none" : make("code", { title: `sha256 ${text}` }, text.slice(0, 10)));
  const rows = view.panel.made.map((made) => make("tr", {}, make("th", { scope: "row" }, made.stage), make("td", {}, made.method), hash(made.weights), hash(made.config), make("td", {}, made.version)));
  byId("made").tBodies[0].replaceChildren(...rows);
  byId("known").replaceChildren(...view.panel.known.map((text) => make("p", { class: "small" }, text)));
}

function spanOf(aligned) {
  const span = make("span", { class: "span", title: aligned.map(([start, end]) => `${start + 1}–${end}`).join(", ") });
  for (const [start, end] of aligned) {
    const part = make("i");
    part.style.left = `${(100 * start) / view.panel.sequence.length}%`;
    part.style.width = `${(100 * (end - start)) / view.panel.sequence.length}%`;
    span.append(part);
  }
  return make("td", {}, span);
}

function drawTemplates() {
  const { templates, loops } = view.panel;
  const parts = [];
  if (templates.length) {
    const rows = templates.map((hit) => [make("th", { scope: "row" }, hit.id), hit.expected_tm.toFixed(2), percent(hit.identity), percent(hit.coverage), percent(hit.pair_agreement), hit.date || "–", spanOf(hit.aligned)]);
    parts.push(plainTable(["Chain", "TM exp.", "Identity", "Coverage", "Pairs agree", "Deposited", "Aligned"], rows));
  } else {
    parts.push(make("p", { class: "faint" }, "None: no known structure in the library is like this RNA, or templates are switched off."));
  }
  if (loops.length) {
    const rows = loops.map((loop) => [make("th", { scope: "row" }, loop.id), loop.kind, make("td", {}, make("code", {}, loop.letters)), percent(loop.similarity), loop.expected_lddt.toFixed(2), spanOf(loop.aligned)]);
    parts.push(make("h4", {}, "Known loops and stretches"), plainTable(["Chain", "Kind", "Letters", "Alike", "lDDT exp.", "Residues"], rows));
  }
  byId("templates").replaceChildren(...parts);
}

function drawCosts() {
  const costs = view.panel.costs;
  if (!costs.length) {
    byId("costs").replaceChildren(make("p", { class: "faint" }, "Not measured: there are no benchmark files of this RNA."));
    return;
  }
  const most = Math.max(...costs.map((cost) => cost.seconds), 0.01);
  const rows = costs.map((cost) => {
    const bar = make("i");
    bar.style.width = `${(100 * cost.seconds) / most}%`;
    return [make("th", { scope: "row" }, cost.job), make("td", { class: "right" }, timeText(cost.seconds)), make("td", {}, make("span", { class: "span" }, bar)), make("td", { class: "right" }, memoryText(cost.peak_mb))];
  });
  const total = costs.reduce((sum, cost) => sum + cost.seconds, 0);
  byId("costs").replaceChildren(plainTable(["Job", "Time", "", "Memory"], rows), make("p", { class: "faint small" }, costs.some((cost) => cost.shared) ? `Together ${timeText(total)}. Its stages ran in batches: time is this RNA's own work, memory the whole batch's.` : `Together ${timeText(total)}; start-up of each job included.`));
}
