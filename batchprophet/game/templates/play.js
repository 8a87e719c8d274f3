"use strict";
/* The page: what is shown of a game, and what the player does. */

const LEVELS = JSON.parse(document.getElementById("data").textContent).levels;
const STORE = "batchprophet-play";
const $ = id => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

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

/* Why a start is refused, in one sentence each. */
function reason(i, refused) {
  const { level, state, rules, hidden } = play;
  if (refused.why === "started") return `${id(i)} has started already.`;
  if (refused.why === "arrival") return play.knows === "all" ? `${id(i)} arrives only at ${refused.at}.` : "There is no such request yet.";
  const others = rules.running(level, state).filter(j => rules.size(level.requests[j], state.start[j], refused.round));
  const sizes = others.map(j => `${id(j)} ${rules.size(level.requests[j], state.start[j], refused.round)}`);
  const own = rules.size(level.requests[i], state.t, refused.round);
  const text = `In round ${refused.round} the cache would hold ${refused.held} of ${level.capacity} tokens, ${refused.over} too many: ${listOf([`${id(i)} ${own}`, ...sizes])}.`;
  if (hidden) return text;
  return `${text} If nothing else starts, ${id(i)} fits before ${round(rules.fits(level, state, i))}.`;
}

/* What a move cost, as nodes. */
function costText(j, m, { short = false } = {}) {
  const { low, high, changes, after } = play.cost(j, m);
  const what = play.moves[j].what === "start" ? "This start" : "Waiting";
  if (high === 0) return [made("i", {}, `${what} costs nothing: `), `a total of ${after.value} can still be reached.`];
  if (low < high) return [made("em", {}, `${what} costs between ${low} and ${high}: `), `the level is too large to search to the end; the best total found from here is ${after.value}.`];
  const why = changes.slice(0, 4).map(([i, later]) => `${id(i)} ends ${count(Math.abs(later), "round")} ${later > 0 ? "later" : "earlier"}`);
  if (changes.length > 4) why.push(`${count(changes.length - 4, "other")} ${changes.length === 5 ? "changes" : "change"}`);
  const text = `${short ? "in" : `the best total in reach is now ${after.value}. In`} the best plan that is left, ${listOf(why)} than in the best before.`;
  return [made("em", {}, `${what} costs ${low}: `), text];
}

function moveText(move) {
  if (move.what === "start") return `start ${id(move.i)} before ${round(move.t)}`;
  const waiting = play.rules.waiting(play.level, play.states[play.moves.indexOf(move)]);
  return waiting.length ? `let ${round(move.t)} run while ${listOf(waiting.map(id))} ${waiting.length === 1 ? "waits" : "wait"}` : `let ${round(move.t)} run`;
}

/* Moves. */
function start(i) {
  stopReplay();
  const refused = play.refusal(i);
  if (refused) { say([made("b", {}, `${id(i)} cannot start. `), reason(i, refused)], true); return; }
  play.begin(i);
  ghost = null;
  moved([`${id(i)} starts before ${round(play.state.t)}. `]);
}

function go(toEvent) {
  if (play.over) return;
  const from = play.state.t, happened = toEvent ? play.event() : play.round(), t = play.state.t;
  const parts = [t === from + 1 ? `Round ${t} has run. ` : `Rounds ${from + 1} to ${t} have run. `];
  if (happened.completed.length) parts.push(`${listOf(happened.completed.map(id))} ${happened.completed.length === 1 ? "is" : "are"} complete. `);
  if (happened.arrived.length) parts.push(`${listOf(happened.arrived.map(id))} ${happened.arrived.length === 1 ? "arrives" : "arrive"}. `);
  if (happened.evicted.length) parts.push(made("b", {}, `The cache is full: ${listOf(happened.evicted.map(id))} ${happened.evicted.length === 1 ? "is" : "are"} evicted and must start again. `));
  moved(parts);
}

function moved(parts) {
  const first = play.moves.findLastIndex(each => each.first), done = play.over;
  if (done) play.finish();
  const choice = play.moves[first].what === "start" || play.rules.waiting(play.level, play.states[first]).length > 0;
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
    say([play.moves.length ? "What has been seen cannot be unseen: only starts of this round can be undone." : "There is nothing to undo."], true);
    return;
  }
  const text = moveText(move);
  play.undo(move);
  $("result").hidden = true;
  stopReplay();
  render();
  say([`Undone: ${text}.`]);
}

function hint() {
  if (play.over) return;
  const { value, start, proved } = play.value(play.moves.length), t = play.state.t;
  play.hints++;
  const left = start.map((k, i) => [k, i]).filter(([, i]) => play.state.start[i] === null);
  const now = left.filter(([k]) => k === t).map(([, i]) => id(i));
  const next = Math.min(...left.map(([k]) => k).filter(k => k > t));
  const seen = i => play.knows === "all" || play.level.requests[i].arrival <= t;
  const later = left.filter(([k, i]) => k === next && seen(i)).map(([, i]) => id(i));
  const then = next === Infinity || !later.length ? "" : `${now.length ? ", and then" : "; it starts"} ${listOf(later)} before ${round(next)}`;
  const knows = play.knows === "all" ? "The best plan from here" : "Hindsight, which knows what comes,";
  const goal = play.hidden && play.state.lost.length ? "" : ` (total ${value}${proved ? "" : ", the best found"})`;
  say([made("i", {}, "Hint: "), `${knows}${goal} starts ${now.length ? listOf(now) : "nothing"} before ${round(t)}${then}.`]);
}

function begin(position, knows) {
  number = position;
  const level = LEVELS[number];
  play = new Play(level, knows || level.knows);
  ghost = null;
  $("result").hidden = true;
  stopReplay();
  $("knows").value = play.knows;
  $("title").textContent = LEVELS.length > 1 ? `Level ${number + 1}: ${level.title}` : level.title;
  $("lesson").textContent = level.lesson;
  const mine = record(level, play.knows);
  $("goal").textContent = `${goalText(level)}${mine === undefined ? "" : ` Your best so far: ${mine}.`}`;
  if (Object.keys(kept).length) $("how").open = false;
  render();
  const waiting = play.rules.waiting(level, play.state);
  say([`Time ${play.state.t}: ${listOf(waiting.map(id))} ${waiting.length === 1 ? "waits" : "wait"}. Press those that shall start now, then Next round.`]);
}

function bestPolicies(level) {
  const value = Math.min(...level.policies.map(each => each.value));
  return { value, names: level.policies.filter(each => each.value === value).map(each => each.name) };
}

function optimumText({ value, bound }) {
  return value === bound ? `the proved optimum is ${value}` : `the optimum is between ${bound} and ${value}`;
}

function goalText(level) {
  const { value, names } = bestPolicies(level), text = optimumText(level.best);
  return `${text[0].toUpperCase()}${text.slice(1)} rounds of total latency; the best policy here reaches ${value} (${names.length > 2 ? `${names.slice(0, 2).join(", ")} and others` : listOf(names)}).`;
}

/* What is shown. */
function render() {
  const { level, state, rules, knows } = play;
  renderLevels();
  const waiting = rules.waiting(level, state), held = rules.held(level, state, state.t + 1);
  $("clock").replaceChildren(
    made("b", {}, play.over ? `Finished at time ${state.t}` : `Time ${state.t}, before ${round(state.t)}`),
    ` · total latency so far ${rules.latency(level, state, state.t)}`,
    play.over ? "" : ` · KV in this round ${held} of ${level.capacity} tokens`);
  renderPicture();
  renderWaiting(waiting);
  const later = knows === "all" ? level.requests.map((_, i) => i).filter(i => level.requests[i].arrival > state.t) : [];
  later.sort((a, b) => level.requests[a].arrival - level.requests[b].arrival);
  $("ahead").hidden = knows === "all" && !later.length;
  $("later").replaceChildren(...(knows === "all"
    ? later.map(i => made("li", {}, `${id(i)} at ${level.requests[i].arrival}: prompt ${level.requests[i].prompt}, output ${level.requests[i].output}`))
    : [made("li", {}, "Unknown: more requests may come, or none.")]));
  for (const button of ["next", "on", "hint"]) $(button).disabled = play.over;
  $("undo").disabled = !play.moves.length;
  $("restart").disabled = !play.moves.length;
  $("coach").hidden = knows !== "all";
  renderTable();
  $("log").replaceChildren(...play.moves.filter(each => each.first).map(each => made("li", {}, moveText(each))));
}

function renderLevels() {
  $("levels").parentElement.hidden = LEVELS.length < 2;
  const focused = [...$("levels").querySelectorAll("button")].indexOf(document.activeElement);
  $("levels").replaceChildren(...LEVELS.map((level, k) => {
    const best = record(level, level.knows), won = best !== undefined && best <= level.best.bound;
    const state = best === undefined ? "not played" : won ? `${best}: optimal` : `${best}, optimum ${level.best.value}`;
    return made("li", {}, made("button", { type: "button", "aria-current": k === number ? "true" : null, onclick: () => begin(k) },
      `${k + 1}`, made("b", {}, won ? " ✓" : ""), made("span", {}, ` ${level.title}`), made("small", {}, state)));
  }));
  if (focused >= 0) $("levels").querySelectorAll("button")[focused].focus();
}

/* The last time that the picture shows: it must not tell what is hidden. */
function horizon() {
  const { level, state, rules, knows } = play;
  if (knows !== "all") return Math.max(rules.first(level).t + 16, state.t + 6, knows === "prompts" ? 0 : rules.end(level, state) + 2);
  const ends = start => Math.max(...start.map((k, i) => (k === null ? 0 : k + level.requests[i].output)));
  return Math.max(state.t, Math.ceil(1.15 * ends(level.best.start)), ends(state.start), ghost === null ? 0 : state.t + level.requests[ghost].output);
}

function renderPicture() {
  const { level, state, rules } = play, running = rules.running(level, state);
  draw($("picture"), level, {
    ...state, origin: rules.first(level).t, until: horizon(), knows: play.knows, ghost, over: play.over,
    label: `KV cache at time ${state.t}: ${running.length ? `${listOf(running.map(id))} ${running.length === 1 ? "runs" : "run"}` : "nothing runs"}, ${rules.held(level, state, state.t + 1)} of ${level.capacity} tokens in the next round. The same is in the table below.`,
  });
}

function renderWaiting(waiting) {
  const { level, state, hidden } = play, keys = keysOf(level);
  const focused = document.activeElement && document.activeElement.dataset.request;
  const cards = waiting.map(i => {
    const { arrival, prompt, output } = level.requests[i], refused = play.refusal(i), svg = document.createElementNS(NS, "svg");
    silhouette(svg, level, i, hidden);
    const fits = refused ? `would overflow in round ${refused.round}` : "fits";
    const key = keys[i] && keys[i] !== id(i).toLowerCase() ? made("kbd", {}, keys[i]) : null;
    const look = () => { ghost = i; renderPicture(); }, leave = () => { if (ghost === i) { ghost = null; renderPicture(); } };
    return made("li", {}, made("button", {
      type: "button", "data-request": String(i), "data-fits": refused ? "no" : "yes", "aria-keyshortcuts": keys[i] || null,
      onclick: () => start(i), onpointerenter: look, onpointerleave: leave, onfocus: look, onblur: leave,
    }, svg, made("span", {}, made("b", {}, id(i)), " ", ...(key ? [key, " "] : []), `prompt ${prompt}, output ${hidden ? "?" : output}`,
      made("small", { class: refused ? "no" : null }, `${fits}; ${state.t > arrival ? `waits for ${count(state.t - arrival, "round")}` : "has just arrived"}`))));
  });
  const text = play.over ? "All are done." : state.start.includes(null) ? "No request waits: let rounds run." : "All have started.";
  $("waiting").replaceChildren(...(cards.length ? cards : [made("li", { class: "none" }, text)]));
  if (focused !== undefined) {
    const same = $("waiting").querySelector(`[data-request="${focused}"]`) || $("waiting").querySelector("button") || $("next");
    same.focus({ preventScroll: true });
  }
}

function renderTable() {
  const { level, state, rules, knows, hidden } = play;
  const heads = ["request", "arrival", "prompt", "output", "peak KV", "state", "start", "end", "latency"];
  $("requests").tHead.rows[0].replaceChildren(...heads.map(name => made("th", { scope: "col" }, name)));
  const rows = level.requests.map((each, i) => [each, i]).filter(([each]) => knows === "all" || each.arrival <= state.t);
  $("requests").tBodies[0].replaceChildren(...rows.map(([each, i]) => {
    const k = state.start[i], end = k === null ? null : k + each.output, done = end !== null && end <= state.t, known = !hidden || done;
    const status = k === null ? (each.arrival > state.t ? "to come" : "waiting") : done ? "complete" : "running";
    const cells = [each.arrival, each.prompt, known ? each.output : "?", known ? each.prompt + each.output : "?", status,
      k ?? "", end !== null && known ? end : "", end !== null && known ? end - each.arrival : ""];
    return made("tr", {}, made("th", { scope: "row" }, each.id), ...cells.map(cell => made("td", {}, String(cell))));
  }));
  const last = hidden ? state.t + 1 : rules.end(level, state), held = [];
  for (let r = state.t + 1; r <= Math.min(last, state.t + 40); r++) held.push(`${r}: ${rules.held(level, state, r)}`);
  $("rounds").textContent = held.length ? `KV tokens that running requests hold, by round, of ${level.capacity}: ${held.join("; ")}.` : "No request runs.";
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
  $("verdict").textContent = `${head} Total latency ${total}`.replace(/([a-z]) Total/, "$1: total");
  const lines = [];
  if (total <= bound) lines.push(`No schedule has less: ${bound} is a proved lower bound.`);
  else if (proved) lines.push(`You are ${count(total - value, "round")} above the proved optimum of ${value}: ${(total / value).toFixed(2)} times as much.`);
  else lines.push(`The optimum is between ${bound} and ${value}: you are between ${(total / value).toFixed(2)} and ${(total / bound).toFixed(2)} times optimal.`);
  const beaten = level.policies.filter(each => each.value > total).length + level.unfinished.length, all = level.policies.length + level.unfinished.length;
  lines.push(`You did better than ${beaten} of ${all} policies; the best of them, ${listOf(policy.names.slice(0, 2))}, has ${policy.value}.`);
  if (play.knows !== "all") lines.push("You did not see what was to come, and the optimum did: the difference is your regret.");
  if (play.peeked) lines.push("You went back after seeing it: this result is not kept.");
  if (play.hints) lines.push(`You took ${count(play.hints, "hint")}.`);
  $("summary").replaceChildren(...lines.map(line => made("p", {}, line)));
  $("following").hidden = number + 1 >= LEVELS.length;
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
      made("th", { scope: "row" }, name, made("i", { style: `width:${(100 * latency / most).toFixed(1)}%` })), made("td", {}, latency.toLocaleString("en")), made("td", {}, (latency / value).toFixed(2)))),
    ...level.unfinished.map(name => made("tr", {}, made("th", { scope: "row" }, name), made("td", {}, "does not finish"), made("td", {}, ""))));
}

/* Work out what each move cost, without a long pause, and then say it. */
function renderAccount(total) {
  const game = play;
  $("account").replaceChildren(made("p", { class: "quiet" }, "Working it out …"));
  $("account").setAttribute("aria-busy", "true");
  $("where").textContent = "Where the rounds went";
  const step = j => {
    if (game !== play || !play.over) return;
    const until = performance.now() + 50;
    while (!game.hidden && j < game.moves.length && performance.now() < until) game.cost(j++);
    if (!game.hidden && j < game.moves.length) { setTimeout(step, 0, j); return; }
    $("account").removeAttribute("aria-busy");
    showAccount(total);
  };
  step(0);
}

/* Where the distance from the optimum came from, move by move. */
function showAccount(total) {
  const lost = total - play.level.best.value;
  $("where").textContent = lost > 0 ? `Where the ${count(lost, "round")} went` : "Where nothing was lost";
  if (play.hidden) {
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
  const sum = exact ? `${costly.map(([, , cost]) => cost.low).join(" + ")} = ${count(lost, "round")}, exactly your distance from the optimum.` : "The level is too large to search exactly: costs are known as intervals.";
  $("account").replaceChildren(made("ol", {}, ...items), made("p", { class: "quiet" }, sum));
}

function backTo(move) {
  const text = moveText(move);
  play.undo(move);
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
  $("other").replaceChildren(made("option", { value: "" }, `${best} (${level.best.value})`),
    ...level.policies.map(each => made("option", { value: each.name }, `${each.name} (${each.value})`)));
  $("at").min = play.rules.first(level).t;
  $("at").max = replayEnd();
  $("at").value = replayEnd();
  $("mine").textContent = `total latency ${play.total()}`;
}

const beside = () => play.level.policies.find(each => each.name === $("other").value) || play.level.best;

function replayEnd() {
  const { level, rules } = play;
  return Math.max(rules.end(level, play.state), rules.end(level, { t: 0, start: beside().start }));
}

function drawReplay() {
  const { level, rules } = play, t = Number($("at").value), origin = rules.first(level).t, until = replayEnd(), other = beside();
  $("name").replaceChildren(other === level.best ? (other.value === other.bound ? "The optimum" : "The best schedule known") : other.name, made("span", {}, `total latency ${other.value}`));
  $("when").textContent = `${t} of ${until}`;
  for (const [svg, schedule, name] of [["left", play.state, "Your schedule"], ["right", other, "The other schedule"]]) {
    const so = rules.latency(level, { start: schedule.start }, t);
    draw($(svg), level, { start: schedule.start, lost: schedule.lost || [], t, origin, until, over: t === until, label: `${name} at time ${t}: total latency so far ${so}` });
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
};

document.addEventListener("keydown", event => {
  if (!$("keys").checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("select, input[type=range], [contenteditable]")) return;
  const i = play.level.requests.findIndex((_, k) => event.key.toLowerCase() === keysOf(play.level)[k]);
  if (COMMANDS[event.key]) COMMANDS[event.key](event);
  else if (i >= 0 && !play.over) start(i);
  else return;
  event.preventDefault();
});

$("next").addEventListener("click", () => go(false));
$("on").addEventListener("click", () => go(true));
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
