"use strict";
/* What separate and continuous batching share: a schedule is a list of batches, which take the time
   of a law, and a state lies between two of them.

   A level: { regime, capacity, requests, law, limits }; `law` has the numbers of the package's
   durations, `limits` those of the GPU, null where there is none.
   A state: { t, tokens, cache, ready, done, batches }; for each request the output tokens emitted,
   the KV tokens held, whether its prompt is read, and when it was completed (or null); and the
   batches that have run. States are never changed: moves return new ones.
   A move: { what: "wait" }, until the next arrival, or { what: "batch", … } with what the batch
   holds. `jobs(level, state, move)` of a regime says in its words what each request then does. */

const within = (value, limit) => limit === null || value <= limit;
const total = values => values.reduce((sum, each) => sum + each, 0);

const BATCHES = {
  byBatches: true,

  first(level) {
    const all = value => level.requests.map(() => value);
    const t = Math.min(...level.requests.map(each => each.arrival));
    return { t, tokens: all(0), cache: all(0), ready: all(false), done: all(null), batches: [] };
  },

  /* Requests that have arrived and whose prompt is to be read (again); those that get tokens. */
  waiting(level, state) {
    return this.select(level, i => state.done[i] === null && !state.ready[i] && level.requests[i].arrival <= state.t);
  },
  running(level, state) {
    return this.select(level, i => state.ready[i]);
  },
  completed(level, state) {
    return this.select(level, i => state.done[i] !== null);
  },
  select(level, test) {
    return level.requests.map((_, i) => i).filter(test);
  },

  /* KV tokens held between batches. */
  held(level, state) {
    return total(state.cache);
  },

  /* Time of a batch of p prompt tokens and d token jobs that read kv tokens. */
  time(level, p, d, kv) {
    const { prompt, token, per_prompt_token, per_token_job, per_kv_token, divisor } = level.law;
    const work = (d ? token : prompt) + per_prompt_token * p + per_token_job * d + per_kv_token * kv;
    return Math.ceil(work / divisor);
  },

  /* What a batch does: { p, d, kv, length, cache (at its end, before any is freed), tokens, ready }. */
  effect(level, state, move) {
    const tokens = [...state.tokens], cache = [...state.cache], ready = [...state.ready];
    let p = 0, d = 0, kv = 0;
    for (const i of move.preempt || []) { cache[i] = 0; ready[i] = false; }
    for (const i of move.decode) {
      d += 1;
      kv += level.requests[i].prompt + tokens[i];
      tokens[i] += 1;
      cache[i] += 1;
    }
    for (const [i, chunk] of move.prefill) {
      p += chunk;
      cache[i] += chunk;
      if (cache[i] === level.requests[i].prompt + tokens[i]) {
        ready[i] = true;
        tokens[i] += 1;
        cache[i] += this.newest;
      }
    }
    return { p, d, kv, length: this.time(level, p, d, kv), cache, tokens, ready };
  },

  nextArrival(level, state) {
    return Math.min(...level.requests.map(each => each.arrival).filter(arrival => arrival > state.t));
  },

  /* Why a move cannot be made, or null. */
  refusal(level, state, move, hidden = false) {
    if (move.what === "wait") return this.nextArrival(level, state) === Infinity ? { why: "nothing-comes" } : null;
    return this.batchRefusal(level, state, move, hidden);
  },

  /* What every regime refuses in a batch: { why, i }. */
  jobRefusal(level, state, move) {
    const members = [...move.prefill.map(([i]) => i), ...move.decode];
    if (!members.length) return { why: "empty" };
    const twice = members.find((i, k) => members.indexOf(i) !== k);
    if (twice !== undefined) return { why: "twice", i: twice };
    for (const i of members) {
      if (level.requests[i] === undefined) return { why: "unknown", i };
      if (level.requests[i].arrival > state.t) return { why: "arrival", i, at: level.requests[i].arrival };
      if (state.done[i] !== null) return { why: "complete", i };
    }
    return null;
  },

  /* The state after a move: { state, arrived, completed, evicted }; an Error where it is refused. */
  after(level, state, move, hidden = false) {
    const refused = this.refusal(level, state, move, hidden);
    if (refused) throw new Error(`at ${state.t}: ${refused.why}`);
    if (move.what === "wait") return this.happened(level, state, { ...state, t: this.nextArrival(level, state) });
    const { length, cache, tokens, ready } = this.effect(level, state, move);
    const t = state.t + length, done = [...state.done];
    tokens.forEach((g, i) => {
      if (g < level.requests[i].output || done[i] !== null) return;
      done[i] = t;
      cache[i] = 0;
      ready[i] = false;
    });
    const { prefill, decode, preempt = [] } = move;
    const batch = { start: state.t, end: t, prefill, decode, preempt };
    return this.happened(level, state, { t, tokens, cache, ready, done, batches: [...state.batches, batch] });
  },

  happened(level, before, state) {
    return {
      state,
      arrived: this.select(level, i => level.requests[i].arrival > before.t && level.requests[i].arrival <= state.t),
      completed: this.select(level, i => before.done[i] === null && state.done[i] !== null),
      evicted: [],
    };
  },

  /* A token batch that goes on as it is: one more of the same requests that are not done, or null. */
  again(level, state, move, hidden) {
    if (move.what === "wait" || move.prefill.length) return null;
    const next = { what: "batch", prefill: [], decode: move.decode.filter(i => state.ready[i]), preempt: [] };
    return this.refusal(level, state, next, hidden) ? null : next;
  },

  decided(level, state) {
    return state.done.every(end => end !== null);
  },

  end(level, state) {
    return state.t;
  },

  latency(level, state, until = Infinity) {
    return total(level.requests.map((each, i) => Math.max(0, Math.min(state.done[i] ?? Infinity, until) - each.arrival)));
  },

  /* Plans: batches from some state on. What a record of a schedule, or a found one, plans. */
  plan(found) {
    return found.batches;
  },

  /* The state after batches that start when they say. */
  played(level, batches) {
    return batches.reduce((state, batch) => this.after(level, { ...state, t: batch.start }, { what: "batch", ...batch }).state, this.first(level));
  },

  /* When each request is completed by a whole plan. */
  completions(level, plan) {
    return this.played(level, plan).done;
  },

  /* Whether a plan goes on from the state after a move as it did before. */
  follows(plan, move, after) {
    const k = after.batches.length;
    if (move.what === "wait") return plan[k].start >= after.t;
    const mine = after.batches[k - 1], its = plan[k - 1];
    return mine.start === its.start && this.key(mine) === this.key(its);
  },
  key({ prefill, decode, preempt = [] }) {
    const sorted = list => [...list].sort((a, b) => (a[0] ?? a) - (b[0] ?? b));
    return JSON.stringify([prefill, decode, preempt].map(sorted));
  },

  /* What a plan does next: { wait } until a time, or { move }, the next batch. */
  next(level, state, plan) {
    const batch = plan[state.batches.length];
    return batch.start > state.t ? { wait: batch.start, move: { what: "wait" } } : { move: { what: "batch", ...batch } };
  },
};
