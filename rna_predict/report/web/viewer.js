// The 3D viewer: 3Dmol.js on one canvas for the whole page.
const molecule = { viewer: null, failed: "", atoms: [], halo: null, name: null, serial: 0 };

// Names of the model's atoms along the chain, with their residue.
function atomsOf(sequence) {
  return [...sequence].flatMap((letter, residue) => REPORT.atoms[letter].map((name) => ({ name, residue, letter })));
}

// A PDB file's text, in which residues are numbered through all chains where it is for the viewer; `onto` lays the atoms on the best model, or is null for the coordinates as they are in the results.
function pdbText(model, onto) {
  const xyz = summed(model.xyz, 3), b = summed(model.b, 1);
  const ends = new Set(view.panel.breaks.map((start) => molecule.atoms.findIndex((atom) => atom.residue === start)));
  const lines = molecule.atoms.map((atom, k) => {
    let point = [0, 1, 2].map((axis) => xyz[3 * k + axis] / 1000);
    if (onto) point = [0, 1, 2].map((row) => onto[3 * row] * point[0] + onto[3 * row + 1] * point[1] + onto[3 * row + 2] * point[2] + onto[9 + row]);
    const name = atom.name.length < 4 ? ` ${atom.name.padEnd(3)}` : atom.name;
    const place = point.map((value) => value.toFixed(3).padStart(8)).join("");
    const { chain, number } = placeOf(atom.residue);
    return `ATOM  ${String((k % 99999) + 1).padStart(5)} ${name}   ${atom.letter} ${chain}${String(onto ? atom.residue + 1 : number).padStart(4)}    ${place}  1.00${(b[k] / 100).toFixed(2).padStart(6)}          ${atom.name[0].padStart(2)}${ends.has(k + 1) ? "\nTER" : ""}`;
  });
  return `${lines.join("\n")}\nTER\nEND\n`;
}

// Without a graphics card, as on a remote desktop, smooth edges make each picture five times slower.
function drawnBySoftware() {
  const context = document.createElement("canvas").getContext("webgl2");
  const names = context?.getExtension("WEBGL_debug_renderer_info");
  const software = /swiftshader|llvmpipe|software/i.test(names ? context.getParameter(names.UNMASKED_RENDERER_WEBGL) : "");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return software;
}

const FIELD_OF_VIEW = 20; // degrees, from the top to the bottom of the picture

function startViewer() {
  try {
    molecule.viewer = $3Dmol.createViewer(byId("viewer"), { backgroundColor: "white", antialias: !drawnBySoftware(), preserveDrawingBuffer: true });
  } catch (error) {
    molecule.failed = String(error?.message ?? error);
  }
  if (!molecule.viewer) {
    byId("viewer").replaceChildren(make("p", { class: "notice bad" }, `The browser gives no WebGL, which the 3D viewer needs. ${molecule.failed}`));
    return;
  }
  molecule.viewer.setCameraParameters({ fov: FIELD_OF_VIEW });
  new ResizeObserver(() => {
    if (!byId("viewer").clientWidth) return; // the panel of an RNA without models
    molecule.viewer.resize();
    molecule.viewer.render();
  }).observe(byId("viewer"));
}

function colourOfAtom(atom) {
  const residue = atom.resi - 1, paint = byId("paint").value;
  if (paint === "letter") return BASES[view.panel.sequence[residue]];
  if (paint === "order") return rgb(mixed([[0x2f, 0x45, 0xa8], [0x3a, 0x9f, 0xb5], [0x8c, 0xc9, 0x6f], [0xf2, 0xc1, 0x4e], [0xd1, 0x49, 0x5b]], residue / Math.max(view.panel.sequence.length - 1, 1)));
  if (paint === "state") return STATES[view.stateOf[residue]].colour;
  return bandOf(view.model.residue_plddt[residue]).colour;
}
const STATES = {
  canonical: { name: "canonical pair", colour: "#2f45a8" },
  other: { name: "other pair", colour: "#d55e00" },
  unpaired: { name: "unpaired", colour: "#aab2c0" },
};

function styleOf(colorfunc) {
  const ribbon = { cartoon: { colorfunc, thickness: 0.5, ringMode: 0 } };
  const sticks = { stick: { colorfunc, radius: 0.16 } };
  return { cartoon: ribbon, sticks, both: { ...ribbon, ...sticks }, trace: { cartoon: { colorfunc, style: "trace", thickness: 0.6, radius: 0.6 } } }[byId("look").value];
}

// Draw the chosen model, with `keep` from where the reader looked at the one before.
function drawMolecule(keep) {
  const viewer = molecule.viewer;
  drawScale();
  if (!viewer) return;
  const from = keep ? viewer.getView() : null;
  viewer.removeAllModels();
  viewer.removeAllShapes();
  viewer.removeAllLabels();
  molecule.halo = molecule.name = null;
  const shown = viewer.addModel(pdbText(view.model, view.model.onto), "pdb");
  shown.setStyle({}, styleOf(colourOfAtom));
  shown.setClickable({}, true, (atom) => selectResidue(atom.resi - 1));
  shown.setHoverable({}, true, hoverAtom, () => showTip(null));
  if (byId("overlay").checked) drawOverlay(viewer);
  if (byId("show-clashes").checked) drawClashes(viewer, shown);
  if (from) viewer.setView(from);
  else fitMolecule();
  markMolecule();
  viewer.render();
}

// The whole molecule as large as it fits; zoomTo alone leaves room for the sphere around it.
function fitMolecule() {
  const viewer = molecule.viewer, half = Math.tan((FIELD_OF_VIEW * Math.PI) / 360), aspect = byId("viewer").clientWidth / byId("viewer").clientHeight;
  viewer.zoomTo({ model: 0 });
  const atoms = viewer.getModel(0).selectedAtoms({});
  const middle = ["x", "y", "z"].map((axis) => (atoms.reduce((most, atom) => Math.max(most, atom[axis]), -Infinity) + atoms.reduce((least, atom) => Math.min(least, atom[axis]), Infinity)) / 2);
  const needed = atoms.map((atom) => atom.z - middle[2] + Math.max(Math.abs(atom.y - middle[1]), Math.abs(atom.x - middle[0]) / aspect) / half);
  viewer.setView([...middle.map((value) => -value), 0, 0, 0, 0, 1]);
  viewer.setPerceivedDistance(1.06 * needed.reduce((most, value) => Math.max(most, value), 20));
}

function hoverAtom(atom, viewer, event) {
  const residue = atom.resi - 1;
  showTip(`${residueName(residue)} ${atom.atom}: pLDDT ${view.model.residue_plddt[residue].toFixed(1)}`, event);
}

// The other models as thin grey backbones.
function drawOverlay(viewer) {
  for (const model of view.models) {
    if (!model || model === view.model) continue;
    viewer.addModel(pdbText(model, model.onto), "pdb").setStyle({}, { cartoon: { color: "#9aa3b5", style: "trace", thickness: 0.25, radius: 0.25, opacity: 0.75 } });
  }
}

function drawClashes(viewer, shown) {
  const atoms = shown.selectedAtoms({});
  for (const [i, j] of view.model.clashes) {
    viewer.addCylinder({ start: atoms[i], end: atoms[j], radius: 0.22, color: "#e00034", fromCap: 2, toCap: 2 });
    for (const k of [i, j]) viewer.addSphere({ center: atoms[k], radius: 0.5, color: "#e00034", opacity: 0.6 });
  }
}

// A halo and a name at the selected residue.
function markMolecule() {
  const viewer = molecule.viewer;
  if (!viewer || !view.model) return;
  if (molecule.halo) viewer.removeShape(molecule.halo);
  if (molecule.name) viewer.removeLabel(molecule.name);
  molecule.halo = molecule.name = null;
  if (view.residue !== null) {
    const atom = viewer.getModel(0)?.selectedAtoms({ resi: view.residue + 1, atom: "C1'" })[0];
    if (atom) {
      molecule.halo = viewer.addSphere({ center: atom, radius: 2.6, color: PAPER.mark, opacity: 0.35 });
      molecule.name = viewer.addLabel(residueName(view.residue), { position: atom, fontSize: 13, fontColor: "white", backgroundColor: PAPER.mark, backgroundOpacity: 0.85, inFront: true, alignment: "bottomCenter", screenOffset: { x: 0, y: 16 } });
    }
  }
  viewer.render();
}

// The legend below the viewer.
function drawScale() {
  const swatch = (colour, text) => {
    const square = make("i", { class: "swatch" });
    square.style.background = colour;
    return make("span", {}, square, text);
  };
  const ends = { 90: "≥ 90", 70: "70–90", 50: "50–70", 0: "< 50" };
  const legends = {
    plddt: [make("b", {}, "pLDDT"), ...BANDS.map((band) => swatch(band.colour, `${ends[band.from]} ${band.name}`))],
    letter: Object.entries(BASES).map(([letter, colour]) => swatch(colour, letter)),
    order: [make("span", {}, "5′"), make("i", { class: "rainbow" }), make("span", {}, "3′")],
    state: Object.values(STATES).map((state) => swatch(state.colour, state.name)),
  };
  byId("scale").replaceChildren(...legends[byId("paint").value]);
}

function savePdb() {
  const id = view.panel.id, rank = view.model.rank;
  const text = `REMARK   1 rna_predict: ${id}, model ${rank}, B-factor column: pLDDT, 0-100${view.panel.untrained ? ", UNTRAINED" : ""}\n${pdbText(view.model, null)}`;
  const address = URL.createObjectURL(new Blob([text], { type: "chemical/x-pdb" }));
  make("a", { href: address, download: `${id}_model_${rank}.pdb` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
