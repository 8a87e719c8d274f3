"use strict";
/* A game in play: its states, and what each move cost. No code here knows of a page. */

/* Keys of requests: letters, the identifier itself where it is one. */
function keysOf(level) {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"], ids = level.requests.map(each => each.id.toLowerCase());
  if (ids.every(id => letters.includes(id)) && new Set(ids).size === ids.length) return ids;
  return ids.map((_, i) => letters[i] || "");
}

/* A level as it is played: moves, the states between them, and the least that each still allows. */
class Play {
  constructor(level, knows) {
    this.level = level;
    this.knows = knows;
    this.rules = REGIMES[level.regime];
    this.hidden = knows === "prompts";
    this.states = [this.rules.first(level)];
    this.moves = [];
    const { value, bound, start } = level.best;
    this.values = [{ value, bound, start, proved: value === bound }];
    this.hints = 0;
    this.peeked = false; // whether the player went back after seeing what was hidden
  }

  get state() { return this.states[this.states.length - 1]; }
  get over() { return this.rules.decided(this.level, this.state, this.hidden); }
  refusal(i) { return this.rules.refusal(this.level, this.state, i, this.hidden); }

  /* Start a request: null, or why it is refused. */
  begin(i) {
    const refused = this.refusal(i);
    if (refused) return refused;
    const after = this.rules.begin(this.level, this.state, i, this.hidden);
    this.add({ what: "start", i, t: this.state.t, first: true }, after);
    return null;
  }

  /* One round later; returns what happened. A move is undone from its `first` part on. */
  round(first = true) {
    const happened = this.rules.advance(this.level, this.state, this.hidden);
    this.add({ what: "next", t: this.state.t, first, ...happened, state: undefined }, happened.state);
    return happened;
  }

  /* On to the next arrival, completion or eviction. */
  event() {
    let happened = this.round();
    while (!this.over && ![happened.arrived, happened.completed, happened.evicted].some(each => each.length)) {
      happened = this.round(false);
    }
    return happened;
  }

  /* To the end, when nothing is left to decide. */
  finish() {
    while (this.state.t < this.rules.end(this.level, this.state)) this.round(false);
  }

  add(move, state) {
    this.moves.push(move);
    this.states.push(state);
  }

  /* The move that an undo would take back, or null: what has been seen cannot be unseen. */
  undoable() {
    const move = this.moves.findLast(each => each.first);
    if (!move) return null;
    const shown = this.knows !== "all" && this.moves.slice(this.moves.indexOf(move)).some(each => each.what === "next");
    return shown && !this.over ? null : move;
  }

  undo(move = this.undoable()) {
    const position = this.moves.indexOf(move);
    this.peeked ||= this.over && this.knows !== "all";
    for (const list of [this.states, this.values]) list.length = Math.min(list.length, position + 1);
    this.moves.length = position;
  }

  /* The best that can still be reached after the first j moves. */
  value(j) {
    for (let m = this.values.length; m <= j; m++) {
      const before = this.values[m - 1], move = this.moves[m - 1], state = this.states[m];
      this.values[m] = this.rules.follows(before.start, move, state) ? before
        : this.rules.search(this.level, state, { floor: before.bound });
    }
    return this.values[j];
  }

  /* What the moves from j (counted from 0) up to m cost: between `low` and `high`, and `changes`
     of the best plan: [request, rounds later]. */
  cost(j, m = j + 1) {
    const before = this.value(j), after = this.value(m);
    const low = Math.max(0, after.bound - before.value), high = Math.max(0, after.value - before.bound);
    const changes = after.start.map((k, i) => [i, k - before.start[i]]).filter(([, later]) => later !== 0);
    return { low, high: before === after ? 0 : high, changes: changes.sort((a, b) => b[1] - a[1]), after };
  }

  /* Total latency of the finished game. */
  total() { return this.rules.latency(this.level, this.state); }
}
