"use strict";
/* The page: what is shown of a game, and what the player does. */

const LEVELS = JSON.parse(document.getElementById("data").textContent).levels;
const STORE = "batchprophet-play";
const $ = id => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/* What is said and shown by regime; those with batches share most of it. */
const DESKS = { mixed: MIXED_DESK, separate: BATCH_DESK, continuous: CONTINUOUS_DESK };
const NAMES = { mixed: "Mixed batching", separate: "Separate batching", continuous: "Continuous batching" };

let play = null, number = 0, ghost = null, kept = load(), replaying = null;

function load() {
  try { return JSON.parse(localStorage.getItem(STORE)) || {}; } catch { return {}; }
}

/* The least total latency so far of a level, played with some knowledge. */
const record = (level, knows) => (kept[level.key] || {})[knows];

function store() {
  try { localStorage.setItem(STORE, JSON.stringify(kept)); } catch { /* a browser may forbid it: nothing is kept then */ }
}

/* Words. */
const id = i => play.level.requests[i].id;
const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const round = t => `round ${t + 1}`;

/* Times and latencies in the unit of the level, without it and with it. */
const inUnits = (value, { per }) => (per === 1 ? value : Number((value / per).toFixed(2)));
const num = value => inUnits(value, play.level.time).toLocaleString("en");
const clockText = value => String(inUnits(value, play.level.time));
function spell(value) {
  const { unit } = play.level.time, shown = inUnits(value, play.level.time);
  return `${shown.toLocaleString("en")} ${shown === 1 && unit !== "ms" ? unit.replace(/s$/, "") : unit}`;
}

function listOf(all) {
  const names = all.length > 8 ? [...all.slice(0, 7), `${all.length - 7} others`] : all;
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter(each => each !== null));
  return element;
}

function say(parts, refused = false) {
  $("said").className = refused ? "no" : "";
  $("said").replaceChildren(...parts);
}

const desk = () => DESKS[play.level.regime];

/* What happened with a move. */
function news({ completed, arrived, evicted }) {
  const parts = [];
  if (completed.length) parts.push(`${listOf(completed.map(id))} ${completed.length === 1 ? "is" : "are"} complete. `);
  if (arrived.length) parts.push(`${listOf(arrived.map(id))} ${arrived.length === 1 ? "arrives" : "arrive"}. `);
  if (evicted.length) parts.push(made("b", {}, `The cache is full: ${listOf(evicted.map(id))} ${evicted.length === 1 ? "is" : "are"} evicted and must start again. `));
  return parts;
}

/* What a move cost, as nodes. */
function costText(j, m, { short = false } = {}) {
  const { low, high, changes, after } = play.cost(j, m);
  const what = desk().moveName(play.moves[j]);
  if (high === 0) return [made("i", {}, `${what} costs nothing: `), `a total of ${num(after.value)} can still be reached.`];
  if (low < high) return [made("em", {}, `${what} costs between ${num(low)} and ${num(high)}: `), `the level is too large to search to the end; the best total found from here is ${num(after.value)}.`];
  const why = changes.slice(0, 4).map(([i, later]) => `${id(i)} ends ${spell(Math.abs(later))} ${later > 0 ? "later" : "earlier"}`);
  if (changes.length > 4) why.push(`${count(changes.length - 4, "other")} ${changes.length === 5 ? "changes" : "change"}`);
  const text = `${short ? "in" : `the best total in reach is now ${num(after.value)}. In`} the best plan that is left, ${listOf(why)} than in the best before.`;
  return [made("em", {}, `${what} costs ${num(low)}: `), text];
}

/* A move of this game in words. */
const moveText = move => desk().moveText(move, play.states[play.moves.indexOf(move)]);

/* Moves. */
function press(i) {
  stopReplay();
  desk().press(i);
}

function go(toEvent) {
  if (!play.over) desk().run(toEvent);
}

function moved(parts) {
  const first = play.moves.findLastIndex(each => each.first), done = play.over;
  if (done) play.finish();
  const choice = desk().chosen(play.moves[first], play.states[first]);
  if (coached() && choice) parts.push(...costText(first, play.moves.length));
  render();
  say(parts);
  if ($("board").getBoundingClientRect().top > 0.6 * innerHeight) $("board").scrollIntoView();
  if (done) showResult();
}

/* Whether costs are told during the game: they would tell the future where it is hidden. */
const coached = () => $("costs").checked && play.knows === "all";

function undo() {
  const move = play.undoable();
  if (!move) {
    say([play.moves.length ? `What has been seen cannot be unseen${play.rules.byBatches ? "." : ": only starts of this round can be undone."}` : "There is nothing to undo."], true);
    return;
  }
  const text = moveText(move);
  play.undo(move);
  desk().begin();
  $("result").hidden = true;
  stopReplay();
  render();
  say([`Undone: ${text}.`]);
}

function hint() {
  if (play.over) return;
  const found = play.value(play.moves.length);
  play.hints++;
  const knows = play.knows === "all" ? "The best plan from here" : "Hindsight, which knows what comes,";
  const goal = desk().countable() ? ` (total ${num(found.value)}${found.proved ? "" : ", the best found"})` : "";
  say([made("i", {}, "Hint: "), `${knows}${goal} ${desk().hint(found)}`]);
}

function begin(position, knows) {
  number = position;
  const level = LEVELS[number];
  play = new Play(level, knows || level.knows);
  ghost = null;
  $("result").hidden = true;
  stopReplay();
  desk().begin();
  for (const each of document.querySelectorAll("[data-regimes]")) each.hidden = !each.dataset.regimes.split(" ").includes(level.regime);
  for (const option of $("knows").options) option.hidden = option.disabled = !play.rules.knows.includes(option.value);
  $("knows").value = play.knows;
  $("next").textContent = desk().go;
  $("on").textContent = desk().event;
  $("queue").textContent = desk().queue;
  const group = groupOf(level);
  $("title").textContent = `${REGIMES_HERE.length > 1 ? `${NAMES[level.regime]}, level` : "Level"} ${group.indexOf(level) + 1}: ${level.title}`;
  if (LEVELS.length === 1) $("title").textContent = level.title;
  $("lesson").textContent = level.lesson;
  const mine = record(level, play.knows);
  $("goal").textContent = `${goalText(level)}${mine === undefined ? "" : ` Your best so far: ${num(mine)}.`}`;
  if (Object.keys(kept).length) $("how").open = false;
  render();
  const waiting = play.rules.waiting(level, play.state);
  say([desk().opening(waiting)]);
}

function bestPolicies(level) {
  const value = Math.min(...level.policies.map(each => each.value));
  return { value, names: level.policies.filter(each => each.value === value).map(each => each.name) };
}

function optimumText({ value, bound }) {
  return value === bound ? `the proved optimum is ${num(value)}` : `the optimum is between ${num(bound)} and ${num(value)}`;
}

function goalText(level) {
  const { value, names } = bestPolicies(level), text = optimumText(level.best);
  return `${text[0].toUpperCase()}${text.slice(1)} ${play.level.time.unit} of total latency; the best policy here reaches ${num(value)} (${names.length > 2 ? `${names.slice(0, 2).join(", ")} and others` : listOf(names)}).`;
}

/* What is shown. */
function render() {
  const { level, state, rules, knows } = play;
  renderLevels();
  const waiting = rules.waiting(level, state);
  $("clock").replaceChildren(...desk().clock());
  renderPicture();
  const { focus, of } = (document.activeElement && document.activeElement.dataset) || {};
  desk().renderDesk(waiting);
  if (focus !== undefined) {
    const same = document.querySelector(`#desk [data-focus="${focus}"]`) || document.querySelector(`#desk [data-request="${of}"]`) || $("waiting").querySelector("button") || $("next");
    same.focus({ preventScroll: true });
  }
  const later = knows === "all" ? level.requests.map((_, i) => i).filter(i => level.requests[i].arrival > state.t) : [];
  later.sort((a, b) => level.requests[a].arrival - level.requests[b].arrival);
  $("ahead").hidden = knows === "all" && !later.length;
  $("later").replaceChildren(...(knows === "all"
    ? later.map(i => made("li", {}, `${id(i)} at ${clockText(level.requests[i].arrival)}: prompt ${level.requests[i].prompt}, output ${level.requests[i].output}`))
    : [made("li", {}, "Unknown: more requests may come, or none.")]));
  for (const button of ["next", "on", "hint"]) $(button).disabled = play.over;
  $("undo").disabled = !play.moves.length;
  $("restart").disabled = !play.moves.length;
  $("coach").hidden = knows !== "all";
  renderTable();
  $("log").replaceChildren(...play.moves.filter(each => each.first).map(each => made("li", {}, moveText(each))));
}

/* Levels by regime: the page shows those of one. */
const REGIMES_HERE = [...new Set(LEVELS.map(each => each.regime))];
const groupOf = level => LEVELS.filter(each => each.regime === level.regime);

/* Fill a list of buttons, and keep the focus in it. */
function buttons(list, all) {
  const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.replaceChildren(...all.map(each => made("li", {}, each)));
  if (focused >= 0) list.querySelectorAll("button")[Math.min(focused, all.length - 1)].focus();
}

function renderLevels() {
  const group = groupOf(LEVELS[number]);
  $("levels").parentElement.hidden = LEVELS.length < 2;
  $("regimes").hidden = REGIMES_HERE.length < 2;
  buttons($("regimes"), REGIMES_HERE.map(regime => {
    const own = LEVELS.filter(each => each.regime === regime), won = own.filter(wonAt).length;
    const position = LEVELS.indexOf(own.find(each => !wonAt(each)) || own[0]);
    return made("button", { type: "button", "aria-pressed": String(regime === LEVELS[number].regime), onclick: () => begin(position) },
      NAMES[regime], made("small", {}, `${won} of ${own.length} optimal`));
  }));
  buttons($("levels"), group.map((level, k) => {
    const best = record(level, level.knows), won = wonAt(level), position = LEVELS.indexOf(level);
    const state = best === undefined ? "not played" : won ? `${num(best)}: optimal` : `${num(best)}, ${level.best.value === level.best.bound ? "optimum" : "best known"} ${num(level.best.value)}`;
    return made("button", { type: "button", "aria-current": position === number ? "true" : null, onclick: () => begin(position) },
      `${k + 1}`, made("b", {}, won ? " ✓" : ""), made("span", {}, ` ${level.title}`), made("small", {}, state));
  }));
}

function wonAt(level) {
  const best = record(level, level.knows);
  return best !== undefined && best <= level.best.bound;
}

function renderPicture() {
  const { level, state, rules } = play;
  draw($("picture"), level, {
    state, desk: desk(), t: state.t, per: level.time.per, origin: rules.first(level).t, until: desk().horizon(), knows: play.knows,
    ghost: rules.byBatches && !play.over ? draft : ghost, over: play.over, label: desk().label(),
  });
}

/* A request as a button. `inside` is whether it is in the next batch, where there is one. */
function card(i, { fits, inside, text, small, ghosts = false, more = null }) {
  const { level, hidden } = play, svg = document.createElementNS(NS, "svg"), keys = keysOf(level);
  silhouette(svg, level, i, hidden);
  const key = keys[i] && keys[i] !== id(i).toLowerCase() ? made("kbd", {}, keys[i]) : null;
  const look = () => { ghost = i; renderPicture(); }, leave = () => { if (ghost === i) { ghost = null; renderPicture(); } };
  const looks = ghosts ? { onpointerenter: look, onpointerleave: leave, onfocus: look, onblur: leave } : {};
  return made("li", {}, made("button", {
    type: "button", "data-request": String(i), "data-focus": `card-${i}`, "data-of": String(i), "data-fits": fits ? "yes" : "no", "aria-keyshortcuts": keys[i] || null,
    "aria-pressed": inside === undefined ? null : String(inside), onclick: () => press(i), ...looks,
  }, svg, made("span", {}, made("b", {}, id(i)), " ", ...(key ? [key, " "] : []), text, made("small", { class: fits ? null : "no" }, small))), more);
}

/* Fill a list of the desk with cards, or say why there are none. */
function fill(list, cards, text) {
  $(list).replaceChildren(...(cards.length ? cards : [made("li", { class: "none" }, text)]));
}

function renderTable() {
  const { level, state, knows } = play, { heads } = desk();
  $("requests").tHead.rows[0].replaceChildren(...heads.map(name => made("th", { scope: "col" }, name)));
  const rows = level.requests.map((_, i) => i).filter(i => knows === "all" || level.requests[i].arrival <= state.t);
  $("requests").tBodies[0].replaceChildren(...rows.map(i =>
    made("tr", {}, made("th", { scope: "row" }, id(i)), ...desk().cells(i).map(cell => made("td", {}, String(cell))))));
  $("rounds").textContent = desk().account();
}

/* The end. */
function showResult() {
  const { level } = play, total = play.total(), { value, bound } = level.best, policy = bestPolicies(level);
  if (!play.peeked && !(record(level, play.knows) <= total)) {
    kept[level.key] = { ...kept[level.key], [play.knows]: total };
    store();
    renderLevels();
  }
  const proved = value === bound, head = total <= bound ? "Optimal!" : total < policy.value ? "Better than every policy" : total === policy.value ? "As good as the best policy" : "Done";
  $("verdict").textContent = `${head} Total latency ${num(total)}`.replace(/([a-z]) Total/, "$1: total");
  const lines = [];
  if (total <= bound) lines.push(`No schedule has less: ${num(bound)} is a proved lower bound.`);
  else if (proved) lines.push(`You are ${spell(total - value)} above the proved optimum of ${num(value)}: ${(total / value).toFixed(2)} times as much.`);
  else lines.push(`The optimum is between ${num(bound)} and ${num(value)}: you are between ${(total / value).toFixed(2)} and ${(total / bound).toFixed(2)} times optimal.`);
  const beaten = level.policies.filter(each => each.value > total).length + level.unfinished.length, all = level.policies.length + level.unfinished.length;
  lines.push(`You did better than ${beaten} of ${all} policies; the best of them, ${listOf(policy.names.slice(0, 2))}, has ${num(policy.value)}.`);
  if (play.knows !== "all") lines.push("You did not see what was to come, and the optimum did: the difference is your regret.");
  if (play.peeked) lines.push("You went back after seeing it: this result is not kept.");
  if (play.hints) lines.push(`You took ${count(play.hints, "hint")}.`);
  $("summary").replaceChildren(...lines.map(line => made("p", {}, line)));
  $("following").hidden = number + 1 >= LEVELS.length;
  $("units").textContent = level.time.unit;
  renderLadder(total);
  renderAccount(total);
  setUpReplay();
  $("result").hidden = false;
  drawReplay();
  $("verdict").focus({ preventScroll: true });
  $("result").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
}

function renderLadder(total) {
  const { level } = play, { value, bound } = level.best;
  const rows = level.policies.map(each => [each.name, each.value, ""]);
  rows.push([value === bound ? "the optimum (proved)" : "the best schedule known", value, "best"], ["you", total, "you"]);
  if (value !== bound) rows.push(["lower bound", bound, "best"]);
  const rank = { best: 0, you: 1, "": 2 }, most = Math.max(...rows.map(row => row[1]));
  rows.sort((a, b) => a[1] - b[1] || rank[a[2]] - rank[b[2]]);
  $("ladder").tBodies[0].replaceChildren(
    ...rows.map(([name, latency, kind]) => made("tr", { class: kind || null },
      made("th", { scope: "row" }, name, made("i", { style: `width:${(100 * latency / most).toFixed(1)}%` })), made("td", {}, num(latency)), made("td", {}, (latency / value).toFixed(2)))),
    ...level.unfinished.map(name => made("tr", {}, made("th", { scope: "row" }, name), made("td", {}, "does not finish"), made("td", {}, ""))));
}

/* Whether no account is kept: evictions undo moves. */
const uncounted = () => play.hidden && !play.rules.byBatches;

/* Work out what each move cost, without a long pause, and then say it. */
function renderAccount(total) {
  const game = play;
  $("account").replaceChildren(made("p", { class: "quiet" }, "Working it out …"));
  $("account").setAttribute("aria-busy", "true");
  $("where").textContent = `Where the ${play.level.time.unit} went`;
  const step = j => {
    if (game !== play || !play.over) return;
    const until = performance.now() + 50;
    while (!uncounted() && j < game.moves.length && performance.now() < until) game.cost(j++);
    if (!uncounted() && j < game.moves.length) { setTimeout(step, 0, j); return; }
    $("account").removeAttribute("aria-busy");
    showAccount(total);
  };
  step(0);
}

/* Where the distance from the optimum came from, move by move. */
function showAccount(total) {
  const lost = total - play.level.best.value;
  $("where").textContent = lost > 0 ? `Where the ${spell(lost)} went` : "Where nothing was lost";
  if (uncounted()) {
    $("account").replaceChildren(made("p", {}, "Where output lengths are hidden, evictions undo moves, and no account by moves is kept. Play the level with more knowledge to see one."));
    return;
  }
  const costly = play.moves.map((move, j) => [move, j, play.cost(j)]).filter(([, , cost]) => cost.high > 0);
  if (!costly.length) { $("account").replaceChildren(made("p", {}, "No move of yours raised the least total latency that could still be reached.")); return; }
  const exact = costly.every(([, , cost]) => cost.low === cost.high);
  const items = costly.map(([move, j]) => {
    const text = made("span", {}, made("b", {}, `${moveText(move)}. `), ...costText(j, j + 1, { short: true }));
    text.firstChild.textContent = text.firstChild.textContent.replace(/^./, letter => letter.toUpperCase());
    const first = play.moves.slice(0, j + 1).findLast(each => each.first);
    return made("li", {}, text, made("button", { type: "button", onclick: () => backTo(first) }, "Back to here"));
  });
  const sum = exact ? `${costly.map(([, , cost]) => num(cost.low)).join(" + ")} = ${spell(lost)}, exactly your distance from the optimum.` : "The level is too large to search exactly: costs are known as intervals.";
  $("account").replaceChildren(made("ol", {}, ...items), made("p", { class: "quiet" }, sum));
}

function backTo(move) {
  const text = moveText(move);
  play.undo(move);
  desk().begin();
  $("result").hidden = true;
  stopReplay();
  render();
  say([`Back to before this: ${text}. What would you do now?`]);
  $("title").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
  $("next").focus({ preventScroll: true });
}

/* Replay. */
function setUpReplay() {
  const { level } = play, best = level.best.value === level.best.bound ? "the optimum" : "the best schedule known";
  $("other").replaceChildren(made("option", { value: "" }, `${best} (${num(level.best.value)})`),
    ...level.policies.map(each => made("option", { value: each.name }, `${each.name} (${num(each.value)})`)));
  $("at").min = play.rules.first(level).t;
  $("at").max = replayEnd();
  $("at").value = replayEnd();
  $("mine").textContent = `total latency ${num(play.total())}`;
}

const beside = () => play.level.policies.find(each => each.name === $("other").value) || play.level.best;

/* Both schedules as states at their ends. */
const replayed = () => [play.state, desk().whole(play.level, beside())];

function replayEnd() {
  return Math.max(...replayed().map(each => play.rules.end(play.level, each)));
}

function drawReplay() {
  const { level, rules } = play, t = Number($("at").value), origin = rules.first(level).t, until = replayEnd(), other = beside();
  const [mine, its] = replayed();
  $("name").replaceChildren(other === level.best ? (other.value === other.bound ? "The optimum" : "The best schedule known") : other.name, made("span", {}, `total latency ${num(other.value)}`));
  $("when").textContent = `${clockText(t)} of ${clockText(until)}`;
  for (const [svg, state, name] of [["left", mine, "Your schedule"], ["right", its, "The other schedule"]]) {
    const so = num(rules.latency(level, state, t));
    draw($(svg), level, { state, desk: desk(), per: level.time.per, t, origin, until, over: t === until, label: `${name} at time ${clockText(t)}: total latency so far ${so}` });
  }
}

function stopReplay() {
  clearInterval(replaying);
  replaying = null;
  $("run").textContent = "Play";
}

function runReplay() {
  if (replaying) { stopReplay(); return; }
  const at = $("at");
  if (Number(at.value) >= Number(at.max)) at.value = at.min;
  $("run").textContent = "Pause";
  const step = Math.max(1, Math.round((at.max - at.min) / 120));
  drawReplay();
  replaying = setInterval(() => {
    at.value = Number(at.value) + step;
    drawReplay();
    if (Number(at.value) >= Number(at.max)) stopReplay();
  }, calm.matches ? 1000 : 350);
}

/* Keys, and buttons. */
const COMMANDS = {
  ArrowRight: event => go(event.shiftKey), ArrowLeft: undo, Backspace: undo, "?": hint, Home: () => begin(number, play.knows),
  ".": () => { if (play.rules.byBatches) desk().wait(); },
};

/* Sizes of the chunk that was touched last. */
const DRAFTING = { "+": () => desk().resize(1), "-": () => desk().resize(-1) };

document.addEventListener("keydown", event => {
  if (!$("keys").checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("select, input[type=range], [contenteditable]")) return;
  const i = play.level.requests.findIndex((_, k) => event.key.toLowerCase() === keysOf(play.level)[k]);
  if (play.level.regime === "continuous" && !play.over && DRAFTING[event.key]) DRAFTING[event.key]();
  else if (play.level.regime === "continuous" && !play.over && event.shiftKey && i >= 0 && play.state.cache[i]) desk().drop(i);
  else if (COMMANDS[event.key]) COMMANDS[event.key](event);
  else if (i >= 0 && !play.over) press(i);
  else return;
  event.preventDefault();
});

$("next").addEventListener("click", () => go(false));
$("on").addEventListener("click", () => go(true));
$("wait").addEventListener("click", () => desk().wait());
$("undo").addEventListener("click", undo);
$("hint").addEventListener("click", hint);
for (const button of ["restart", "again"]) {
  $(button).addEventListener("click", () => { begin(number, play.knows); $("title").scrollIntoView(); $("title").focus({ preventScroll: true }); });
}
$("following").addEventListener("click", () => { begin(number + 1); $("title").scrollIntoView(); $("title").focus({ preventScroll: true }); });
$("knows").addEventListener("change", () => begin(number, $("knows").value));
$("forget").addEventListener("click", () => { kept = {}; store(); renderLevels(); say(["Your results are forgotten."]); });
$("run").addEventListener("click", runReplay);
$("at").addEventListener("input", () => { stopReplay(); drawReplay(); });
$("other").addEventListener("change", () => { $("at").max = replayEnd(); drawReplay(); });

patterns(document.body);
let width = 0;
new ResizeObserver(() => {
  if (innerWidth === width) return;
  width = innerWidth;
  renderPicture();
  if (!$("result").hidden) drawReplay();
}).observe(document.body);
begin(0);
