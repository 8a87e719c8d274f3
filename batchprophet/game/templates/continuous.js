"use strict";
/* The rules of continuous batching (docs/model/continuous.md): a batch holds prompt chunks and token
   jobs, and caches may be dropped before it.

   The newest token's entry is computed by the next batch, so a request holds a token less than
   under separate batching; one whose cache was dropped reads its prompt and its tokens again. */

const CONTINUOUS = {
  ...BATCHES,
  name: "continuous",
  knows: ["all", "arrived", "prompts"],
  newest: 0,

  /* Tokens that a request has still to read before its next token. */
  left(level, state, i) {
    return level.requests[i].prompt + state.tokens[i] - state.cache[i];
  },

  batchRefusal(level, state, move) {
    const { preempt = [] } = move, idle = preempt.find((i, k) => !state.cache[i] || preempt.indexOf(i) !== k);
    const refused = idle === undefined ? this.jobRefusal(level, state, move) : { why: "preempt", i: idle };
    if (refused) return refused;
    const dropped = this.dropped(state, preempt);
    const early = move.decode.find(i => !dropped.ready[i]);
    if (early !== undefined) return { why: "unread", i: early };
    for (const [i, chunk] of move.prefill) {
      if (dropped.ready[i]) return { why: "read", i };
      const most = this.left(level, dropped, i);
      if (!(chunk >= 1 && chunk <= most)) return { why: "part", i, found: chunk, most };
      if (!level.limits.chunked_prefill && chunk < most) return { why: "whole", i };
    }
    return this.excess(level, state, move);
  },
  dropped(state, preempt) {
    const gone = new Set(preempt);
    return { ...state, cache: state.cache.map((size, i) => (gone.has(i) ? 0 : size)), ready: state.ready.map((is, i) => is && !gone.has(i)) };
  },

  /* A limit that a batch exceeds: of its tokens, of seats, or of KV blocks at its end. */
  excess(level, state, move) {
    const { running_requests, batch_tokens } = level.limits, { p, d, cache } = this.effect(level, state, move);
    if (!within(p + d, batch_tokens)) return { why: "batch-tokens", found: p + d, most: batch_tokens };
    const seats = cache.filter(size => size).length;
    if (!within(seats, running_requests)) return { why: "seats", found: seats, most: running_requests };
    const held = this.inBlocks(level, cache), capacity = Math.floor(level.capacity / level.limits.kv_block) * level.limits.kv_block;
    return held > capacity ? { why: "kv", held, capacity, over: held - capacity, cache } : null;
  },
  inBlocks(level, cache) {
    const block = level.limits.kv_block;
    return block * total(cache.map(size => Math.ceil(size / block)));
  },

  /* The batch that is run if nothing is chosen: a token of all that run, as far as they fit. */
  draft(level, state) {
    return this.withTokens(level, state, { what: "batch", prefill: [], decode: [], preempt: [] });
  },
  withTokens(level, state, move) {
    for (const i of this.running(level, state)) {
      const more = { ...move, decode: [...move.decode, i] };
      if (!move.preempt.includes(i) && !this.batchRefusal(level, state, more)) move = more;
    }
    return move;
  },

  /* A draft with a request taken in, with a chunk as large as fits, or out. */
  toggled(level, state, move, i) {
    if (move.decode.includes(i)) return { ...move, decode: move.decode.filter(j => j !== i) };
    if (move.prefill.some(([j]) => j === i)) return { ...move, prefill: move.prefill.filter(([j]) => j !== i) };
    if (state.ready[i] && !move.preempt.includes(i)) return { ...move, decode: [...move.decode, i] };
    return this.resized(level, state, move, i, Infinity);
  },

  /* A draft with a chunk of another size, as near as the rules allow; none becomes a chunk of 1. */
  resized(level, state, move, i, size) {
    const left = this.left(level, this.dropped(state, move.preempt), i);
    const others = move.prefill.filter(([j]) => j !== i), wants = Math.max(1, Math.min(size, left));
    const made = chunk => ({ ...move, prefill: [...others, [i, chunk]] });
    if (!level.limits.chunked_prefill) return made(left);
    let low = 1, high = wants;
    while (low < high) {
      const half = Math.ceil((low + high) / 2);
      if (this.excess(level, state, made(half))) high = half - 1; else low = half;
    }
    return made(low);
  },

  /* A draft in which a cache is dropped, or kept after all. */
  withDrop(level, state, move, i) {
    const out = { ...move, decode: move.decode.filter(j => j !== i), prefill: move.prefill.filter(([j]) => j !== i) };
    if (!move.preempt.includes(i)) return { ...out, preempt: [...move.preempt, i] };
    return { ...out, preempt: move.preempt.filter(j => j !== i) };
  },

  /* The next move of a simple rule: tokens of all that run, prompts in an order up to `most` tokens
     beside them; who began last is dropped where not even one can go on. A request is let in only
     where those that are in, and it, fit to their ends. */
  styles: [Infinity, 8, 3, 1, 0],
  ruled(level, state, order, most) {
    let move = this.draft(level, state);
    const inside = new Set(this.select(level, i => state.cache[i]));
    const ends = () => this.inBlocks(level, [...inside].map(i => level.requests[i].prompt + level.requests[i].output - 1));
    let room = most;
    for (const i of order.filter(i => state.done[i] === null && !state.ready[i] && level.requests[i].arrival <= state.t)) {
      if (!inside.has(i)) {
        inside.add(i);
        if (ends() > level.capacity && inside.size > 1) { inside.delete(i); continue; }
      }
      const rest = total(move.prefill.map(([, chunk]) => chunk)), size = most === 0 ? Infinity : room - rest;
      if (most === 0 ? move.decode.length : size <= 0) continue;
      const more = this.resized(level, state, move, i, level.limits.chunked_prefill ? size : Infinity);
      if (!this.batchRefusal(level, state, more)) move = more;
    }
    if (move.decode.length + move.prefill.length) return move;
    const held = this.select(level, i => state.cache[i]);
    if (!held.length) return { what: "wait" };
    const last = held[held.length - 1];
    for (const i of held.filter(j => held.length === 1 || j !== last)) {
      const drop = held.length === 1 ? [] : [last], free = { what: "batch", prefill: [], decode: [], preempt: drop };
      const next = state.ready[i] ? this.withTokens(level, state, free) : this.resized(level, state, free, i, Infinity);
      if (!this.batchRefusal(level, state, next)) return next;
    }
    const others = held.slice(1), alone = { what: "batch", prefill: [], decode: [], preempt: others };
    return state.ready[held[0]] ? { ...alone, decode: [held[0]] } : this.resized(level, state, alone, held[0], Infinity);
  },

  /* Tokens that may be read in chunks of any size. */
  chunkable(level, state, left) {
    return level.limits.chunked_prefill ? total(left.map(i => (state.ready[i] ? 0 : this.left(level, state, i)))) : 0;
  },

  /* What a request may do in a batch: rest, a token, or a chunk, with its cache kept or dropped. */
  parts(level, state, i) {
    if (state.done[i] !== null) return [{}];
    const found = [{}], chunks = (left, drop) => {
      for (let chunk = level.limits.chunked_prefill ? 1 : left; chunk <= left; chunk++) found.push({ chunk, drop });
    };
    if (state.ready[i]) found.push({ token: true });
    else chunks(this.left(level, state, i), false);
    if (state.cache[i]) {
      found.push({ drop: true });
      chunks(level.requests[i].prompt + state.tokens[i], true);
    }
    return found;
  },

  /* All batches from a state, in which requests still to come may be; null for what is refused. */
  *choices(level, state) {
    const parts = level.requests.map((_, i) => this.parts(level, state, i)), budget = level.limits.batch_tokens ?? Infinity;
    const self = this;
    function* from(i, move, used) {
      if (i === parts.length) {
        const start = Math.max(state.t, ...move.prefill.map(([j]) => level.requests[j].arrival));
        yield used && !self.excess(level, state, move) ? { start, ...move } : null;
        return;
      }
      for (const { chunk = 0, token = false, drop = false } of parts[i]) {
        const size = chunk + (token ? 1 : 0);
        if (used + size > budget) continue;
        yield* from(i + 1, {
          prefill: chunk ? [...move.prefill, [i, chunk]] : move.prefill,
          decode: token ? [...move.decode, i] : move.decode,
          preempt: drop ? [...move.preempt, i] : move.preempt,
        }, used + size);
      }
    }
    yield* from(0, { prefill: [], decode: [], preempt: [] }, 0);
  },

  /* Least work and least batches that a request still needs: tokens are made one by one, by a token
     job or, where that is less, by reading everything again. */
  needs(level, state, i) {
    const { law, limits } = level, { prompt, output } = level.requests[i], g = state.tokens[i];
    const budget = limits.batch_tokens ?? Infinity, intercept = Math.min(law.token, law.prompt);
    let work = 0, own = 0, batches = 0, units = 0, from = g;
    if (!state.ready[i]) {
      const left = this.left(level, state, i);
      work += law.per_prompt_token * left;
      batches += Math.ceil(left / budget) || 1;
      own += work + intercept * batches;
      units += left;
      from += 1;
    }
    for (let k = from; k < output; k++) {
      const read = prompt + k, token = law.per_token_job + law.per_kv_token * read, again = law.per_prompt_token * read;
      work += Math.min(token, again);
      own += Math.min(law.token + token, intercept + again);
      batches += 1;
      units += 1;
    }
    return { work, own, batches, units };
  },
  alone(level, state, i) {
    return Math.ceil(this.needs(level, state, i).own / level.law.divisor);
  },
  together(level, state, left) {
    const { law, limits } = level, needs = left.map(i => this.needs(level, state, i));
    const sorted = key => needs.map(each => each[key]).sort((a, b) => a - b);
    const works = sorted("work"), batches = sorted("batches"), units = sorted("units"), intercept = Math.min(law.token, law.prompt);
    let work = 0, unit = 0;
    return left.map((_, k) => {
      work += works[k];
      unit += units[k];
      const runs = Math.max(batches[k], Math.ceil(unit / (limits.batch_tokens ?? Infinity)));
      return Math.ceil((intercept * runs + work) / law.divisor);
    });
  },
};
