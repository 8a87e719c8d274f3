"use strict";
/* The least total latency that can still be reached from a state of a regime with batches.

   Best first, over all sequences of batches of which each starts as early as it can: when the last
   one ends, or when the last of its requests arrives. Starting batches earlier changes nothing
   else, so no schedule is lost. A node is dropped if another one with the same tokens and caches
   is not later and has paid no more, or if its bound is not below the best known schedule.

   The bound: each request left takes at least its time alone; and until k of them are completed,
   some batches must have run, with at least the work of the k smallest. */

/* How much work a search may take: about a second. Of more requests, or of longer prompts that may
   be read in chunks, it would hardly see the beginning. */
const MOST_WORK = 6e4, MOST_SEARCHED = 9, MOST_CHUNKED = 40;

function workFor(rules, level, state) {
  const left = rules.select(level, i => state.done[i] === null);
  return left.length > MOST_SEARCHED || rules.chunkable(level, state, left) > MOST_CHUNKED ? 0 : MOST_WORK;
}

/* All sets of some members but the empty one, large ones first. */
function* subsets(members) {
  for (let set = 2 ** members.length - 1; set > 0; set--) yield members.filter((_, k) => set & (1 << k));
}

/* What has been completed, and a lower bound on what is left. */
function boundOf(rules, level, state) {
  const left = rules.select(level, i => state.done[i] === null);
  const paid = total(level.requests.map((each, i) => (state.done[i] === null ? -each.arrival : state.done[i] - each.arrival)));
  const begins = i => (state.tokens[i] || state.cache[i] ? state.t : Math.max(state.t, level.requests[i].arrival));
  const alone = left.map(i => begins(i) + rules.alone(level, state, i)).sort((a, b) => a - b);
  const together = rules.together(level, state, left);
  return paid + total(alone.map((end, k) => Math.max(end, state.t + together[k])));
}

/* The state after a batch that is known to be allowed. */
function ran(rules, level, state, batch) {
  const { length, cache, tokens, ready } = rules.effect(level, state, batch), t = batch.start + length, done = [...state.done];
  tokens.forEach((g, i) => {
    if (g < level.requests[i].output || done[i] !== null) return;
    done[i] = t;
    cache[i] = 0;
    ready[i] = false;
  });
  return { t, tokens, cache, ready, done };
}

/* A heap of nodes, least bound first, and among these the one with most tokens. */
class Heap {
  constructor() { this.items = []; }
  before(a, b) { return a.bound < b.bound || (a.bound === b.bound && a.depth > b.depth); }
  push(node) {
    let k = this.items.push(node) - 1;
    for (let up; k && this.before(node, this.items[(up = (k - 1) >> 1)]); k = up) this.items[k] = this.items[up];
    this.items[k] = node;
  }
  pop() {
    const [top] = this.items, last = this.items.pop(), n = this.items.length;
    if (!n) return top;
    let k = 0;
    for (let down = 1; down < n; down = 2 * k + 1) {
      if (down + 1 < n && this.before(this.items[down + 1], this.items[down])) down++;
      if (!this.before(this.items[down], last)) break;
      this.items[k] = this.items[down];
      k = down;
    }
    this.items[k] = last;
    return top;
  }
}

/* Schedules by simple rules: orders of requests, and prompts first, late, or few at a time. */
function ruled(rules, level, state) {
  const each = i => level.requests[i], keys = [
    i => each(i).arrival, i => each(i).output, i => each(i).prompt, i => each(i).prompt + each(i).output,
    i => each(i).prompt * each(i).output + (each(i).output * (each(i).output + 1)) / 2,
  ];
  let best = null;
  for (const key of keys) {
    const order = level.requests.map((_, i) => i).sort((a, b) => key(a) - key(b) || a - b);
    for (const style of rules.styles) {
      let now = state, moves = 0;
      while (now && !rules.decided(level, now)) {
        const move = rules.ruled(level, now, order, style);
        now = moves++ < 20000 && !rules.refusal(level, now, move) ? rules.after(level, now, move).state : null;
      }
      const value = now && rules.latency(level, now);
      if (now && (!best || value < best.value)) best = { value, batches: now.batches };
    }
  }
  return best;
}

/* { value, bound, batches, proved, work }: as the search of mixed batching, with the batches of
   the best schedule from the level's start on. */
function batchSearch(rules, level, state, { floor = -Infinity, most = workFor(rules, level, state) } = {}) {
  const best = ruled(rules, level, state), least = Math.max(floor, boundOf(rules, level, state));
  const answer = (value, bound, batches, work) => ({ value, bound, batches, proved: bound === value, work });
  if (best.value <= least || most === 0) return answer(best.value, Math.min(best.value, least), best.batches, 0);
  const heap = new Heap(), seen = new Map(), root = { state, bound: least, depth: 0, from: null, batch: null };
  let top = best.value, winner = null, work = 0;
  heap.push(root);
  while (heap.items.length) {
    const node = heap.pop();
    if (node.bound >= top) break;
    if (node.beaten) continue;
    for (const batch of rules.choices(level, node.state)) {
      if (work++ >= most) return answer(top, Math.max(least, node.bound), batchesOf(winner, state) || best.batches, work);
      if (!batch) continue;
      const after = ran(rules, level, node.state, batch), bound = Math.max(node.bound, boundOf(rules, level, after));
      if (bound >= top) continue;
      const made = { state: after, bound, depth: node.depth + 1, from: node, batch, paid: paidOf(level, after) };
      if (after.done.every(end => end !== null)) { top = bound; winner = made; continue; }
      const key = `${after.tokens}|${after.cache}|${after.ready.map(Number)}`, alike = seen.get(key) || [];
      if (alike.some(other => other.state.t <= after.t && other.paid <= made.paid)) continue;
      seen.set(key, [...alike.filter(other => {
        const worse = after.t <= other.state.t && made.paid <= other.paid;
        other.beaten ||= worse;
        return !worse;
      }), made]);
      heap.push(made);
    }
  }
  return answer(top, top, batchesOf(winner, state) || best.batches, work);
}

const paidOf = (level, state) => total(level.requests.map((each, i) => (state.done[i] === null ? 0 : state.done[i] - each.arrival)));

/* The batches of a node from the level's start on, as states have them. */
function batchesOf(node, state) {
  if (!node) return null;
  const found = [];
  for (let each = node; each.from; each = each.from) found.push({ ...each.batch, end: each.state.t });
  return [...state.batches, ...found.reverse()];
}

SEPARATE.search = (level, state, options) => batchSearch(SEPARATE, level, state, options);
CONTINUOUS.search = (level, state, options) => batchSearch(CONTINUOUS, level, state, options);
