"use strict";
/* The least total latency that can still be reached from a state of mixed batching.

   A search over round boundaries. A node is a set of started requests with the KV tokens that they
   hold in each later round, and the sum of their starts. From each, every set of waiting requests
   that fits starts, or none. A node is dropped if
   - its starts so far and a lower bound on the rest are not below the best known schedule, or
   - another node of its boundary has started the same requests, holds no more tokens in any later
     round, and has paid no more: whatever continues this node continues that one.
   The lower bound: when k of the requests left have been completed, they have held at least the
   tokens of the k smallest, summed over rounds, within what the running requests leave of the
   capacity; and k of the earliest possible ends have passed.

   Nothing else cuts the search, so its result is exact unless it runs out of work. */

const volume = each => each.prompt * each.output + (each.output * (each.output + 1)) / 2;
const latencyOf = (level, start) =>
  level.requests.reduce((sum, each, i) => sum + start[i] + each.output - each.arrival, 0);
const unstarted = state => state.start.flatMap((k, i) => (k === null ? [i] : []));

/* Most requests left that the search takes: sets of them are bits of a number. */
const MOST_LEFT = 30;

/* How much work a search may take: up to 12 requests are nearly always searched to the end, in
   about a second at most; more hardly ever are, and little work gives nearly the same bound. */
const workOf = left => (left <= 12 ? 1e6 : 5e3);

/* KV tokens that the started requests hold in the rounds after the state's time. */
function heldAfter(level, state) {
  const held = [];
  level.requests.forEach(({ prompt, output }, i) => {
    const k = state.start[i];
    if (k === null) return;
    for (let r = Math.max(k, state.t) + 1; r <= k + output; r++) {
      held[r - state.t - 1] = (held[r - state.t - 1] || 0) + prompt + r - k;
    }
  });
  return Array.from(held, x => x || 0);
}

/* Put the requests left, in an order, each at the first boundary where it fits. */
function listed(level, state, order) {
  const start = [...state.start], capacity = level.capacity, held = heldAfter(level, state), t = state.t;
  for (const i of order) {
    const { arrival, prompt, output } = level.requests[i];
    let k = Math.max(arrival, t);
    for (let r = k + output; r > k; r--) {
      const over = (held[r - t - 1] || 0) + prompt + r - k - capacity;
      if (over > 0) { k = Math.min(r, k + over); r = k + output + 1; } // a later start holds less in r
    }
    for (let r = k + 1; r <= k + output; r++) held[r - t - 1] = (held[r - t - 1] || 0) + prompt + r - k;
    start[i] = k;
  }
  return start;
}

/* A good schedule: orders by size, and moves in them while they help. */
function goodSchedule(level, state, trials = 2000) {
  const left = unstarted(state), each = i => level.requests[i];
  const keys = [
    i => each(i).output, i => volume(each(i)), i => each(i).arrival,
    i => each(i).output + each(i).prompt, i => each(i).arrival + each(i).output,
  ];
  let best = null;
  for (const key of keys) {
    let order = [...left].sort((a, b) => key(a) - key(b) || a - b), start = listed(level, state, order);
    let value = latencyOf(level, start), better = true;
    while (better) {
      better = false;
      for (let a = 0; a < order.length; a++) {
        for (let b = 0; b < order.length && trials > 0; b++) {
          if (a === b) continue;
          const moved = [...order];
          moved.splice(b, 0, ...moved.splice(a, 1));
          const found = listed(level, state, moved), cost = latencyOf(level, found);
          trials--;
          if (cost < value) { order = moved; start = found; value = cost; better = true; }
        }
      }
    }
    if (!best || value < best.value) best = { start, value };
  }
  return best;
}

/* A lower bound on the sum of starts of some requests from boundary t on, `held` being taken. */
function leastStarts(level, t, byVolume, held) {
  const ends = byVolume.map(each => Math.max(t, each.arrival) + each.output).sort((a, b) => a - b);
  let at = 0, room = 0, needed = 0, sum = 0;
  byVolume.forEach((each, k) => {
    needed += volume(each);
    while (room < needed) room += level.capacity - (held[at++] || 0);
    sum += Math.max(t + at, ends[k]) - each.output;
  });
  return sum;
}

/* Whether tokens are nowhere more. */
function below(a, b) {
  for (let r = 0; r < a.length; r++) if (a[r] > (b[r] || 0)) return false;
  return true;
}

/* Add a node to those of its boundary, unless one of them is as good. */
function keep(layer, node) {
  const alike = layer.get(node.begun) || [];
  if (alike.some(each => each.paid <= node.paid && below(each.held, node.held))) return;
  const worse = each => node.paid <= each.paid && below(node.held, each.held);
  layer.set(node.begun, [...alike.filter(each => !worse(each)), node]);
}

/* Call `found` with every set of requests that can start beside `held`, as it is afterwards. */
function everySet(level, able, held, found, position = 0, chosen = []) {
  if (position === able.length) return found(chosen, held);
  const { prompt, output } = level.requests[able[position]], grown = [...held];
  let fits = true;
  for (let r = 0; r < output && fits; r++) {
    grown[r] = (grown[r] || 0) + prompt + r + 1;
    fits = grown[r] <= level.capacity;
  }
  if (fits) everySet(level, able, grown, found, position + 1, [...chosen, able[position]]);
  return everySet(level, able, held, found, position + 1, chosen);
}

/* { value, bound, start, proved, work }: total latency of the best schedule that continues a state,
   a lower bound on that of all, its starts, whether both are equal, and the work that it took.

   `floor` is a lower bound that is known already; a schedule of that value ends the search. */
function search(level, state, { floor = -Infinity, most = workOf(unstarted(state).length) } = {}) {
  const left = unstarted(state), best = goodSchedule(level, state);
  const fixed = latencyOf(level, state.start.map(k => k ?? 0)), held = heldAfter(level, state);
  const byVolume = left.map(i => level.requests[i]).sort((a, b) => volume(a) - volume(b));
  const least = Math.max(floor, fixed + leastStarts(level, state.t, byVolume, held));
  if (best.value === least || left.length > MOST_LEFT) {
    return { ...best, bound: least, proved: best.value === least, work: 0 };
  }
  const order = [...left].sort((a, b) => volume(level.requests[a]) - volume(level.requests[b]));
  const all = 2 ** left.length - 1;
  let top = best.value - fixed, open = Infinity, work = 0, winner = null;
  let layer = new Map([[0, [{ begun: 0, held, paid: 0, from: null, at: state.t, chosen: [] }]]]);
  for (let t = state.t; layer.size; t++) {
    const next = new Map();
    for (const node of [...layer.values()].flat()) {
      const missing = order.filter(i => !(node.begun & (1 << left.indexOf(i))));
      const bound = node.paid + leastStarts(level, t, missing.map(i => level.requests[i]), node.held);
      if (bound >= top) continue;
      if (work >= most) { open = Math.min(open, bound); continue; }
      const able = missing.filter(i => level.requests[i].arrival <= t);
      everySet(level, able, node.held, (chosen, after) => {
        work += 1 + after.length / 16;
        const begun = chosen.reduce((set, i) => set | (1 << left.indexOf(i)), node.begun);
        const paid = node.paid + chosen.length * t;
        const made = { begun, held: after.slice(1), paid, from: node, at: t, chosen };
        if (begun !== all) keep(next, made);
        else if (paid < top) { top = paid; winner = made; }
      });
    }
    layer = next;
  }
  const start = winner ? [...state.start] : best.start;
  for (let each = winner; each; each = each.from) for (const i of each.chosen) start[i] = each.at;
  const value = top + fixed, bound = Math.max(least, Math.min(value, open + fixed));
  return { value, bound, start, proved: bound === value, work: Math.round(work) };
}

MIXED.search = search;
