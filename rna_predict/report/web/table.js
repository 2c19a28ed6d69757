// The table of all RNAs: sorted by a click on a heading, filtered by text, status and pLDDT, walked with the arrow keys.
const ROWS_AT_ONCE = 200;
const number = (digits, unit = "") => (value) => (value === null || value === undefined ? "–" : value.toFixed(digits) + unit);
const COLUMNS = [
  { key: "id", name: "RNA", text: true },
  { key: "status", name: "Status", text: true, cell: statusCell },
  { key: "nt", name: "Length", title: "nucleotides", show: number(0) },
  { key: "pairs", name: "Pairs", title: "base pairs of stage A", show: number(0) },
  { key: "plddt", name: "pLDDT", title: "mean over the atoms of the best model, 0 to 100", cell: plddtCell, down: true },
  { key: "ptm", name: "pTM", title: "of the best model, 0 to 1", show: number(2), down: true },
  { key: "models", name: "Models", show: number(0) },
  { key: "template", name: "Template", text: true, title: "known structure with the highest expected TM-score", show: (value) => value ?? "none" },
  { key: "tm", name: "TM exp.", title: "TM-score expected of the template", show: number(2), down: true },
  { key: "clash", name: "Clashes", title: "clash score: clashes per 1,000 atoms", show: number(1) },
  { key: "faults", name: "Faults", title: "chain breaks, pierced rings and inverted sugar centres", cell: faultCell },
  { key: "formed", name: "Formed", title: "share of stage A's pairs that the best model forms", show: (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(0)} %`), down: true },
  { key: "seconds", name: "Time", title: "sum over its jobs", show: timeText },
  { key: "peak_mb", name: "Memory", title: "largest of its jobs", show: memoryText },
];
const STATUSES = [["", "All"], ["done", "Done"], ["failed", "Failed"], ["unfinished", "Unfinished"]];
const table = { sort: "", descending: false, text: "", status: "", least: 0, all: false, shown: [], selected: null, onOpen: null };

function statusCell(row) {
  const mark = { done: "✓", failed: "✕", unfinished: "○" }[row.status];
  return make("span", { class: `status ${row.status}` }, `${mark} ${row.status}`);
}

function plddtCell(row) {
  if (row.plddt === undefined) return "–";
  const bar = make("span", { class: "bar-fill" });
  bar.style.width = `${row.plddt}%`;
  bar.style.background = bandOf(row.plddt).colour;
  return make("span", { class: "plddt" }, make("span", { class: "bar-ground" }, bar), row.plddt.toFixed(1));
}

function faultCell(row) {
  if (row.faults === undefined) return "–";
  return row.faults ? make("span", { class: "bad-text", title: row.fault_text }, `${row.faults}`) : "0";
}

function matching() {
  const words = table.text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = REPORT.rows.map((row, index) => ({ row, index })).filter(({ row }) => {
    if (table.status && row.status !== table.status) return false;
    if (table.least > 0 && !(row.plddt >= table.least)) return false;
    const text = [row.id, row.template, row.stage, row.reason].filter(Boolean).join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const column = COLUMNS.find((one) => one.key === table.sort);
  if (!column) return rows;
  const order = table.descending ? -1 : 1;
  return rows.sort((one, other) => {
    const a = one.row[column.key] ?? null, b = other.row[column.key] ?? null;
    if (a === null || b === null) return (a === null) - (b === null) || one.index - other.index;
    const compared = column.text ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return order * compared || one.index - other.index;
  });
}

function drawHead() {
  const cells = COLUMNS.map((column) => {
    const sorted = table.sort === column.key;
    const arrow = sorted ? (table.descending ? " ▾" : " ▴") : "";
    const button = make("button", { type: "button", title: column.title ?? null, "data-sort": column.key }, column.name + arrow);
    const state = sorted ? (table.descending ? "descending" : "ascending") : "none";
    return make("th", { scope: "col", class: column.text ? null : "right", "aria-sort": state }, button);
  });
  byId("table").tHead.replaceChildren(make("tr", {}, ...cells));
}

function bodyRow({ row, index }) {
  const line = make("tr", { "data-index": index, tabindex: 0, class: index === table.selected ? "selected" : null });
  if (index === table.selected) line.setAttribute("aria-current", "true");
  for (const column of COLUMNS.slice(0, 2)) {
    line.append(make(column.key === "id" ? "th" : "td", column.key === "id" ? { scope: "row" } : {}, column.cell ? column.cell(row) : row[column.key]));
  }
  if (row.status !== "done") {
    const where = row.stage ? `${row.stage}: ` : "";
    line.append(make("td", { colspan: COLUMNS.length - 2, class: "reason" }, make("b", {}, where), row.reason));
    return line;
  }
  for (const column of COLUMNS.slice(2)) {
    const content = column.cell ? column.cell(row) : column.show(row[column.key]);
    line.append(make("td", { class: column.text ? null : "right" }, content));
  }
  return line;
}

function drawTable() {
  const found = matching();
  table.shown = found.map(({ index }) => index);
  const visible = table.all ? found : found.slice(0, ROWS_AT_ONCE);
  drawHead();
  byId("table").tBodies[0].replaceChildren(...visible.map(bodyRow));
  byId("shown").textContent = found.length === REPORT.rows.length ? plural(found.length, "RNA") : `${found.length.toLocaleString("en")} of ${plural(REPORT.rows.length, "RNA")}`;
  byId("more").hidden = visible.length === found.length;
  byId("more").textContent = `Show all ${found.length.toLocaleString("en")} (${visible.length} are shown)`;
}

function markSelected(index) {
  table.selected = index;
  for (const line of byId("table").tBodies[0].rows) {
    const chosen = Number(line.dataset.index) === index;
    line.classList.toggle("selected", chosen);
    if (chosen) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  }
}

function lineOf(event) {
  const line = event.target.closest("tr[data-index]");
  return line && line.closest("tbody") ? line : null;
}

function startTable(onOpen) {
  table.onOpen = onOpen;
  const present = STATUSES.filter(([status]) => !status || REPORT.counts[status] > 0);
  for (const [status, name] of present) {
    const count = status ? REPORT.counts[status] : REPORT.rows.length;
    const input = make("input", { type: "radio", name: "status", value: status, checked: status === "" });
    byId("status-filter").append(make("label", {}, input, make("span", {}, `${name} ${count.toLocaleString("en")}`)));
  }
  byId("filter").addEventListener("input", (event) => { table.text = event.target.value; drawTable(); });
  byId("least-plddt").addEventListener("input", (event) => { table.least = Number(event.target.value) || 0; drawTable(); });
  byId("status-filter").addEventListener("change", (event) => { table.status = event.target.value; drawTable(); });
  byId("more").addEventListener("click", () => { table.all = true; drawTable(); });
  byId("table").tHead.addEventListener("click", (event) => {
    const key = event.target.closest("button")?.dataset.sort;
    if (!key) return;
    const column = COLUMNS.find((one) => one.key === key);
    table.descending = table.sort === key ? !table.descending : Boolean(column.down);
    table.sort = key;
    drawTable();
    byId("table").querySelector(`button[data-sort="${key}"]`).focus();
  });
  byId("table").addEventListener("click", (event) => {
    const line = lineOf(event);
    if (line) table.onOpen(Number(line.dataset.index));
  });
  byId("table").addEventListener("keydown", (event) => {
    const line = lineOf(event);
    if (!line) return;
    const next = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
    if (next) next.focus();
    if (event.key === "Enter" || event.key === " ") table.onOpen(Number(line.dataset.index));
    if (next || event.key === "Enter" || event.key === " ") event.preventDefault();
  });
  drawTable();
}
