// The two maps: how busy every core is, and how loaded every link. Router outputs are L N E S W, in this order.

const SIDE = 420; // CSS pixels of a map, at most
const STEPS = { 1: [0, -1], 2: [1, 0], 3: [0, 1], 4: [-1, 0] };
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]; // where a colour scale may end
const mesh = { colours: null, tops: {} };

// Value of entry `index` of a core's `width` figures, in the window that is looked at, per cycle.
function perCycle(name, width, core, index) {
  const whole = data[name];
  if (view.window === null) return whole[core * width + index] / run.totals.cycles;
  const windows = data[`window${name[0].toUpperCase()}${name.slice(1)}`];
  return windows[(view.window * cores + core) * width + index] / windowLength(view.window);
}

const coreShare = (core, which = view.class) => perCycle("classes", run.classNames.length, core, which);
const linkLoad = (core, output) => perCycle("links", 5, core, output);

// Top of a colour scale: of the whole run, or of all windows, so that colours can be compared while time runs.
function top(name, width, indices) {
  const key = `${name}/${indices}/${view.window === null}`;
  if (!(key in mesh.tops)) mesh.tops[key] = roundUp(largest(name, width, indices), ROUND);
  return mesh.tops[key];
}

function largest(name, width, indices) {
  let found = 0;
  const scan = (array, from, length) => {
    for (let core = 0; core < cores; core += 1) {
      for (const index of indices) found = Math.max(found, array[from + core * width + index] / length);
    }
  };
  if (view.window === null) scan(data[name], 0, run.totals.cycles);
  else {
    const windows = data[`window${name[0].toUpperCase()}${name.slice(1)}`];
    for (let w = 0; w < run.windows; w += 1) scan(windows, w * cores * width, windowLength(w));
  }
  return found;
}

const cellSize = () => Math.min(96, SIDE / Math.max(run.chip.columns, run.chip.rows));
const corner = (core) => [(core % run.chip.columns) * cellSize(), Math.floor(core / run.chip.columns) * cellSize()];
const step = (share) => Math.max(1, Math.min(255, Math.round(share * 255)));
const colourOf = (table, share) => (share > 0 ? table[step(share)] : css("--empty"));

function drawMaps() {
  if (!mesh.colours || mesh.colours.dark !== dark()) {
    mesh.colours = { dark: dark(), cold: palette(COLD), warm: palette(WARM) };
  }
  drawCores();
  drawLinks();
  drawScale($("coreScale"), mesh.colours.cold, "0", percent(top("classes", 4, [view.class])));
  const most = Number(top("links", 5, [0, 1, 2, 3, 4]).toPrecision(2));
  drawScale($("linkScale"), mesh.colours.warm, "0", `${most} flits/cycle`);
  drawPicker();
  drawTopCores();
  drawTopLinks();
}

function drawCores() {
  const cell = cellSize();
  const context = pen($("coreMap"), cell * run.chip.columns, cell * run.chip.rows);
  const scale = top("classes", 4, [view.class]);
  const gap = cell > 12 ? 1.5 : 0.5;
  for (let core = 0; core < cores; core += 1) {
    const [x, y] = corner(core);
    context.fillStyle = colourOf(mesh.colours.cold, coreShare(core) / scale);
    context.fillRect(x + gap / 2, y + gap / 2, cell - gap, cell - gap);
  }
  outlineLayers(context, cell);
}

// The cores of the layers under the mouse, or of those that were clicked.
function outlineLayers(context, cell) {
  context.strokeStyle = css("--mark");
  context.lineWidth = Math.max(1.5, cell / 12);
  for (const core of new Set(shownLayers().flatMap((index) => run.layers[index].cores))) {
    const [x, y] = corner(core);
    context.strokeRect(x + 1.5, y + 1.5, cell - 3, cell - 3);
  }
}

// Both ends of a link's line: beside the middle of the cores, on the right as seen by its flits.
function lane(core, output) {
  const cell = cellSize();
  const [x, y] = corner(core).map((place) => place + cell / 2);
  const [dx, dy] = STEPS[output];
  const aside = cell * 0.1;
  const near = cell * 0.2;
  const far = isEdge(core, output) ? cell * 0.5 : cell - near;
  const shift = [-dy * aside, dx * aside];
  return [x + dx * near + shift[0], y + dy * near + shift[1], x + dx * far + shift[0], y + dy * far + shift[1]];
}

const isEdge = (core, output) => core === 0 && output === 4; // to the host
function hasLink(core, output) {
  const [dx, dy] = STEPS[output];
  const [x, y] = [(core % run.chip.columns) + dx, Math.floor(core / run.chip.columns) + dy];
  return (x >= 0 && y >= 0 && x < run.chip.columns && y < run.chip.rows) || isEdge(core, output);
}

function drawLinks() {
  const cell = cellSize();
  const context = pen($("linkMap"), cell * run.chip.columns, cell * run.chip.rows);
  const scale = top("links", 5, [0, 1, 2, 3, 4]);
  const half = cell * 0.17;
  for (let core = 0; core < cores; core += 1) {
    const [x, y] = corner(core).map((place) => place + cell / 2);
    context.fillStyle = colourOf(mesh.colours.warm, linkLoad(core, 0) / scale);
    context.fillRect(x - half, y - half, 2 * half, 2 * half);
    for (let output = 1; output < 5; output += 1) {
      if (!hasLink(core, output)) continue;
      const share = linkLoad(core, output) / scale;
      const [x0, y0, x1, y1] = lane(core, output);
      context.strokeStyle = colourOf(mesh.colours.warm, share);
      context.lineWidth = Math.max(0.75, cell * (0.04 + 0.12 * Math.sqrt(share)));
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      context.stroke();
    }
  }
  outlineLayers(context, cell);
}

function drawScale(scale, table, low, high) {
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((index) => table[index]);
  const ramp = element("div", { class: "ramp", style: `background:linear-gradient(to right,${stops.join(",")})` });
  const none = element("span", { class: "none" }, swatch(css("--empty")), "exactly 0");
  const ends = element("div", { class: "ends" }, element("span", {}, low), element("span", {}, high));
  scale.replaceChildren(ramp, ends, none);
}

// The classes of core-cycles: their shares, and a choice of the one that is drawn.
function drawPicker() {
  const buttons = run.classNames.map((name, index) => {
    let share = 0;
    for (let core = 0; core < cores; core += 1) share += coreShare(core, index) / cores;
    const bar = element("span", { class: "bar", style: `width:${100 * share}%;background:${classColours()[index]}` });
    const line = element("span", { class: "line" }, element("span", {}, name), element("b", {}, percent(share)));
    const button = element("button", { type: "button", "aria-pressed": String(index === view.class) }, line, bar);
    button.addEventListener("click", () => look({ class: index }));
    return button;
  });
  $("classPicker").replaceChildren(...buttons);
  $("coreUnit").textContent = `share of each core's cycles that are ${run.classNames[view.class]}`;
}

function linkName(core, output) {
  if (output === 0) return `${core} → its core`;
  if (isEdge(core, output)) return `${core} → host`;
  const [dx, dy] = STEPS[output];
  return `${core} → ${core + dx + dy * run.chip.columns}`;
}

function ranking(title, lines, none) {
  const shown = lines.length ? lines : [[none, ""]];
  return [element("h3", {}, title), ...shown.map(([name, value]) =>
    element("div", { class: "line" }, element("span", {}, name), element("b", {}, value)))];
}

function drawTopCores() {
  const name = run.classNames[view.class];
  const order = Array.from({ length: cores }, (_, core) => [coreShare(core), core]).filter(([share]) => share > 0);
  order.sort((a, b) => b[0] - a[0]);
  const lines = order.slice(0, 6).map(([share, core]) => [corePlace(core), percent(share)]);
  $("topCores").replaceChildren(...ranking(`Most ${name} cores`, lines, `no core is ${name}`));
}

function drawTopLinks() {
  const links = [];
  for (let core = 0; core < cores; core += 1) {
    for (let output = 1; output < 5; output += 1) {
      const load = linkLoad(core, output);
      if (load > 0) links.push({ load, core, output });
    }
  }
  links.sort((a, b) => b.load - a.load);
  const lines = links.slice(0, 14).map(({ load, core, output }) => [linkName(core, output), load.toFixed(3)]);
  $("topLinks").replaceChildren(...ranking("Busiest links", lines, "no flit between routers"));
}

function coreAt(x, y) {
  const [column, row] = [Math.floor(x / cellSize()), Math.floor(y / cellSize())];
  const inside = column >= 0 && row >= 0 && column < run.chip.columns && row < run.chip.rows;
  return inside ? row * run.chip.columns + column : null;
}

const corePlace = (core) => `${core} at (${core % run.chip.columns}, ${Math.floor(core / run.chip.columns)})`;
const coreTitle = (core) => `Core ${corePlace(core)}`;

function describeCore(x, y) {
  const core = coreAt(x, y);
  if (core === null) return null;
  const rows = run.classNames.map((name, index) => [name, percent(coreShare(core, index)), classColours()[index]]);
  const here = run.layers.filter((layer) => layer.cores.includes(core));
  for (const layer of here.slice(0, 8)) rows.push([layer.name, layer.kind, KIND_COLOURS[layer.kind]]);
  if (here.length > 8) rows.push([`and ${here.length - 8} more layers`, ""]);
  return { title: coreTitle(core), rows };
}

function describeLinks(x, y) {
  const core = coreAt(x, y);
  if (core === null) return null;
  const rows = [0, 1, 2, 3, 4].filter((output) => output === 0 || hasLink(core, output))
    .map((output) => [`${run.outputNames[output]}: ${linkName(core, output)}`, linkLoad(core, output).toFixed(4)]);
  return { title: `${coreTitle(core)}, flits per cycle`, rows };
}

function startMaps() {
  hoverable($("coreMap"), describeCore);
  hoverable($("linkMap"), describeLinks);
  watchers.push(drawMaps);
}
