"use strict";
/* The rules of separate batching (docs/model/separate.md): a batch holds prompts, or tokens.

   A request holds prompt + (tokens emitted) KV tokens, and keeps them until it is complete: so a
   batch after which the running requests could never all be completed is refused. */

const SEPARATE = {
  ...BATCHES,
  name: "separate",
  knows: ["all", "arrived"],
  newest: 1, // the token that a prompt emits is held

  batchRefusal(level, state, move) {
    if (move.prefill.length && move.decode.length) return { why: "kinds" };
    const refused = this.jobRefusal(level, state, move);
    if (refused) return refused;
    const again = move.prefill.find(([i]) => state.ready[i]), early = move.decode.find(i => !state.ready[i]);
    if (again) return { why: "read", i: again[0] };
    if (early !== undefined) return { why: "unread", i: early };
    const part = move.prefill.find(([i, chunk]) => chunk !== level.requests[i].prompt);
    if (part) return { why: "whole", i: part[0] };
    return this.excess(level, move) || this.overflow(level, state, move);
  },

  /* A batch limit that is exceeded: { why, found, most }. */
  excess(level, move) {
    const { prompt_batch_requests, prompt_batch_tokens, token_batch_requests } = level.limits;
    const p = total(move.prefill.map(([, chunk]) => chunk));
    const sizes = [
      ["prompt-requests", move.prefill.length, prompt_batch_requests], ["prompt-tokens", p, prompt_batch_tokens],
      ["token-requests", move.decode.length, token_batch_requests],
    ];
    const over = sizes.find(([, found, most]) => !within(found, most));
    return over ? { why: over[0], found: over[1], most: over[2] } : null;
  },

  /* Too many KV tokens at the batch's end, or no way on from there. */
  overflow(level, state, move) {
    const { cache, tokens } = this.effect(level, state, move), held = total(cache);
    if (held > level.capacity) return { why: "kv", held, over: held - level.capacity, cache };
    const stuck = this.stuck(level, tokens, cache);
    return stuck.length ? { why: "stuck", stuck, held } : null;
  },

  /* Requests that hold KV tokens and can never be completed. If some can, they can one after
     another: all others hold the least when they do not grow. So whoever fits completes first. */
  stuck(level, tokens, cache) {
    const holds = [...cache];
    let left = holds.map((_, i) => i).filter(i => holds[i] && tokens[i] < level.requests[i].output);
    holds.forEach((_, i) => { if (tokens[i] >= level.requests[i].output) holds[i] = 0; });
    for (let found = true; found && left.length;) {
      const free = level.capacity - total(holds);
      const next = left.find(i => level.requests[i].output - tokens[i] <= free);
      found = next !== undefined;
      if (found) { holds[next] = 0; left = left.filter(i => i !== next); }
    }
    return left;
  },

  /* The batch that is run if nothing is chosen: a token of all that run, as far as they fit. */
  draft(level, state) {
    const move = { what: "batch", prefill: [], decode: [], preempt: [] };
    const left = i => level.requests[i].output - state.tokens[i];
    for (const i of this.running(level, state).sort((a, b) => left(a) - left(b) || a - b)) {
      const more = { ...move, decode: [...move.decode, i] };
      if (!this.batchRefusal(level, state, more)) move.decode = more.decode;
    }
    return move;
  },

  /* A draft with a request taken in, or out. */
  toggled(level, state, move, i) {
    if (state.ready[i]) {
      if (move.prefill.length) return this.draft(level, state);
      const decode = move.decode.includes(i) ? move.decode.filter(j => j !== i) : [...move.decode, i];
      return { ...move, decode };
    }
    const taken = move.prefill.some(([j]) => j === i);
    const prefill = taken ? move.prefill.filter(([j]) => j !== i) : [...move.prefill, [i, level.requests[i].prompt]];
    return prefill.length ? { ...move, prefill, decode: [] } : this.draft(level, state);
  },

  /* The next move of a simple rule: prompts in an order as soon as `least` of them fit, or nothing
     runs; a prompt that does not fit holds up nobody. */
  styles: [1, 2, 3, Infinity],
  ruled(level, state, order, least) {
    const waiting = this.waiting(level, state), tokens = this.draft(level, state);
    let move = { what: "batch", prefill: [], decode: [], preempt: [] };
    for (const i of order.filter(i => waiting.includes(i))) {
      const more = { ...move, prefill: [...move.prefill, [i, level.requests[i].prompt]] };
      if (!this.batchRefusal(level, state, more)) move = more;
    }
    if (move.prefill.length && (move.prefill.length >= least || !tokens.decode.length)) return move;
    return tokens.decode.length ? tokens : { what: "wait" };
  },

  /* All batches from a state, in which requests still to come may be; null for what is refused. */
  *choices(level, state) {
    const fits = move => !this.excess(level, move) && !this.overflow(level, state, move);
    const running = this.running(level, state);
    for (const decode of subsets(running)) {
      const move = { prefill: [], decode, preempt: [] };
      yield fits(move) ? { start: state.t, ...move } : null;
    }
    const left = this.select(level, i => state.done[i] === null && !state.ready[i]);
    for (const members of subsets(left)) {
      const move = { prefill: members.map(i => [i, level.requests[i].prompt]), decode: [], preempt: [] };
      yield fits(move) ? { start: Math.max(state.t, ...members.map(i => level.requests[i].arrival)), ...move } : null;
    }
  },

  /* Prompt tokens that may be read in chunks: none. */
  chunkable: () => 0,

  /* Time alone from a state on. */
  alone(level, state, i) {
    const { prompt, output } = level.requests[i];
    let time = state.ready[i] ? 0 : this.time(level, prompt, 0, 0);
    for (let g = Math.max(1, state.tokens[i]); g < output; g++) time += this.time(level, 0, 1, prompt + g);
    return time;
  },

  /* Least time until k of the requests left are completed, k = 1, 2, …: their batches and work. */
  together(level, state, left) {
    const { law, limits } = level, up = (x, most) => (most === null ? (x ? 1 : 0) : Math.ceil(x / most));
    const jobs = i => level.requests[i].output - Math.max(1, state.tokens[i]);
    const work = i => {
      const n = jobs(i), from = level.requests[i].prompt + Math.max(1, state.tokens[i]);
      const prompt = state.ready[i] ? 0 : law.per_prompt_token * level.requests[i].prompt;
      return prompt + n * law.per_token_job + law.per_kv_token * (n * from + (n * (n - 1)) / 2);
    };
    const begun = left.filter(i => state.ready[i]).length, sorted = f => left.map(f).sort((a, b) => a - b);
    const least = sorted(jobs), works = sorted(work), prompts = sorted(i => (state.ready[i] ? 0 : level.requests[i].prompt));
    let all = 0, sum = 0, p = 0;
    return left.map((_, k) => {
      all += least[k];
      sum += works[k];
      p += prompts[k];
      const fresh = Math.max(0, k + 1 - begun);
      const reads = Math.max(up(fresh, limits.prompt_batch_requests), up(p, limits.prompt_batch_tokens));
      const writes = Math.max(least[k], up(all, limits.token_batch_requests));
      return Math.ceil((reads * law.prompt + writes * law.token + sum) / law.divisor);
    });
  },
};
