// Content of the page's JSON blocks. Panels and models are gzip in base64: unpacked when they are looked at.
const byId = (id) => document.getElementById(id);
const REPORT = JSON.parse(byId("report").textContent);

async function unpack(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Sums of differences, `width` interleaved series.
function summed(steps, width) {
  const values = Float64Array.from(steps);
  for (let k = width; k < values.length; k++) values[k] += values[k - width];
  return values;
}

// An element with attributes and children; text is set as text, never as markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Bands of pLDDT in the colours of the AlphaFold database.
const BANDS = [
  { from: 90, colour: "#0053d6", name: "very high" },
  { from: 70, colour: "#65cbf3", name: "confident" },
  { from: 50, colour: "#ffdb13", name: "low" },
  { from: 0, colour: "#ff7d45", name: "very low" },
];
const bandOf = (plddt) => BANDS.find((band) => plddt >= band.from) || BANDS[3];
const BASES = { A: "#d1495b", C: "#2f7ed8", G: "#3a8f4d", U: "#d9912b" };
const inkOn = (colour) => (["#0053d6", "#d1495b", "#2f7ed8", "#3a8f4d"].includes(colour) ? "#ffffff" : "#1d2433");
const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

function timeText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
const memoryText = (mb) => (mb === null || mb === undefined ? "–" : mb < 1000 ? `${mb.toFixed(0)} MB` : `${(mb / 1000).toFixed(2)} GB`);
