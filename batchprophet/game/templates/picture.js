"use strict";
/* The picture of a schedule: KV wedges over rounds, and below them a row for each request. */

const NS = "http://www.w3.org/2000/svg";
/* Colours of requests as in all pictures (batchprophet/pictures/palette.py); a second round of them is
   hatched. Identifiers are always written, too. */
const COLOURS = ["#44aa99", "#cc6677", "#ddcc77", "#882255", "#117733", "#aa4499", "#999933"];
const LEFT = 40, RIGHT = 10, TOP = 20, AXIS = 20;

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

/* Runs of a schedule as [start, end, request, lost], in the order in which they are stacked. */
function runsOf(level, start, lost) {
  const runs = lost.map(([i, k, end]) => [k, end, i, true]);
  start.forEach((k, i) => { if (k !== null) runs.push([k, k + level.requests[i].output, i, false]); });
  return runs.sort((a, b) => a[0] - b[0] || a[2] - b[2]);
}

/* A round number so that a span has few ticks. */
function tickStep(span, most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, span / most)));
  return [1, 2, 5, 10].map(k => k * power).find(step => span / step <= most);
}

/* Outline of a request's tokens above others in rounds a + 1 … b, as points. */
function outline(X, Y, low, high, a, b) {
  const points = [];
  for (let r = a + 1; r <= b; r++) points.push([X(r - 1), Y(high[r])], [X(r), Y(high[r])]);
  for (let r = b; r > a; r--) points.push([X(r), Y(low[r])], [X(r - 1), Y(low[r])]);
  return points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
}

/* Draw `view` = { start, lost, t, origin, until, knows, ghost, label } of a level into an svg. */
function draw(svg, level, view) {
  svg.replaceChildren();
  const { start, lost, t, origin, until, knows = "all" } = view;
  const W = Math.max(280, Math.round(svg.clientWidth || 640)), M = level.capacity;
  const shown = level.requests.map((_, i) => i).filter(i => knows === "all" || level.requests[i].arrival <= t);
  const tall = W < 500 ? 170 : 230, step = shown.length <= 14 ? 15 : 10;
  const rows = TOP + tall + 10, H = rows + (view.rows === false ? -8 : shown.length * step) + AXIS;
  const X = time => LEFT + (W - LEFT - RIGHT) * (time - origin) / (until - origin);
  const most = 1.18 * M, Y = tokens => TOP + tall - tall * Math.min(tokens, most) / most;
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  svg.setAttribute("height", H);
  svg.setAttribute("aria-label", view.label);
  drawAxes(svg, { X, Y, M, origin, until, W, H, bottom: TOP + tall });
  const held = drawWedges(svg, level, { X, Y, runs: runsOf(level, start, lost), view });
  node("line", { x1: LEFT, x2: W - RIGHT, y1: Y(M), y2: Y(M), stroke: "var(--text)", "stroke-dasharray": "6 3", "stroke-width": 1.5 }, svg);
  if (view.ghost != null) drawGhost(svg, level, { X, Y, M, held, i: view.ghost, t, hidden: knows === "prompts" });
  if (view.rows !== false) drawRows(svg, level, { X, shown, step, rows, view });
  if (t <= until) {
    node("line", { x1: X(t), x2: X(t), y1: TOP - 4, y2: H - AXIS, stroke: "var(--mark)", "stroke-width": 2 }, svg);
    node("text", { x: Math.min(Math.max(X(t), LEFT + 12), W - 22), y: TOP - 8, "text-anchor": "middle", class: "now" }, svg, view.over ? "end" : "now");
  }
}

function drawAxes(svg, { X, Y, M, origin, until, W, H, bottom }) {
  const step = tickStep(M, 4);
  for (let v = 0; v <= M; v += step) {
    if (M - v >= step / 2 || v === M) node("text", { x: LEFT - 5, y: Y(v) + 4, "text-anchor": "end", class: v === M ? "" : "small" }, svg, v);
    node("line", { x1: LEFT, x2: W - RIGHT, y1: Y(v), y2: Y(v), stroke: "var(--line)" }, svg);
  }
  if (M % step) node("text", { x: LEFT - 5, y: Y(M) + 4, "text-anchor": "end" }, svg, M);
  node("text", { x: W - RIGHT, y: Y(M) - 4, "text-anchor": "end", class: "small" }, svg, `capacity: ${M.toLocaleString("en")} KV tokens`);
  const every = tickStep(until - origin, W < 500 ? 8 : 16);
  for (let time = Math.ceil(origin / every) * every; time <= until; time += every) {
    node("line", { x1: X(time), x2: X(time), y1: bottom, y2: H - AXIS, stroke: "var(--line)" }, svg);
    node("text", { x: X(time), y: H - 6, "text-anchor": "middle", class: "small" }, svg, time);
  }
}

/* Draw runs on top of each other; return the tokens held in each round. */
function drawWedges(svg, level, { X, Y, runs, view }) {
  const held = {}, { t, knows, until } = view;
  for (const [k, end, i, lost] of runs) {
    const low = {}, high = {}, last = knows === "prompts" && !lost ? Math.min(end, t + 1) : end;
    for (let r = k + 1; r <= last; r++) {
      low[r] = held[r] || 0;
      high[r] = held[r] = low[r] + level.requests[i].prompt + r - k;
    }
    const wedge = (a, b, faded) => {
      if (b <= a) return;
      const style = { fill: lost ? "url(#hatch-lost)" : fillOf(i), stroke: lost ? "var(--lost)" : "var(--page)", "stroke-width": 1 };
      node("polygon", { points: outline(X, Y, low, high, a, b), class: faded ? "planned" : "", ...style }, svg);
    };
    const seen = Math.min(last, Math.max(k, t));
    wedge(k, seen, false);
    wedge(seen, Math.min(last, until), true);
    if (!lost) label(svg, X, Y, low, high, { k, last, i, t, id: level.requests[i].id });
  }
  return held;
}

/* Write a request's identifier where its wedge is thick enough. */
function label(svg, X, Y, low, high, { k, last, i, t, id }) {
  const r = Math.max(k + 1, last - Math.floor((last - k) / 3));
  if (last <= k || Y(low[r]) - Y(high[r]) < 12 || X(r) - X(r - 1) < 5) return;
  const style = r > t ? "fill:var(--text);stroke:var(--page)" : `fill:${inkOn(i)};stroke:${colourOf(i)}`;
  node("text", { x: (X(r - 1) + X(r)) / 2, y: (Y(low[r]) + Y(high[r])) / 2 + 4, "text-anchor": "middle", class: "id", style }, svg, id);
}

/* Show what a request would hold if it started now, and where this is too much. */
function drawGhost(svg, level, { X, Y, M, held, i, t, hidden }) {
  const { prompt, output } = level.requests[i], low = {}, high = {}, over = {};
  const last = t + (hidden ? 1 : output);
  for (let r = t + 1; r <= last; r++) {
    low[r] = held[r] || 0;
    high[r] = low[r] + prompt + r - t;
    over[r] = Math.max(M, low[r]);
  }
  node("polygon", { points: outline(X, Y, low, high, t, last), class: "ghost", stroke: colourOf(i) }, svg);
  for (let r = t + 1; r <= last; r++) {
    if (high[r] > M) node("polygon", { points: outline(X, Y, over, high, r - 1, r), fill: "url(#hatch-lost)", stroke: "var(--lost)" }, svg);
  }
}

function drawRows(svg, level, { X, shown, step, rows, view }) {
  const { start, lost, t, until, knows } = view, thick = step - 4;
  shown.forEach((i, position) => {
    const { arrival, output, id } = level.requests[i], y = rows + position * step;
    const bar = (a, b, attributes) => { if (b > a) node("rect", { x: X(a), width: X(Math.min(b, until)) - X(a), y, height: thick, ...attributes }, svg); };
    node("text", { x: LEFT - 6, y: y + thick - 1, "text-anchor": "end", class: step < 12 ? "tiny" : "small" }, svg, id);
    const k = start[i], waits = k === null ? Math.max(arrival, t) : k;
    if (waits > arrival) node("rect", { x: X(arrival), width: X(Math.min(waits, until)) - X(arrival), y: y + thick / 2 - 1.5, height: 3, fill: "var(--waiting)" }, svg);
    else if (k === null) node("circle", { cx: X(arrival), cy: y + thick / 2, r: 3, fill: "none", stroke: "var(--quiet)" }, svg);
    for (const [j, a, b] of lost) if (j === i) bar(a, b, { fill: "url(#hatch-lost)", stroke: "var(--lost)" });
    if (k === null) return;
    const end = k + output, seen = Math.min(end, Math.max(k, t));
    bar(k, seen, { fill: fillOf(i) });
    if (knows !== "prompts") bar(seen, end, { fill: fillOf(i), class: "planned" });
  });
}

/* A request's wedge alone, drawn to the scale of the level. */
function silhouette(svg, level, i, hidden) {
  const { prompt, output } = level.requests[i];
  const longest = Math.max(...level.requests.map(each => each.output));
  const x = r => 1 + 42 * r / longest, y = tokens => 31 - 30 * tokens / level.capacity;
  svg.setAttribute("viewBox", "0 0 44 32");
  svg.setAttribute("aria-hidden", "true");
  const low = {}, high = {}, last = hidden ? 1 : output;
  for (let r = 1; r <= last; r++) { low[r] = 0; high[r] = prompt + r; }
  node("rect", { x: 0.5, y: 0.5, width: 43, height: 31, fill: "none", stroke: "var(--line)" }, svg);
  node("polygon", { points: outline(x, y, low, high, 0, last), fill: fillOf(i) }, svg);
}
