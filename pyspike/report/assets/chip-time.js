// Everything over one time axis: classes of core-cycles, power, layers, spikes. Three columns: names, time, totals.

const time = { width: 0 }; // CSS pixels of the middle column
const TOTALS = 270; // CSS pixels of the right column
const across = (cycle) => (cycle / run.totals.cycles) * time.width;
const cycleAt = (x) => Math.max(0, Math.min(run.totals.cycles - 1, Math.round((x / time.width) * run.totals.cycles)));

function drawTimeline() {
  const rows = $("rows");
  const cursor = element("div", { id: "cursor" });
  const overlay = element("div", { id: "overlay" }, cursor);
  rows.replaceChildren(overlay);
  time.width = overlay.clientWidth;
  rows.append(...axis(true), ...classBlock(), ...powerBlock(), ...layerBlock(), ...rasterBlock(), ...axis(false));
  overlay.append(...passLines());
  moveCursor();
}

function moveCursor() {
  const cursor = $("cursor");
  cursor.hidden = view.window === null;
  if (cursor.hidden) return;
  const [first, end] = [data.edges[view.window], data.edges[view.window + 1]];
  cursor.style.left = `${across(first)}px`;
  cursor.style.width = `${Math.max(1.5, across(end) - across(first))}px`;
}

// Axis and passes.

function axis(above) {
  const height = above ? 34 : 20;
  const chart = svg("svg", { width: time.width, height, class: "axis" });
  const unit = run.totals.cycles / run.chip.clock;
  const step = roundUp(unit / 10);
  for (let index = 0; index * step <= unit; index += 1) {
    const x = (index * step * time.width) / unit;
    const anchor = index === 0 ? "start" : x > time.width - 30 ? "end" : "middle";
    const y = above ? height - 8 : 16;
    chart.append(svg("line", { x1: x, x2: x, y1: above ? height - 4 : 0, y2: above ? height : 4 }));
    chart.append(svg("text", { x, y, "text-anchor": anchor }, index ? si(index * step, "s", 2) : "0"));
  }
  if (above) {
    for (const pass of run.passes) {
      chart.append(svg("text", { x: across(pass.first) + 4, y: 10, class: "pass" }, pass.title));
    }
  }
  return [element("div"), chart, element("div")];
}

const passLines = () => run.passes.filter((pass) => pass.first > 0)
  .map((pass) => element("div", { class: "passline", style: `left:${across(pass.first)}px` }));

function heading(left, right, ...legend) {
  return [
    element("h2", { class: "left" }, left, element("small", {}, ...legend)),
    element("h2", { class: "right" }, right),
  ];
}

// Stacked areas, constant within a window. values(w): the heights of all bands in window w.

function stacked(height, top, colours, values) {
  const chart = svg("svg", { width: time.width, height, class: "area" });
  const sums = new Array(run.windows).fill(0);
  const y = (value) => (height - (value / top) * height).toFixed(2);
  for (let band = 0; band < colours.length; band += 1) {
    const [upper, lower] = [[], []];
    for (let w = 0; w < run.windows; w += 1) {
      const [x0, x1] = [across(data.edges[w]).toFixed(2), across(data.edges[w + 1]).toFixed(2)];
      lower.unshift(`${x1},${y(sums[w])} ${x0},${y(sums[w])}`);
      sums[w] += values(w)[band];
      upper.push(`${x0},${y(sums[w])} ${x1},${y(sums[w])}`);
    }
    chart.append(svg("polygon", { points: `${upper.join(" ")} ${lower.join(" ")}`, fill: colours[band] }));
  }
  return chart;
}

function rule(chart, height, share, text) {
  const y = height - share * height;
  chart.append(svg("line", { x1: 0, x2: time.width, y1: y, y2: y, class: "rule" }));
  return element("span", { style: `top:${Math.max(0, y - 7)}px` }, text);
}

function windowTitle(index) {
  return `${duration(data.edges[index])} – ${duration(data.edges[index + 1])}`;
}

function classBlock() {
  const height = 64;
  const names = run.classNames;
  const shares = Array.from({ length: run.windows }, (_, w) => names.map((_, index) => {
    let total = 0;
    for (let core = 0; core < cores; core += 1) total += data.windowClasses[(w * cores + core) * names.length + index];
    return total / cores / windowLength(w);
  }));
  const chart = stacked(height, 1, classColours(), (w) => shares[w]);
  const scale = element("div", { class: "scaleMarks" }, rule(chart, height, 1, "100 %"), rule(chart, height, 0.5, "50 %"));
  hoverable(chart, (x) => {
    const w = windowAt(cycleAt(x));
    return { title: windowTitle(w), rows: names.map((name, k) => [name, percent(shares[w][k]), classColours()[k]]) };
  });
  const totals = names.map((name, index) => {
    let cycles = 0;
    for (let core = 0; core < cores; core += 1) cycles += data.classes[core * names.length + index];
    return [name, percent(cycles / cores / run.totals.cycles), classColours()[index], null];
  });
  return [...heading("Cores", "Core-cycles, whole run"), scale, chart, legend(totals)];
}

// Lines of swatch, name, value; share (or null) is the length of a bar behind them.
function legend(lines) {
  return element("div", { class: "legend" }, ...lines.map(([name, value, colour, share]) => {
    const made = element("div", {}, swatch(colour), element("span", { title: name }, name));
    if (share !== null) {
      const style = `width:${100 * share}%;background:${colour}`;
      made.append(element("i", { class: "length" }, element("i", { style })));
    }
    made.append(element("b", {}, value));
    return made;
  }));
}

function powerBlock() {
  const kinds = run.energyParts.length;
  const watts = Array.from({ length: run.windows }, (_, w) =>
    run.energyParts.map((_, k) => (data.windowEnergy[w * kinds + k] * run.chip.clock) / windowLength(w)));
  const height = Math.max(100, 17 * kinds);
  const top = Math.max(...watts.map(sum)) * 1.06 || 1;
  const chart = stacked(height, top, energyColours, (w) => watts[w]);
  const step = roundUp(top / 4);
  const scale = element("div", { class: "scaleMarks" });
  for (let mark = step; mark <= top; mark += step) scale.append(rule(chart, height, mark / top, si(mark, "W", 2)));
  hoverable(chart, (x) => {
    const w = windowAt(cycleAt(x));
    const rows = run.energyParts.map(([kind], k) => [kind, si(watts[w][k], "W"), energyColours[k]]);
    return { title: `${windowTitle(w)}: ${si(sum(watts[w]), "W")}`, rows };
  });
  const largestPart = Math.max(...run.energyParts.map(([, joules]) => joules)) || 1;
  const parts = run.energyParts.map(([kind, joules], k) => [kind, si(joules, "J"), energyColours[k], joules / largestPart]);
  return [...heading("Power", `Energy by kind, ${si(run.totals.energy, "J")}`), scale, chart, legend(parts)];
}

// Layers: one line each.

function lineHeight(lines) {
  return lines <= 32 ? 18 : lines <= 80 ? 14 : 11;
}

// Behaviour of a block of lines: the layer under the mouse, and a click that keeps it.
function lineable(target, lines, height) {
  const find = (y) => lines[Math.floor(y / height)];
  hoverable(target, (x, y) => {
    const line = find(y);
    return line && { title: line.name, rows: line.rows(), layer: line.layer };
  });
  if (!target.closest(".time")) {
    target.addEventListener("click", (event) => pin(find(event.clientY - target.getBoundingClientRect().top)?.layer));
  }
}

const pin = (layer) => layer !== undefined && look({ pinned: view.pinned === layer ? null : layer });

function names(lines, height) {
  const made = element("div", { class: "names", style: `line-height:${height}px;font-size:${Math.min(12, height - 2)}px` },
    ...lines.map((line) => element("div", { "data-layer": line.layer ?? "" }, line.name)));
  lineable(made, lines, height);
  return made;
}

function layerBlock() {
  const lines = run.layers.map((layer, index) =>
    ({ name: layer.name, layer: index, rows: () => layerRows(layer), energy: layer.energy }));
  const rest = run.energyParts.map(([, joules], k) => {
    const left = joules - sum(run.layers.map((layer) => layer.energy[k]));
    return left > 1e-6 * joules ? left : 0; // the rest is rounding
  });
  if (sum(rest) > 0) {
    const rows = () => run.energyParts.map(([kind], k) => [kind, si(rest[k], "J"), energyColours[k]]);
    lines.push({ name: "of no layer", rows, energy: rest });
  }
  const height = lineHeight(lines.length);
  const chart = svg("svg", { width: time.width, height: height * lines.length, class: "gantt time" });
  run.layers.forEach((layer, index) => drawBar(chart, layer, index, height));
  lineable(chart, lines, height);
  const kinds = [...new Set(run.layers.map((layer) => layer.kind))].map((kind) =>
    element("span", { class: "key" }, swatch(KIND_COLOURS[kind]), kind));
  const note = "from first to last cycle; dark: share of its cores at work";
  return [...heading("Layers", "Energy by layer", ...kinds, note), names(lines, height), chart, energyBars(lines, height)];
}

// Pale from the first to the last cycle; dark from below, the share of the layer's cores at work: resolved in time for
// the fire unit's steps, the mean for the engine's issues.
function drawBar(chart, layer, index, height) {
  if (layer.end <= layer.first) return;
  const [y, tall] = [index * height + 2, height - 4];
  const [x0, x1] = [across(layer.first), across(layer.end)];
  const colour = KIND_COLOURS[layer.kind];
  const span = { x: x0, y, width: Math.max(1, x1 - x0), height: tall, fill: colour };
  chart.append(svg("rect", { class: "span", "data-layer": index, ...span }));
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

// Horizontal bars of one or more parts; value(line) is what is written behind.
function bars(lines, height, parts, colours, text) {
  const chart = svg("svg", { width: TOTALS, height: height * lines.length, class: "bars" });
  const length = TOTALS - 66;
  const most = Math.max(...lines.map((line) => sum(parts(line)))) || 1;
  lines.forEach((line, index) => {
    let x = 0;
    parts(line).forEach((value, k) => {
      const width = (value / most) * length;
      const place = { x, y: index * height + 2, width, height: height - 4, fill: colours(line, k) };
      if (width > 0) chart.append(svg("rect", place));
      x += width;
    });
    const size = Math.min(11, height - 1);
    chart.append(svg("text", { x: x + 5, y: index * height + height / 2 + size * 0.36, "font-size": size }, text(line)));
  });
  return chart;
}

function energyBars(lines, height) {
  const chart = bars(lines, height, (line) => line.energy, (_, k) => energyColours[k], (line) => si(sum(line.energy), "J"));
  hoverable(chart, (x, y) => {
    const line = lines[Math.floor(y / height)];
    if (!line) return null;
    const total = sum(line.energy);
    const rows = run.energyParts.map(([kind], k) => [kind, si(line.energy[k], "J"), energyColours[k]])
      .filter((_, k) => line.energy[k] > 0);
    const share = percent(total / (run.totals.energy || 1));
    return { title: `${line.name}: ${si(total, "J")}, ${share}`, rows, layer: line.layer };
  });
  return chart;
}

// Spikes: a band for each layer that fires, its neurons upwards.

function rasterBlock() {
  if (run.spikes === null || !data.rasterCycle.length) return [];
  const tops = new Map();
  data.rasterLayer.forEach((layer, k) => tops.set(layer, Math.max(tops.get(layer) || 0, data.rasterNeuron[k])));
  const firing = [...tops.keys()].sort((a, b) => a - b);
  const lines = firing.map((index) =>
    ({ name: run.layers[index].name, layer: index, rows: () => layerRows(run.layers[index]) }));
  const height = firing.length <= 12 ? 32 : firing.length <= 30 ? 20 : 12;
  const canvas = element("canvas", { id: "raster", class: "time", role: "img", "aria-label": "Spike raster" });
  const context = pen(canvas, time.width, height * firing.length);
  firing.forEach((_, band) => {
    context.fillStyle = css(band % 2 ? "--paper" : "--band");
    context.fillRect(0, band * height, time.width, height);
  });
  const places = new Map(firing.map((layer, band) => [layer, band]));
  const size = data.rasterCycle.length > 5000 ? 1 : 1.6;
  context.fillStyle = css("--spike");
  context.globalAlpha = data.rasterCycle.length > 5000 ? 0.65 : 0.9;
  data.rasterCycle.forEach((cycle, k) => {
    const layer = data.rasterLayer[k];
    const up = (data.rasterNeuron[k] + 0.5) / (tops.get(layer) + 1);
    context.fillRect(across(cycle), (places.get(layer) + 1) * height - 1.5 - up * (height - 3), size, size);
  });
  lineable(canvas, lines, height);
  const shown = data.rasterCycle.length;
  const note = shown < run.spikes ? `a sample of ${exact(shown)} of ${count(run.spikes)} spikes` : `${exact(shown)} spikes`;
  const totals = bars(lines, height, (line) => [run.layers[line.layer].spikes], () => KIND_COLOURS.fire,
    (line) => count(run.layers[line.layer].spikes));
  lineable(totals, lines, height);
  return [...heading("Spikes", "Spikes by layer", note), names(lines, height), canvas, totals];
}

// A press or drag in the middle column chooses a window.
function startTimeline() {
  const choose = (event) => {
    const box = $("overlay").getBoundingClientRect();
    const x = event.clientX - box.left;
    if (x < 0 || x >= box.width || event.clientY < box.top) return;
    look({ window: windowAt(cycleAt(x)) });
  };
  $("rows").addEventListener("pointerdown", choose);
  $("rows").addEventListener("pointermove", (event) => event.buttons === 1 && choose(event));
  watchers.push(moveCursor);
  watchers.push(() => {
    for (const marked of document.querySelectorAll("[data-layer]")) {
      marked.classList.toggle("marked", marked.dataset.layer !== "" && Number(marked.dataset.layer) === shownLayer());
    }
  });
}
