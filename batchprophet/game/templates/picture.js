"use strict";
/* The picture of a schedule: KV tokens over time, what the GPU does, and a row for each request.

   What there is to draw comes from a regime's desk, in the same form for all: columns of time
   [a, b] with the tokens that each request holds in it; bars by request, of kinds "run", "read"
   (a prompt), "rest" (it holds its cache and gets nothing) and "lost"; until when each waits; batches of the
   GPU; and ghosts, what the next move would hold. */

const NS = "http://www.w3.org/2000/svg";
/* Colours of requests as in all pictures (batchprophet/pictures/palette.py); a second round of them is
   hatched. Identifiers are always written, too. */
const COLOURS = ["#44aa99", "#cc6677", "#ddcc77", "#882255", "#117733", "#aa4499", "#999933"];
const LEFT = 40, RIGHT = 10, TOP = 20, AXIS = 20, STRIP = 20;

const colourOf = i => COLOURS[i % COLOURS.length];
const inkOn = i => ([3, 4, 5].includes(i % COLOURS.length) ? "#ffffff" : "#1b1f23");
const fillOf = i => (i < COLOURS.length ? colourOf(i) : `url(#hatch-${i % COLOURS.length})`);

function node(name, attributes, parent, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

/* Patterns that all pictures of the page share. */
function patterns(parent) {
  const defs = node("defs", {}, node("svg", { width: 0, height: 0, "aria-hidden": true, class: "patterns" }, parent));
  const hatch = (id, ground, line) => {
    const made = node("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, defs);
    node("rect", { width: 6, height: 6, fill: ground }, made);
    node("rect", { width: 1.6, height: 6, fill: line }, made);
  };
  COLOURS.forEach((colour, i) => hatch(`hatch-${i}`, colour, inkOn(i)));
  hatch("hatch-lost", "transparent", "#d55e00");
}

/* A round number so that a span has few ticks. */
function tickStep(span, most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, span / most)));
  return [1, 2, 5, 10].map(k => k * power).find(step => span / step <= most);
}

/* Outline of pieces { a, b, low, high } that follow each other, as points. */
function outline(X, Y, pieces) {
  const points = pieces.flatMap(({ a, b, high }) => [[X(a), Y(high)], [X(b), Y(high)]]);
  for (const { a, b, low } of [...pieces].reverse()) points.push([X(b), Y(low)], [X(a), Y(low)]);
  return points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
}

/* Draw `view` = { state, desk, t, origin, until, per, knows, ghost, over, label } of a level into an svg. */
function draw(svg, level, view) {
  svg.replaceChildren();
  const { t, origin, until, knows = "all" } = view, drawing = view.desk.drawing(level, view.state, view);
  const W = Math.max(280, Math.round(svg.clientWidth || 640)), M = level.capacity;
  const shown = level.requests.map((_, i) => i).filter(i => knows === "all" || level.requests[i].arrival <= t);
  const tall = W < 500 ? 170 : 230, step = shown.length <= 14 ? 15 : 10;
  const strip = TOP + tall + 10, rows = strip + (drawing.batches ? STRIP : 0), H = rows + shown.length * step + AXIS;
  const X = time => LEFT + (W - LEFT - RIGHT) * (time - origin) / (until - origin);
  const most = 1.18 * M, Y = tokens => TOP + tall - tall * Math.min(tokens, most) / most;
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  svg.setAttribute("height", H);
  svg.setAttribute("aria-label", view.label);
  drawAxes(svg, { X, Y, M, origin, until, W, H, bottom: TOP + tall, per: view.per || 1 });
  drawColumns(svg, level, { X, Y, t, until, columns: drawing.columns });
  node("line", { x1: LEFT, x2: W - RIGHT, y1: Y(M), y2: Y(M), stroke: "var(--text)", "stroke-dasharray": "6 3", "stroke-width": 1.5 }, svg);
  for (const each of drawing.ghosts) drawGhost(svg, { X, Y, M, ...each });
  if (drawing.batches) drawBatches(svg, { X, y: strip, t, until, batches: drawing.batches });
  drawRows(svg, level, { X, shown, step, rows, t, until, drawing });
  if (t <= until) {
    node("line", { x1: X(t), x2: X(t), y1: TOP - 4, y2: H - AXIS, stroke: "var(--mark)", "stroke-width": 2 }, svg);
    node("text", { x: Math.min(Math.max(X(t), LEFT + 12), W - 22), y: TOP - 8, "text-anchor": "middle", class: "now" }, svg, view.over ? "end" : "now");
  }
}

function drawAxes(svg, { X, Y, M, origin, until, W, H, bottom, per }) {
  const step = tickStep(M, 4);
  for (let v = 0; v <= M; v += step) {
    if (M - v >= step / 2 || v === M) node("text", { x: LEFT - 5, y: Y(v) + 4, "text-anchor": "end", class: v === M ? "" : "small" }, svg, v);
    node("line", { x1: LEFT, x2: W - RIGHT, y1: Y(v), y2: Y(v), stroke: "var(--line)" }, svg);
  }
  if (M % step) node("text", { x: LEFT - 5, y: Y(M) + 4, "text-anchor": "end" }, svg, M);
  node("text", { x: W - RIGHT, y: Y(M) - 4, "text-anchor": "end", class: "small" }, svg, `capacity: ${M.toLocaleString("en")} KV tokens`);
  const every = tickStep((until - origin) / per, W < 500 ? 8 : 16) * per;
  for (let time = Math.ceil(origin / every) * every; time <= until; time += every) {
    node("line", { x1: X(time), x2: X(time), y1: bottom, y2: H - AXIS, stroke: "var(--line)" }, svg);
    node("text", { x: X(time), y: H - 6, "text-anchor": "middle", class: "small" }, svg, time / per);
  }
}

/* Draw what requests hold on top of each other, one shape for each run of a request. */
function drawColumns(svg, level, { X, Y, t, until, columns }) {
  const runs = new Map();
  for (const { a, b, parts } of columns) {
    let low = 0;
    for (const { key, i, lost, tokens } of parts) {
      if (!runs.has(key)) runs.set(key, { i, lost, pieces: [] });
      runs.get(key).pieces.push({ a, b, low, high: low + tokens });
      low += tokens;
    }
  }
  for (const { i, lost, pieces } of runs.values()) {
    const seen = pieces.filter(each => each.b <= t), planned = pieces.filter(each => each.b > t && each.a < until);
    const style = { fill: lost ? "url(#hatch-lost)" : fillOf(i), stroke: lost ? "var(--lost)" : "var(--page)", "stroke-width": 1 };
    if (seen.length) node("polygon", { points: outline(X, Y, seen), ...style }, svg);
    if (planned.length) node("polygon", { points: outline(X, Y, planned), class: "planned", ...style }, svg);
    if (!lost) label(svg, X, Y, pieces, i, t, level.requests[i].id);
  }
}

/* Write a request's identifier where its shape is thick enough. */
function label(svg, X, Y, pieces, i, t, id) {
  const { a, b, low, high } = pieces[Math.max(0, pieces.length - 1 - Math.floor(pieces.length / 3))];
  if (Y(low) - Y(high) < 12 || X(b) - X(a) < 5) return;
  const style = b > t ? "fill:var(--text);stroke:var(--page)" : `fill:${inkOn(i)};stroke:${colourOf(i)}`;
  node("text", { x: (X(a) + X(b)) / 2, y: (Y(low) + Y(high)) / 2 + 4, "text-anchor": "middle", class: "id", style }, svg, id);
}

/* Show what a request would hold, and where this is too much. */
function drawGhost(svg, { X, Y, M, i, pieces }) {
  node("polygon", { points: outline(X, Y, pieces), class: "ghost", stroke: colourOf(i) }, svg);
  for (const { a, b, low, high } of pieces) {
    if (high > M) node("polygon", { points: outline(X, Y, [{ a, b, low: Math.max(M, low), high }]), fill: "url(#hatch-lost)", stroke: "var(--lost)" }, svg);
  }
}

/* What the GPU does: prompts (P), tokens (T) or both. */
function drawBatches(svg, { X, y, t, until, batches }) {
  node("text", { x: LEFT - 6, y: y + 12, "text-anchor": "end", class: "small" }, svg, "GPU");
  for (const { a, b, prompts, tokens } of batches.filter(each => each.a < until)) {
    const kind = `${prompts ? "prompts" : ""} ${tokens ? "tokens" : ""}${b > t ? " planned" : ""}`, wide = X(Math.min(b, until)) - X(a);
    node("rect", { x: X(a) + 0.5, width: Math.max(1, wide - 1), y, height: STRIP - 5, class: `batch ${kind}` }, svg);
    const text = `${prompts ? "P" : ""}${tokens ? "T" : ""}`;
    if (wide > 8 * text.length + 2) node("text", { x: X(a) + wide / 2, y: y + 11, "text-anchor": "middle", class: "tiny" }, svg, text);
  }
}

function drawRows(svg, level, { X, shown, step, rows, t, until, drawing }) {
  const thick = step - 4;
  shown.forEach((i, position) => {
    const y = rows + position * step, [from, to, still] = drawing.waits[i];
    const bar = (a, b, attributes, high = thick) => {
      if (b > a && a < until) node("rect", { x: X(a), width: X(Math.min(b, until)) - X(a), y: y + (thick - high) / 2, height: high, ...attributes }, svg);
    };
    node("text", { x: LEFT - 6, y: y + thick - 1, "text-anchor": "end", class: step < 12 ? "tiny" : "small" }, svg, level.requests[i].id);
    if (to > from) bar(from, to, { fill: "var(--waiting)" }, 3);
    else if (still) node("circle", { cx: X(from), cy: y + thick / 2, r: 3, fill: "none", stroke: "var(--quiet)" }, svg);
    for (const { a, b, kind } of drawing.bars[i]) {
      if (kind === "lost") { bar(a, b, { fill: "url(#hatch-lost)", stroke: "var(--lost)" }); continue; }
      if (kind === "rest") { bar(a, b, { fill: "var(--waiting)" }, 3); continue; }
      const edge = kind === "read" ? { stroke: "var(--text)", "stroke-width": 1.5 } : {}, seen = Math.min(b, Math.max(a, t));
      bar(a, seen, { fill: fillOf(i), ...edge });
      bar(seen, b, { fill: fillOf(i), class: "planned", ...edge });
    }
  });
}

/* A request's wedge alone, drawn to the scale of the level. */
function silhouette(svg, level, i, hidden) {
  const { prompt, output } = level.requests[i];
  const longest = Math.max(...level.requests.map(each => each.output));
  const x = r => 1 + 42 * r / longest, y = tokens => 31 - 30 * tokens / level.capacity;
  svg.setAttribute("viewBox", "0 0 44 32");
  svg.setAttribute("aria-hidden", "true");
  const pieces = [];
  for (let r = 1; r <= (hidden ? 1 : output); r++) pieces.push({ a: r - 1, b: r, low: 0, high: prompt + r });
  node("rect", { x: 0.5, y: 0.5, width: 43, height: 31, fill: "none", stroke: "var(--line)" }, svg);
  node("polygon", { points: outline(x, y, pieces), fill: fillOf(i) }, svg);
}
