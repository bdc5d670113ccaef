// Time control, theme, and the start. #window=12 behind the address opens the page at that window.

const player = { timer: null };

function showTime() {
  const shown = view.window;
  $("whole").setAttribute("aria-pressed", String(shown === null));
  if (shown === null) {
    $("now").textContent = `whole run: ${duration(run.totals.cycles)}, ${exact(run.totals.cycles)} cycles`;
    return;
  }
  $("slider").value = String(shown);
  const cycles = `cycles ${exact(data.edges[shown])} – ${exact(data.edges[shown + 1] - 1)}`;
  $("now").textContent = `window ${shown + 1} of ${run.windows}: ${windowTitle(shown)}, ${cycles}`;
}

function play(on) {
  clearInterval(player.timer);
  player.timer = on ? setInterval(advance, 80) : null;
  $("play").textContent = on ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

function advance() {
  const next = view.window === null ? 0 : view.window + 1;
  if (next < run.windows) look({ window: next });
  else play(false);
}

function startTime() {
  $("slider").max = String(run.windows - 1);
  $("slider").addEventListener("input", () => {
    play(false);
    look({ window: Number($("slider").value) });
  });
  $("play").addEventListener("click", () => {
    const paused = player.timer === null;
    if (paused && view.window === run.windows - 1) look({ window: 0 });
    play(paused);
  });
  $("whole").addEventListener("click", () => {
    play(false);
    look({ window: null });
  });
  watchers.push(showTime);
}

function drawAll() {
  drawMaps();
  drawTimeline();
  drawTable();
  showTime();
}

async function start() {
  await unpack();
  drawHead();
  drawNotes();
  startMaps();
  startTimeline();
  startLayers();
  startTime();
  $("theme").addEventListener("click", () => {
    document.documentElement.classList.toggle("dark");
    drawAll();
  });
  const asked = /^#window=(\d+)$/.exec(location.hash);
  if (asked) view.window = Math.min(Number(asked[1]), run.windows - 1);
  drawAll();
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    drawTimeline();
  });
  document.documentElement.dataset.drawn = "true";
}

start().catch((error) => {
  $("notes").textContent = `This report could not be drawn: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
