// Layers and their spikes over time. A line of these charts is one layer or, in networks of many, one module: the layers
// whose names begin alike. line: { name, layers: indices, energy: joules by kind, rows: for the tooltip }.

const MANY = 40; // lines; more are shown by module at first

// The deepest cut of the names "a.b.c" that gives no more than MANY modules, without the last part of each name.
function modules() {
  const paths = run.layers.map((layer) => layer.name.split(" ")[0].split("."));
  for (let depth = 4; depth > 0; depth -= 1) {
    const found = new Map();
    paths.forEach((path, index) => {
      const name = path.slice(0, Math.max(1, Math.min(depth, path.length - 1))).join(".");
      found.set(name, [...(found.get(name) || []), index]);
    });
    if (found.size <= MANY || depth === 1) return found;
  }
  return new Map();
}

const folding = { modules: modules(), folded: run.layers.length > MANY };
folding.useful = folding.modules.size < run.layers.length;

function makeLine(name, layers) {
  const members = layers.map((index) => run.layers[index]);
  const energy = run.energyParts.map((_, k) => sum(members.map((layer) => layer.energy[k])));
  return { name, layers, energy, rows: () => (layers.length === 1 ? layerRows(members[0]) : moduleRows(members, energy)) };
}

function moduleRows(members, energy) {
  const working = members.filter((layer) => layer.end > layer.first);
  const rows = [
    ["layers", exact(members.length)],
    ["cores", exact(new Set(members.flatMap((layer) => layer.cores)).size)],
  ];
  if (working.length) {
    const first = Math.min(...working.map((layer) => layer.first));
    const end = Math.max(...working.map((layer) => layer.end));
    rows.push(["time", `${duration(first)} – ${duration(end)}`]);
  }
  const [sops, spikes] = [sum(members.map((layer) => layer.sops)), sum(members.map((layer) => layer.spikes))];
  rows.push(["SOPs", count(sops)], ["spikes", count(spikes)], ["energy", si(sum(energy), "J")]);
  return rows;
}

function layerLines() {
  if (!folding.folded || !folding.useful) return run.layers.map((layer, index) => makeLine(layer.name, [index]));
  return [...folding.modules].map(([name, layers]) => makeLine(name, layers));
}

// Energy that belongs to no layer: static, and the way to the host.
function restLine() {
  const energy = run.energyParts.map(([, joules], k) => {
    const left = joules - sum(run.layers.map((layer) => layer.energy[k]));
    return left > 1e-6 * joules ? left : 0; // the rest is rounding
  });
  return { name: "of no layer", layers: [], energy, rows: () => energyRows(energy) };
}

const energyRows = (energy) => run.energyParts.map(([kind], k) => [kind, si(energy[k], "J"), energyColours[k]])
  .filter((_, k) => energy[k] > 0);

const lineHeight = (lines) => (lines <= MANY ? 18 : lines <= 80 ? 14 : 11);

// The line under the mouse, and a click that keeps its cores marked; in the middle column a click chooses a window.
function lineable(target, lines, height, rows = (line) => line.rows(), title = (line) => line.name) {
  const find = (y) => lines[Math.floor(y / height)];
  hoverable(target, (x, y) => {
    const line = find(y);
    return line ? { title: title(line), rows: rows(line), layers: line.layers } : null;
  });
  if (target.classList.contains("time")) return;
  target.addEventListener("click", (event) => {
    const line = find(event.clientY - target.getBoundingClientRect().top);
    if (line) pin(line.layers);
  });
}

function names(lines, height) {
  const style = `line-height:${height}px;font-size:${Math.min(12, height - 2)}px`;
  const made = element("div", { class: "names", style },
    ...lines.map((line) => element("div", { "data-layers": line.layers.join(",") }, line.name)));
  lineable(made, lines, height);
  return made;
}

function layerBlock() {
  const lines = layerLines();
  const rest = restLine();
  if (sum(rest.energy) > 0) lines.push(rest);
  const height = lineHeight(lines.length);
  const chart = svg("svg", { width: time.width, height: height * lines.length, class: "gantt time" });
  lines.forEach((line, row) => {
    const single = line.layers.length === 1;
    for (const index of line.layers) drawBar(chart, index, ...barPlace(run.layers[index].kind, single, row * height, height));
  });
  lineable(chart, lines, height);
  const kinds = [...new Set(run.layers.map((layer) => layer.kind))].map((kind) =>
    element("span", { class: "key" }, swatch(KIND_COLOURS[kind]), kind));
  const note = element("span", { class: "key" }, "from first to last cycle; dark: share of its cores at work");
  const head = heading("Layers", "Energy by layer", ...kinds, note, ...foldButton());
  return [...head, names(lines, height), chart, energyBars(lines, height)];
}

function foldButton() {
  if (!folding.useful) return [];
  const text = folding.folded ? `every layer (${run.layers.length})` : `by module (${folding.modules.size})`;
  const button = element("button", { type: "button", id: "fold" }, text);
  button.addEventListener("click", () => {
    folding.folded = !folding.folded;
    drawTimeline();
  });
  return [button];
}

// Top and height of a bar. In a module's line, what engines do lies above, what fire units do below.
function barPlace(kind, single, top, height) {
  if (single) return [top + 2, height - 4];
  const half = (height - 4) / 2;
  return [["input", "synapse", "pool"].includes(kind) ? top + 1.5 : top + half + 2.5, half];
}

// Pale from the first to the last cycle; dark from below, the share of the layer's cores at work: resolved in time for
// the fire unit's steps, the mean for the engine's issues.
function drawBar(chart, index, y, tall) {
  const layer = run.layers[index];
  if (layer.end <= layer.first) return;
  const [x0, x1] = [across(layer.first), across(layer.end)];
  const colour = KIND_COLOURS[layer.kind];
  const span = { x: x0, y, width: Math.max(1, x1 - x0), height: tall, fill: colour };
  chart.append(svg("rect", { class: "span", "data-layers": index, ...span }));
  const share = (w) => (layer.issues ? layer.busy : data.firing[index * run.windows + w]);
  const points = [`${x0.toFixed(2)},${y + tall}`];
  for (let w = windowAt(layer.first); w < run.windows && data.edges[w] < layer.end; w += 1) {
    const level = (y + tall * (1 - Math.min(1, share(w) || 0))).toFixed(2);
    const from = Math.max(x0, across(data.edges[w]));
    const to = Math.min(x1, across(data.edges[w + 1]));
    points.push(`${from.toFixed(2)},${level}`, `${to.toFixed(2)},${level}`);
  }
  points.push(`${x1.toFixed(2)},${y + tall}`);
  chart.append(svg("polygon", { class: "work", points: points.join(" "), fill: colour }));
}

// Horizontal bars of one or more parts; text(line) is written behind.
function bars(lines, height, parts, colours, text) {
  const chart = svg("svg", { width: TOTALS, height: height * lines.length, class: "bars" });
  const length = TOTALS - 66;
  const most = Math.max(...lines.map((line) => sum(parts(line)))) || 1;
  const size = Math.min(11, height - 1);
  lines.forEach((line, row) => {
    let x = 0;
    parts(line).forEach((value, k) => {
      const width = (value / most) * length;
      const place = { x, y: row * height + 2, width, height: height - 4, fill: colours[k] };
      if (width > 0) chart.append(svg("rect", place));
      x += width;
    });
    const middle = row * height + height / 2 + size * 0.36;
    chart.append(svg("text", { x: x + 5, y: middle, style: `font-size:${size}px` }, text(line)));
  });
  return chart;
}

function energyBars(lines, height) {
  const chart = bars(lines, height, (line) => line.energy, energyColours, (line) => si(sum(line.energy), "J"));
  const title = (line) => {
    const joules = sum(line.energy);
    return `${line.name}: ${si(joules, "J")}, ${percent(joules / (run.totals.energy || 1))}`;
  };
  lineable(chart, lines, height, (line) => energyRows(line.energy), title);
  return chart;
}

// Spikes: a band for each line that fires, its layers and their neurons upwards.

function rasterBlock() {
  if (run.spikes === null || !data.rasterCycle.length) return [];
  const sizes = new Map(); // neurons by layer, as far as they fired
  data.rasterLayer.forEach((layer, k) => sizes.set(layer, Math.max(sizes.get(layer) || 0, data.rasterNeuron[k] + 1)));
  const lines = layerLines().filter((line) => line.layers.some((index) => sizes.has(index)));
  const height = lines.length <= 12 ? 32 : lines.length <= 30 ? 20 : lines.length <= MANY ? 16 : 12;
  const canvas = element("canvas", { id: "raster", class: "time", role: "img", "aria-label": "Spike raster" });
  drawSpikes(pen(canvas, time.width, height * lines.length), lines, height, sizes);
  lineable(canvas, lines, height);
  const spikes = (line) => sum(line.layers.map((index) => run.layers[index].spikes));
  const totals = bars(lines, height, (line) => [spikes(line)], [KIND_COLOURS.fire], (line) => count(spikes(line)));
  lineable(totals, lines, height);
  const shown = data.rasterCycle.length;
  const note = shown < run.spikes ? `a sample of ${exact(shown)} of ${count(run.spikes)}` : `all ${exact(shown)}`;
  return [...heading("Spikes", "Spikes sent, by layer", note), names(lines, height), canvas, totals];
}

function drawSpikes(context, lines, height, sizes) {
  const places = new Map(); // by layer: bottom of its band, pixels of a neuron, first neuron
  lines.forEach((line, row) => {
    context.fillStyle = css(row % 2 ? "--paper" : "--band");
    context.fillRect(0, row * height, time.width, height);
    const neurons = sum(line.layers.map((index) => sizes.get(index) || 0));
    let below = 0;
    for (const index of line.layers) {
      places.set(index, [(row + 1) * height - 2, (height - 4) / neurons, below]);
      below += sizes.get(index) || 0;
    }
  });
  const many = data.rasterCycle.length > 5000;
  const size = many ? 1 : 1.6;
  context.fillStyle = css("--spike");
  context.globalAlpha = many ? 0.65 : 0.9;
  data.rasterCycle.forEach((cycle, k) => {
    const [bottom, pixels, below] = places.get(data.rasterLayer[k]);
    context.fillRect(across(cycle), bottom - (data.rasterNeuron[k] + 0.5 + below) * pixels, size, size);
  });
}

// Marks what belongs to the layers that are looked at.
function markLayers() {
  const shown = new Set(shownLayers());
  for (const each of document.querySelectorAll("[data-layers]")) {
    const own = each.dataset.layers.split(",").filter(Boolean).map(Number);
    each.classList.toggle("marked", own.some((index) => shown.has(index)));
  }
}

function startLayers() {
  watchers.push(markLayers);
}
