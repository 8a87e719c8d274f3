"use strict";
/* What the page says and shows of mixed batching: requests start, rounds run. */

const MIXED_DESK = {
  go: "Next round",
  event: "Next event",
  queue: "Waiting: press one to start it",

  /* Why a start is refused, in one sentence each. */
  reason(i, refused) {
    const { level, state, rules, hidden } = play;
    if (refused.why === "started") return `${id(i)} has started already.`;
    if (refused.why === "arrival") return play.knows === "all" ? `${id(i)} arrives only at ${refused.at}.` : "There is no such request yet.";
    const others = rules.running(level, state).filter(j => rules.size(level.requests[j], state.start[j], refused.round));
    const sizes = others.map(j => `${id(j)} ${rules.size(level.requests[j], state.start[j], refused.round)}`);
    const own = rules.size(level.requests[i], state.t, refused.round);
    const text = `In round ${refused.round} the cache would hold ${refused.held} of ${level.capacity} tokens, ${refused.over} too many: ${listOf([`${id(i)} ${own}`, ...sizes])}.`;
    if (hidden) return text;
    return `${text} If nothing else starts, ${id(i)} fits before ${round(rules.fits(level, state, i))}.`;
  },

  /* A move in words; `before` is the state in which it was made. */
  moveText(move, before) {
    if (move.what === "start") return `start ${id(move.i)} before ${round(move.t)}`;
    const waiting = play.rules.waiting(play.level, before);
    return waiting.length ? `let ${round(move.t)} run while ${listOf(waiting.map(id))} ${waiting.length === 1 ? "waits" : "wait"}` : `let ${round(move.t)} run`;
  },
  moveName(move) {
    return move.what === "start" ? "This start" : "Waiting";
  },

  /* Whether there was something to choose. */
  chosen(move, before) {
    return move.what === "start" || play.rules.waiting(play.level, before).length > 0;
  },

  press(i) {
    const refused = play.refusal({ what: "start", i });
    if (refused) { say([made("b", {}, `${id(i)} cannot start. `), this.reason(i, refused)], true); return; }
    play.make({ what: "start", i });
    ghost = null;
    moved([`${id(i)} starts before ${round(play.state.t)}. `]);
  },

  run(toEvent) {
    const from = play.state.t, happened = toEvent ? play.repeat({ what: "next" }) : play.make({ what: "next" }), t = play.state.t;
    moved([t === from + 1 ? `Round ${t} has run. ` : `Rounds ${from + 1} to ${t} have run. `, ...news(happened)]);
  },

  /* What the best plan from here does now. */
  hint({ plan }) {
    const { t } = play.state, left = plan.map((k, i) => [k, i]).filter(([, i]) => play.state.start[i] === null);
    const now = left.filter(([k]) => k === t).map(([, i]) => id(i));
    const next = Math.min(...left.map(([k]) => k).filter(k => k > t));
    const seen = i => play.knows === "all" || play.level.requests[i].arrival <= t;
    const later = left.filter(([k, i]) => k === next && seen(i)).map(([, i]) => id(i));
    const then = next === Infinity || !later.length ? "" : `${now.length ? ", and then" : "; it starts"} ${listOf(later)} before ${round(next)}`;
    return `starts ${now.length ? listOf(now) : "nothing"} before ${round(t)}${then}.`;
  },
  /* Whether a total from here is one of the game: evictions make it another one. */
  countable: () => !(play.hidden && play.state.lost.length),

  opening(waiting) {
    return `Time ${play.state.t}: ${listOf(waiting.map(id))} ${waiting.length === 1 ? "waits" : "wait"}. Press those that shall start now, then Next round.`;
  },
  begin() {},

  clock() {
    const { level, state, rules } = play, held = rules.held(level, state, state.t + 1);
    return [
      made("b", {}, play.over ? `Finished at time ${state.t}` : `Time ${state.t}, before ${round(state.t)}`),
      ` · total latency so far ${rules.latency(level, state, state.t)}`,
      play.over ? "" : ` · KV in this round ${held} of ${level.capacity} tokens`,
    ];
  },

  /* The last time that the picture shows: it must not tell what is hidden. */
  horizon() {
    const { level, state, rules, knows } = play;
    if (knows !== "all") return Math.max(rules.first(level).t + 16, state.t + 6, knows === "prompts" ? 0 : rules.end(level, state) + 2);
    const ends = start => Math.max(...start.map((k, i) => (k === null ? 0 : k + level.requests[i].output)));
    return Math.max(state.t, Math.ceil(1.15 * ends(level.best.start)), ends(state.start), ghost === null ? 0 : state.t + level.requests[ghost].output);
  },
  label() {
    const { level, state, rules } = play, running = rules.running(level, state);
    return `KV cache at time ${state.t}: ${running.length ? `${listOf(running.map(id))} ${running.length === 1 ? "runs" : "run"}` : "nothing runs"}, ${rules.held(level, state, state.t + 1)} of ${level.capacity} tokens in the next round. The same is in the table below.`;
  },

  renderDesk(waiting) {
    const { level, state, hidden } = play;
    const cards = waiting.map(i => {
      const { arrival, prompt, output } = level.requests[i], refused = play.refusal({ what: "start", i });
      const fits = refused ? `would overflow in round ${refused.round}` : "fits";
      const small = `${fits}; ${state.t > arrival ? `waits for ${spell(state.t - arrival)}` : "has just arrived"}`;
      return card(i, { fits: !refused, text: `prompt ${prompt}, output ${hidden ? "?" : output}`, small, ghosts: true });
    });
    const text = play.over ? "All are done." : state.start.includes(null) ? "No request waits: let rounds run." : "All have started.";
    fill("waiting", cards, text);
  },

  heads: ["request", "arrival", "prompt", "output", "peak KV", "state", "start", "end", "latency"],
  cells(i) {
    const { level, state, hidden } = play, each = level.requests[i];
    const k = state.start[i], end = k === null ? null : k + each.output, done = end !== null && end <= state.t, known = !hidden || done;
    const status = k === null ? (each.arrival > state.t ? "to come" : "waiting") : done ? "complete" : "running";
    return [each.arrival, each.prompt, known ? each.output : "?", known ? each.prompt + each.output : "?", status,
      k ?? "", end !== null && known ? end : "", end !== null && known ? end - each.arrival : ""];
  },
  account() {
    const { level, state, rules, hidden } = play;
    const last = hidden ? state.t + 1 : rules.end(level, state), held = [];
    for (let r = state.t + 1; r <= Math.min(last, state.t + 40); r++) held.push(`${r}: ${rules.held(level, state, r)}`);
    return held.length ? `KV tokens that running requests hold, by round, of ${level.capacity}: ${held.join("; ")}.` : "No request runs.";
  },

  /* A schedule that a level has, as a state at its end. */
  whole: (level, { start, lost = [] }) => ({ t: 0, start, lost }),

  /* What a picture shows of a state: columns of KV tokens, bars by request, and a ghost. */
  drawing(level, state, { t, knows = "all", ghost = null }) {
    const runs = state.lost.map(([i, k, end]) => [k, end, i, true]);
    state.start.forEach((k, i) => { if (k !== null) runs.push([k, k + level.requests[i].output, i, false]); });
    runs.sort((a, b) => a[0] - b[0] || a[2] - b[2]);
    const rounds = new Map(), bars = level.requests.map(() => []);
    runs.forEach(([k, end, i, lost], key) => {
      const last = knows === "prompts" && !lost ? Math.min(end, t + 1) : end;
      for (let r = k + 1; r <= last; r++) {
        if (!rounds.has(r)) rounds.set(r, { a: r - 1, b: r, parts: [] });
        rounds.get(r).parts.push({ key, i, lost, tokens: level.requests[i].prompt + r - k });
      }
      bars[i].push({ a: k, b: knows === "prompts" && !lost ? Math.min(end, Math.max(k, t)) : end, kind: lost ? "lost" : "run" });
    });
    const waits = state.start.map((k, i) => [level.requests[i].arrival, k ?? Math.max(level.requests[i].arrival, t), k === null]);
    const columns = [...rounds.values()].sort((a, b) => a.a - b.a);
    return { columns, bars, waits, ghosts: ghost === null ? [] : [this.shadow(level, ghost, t, knows === "prompts", columns)] };
  },

  /* What a request would hold if it started now, above what is held. */
  shadow(level, i, t, hidden, columns) {
    const { prompt, output } = level.requests[i], pieces = [];
    for (let r = t + 1; r <= t + (hidden ? 1 : output); r++) {
      const column = columns.find(each => each.b === r), low = column ? total(column.parts.map(each => each.tokens)) : 0;
      pieces.push({ a: r - 1, b: r, low, high: low + prompt + r - t });
    }
    return { i, pieces };
  },
};
