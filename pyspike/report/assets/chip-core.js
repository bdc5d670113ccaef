// The run, what is being looked at, and the few tools that all charts share.

const $ = (id) => document.getElementById(id);
const run = JSON.parse($("run").textContent);
const cores = run.chip.columns * run.chip.rows;
const data = {}; // typed arrays by name, from unpack()

async function unpack() {
  const deflated = Uint8Array.from(atob($("arrays").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const integers = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };
  const types = { ...integers, float32: Float32Array, float64: Float64Array };
  for (const [name, { type, offset, length }] of Object.entries(run.arrays)) {
    data[name] = new types[type](buffer, offset, length);
  }
  run.windows = data.edges.length - 1;
}

// What is being looked at: a window of time or (null) the whole run, a class of core-cycles, the layers under the mouse
// and those that were clicked ("3,4": their indices). Charts that depend on it redraw when it changes.
const view = { window: null, class: 0, hovered: "", pinned: "" };
const watchers = [];

function look(change) {
  if (Object.entries(change).every(([key, value]) => view[key] === value)) return;
  Object.assign(view, change);
  for (const watcher of watchers) watcher(view);
}

const shownLayers = () => (view.hovered || view.pinned).split(",").filter(Boolean).map(Number);
const pin = (layers) => look({ pinned: view.pinned === layers.join(",") ? "" : layers.join(",") });
const windowLength = (index) => data.edges[index + 1] - data.edges[index];

// Window that holds a cycle.
function windowAt(cycle) {
  let low = 0;
  let high = run.windows - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (data.edges[middle] <= cycle) low = middle;
    else high = middle - 1;
  }
  return low;
}

// Numbers.

function si(value, unit, digits = 3) {
  if (!value) return `0 ${unit}`.trim();
  const prefixes = ["f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P"];
  let power = Math.min(5, Math.max(-5, Math.floor(Math.log10(Math.abs(value)) / 3)));
  let scaled = Number((value / 1000 ** power).toPrecision(digits));
  if (Math.abs(scaled) >= 1000 && power < 5) {
    scaled /= 1000;
    power += 1;
  }
  const whole = Math.floor(Math.log10(Math.abs(scaled))) + 1; // digits before the point
  return `${scaled.toFixed(Math.min(digits, Math.max(0, digits - whole)))} ${prefixes[power + 5]}${unit}`.trim();
}

const exact = (value) => value.toLocaleString("en").replaceAll(",", "\u2009");
const count = (value) => (value < 1e4 ? exact(value) : si(value, ""));
const duration = (cycles) => si(cycles / run.chip.clock, "s");
const sum = (values) => values.reduce((a, b) => a + b, 0);

function percent(share) {
  const value = 100 * share;
  return `${value === 0 ? "0" : value >= 10 ? value.toFixed(1) : value >= 0.01 ? value.toFixed(2) : "< 0.01"} %`;
}

// The least of some round numbers times a power of ten that is not below a value.
function roundUp(value, round = [1, 2, 5, 10]) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return round.map((step) => step * power).find((step) => step >= value * 0.999999);
}

// Colours: sequential palettes whose lightness is monotone, so that they read without colour vision and in print.

const COLD = ["#eaf6ee", "#b9e6cd", "#6ecab4", "#3fa9ab", "#348aa5", "#36689e", "#3c4a85", "#382a54", "#1c1430"];
const WARM = ["#fbeee2", "#f7ceae", "#f5a37d", "#f0704f", "#dd3848", "#b31a58", "#7f1e58", "#4b1b46", "#200f2b"];
const KIND_COLOURS = {
  input: "#8a919c", synapse: "#4c78a8", fire: "#d58536", pool: "#4f9b82", relay: "#9a7bb5", output: "#6b7280",
};
const ENERGY_COLOURS = [
  "#117733", "#999933", "#cc6677", "#aa4499", "#44aa99", "#882255", "#ddcc77", "#332288", "#6699cc", "#661100", "#88ccee",
];
const energyColours = run.energyParts.map(([kind], index) =>
  /static|leak/i.test(kind) ? "#b6bbc2" : ENERGY_COLOURS[index % ENERGY_COLOURS.length]);

const dark = () => document.documentElement.classList.contains("dark");
const CLASS_COLOURS = {
  light: ["#1f6f8b", "#e07b39", "#b4cdd8", "#e9eef1"],
  dark: ["#4fb3cf", "#f0934e", "#4b6470", "#2b333d"],
};
const classColours = () => CLASS_COLOURS[dark() ? "dark" : "light"];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function mix(anchors, share) {
  const place = Math.min(1, Math.max(0, share)) * (anchors.length - 1);
  const index = Math.min(anchors.length - 2, Math.floor(place));
  const channel = (colour, k) => parseInt(colour.slice(1 + 2 * k, 3 + 2 * k), 16);
  const parts = [0, 1, 2].map((k) => {
    const [a, b] = [channel(anchors[index], k), channel(anchors[index + 1], k)];
    return Math.round(a + (b - a) * (place - index));
  });
  return `rgb(${parts.join(",")})`;
}

// 256 colours from the paper's colour to the strongest.
function palette(anchors) {
  const ordered = dark() ? anchors.slice(0, -1).reverse() : anchors;
  return Array.from({ length: 256 }, (_, index) => mix(ordered, index / 255));
}

// Elements. Names of layers and kinds are set as text only.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const swatch = (colour) => element("i", { class: "swatch", style: `background:${colour}` });

// A canvas of so many CSS pixels, sharp on any screen.
function pen(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

// Tooltips: describe(x, y) gives { title, rows: [[label, value, colour]], layers } for a place in the element, or null.

function hoverable(target, describe) {
  target.addEventListener("pointermove", (event) => {
    const box = target.getBoundingClientRect();
    const found = describe(event.clientX - box.left, event.clientY - box.top);
    look({ hovered: found && found.layers ? found.layers.join(",") : "" });
    showTip(found, event.clientX, event.clientY);
  });
  target.addEventListener("pointerleave", () => {
    look({ hovered: "" });
    showTip(null);
  });
}

function showTip(found, x, y) {
  const tip = $("tip");
  tip.hidden = !found;
  if (!found) return;
  const rows = found.rows.map(([label, value, colour]) =>
    element("div", {}, element("span", {}, ...(colour ? [swatch(colour)] : []), label), element("b", {}, value)));
  tip.replaceChildren(element("strong", {}, found.title), ...rows);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, window.innerWidth - width - 8))}px`;
  tip.style.top = `${y + height + 24 > window.innerHeight ? Math.max(4, y - height - 12) : y + 16}px`;
}

function layerRows(layer) {
  const rows = [
    ["kind", layer.kind, KIND_COLOURS[layer.kind]],
    ["cores", exact(layer.cores.length)],
    ["time", layer.end > layer.first ? `${duration(layer.first)} – ${duration(layer.end)}` : "none"],
  ];
  if (layer.busy !== null) rows.push(["at work", percent(layer.busy)]);
  if (layer.sops) rows.push(["SOPs", count(layer.sops)]);
  if (layer.spikes) rows.push(["spikes", count(layer.spikes)]);
  rows.push(["energy", si(sum(layer.energy), "J")]);
  return rows;
}
