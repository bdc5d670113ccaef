// Everything over one time axis, in three columns: names, time, totals. Layers and spikes are in chip-layers.js.

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
  const most = Math.max(...run.energyParts.map(([, joules]) => joules)) || 1;
  const parts = run.energyParts.map(([kind, joules], k) => [kind, si(joules, "J"), energyColours[k], joules / most])
    .filter(([, , , share]) => share > 0);
  const height = Math.max(100, 16 * parts.length);
  const top = Math.max(...watts.map(sum)) * 1.06 || 1;
  const chart = stacked(height, top, energyColours, (w) => watts[w]);
  const step = roundUp(top / 4);
  const scale = element("div", { class: "scaleMarks" });
  for (let mark = step; mark <= top; mark += step) scale.append(rule(chart, height, mark / top, si(mark, "W", 2)));
  hoverable(chart, (x) => {
    const w = windowAt(cycleAt(x));
    const rows = run.energyParts.map(([kind], k) => [kind, si(watts[w][k], "W"), energyColours[k]])
      .filter((_, k) => watts[w][k] > 0);
    return { title: `${windowTitle(w)}: ${si(sum(watts[w]), "W")}`, rows };
  });
  return [...heading("Power", `Energy by kind, ${si(run.totals.energy, "J")}`), scale, chart, legend(parts)];
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
}
