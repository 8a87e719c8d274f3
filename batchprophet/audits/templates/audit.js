"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const W = 460, H = 190, L = 46, B = 26, T = 8, R = 10, NS = "http://www.w3.org/2000/svg";
const DASH = { simulated: "4 3" };
const charts = [];

function node(name, attributes, parent) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function short(x) {
  return x >= 1e4 ? +(x / 1000).toFixed(x >= 1e5 ? 0 : 1) + "k" : x >= 100 ? x.toFixed(0) : String(+x.toPrecision(3));
}

function ticks(top) {
  const raw = top / 4, power = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= raw) || 1, found = [];
  for (let x = 0; x <= top * 1.001; x += step) found.push(x);
  return found;
}

// A picture of some lines: xs(name) and lines[name] are the points of each.
function chart(id, xs, lines, { unit, limit, step }) {
  const box = document.getElementById(id), at = box.parentElement.querySelector(".at");
  const names = Object.keys(lines);
  const xTop = Math.max(...names.map(n => Math.max(...xs(n)))) || 1;
  const yTop = 1.05 * Math.max(limit || 0, ...names.map(n => Math.max(...lines[n]))) || 1;
  const X = x => L + (W - L - R) * x / xTop, Y = y => H - B - (H - B - T) * y / yTop;
  const label = box.parentElement.querySelector("figcaption").textContent;
  const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label }, box);
  for (const y of ticks(yTop)) {
    node("line", { x1: L, x2: W - R, y1: Y(y), y2: Y(y), stroke: "var(--line)" }, svg);
    node("text", { x: L - 5, y: Y(y) + 4, "text-anchor": "end" }, svg).textContent = short(y) + unit;
  }
  for (const x of ticks(xTop)) {
    const last = X(x) > W - 28;
    node("text", { x: last ? W - 2 : X(x), y: H - 8, "text-anchor": last ? "end" : "middle" }, svg).textContent = short(x) + " s";
  }
  if (limit) {
    node("line", { x1: L, x2: W - R, y1: Y(limit), y2: Y(limit), stroke: "var(--text)", "stroke-dasharray": "5 3" }, svg);
  }
  for (const n of names) {
    const points = xs(n).map((x, k) => (k && step ? `H${X(x).toFixed(1)}V` : (k ? "L" : "M") + X(x).toFixed(1) + " ") + Y(lines[n][k]).toFixed(1));
    node("path", { d: points.join(""), fill: "none", stroke: `var(--${n})`, "stroke-width": 1.8, "stroke-dasharray": DASH[n] || "none" }, svg);
  }
  const cursor = node("line", { y1: T, y2: H - B, stroke: "var(--text)", visibility: "hidden" }, svg);
  const marks = node("g", {}, svg);
  function show(event) {
    const area = svg.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width * W - L) / (W - L - R) * xTop;
    if (x < 0 || x > xTop) return;
    cursor.setAttribute("x1", X(x)); cursor.setAttribute("x2", X(x)); cursor.setAttribute("visibility", "visible");
    at.textContent = `${short(x)} s: ` + names.map(n => {
      const line = xs(n); let k = line.findIndex(v => v > x);
      k = k < 0 ? line.length - 1 : Math.max(0, k - 1);
      return `${n} ${short(lines[n][k])}${unit}`;
    }).join(", ");
  }
  svg.addEventListener("pointermove", show); svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
  charts.push({ id, mark(values) {
    marks.replaceChildren();
    for (const [colour, x] of values) {
      node("line", { x1: X(x), x2: X(x), y1: T, y2: H - B, stroke: colour, "stroke-dasharray": "2 2", "stroke-width": 1.5 }, marks);
    }
  } });
}

const share = data.latency.engine.map((_, k, all) => 100 * k / (all.length - 1));
for (const id of ["latency", "ttft"]) {
  const lines = Object.fromEntries(Object.keys(data[id]).map(n => [n, share]));
  chart(id, n => data[id][n], lines, { unit: " %" });
}
for (const id of ["running", "waiting", "kv"]) {
  const lines = Object.fromEntries(Object.entries(data.lines).map(([n, each]) => [n, each[id]]));
  const most = Math.max(...Object.values(lines).flat());
  const limit = { running: data.limits.max_num_seqs, kv: data.limits.kv_capacity }[id];
  chart(id, () => data.time, lines, { unit: "", limit: limit && limit < 3 * most ? limit : null, step: true });
}

// Columns of a request: heading, and how a cell is written.
const OTHER = data.latency.best ? "best" : "simulated";
const seconds = cell => cell.toFixed(2), whole = cell => cell.toLocaleString("en");
const COLUMNS = [
  ["request", String], ["prompt", whole], ["output", whole], ["arrival s", seconds], ["first token s", seconds],
  ["latency s", seconds], [`${OTHER} s`, seconds], ["lost s", seconds],
];
const table = document.getElementById("requests"), body = table.tBodies[0];
let picked = null, order = { column: 7, down: true };

function pick(row) {
  picked = picked === row[0] ? null : row[0];
  const [name, , , arrival, first, latency, best] = row, [mine, other] = ["var(--engine)", `var(--${OTHER})`];
  for (const each of charts) {
    each.mark(!picked ? [] : each.id === "latency" ? [[mine, latency], [other, best]]
      : each.id === "ttft" ? [[mine, first]]
      : [[mine, arrival], [mine, arrival + latency], [other, arrival + best]]);
  }
  document.getElementById("picked").textContent = !picked ? ""
    : `${name}: arrived at ${seconds(arrival)} s, first token after ${seconds(first)} s, done after ${seconds(latency)} s; ${OTHER === "best" ? "in the best schedule" : "simulated"} after ${seconds(best)} s.`;
  for (const line of body.rows) line.classList.toggle("picked", line.cells[0].textContent === picked);
}

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
}

function fill() {
  const { column, down } = order;
  const rows = [...data.requests].sort((a, b) => compare(a[column], b[column]) * (down ? -1 : 1));
  body.replaceChildren(...rows.map(row => {
    const line = document.createElement("tr");
    line.tabIndex = 0;
    line.classList.toggle("picked", row[0] === picked);
    row.forEach((cell, k) => {
      const made = document.createElement(k ? "td" : "th");
      made.textContent = COLUMNS[k][1](cell);
      line.append(made);
    });
    line.addEventListener("click", () => pick(row));
    line.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(row); }
    });
    return line;
  }));
  [...table.tHead.rows[0].cells].forEach((head, k) => {
    if (k === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

COLUMNS.forEach(([name], k) => {
  const head = document.createElement("th"), button = document.createElement("button");
  head.scope = "col";
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", () => { order = { column: k, down: order.column === k ? !order.down : k > 0 }; fill(); });
  head.append(button); table.tHead.rows[0].append(head);
});
fill();
