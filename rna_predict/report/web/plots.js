// Plots on canvases. Each has a ground that is painted once, marks of the selected residue over it, and a tip where the
// pointer is. Positions are in CSS pixels; residues are 0-based here and 1-based in every text.
const PAPER = { ink: "#1d2433", faint: "#5d6678", rule: "#c9ced8", grid: "#eceff4", mark: "#b3006b" };
const PROBABILITY = [[0xf6, 0xa6, 0x2b], [0xec, 0x7f, 0x4b], [0xd6, 0x58, 0x78], [0x96, 0x4a, 0xa3], [0x2f, 0x45, 0xa8]];
const PAE_STOPS = [[0x0b, 0x4f, 0x2b], [0x2f, 0x8f, 0x4e], [0x8c, 0xc9, 0x8f], [0xd6, 0xee, 0xd3], [0xfb, 0xfd, 0xfa]];
const PAE_TOP = 30;
const FONT = "12px system-ui, 'Liberation Sans', Arial, sans-serif";

function mixed(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const below = Math.min(Math.floor(place), stops.length - 2);
  return stops[below].map((low, k) => Math.round(low + (stops[below + 1][k] - low) * (place - below)));
}
const rgb = (parts) => `rgb(${parts.join(",")})`;

// Round 1-based residue numbers with at least `apart` pixels between, cells being `cell` pixels wide.
function ticks(length, cell, apart) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((one) => one * cell >= apart) || 2000;
  const found = length && step > 1 ? [1] : [];
  for (let k = step; k <= length; k += step) if (!found.length || (k - found[found.length - 1]) * cell >= apart * 0.7 || step === 1) found.push(k);
  return found;
}

class Plot {
  // ground(context, size), marks(context, size, residue) and at(x, y, size) -> {residue, text} or null.
  constructor(id, parts) {
    Object.assign(this, parts);
    this.canvas = byId(id);
    this.below = document.createElement("canvas");
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => showTip(null));
    this.canvas.addEventListener("click", (event) => {
      const found = this.found(event);
      if (found) selectResidue(found.residue);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  draw() {
    const scale = window.devicePixelRatio || 1;
    this.size = { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    if (!view.panel || !view.model || !this.size.width) return;
    for (const canvas of [this.canvas, this.below]) {
      canvas.width = Math.round(this.size.width * scale);
      canvas.height = Math.round(this.size.height * scale);
    }
    const context = this.below.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, this.size.width, this.size.height);
    context.font = FONT;
    context.textBaseline = "middle";
    this.ground(context, this.size);
    this.mark();
  }

  mark() {
    if (!view.model || !this.size?.width) return;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.below, 0, 0);
    const scale = window.devicePixelRatio || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.font = FONT;
    context.textBaseline = "middle";
    if (view.residue !== null) this.marks(context, this.size, view.residue);
  }

  found(event) {
    const box = this.canvas.getBoundingClientRect();
    return view.model ? this.at(event.clientX - box.left, event.clientY - box.top, this.size) : null;
  }

  hover(event) {
    const found = this.found(event);
    this.canvas.style.cursor = found ? "pointer" : "default";
    showTip(found?.text ?? null, event);
  }
}

function showTip(text, event) {
  const tip = byId("tip") || document.body.appendChild(make("div", { id: "tip", hidden: true }));
  tip.hidden = text === null;
  if (text === null) return;
  tip.textContent = text;
  const x = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  tip.style.transform = `translate(${x}px, ${event.clientY + 16}px)`;
}

function label(context, text, x, y, align = "center", colour = PAPER.faint) {
  context.fillStyle = colour;
  context.textAlign = align;
  context.fillText(text, x, y);
}

// pLDDT by residue -----------------------------------------------------------------------------------------------
const BAR = { left: 34, right: 8, top: 8, bottom: 22 };
const barsOf = (size) => ({ cell: (size.width - BAR.left - BAR.right) / view.panel.sequence.length, y: (plddt) => BAR.top + (size.height - BAR.top - BAR.bottom) * (1 - plddt / 100) });

const plddtPlot = {
  ground(context, size) {
    const { cell, y } = barsOf(size);
    for (const band of [0, 50, 70, 90]) {
      context.fillStyle = PAPER.grid;
      context.fillRect(BAR.left, y(band), size.width - BAR.left - BAR.right, 1);
      label(context, band, BAR.left - 6, y(band), "right");
    }
    view.model.residue_plddt.forEach((plddt, k) => {
      context.fillStyle = bandOf(plddt).colour;
      context.fillRect(BAR.left + k * cell, y(plddt), Math.max(cell - (cell > 4 ? 1 : 0), 0.6), y(0) - y(plddt));
    });
    for (const k of ticks(view.panel.sequence.length, cell, 36)) label(context, k, BAR.left + (k - 0.5) * cell, size.height - 10);
  },
  marks(context, size, residue) {
    const { cell, y } = barsOf(size);
    context.strokeStyle = PAPER.mark;
    context.lineWidth = 2;
    context.strokeRect(BAR.left + residue * cell - 1, y(100), Math.max(cell, 2) + 1, y(0) - y(100));
  },
  at(x, y, size) {
    const residue = Math.floor((x - BAR.left) / barsOf(size).cell);
    if (x < BAR.left || residue >= view.panel.sequence.length) return null;
    return { residue, text: `${residueName(residue)}: pLDDT ${view.model.residue_plddt[residue].toFixed(1)}` };
  },
};

// Squares of residues against residues ---------------------------------------------------------------------------
const SQUARE = { left: 36, top: 24, right: 8, bottom: 8 };
function squareOf(size) {
  const side = Math.min(size.width - SQUARE.left - SQUARE.right, size.height - SQUARE.top - SQUARE.bottom);
  return { side, cell: side / view.panel.sequence.length, left: SQUARE.left + (size.width - SQUARE.left - SQUARE.right - side) / 2, top: SQUARE.top };
}

function squareAxes(context, size) {
  const { side, cell, left, top } = squareOf(size);
  for (const k of ticks(view.panel.sequence.length, cell, 34)) {
    const at = (k - 0.5) * cell;
    label(context, k, left + at, top - 10);
    label(context, k, left - 6, top + at, "right");
  }
  context.strokeStyle = PAPER.rule;
  context.lineWidth = 1;
  context.strokeRect(left - 0.5, top - 0.5, side + 1, side + 1);
}

function squareCell(x, y, size) {
  const { cell, left, top } = squareOf(size), length = view.panel.sequence.length;
  const column = Math.floor((x - left) / cell), row = Math.floor((y - top) / cell);
  return row < 0 || column < 0 || row >= length || column >= length ? null : { row, column };
}

function squareMarks(context, size, residue) {
  const { side, cell, left, top } = squareOf(size);
  context.fillStyle = "rgba(179, 0, 107, 0.28)";
  const width = Math.max(cell, 2);
  context.fillRect(left + residue * cell, top, width, side);
  context.fillRect(left, top + residue * cell, side, width);
}

// How far around a cell the pointer looks for something, in residues: at least about five pixels.
const reachOf = (size) => Math.min(Math.ceil(5 / squareOf(size).cell) - 1, 6);

const dotPlot = {
  ground(context, size) {
    const { side, cell, left, top } = squareOf(size);
    const spot = (row, column, share, colour) => {
      const width = Math.max(cell * 0.94, 2) * share;
      context.fillStyle = colour;
      context.fillRect(left + (column + 0.5) * cell - width / 2, top + (row + 0.5) * cell - width / 2, width, width);
    };
    for (const k of ticks(view.panel.sequence.length, cell, 34)) {
      context.fillStyle = PAPER.grid;
      context.fillRect(left + (k - 0.5) * cell, top, 1, side);
      context.fillRect(left, top + (k - 0.5) * cell, side, 1);
    }
    context.strokeStyle = PAPER.rule;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left, top);
    context.lineTo(left + side, top + side);
    context.stroke();
    const contacts = view.model.contacts;
    for (let k = 0; k < contacts.length; k += 2) spot(contacts[k + 1], contacts[k], 1, "#d3d8e2");
    for (const [i, j] of view.model.other_pairs) spot(j, i, 1, "#d55e00");
    for (const [i, j] of view.model.canonical) spot(j, i, 1, "#2f45a8");
    for (const [i, j, p] of view.panel.dots) spot(i, j, Math.sqrt(p), rgb(mixed(PROBABILITY, p)));
    squareAxes(context, size);
  },
  marks: squareMarks,
  at(x, y, size) {
    const place = squareCell(x, y, size);
    if (!place) return null;
    const upper = place.column > place.row, reach = reachOf(size);
    const near = (i, j) => Math.max(Math.abs(i - Math.min(place.row, place.column)), Math.abs(j - Math.max(place.row, place.column)));
    const nearest = (pairs) => pairs.filter(([i, j]) => near(i, j) <= reach).sort((a, b) => near(a[0], a[1]) - near(b[0], b[1]))[0];
    if (upper) {
      const dot = nearest(view.panel.dots);
      return dot ? { residue: dot[0], text: `${pairName(dot)}: probability ${dot[2].toPrecision(2)}` } : { residue: place.row, text: pairName([place.row, place.column]) };
    }
    const canonical = nearest(view.model.canonical), other = nearest(view.model.other_pairs);
    if (canonical) return { residue: canonical[0], text: `${pairName(canonical)}: canonical pair in the model` };
    if (other) return { residue: other[0], text: `${pairName(other)}: ${other[2]} pair in the model` };
    return { residue: place.column, text: `${pairName([place.column, place.row])}${view.inContact.has(place.column * 10000 + place.row) ? ": in contact" : ""}` };
  },
};

// Predicted aligned error ----------------------------------------------------------------------------------------
const PAE_KEY = 40;
const paeSize = (size) => ({ width: size.width, height: size.height - PAE_KEY });

const paePlot = {
  ground(context, size) {
    const { side, left, top } = squareOf(paeSize(size));
    const cells = Math.round(Math.sqrt(view.model.pae.length));
    const picture = document.createElement("canvas");
    picture.width = picture.height = cells;
    const image = new ImageData(cells, cells);
    view.model.pae.forEach((tenths, k) => image.data.set([...mixed(PAE_STOPS, tenths / 10 / PAE_TOP), 255], 4 * k));
    picture.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    // The last cell may stand for fewer residues than the others.
    const share = view.panel.sequence.length / (cells * view.model.pae_width);
    context.save();
    context.beginPath();
    context.rect(left, top, side, side);
    context.clip();
    context.drawImage(picture, left, top, side / share, side / share);
    context.restore();
    squareAxes(context, paeSize(size));
    this.scale(context, left, top + side + 14, side);
  },
  scale(context, left, top, side) {
    const width = Math.min(side, 320), start = left + (side - width) / 2;
    for (let k = 0; k < width; k++) {
      context.fillStyle = rgb(mixed(PAE_STOPS, k / width));
      context.fillRect(start + k, top, 1, 10);
    }
    context.strokeStyle = PAPER.rule;
    context.strokeRect(start - 0.5, top - 0.5, width + 1, 11);
    for (const value of [0, 10, 20, 30]) label(context, value === 30 ? "≥ 30 Å" : `${value}`, start + (width * value) / PAE_TOP, top + 20);
  },
  marks: (context, size, residue) => squareMarks(context, paeSize(size), residue),
  at(x, y, size) {
    const place = squareCell(x, y, paeSize(size));
    if (!place) return null;
    const cells = Math.round(Math.sqrt(view.model.pae.length)), width = view.model.pae_width;
    const value = view.model.pae[Math.floor(place.row / width) * cells + Math.floor(place.column / width)] / 10;
    return { residue: place.column, text: `${residueName(place.column)} when ${residueName(place.row)} is aligned: ${value.toFixed(1)} Å` };
  },
};

// Torsions -------------------------------------------------------------------------------------------------------
const DIALS_ACROSS = 3;
function dialOf(k, size) {
  const width = size.width / DIALS_ACROSS, height = size.height / DIALS_ACROSS;
  return { x: (k % DIALS_ACROSS + 0.5) * width, y: (Math.floor(k / DIALS_ACROSS) + 0.5) * height, radius: Math.min(width, height) / 2 - 10 };
}
function dialPoint(dial, degrees, share) {
  const turn = (degrees * Math.PI) / 180, radius = dial.radius * (0.42 + 0.53 * share);
  return [dial.x + radius * Math.sin(turn), dial.y - radius * Math.cos(turn)];
}

const torsionPlot = {
  ground(context, size) {
    const length = view.panel.sequence.length;
    REPORT.torsions.forEach((torsion, k) => {
      const dial = dialOf(k, size);
      context.lineWidth = 1;
      for (const [radius, colour] of [[1, PAPER.rule], [0.7, PAPER.grid], [0.36, PAPER.rule]]) {
        context.strokeStyle = colour;
        context.beginPath();
        context.arc(dial.x, dial.y, radius * dial.radius, 0, 2 * Math.PI);
        context.stroke();
      }
      context.strokeStyle = PAPER.grid;
      for (let degrees = 0; degrees < 360; degrees += 60) {
        context.beginPath();
        context.moveTo(...dialPoint(dial, degrees, -0.1));
        context.lineTo(...dialPoint(dial, degrees, 1.08));
        context.stroke();
      }
      context.strokeStyle = PAPER.ink;
      context.lineWidth = 4;
      context.beginPath();
      const start = ((torsion.a_form - 90 - 9) * Math.PI) / 180;
      context.arc(dial.x, dial.y, dial.radius + 2, start, start + (18 * Math.PI) / 180);
      context.stroke();
      view.model.torsions[k].forEach((degrees, residue) => {
        if (degrees === null) return;
        context.fillStyle = bandOf(view.model.residue_plddt[residue]).colour;
        context.beginPath();
        context.arc(...dialPoint(dial, degrees, length > 1 ? residue / (length - 1) : 0.5), length > 150 ? 1.8 : 3, 0, 2 * Math.PI);
        context.fill();
      });
      context.font = "600 17px system-ui, 'Liberation Sans', Arial, sans-serif";
      label(context, torsion.symbol, dial.x, dial.y - (view.residue === null ? 0 : 7), "center", PAPER.ink);
      context.font = FONT;
    });
    this.key(context, dialOf(8, size));
  },
  // The ninth place says how to read the others.
  key(context, dial) {
    context.strokeStyle = PAPER.rule;
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.arc(dial.x, dial.y, dial.radius, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    for (const [text, degrees] of [["0°", 0], ["90°", 90], ["180°", 180], ["270°", 270]]) label(context, text, ...dialPoint(dial, degrees, 0.82));
    label(context, "5′ inside", dial.x, dial.y - 8);
    label(context, "3′ outside", dial.x, dial.y + 8);
  },
  marks(context, size, residue) {
    const length = view.panel.sequence.length;
    REPORT.torsions.forEach((torsion, k) => {
      const dial = dialOf(k, size), degrees = view.model.torsions[k][residue];
      context.fillStyle = "#ffffff";
      context.beginPath();
      context.arc(dial.x, dial.y, 0.34 * dial.radius, 0, 2 * Math.PI);
      context.fill();
      context.font = "600 16px system-ui, 'Liberation Sans', Arial, sans-serif";
      label(context, torsion.symbol, dial.x, dial.y - 8, "center", PAPER.ink);
      context.font = FONT;
      label(context, degrees === null ? "–" : `${degrees}°`, dial.x + 1, dial.y + 9, "center", PAPER.mark);
      if (degrees === null) return;
      context.strokeStyle = PAPER.mark;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(...dialPoint(dial, degrees, length > 1 ? residue / (length - 1) : 0.5), 5, 0, 2 * Math.PI);
      context.stroke();
    });
  },
  at(x, y, size) {
    let best = null, nearest = 12;
    const length = view.panel.sequence.length;
    REPORT.torsions.forEach((torsion, k) => {
      const dial = dialOf(k, size);
      if (Math.hypot(x - dial.x, y - dial.y) > dial.radius + 10) return;
      view.model.torsions[k].forEach((degrees, residue) => {
        if (degrees === null) return;
        const [px, py] = dialPoint(dial, degrees, length > 1 ? residue / (length - 1) : 0.5);
        const away = Math.hypot(x - px, y - py);
        if (away < nearest) [nearest, best] = [away, { residue, text: `${residueName(residue)}: ${torsion.symbol} ${degrees}° (A-form ${torsion.a_form}°)` }];
      });
    });
    return best;
  },
};
