// The head of the page, the table of layers, and the notes.

function drawHead() {
  const { chip, totals } = run;
  $("title").textContent = run.title;
  const passes = run.passes.length > 1 ? `, ${run.passes.length} passes` : "";
  $("facts").textContent = `Chip ${chip.name}: ${chip.columns} × ${chip.rows} cores, ${chip.lanes} lanes, `
    + `${si(chip.clock, "Hz")}, ${chip.coding} coding${passes}`;
  $("agreement").textContent = run.agreement;
  $("figures").replaceChildren(...keyFigures().map(([name, value, note]) => {
    const [number, ...unit] = value.split(" ");
    return element("div", { class: "figure" }, element("span", {}, name),
      element("b", {}, number, element("small", {}, ` ${unit.join(" ")}`)), element("em", {}, note));
  }));
}

function keyFigures() {
  const { cycles, seconds, sops, adds, flits, energy, utilisation } = run.totals;
  return [
    ["Latency", si(seconds, "s"), `${si(1 / seconds, "")} runs a second`],
    ["Energy", si(energy, "J"), sops ? `${si(energy / sops, "J")} per SOP` : "one run"],
    ["Average power", si(energy / seconds, "W"), "energy ÷ latency"],
    ["SOPs", count(sops), `${si(sops / seconds, "")}/s`],
    ["Adds", count(adds), sops ? `${(adds / sops).toFixed(2)} per SOP` : "one run"],
    ["Flits", count(flits), `${(flits / cycles).toFixed(3)} per cycle`],
    ["Cycles", cycles < 1e4 ? exact(cycles) : si(cycles, "", 4), `at ${si(run.chip.clock, "Hz")}`],
    ["Utilisation", percent(utilisation), `of ${run.coresInUse} cores in use`],
  ];
}

// Heading, value to sort by, text, explanation.
const COLUMNS = [
  ["#", (layer, index) => index, (value) => String(value + 1), "place in the network"],
  ["Layer", (layer) => layer.name, (value) => value, "name"],
  ["Kind", (layer) => layer.kind, (value) => value, "what the chip does for it"],
  ["Cores", (layer) => layer.cores.length, exact, "cores that hold one of its tiles"],
  ["Start", (layer) => layer.first, duration, "its first cycle"],
  ["Span", (layer) => layer.end - layer.first, duration, "from first to last cycle"],
  ["At work", (layer) => layer.busy, percent, "share of its cores' cycles: issues or, without any, steps under way"],
  ["Events", (layer) => layer.events, count, "spikes and potentials that its engines received"],
  ["SOPs", (layer) => layer.sops, count, "synaptic operations: counts times targets"],
  ["Adds", (layer) => layer.adds, count, "additions of lanes"],
  ["Issues", (layer) => layer.issues, count, "issues of the synapse engine"],
  ["Spikes", (layer) => layer.spikes, count, "spikes that it sent"],
  ["Density", (layer) => layer.density, percent, "share of non-zero counts"],
  ["Flits", (layer) => layer.flits, count, "flits that it sent"],
  ["Hops", (layer) => layer.hops, count, "router-to-router traversals of its flits"],
  ["Energy", (layer) => sum(layer.energy), (value) => si(value, "J"), "joules of all kinds"],
  ["Share", (layer) => sum(layer.energy) / (run.totals.energy || 1), percent, "of the energy of the whole run"],
];
const WORDS = new Set(["Layer", "Kind"]);
const table = { column: 0, ascending: true };

function drawTable() {
  const heads = COLUMNS.map(([name, , , explanation], index) => {
    const sorted = index === table.column ? (table.ascending ? "ascending" : "descending") : "none";
    const button = element("button", { type: "button", title: explanation }, name);
    button.addEventListener("click", () => sortBy(index));
    return element("th", { "aria-sort": sorted, class: WORDS.has(name) ? "word" : "" }, button);
  });
  $("layers").tHead.replaceChildren(element("tr", {}, ...heads));
  const value = COLUMNS[table.column][1];
  const order = run.layers.map((layer, index) => ({ layer, index, key: value(layer, index) }));
  order.sort((a, b) => compare(a.key, b.key) * (table.ascending ? 1 : -1) || a.index - b.index);
  $("layers").tBodies[0].replaceChildren(...order.map(({ layer, index }) => tableRow(layer, index)));
  markLayers();
}

function compare(a, b) {
  if (a === null || b === null) return (a === null ? -1 : 0) - (b === null ? -1 : 0);
  return typeof a === "string" ? a.localeCompare(b) : a - b;
}

function tableRow(layer, index) {
  const cells = COLUMNS.map(([name, value, text]) => {
    const found = value(layer, index);
    const plain = found === null || (found === 0 && !["#", "Start"].includes(name)) ? "–" : text(found);
    const marks = name === "Kind" ? [swatch(KIND_COLOURS[layer.kind])] : [];
    return element("td", WORDS.has(name) ? { class: "word", title: plain } : {}, ...marks, plain);
  });
  const row = element("tr", { "data-layers": index }, ...cells);
  row.addEventListener("click", () => pin([index]));
  return row;
}

// Words begin with A, figures with the largest.
function sortBy(column) {
  table.ascending = column === table.column ? !table.ascending : WORDS.has(COLUMNS[column][0]) || column === 0;
  table.column = column;
  drawTable();
}

function drawNotes() {
  const longest = Math.max(...Array.from({ length: run.windows }, (_, w) => windowLength(w)));
  const notes = [
    "Each core-cycle is exactly one of busy (an issue, or a step that is not stalled), stalled (nothing to do but send, "
      + "and no room), waiting (steps left) and idle.",
    "A link carries at most one flit a cycle. A core's square on the link map is what its router hands to it.",
    `The time series has ${exact(run.windows)} windows of up to ${exact(longest)} cycles.`,
    "Shares beside the map are of all cores; the key figure is of the cores in use: those with a step to do.",
    "Colour scales end at the largest value of the whole run or, while a window is shown, of all windows.",
  ];
  $("notes").replaceChildren(...notes.map((note) => element("p", {}, note)));
}
