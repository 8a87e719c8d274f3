"use strict";
/* The rules of mixed batching. No code here knows of a page; its `search`, the least total latency
   still in reach, is in mixed_search.js.

   A level: { regime, capacity, requests: [{ id, arrival, prompt, output }, …] }.
   A state: { t, start: [k or null for each request], lost: [[request, start, end], …] }.
   A request that starts at t is in the batches of rounds t + 1 … t + output, and holds
   prompt + (round − t) KV tokens in each. States are never changed: moves return new ones.
   With `hidden` the output lengths are not known to the player: only the next round is checked,
   and what does not fit later is evicted, the latest start first. */

const MIXED = {
  name: "mixed",
  knows: ["all", "arrived", "prompts"],
  byBatches: false,

  /* The state before the first move: the boundary at which the first request arrives. */
  first(level) {
    const t = Math.min(...level.requests.map(each => each.arrival));
    return { t, start: level.requests.map(() => null), lost: [] };
  },

  /* KV tokens that a request holds in a round if it starts at k. */
  size(request, k, round) {
    return k < round && round <= k + request.output ? request.prompt + round - k : 0;
  },

  /* KV tokens that the started requests hold in a round. */
  held(level, state, round) {
    return level.requests.reduce(
      (sum, each, i) => sum + (state.start[i] === null ? 0 : this.size(each, state.start[i], round)), 0);
  },

  /* Requests that have arrived and can be started; those that run; those that are done. */
  waiting(level, state) {
    return this.select(level, (each, k) => k === null && each.arrival <= state.t, state);
  },
  running(level, state) {
    return this.select(level, (each, k) => k !== null && k + each.output > state.t, state);
  },
  completed(level, state) {
    return this.select(level, (each, k) => k !== null && k + each.output <= state.t, state);
  },
  select(level, test, state) {
    return level.requests.map((_, i) => i).filter(i => test(level.requests[i], state.start[i]));
  },

  /* A move: { what: "start", i } or { what: "next" }, one round later. */
  refusal(level, state, move, hidden = false) {
    return move.what === "start" ? this.startRefusal(level, state, move.i, hidden) : null;
  },
  after(level, state, move, hidden = false) {
    if (move.what === "next") return this.advance(level, state, hidden);
    return { state: this.begin(level, state, move.i, hidden), arrived: [], completed: [], evicted: [] };
  },

  /* A round is followed by the next one. */
  again(level, state, move) {
    return move;
  },

  /* Why a request cannot start now, or null: { why, round, held, over }. */
  startRefusal(level, state, i, hidden = false) {
    const request = level.requests[i];
    if (request === undefined) return { why: "unknown" };
    if (state.start[i] !== null) return { why: "started", at: state.start[i] };
    if (request.arrival > state.t) return { why: "arrival", at: request.arrival };
    return this.overflow(level, state, i, state.t, hidden ? state.t + 1 : state.t + request.output);
  },

  /* The first round up to `last` that overflows if request i starts at k, or null. */
  overflow(level, state, i, k, last) {
    for (let round = k + 1; round <= last; round++) {
      const held = this.held(level, state, round) + this.size(level.requests[i], k, round);
      if (held > level.capacity) {
        return { why: round === k + 1 ? "now" : "later", round, held, over: held - level.capacity };
      }
    }
    return null;
  },

  /* The first boundary at which a request fits if nothing else starts before it. */
  fits(level, state, i) {
    let k = Math.max(state.t, level.requests[i].arrival);
    while (this.overflow(level, state, i, k, k + level.requests[i].output)) k++;
    return k;
  },

  /* The state after starting a request; an Error where the rules refuse it. */
  begin(level, state, i, hidden = false) {
    const refused = this.startRefusal(level, state, i, hidden);
    if (refused) throw new Error(`request ${i} cannot start at ${state.t}: ${refused.why}`);
    return { ...state, start: state.start.map((k, j) => (j === i ? state.t : k)) };
  },

  /* One round later: { state, arrived, completed, evicted }. */
  advance(level, state, hidden = false) {
    const t = state.t + 1, start = [...state.start], lost = [...state.lost], evicted = [];
    let next = { t, start, lost };
    while (hidden && this.held(level, next, t + 1) > level.capacity) {
      const last = this.running(level, next).reduce((a, b) => (start[b] >= start[a] ? b : a));
      lost.push([last, start[last], t]);
      evicted.push(last);
      start[last] = null;
    }
    return {
      state: next,
      arrived: this.select(level, each => each.arrival === t, next),
      completed: this.select(level, (each, k) => k !== null && k + each.output === t, next),
      evicted,
    };
  },

  /* Whether no decision is left: all have started, and none can be evicted. */
  decided(level, state, hidden = false) {
    if (state.start.includes(null)) return false;
    return !hidden || this.completed(level, state).length === level.requests.length;
  },

  /* What a record of a schedule, or a found one, plans: starts. When it completes each request. */
  plan(found) {
    return found.start;
  },
  completions(level, plan) {
    return plan.map((k, i) => k + level.requests[i].output);
  },

  /* Whether a schedule `plan` goes on from the state after a move as it did from that before. */
  follows(plan, move, after) {
    if (move.what === "start") return plan[move.i] === move.t;
    return plan.every((k, i) => k !== move.t || after.start[i] !== null);
  },

  /* The last completion of those that have started. */
  end(level, state) {
    return Math.max(state.t, ...level.requests.map(
      (each, i) => (state.start[i] === null ? 0 : state.start[i] + each.output)));
  },

  /* Σ (completion − arrival) over requests; of those not done by the state's time, up to it. */
  latency(level, state, until = Infinity) {
    return level.requests.reduce((sum, each, i) => {
      const done = state.start[i] === null ? Infinity : state.start[i] + each.output;
      return sum + Math.max(0, Math.min(done, until) - each.arrival);
    }, 0);
  },
};
