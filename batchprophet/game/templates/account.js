"use strict";
/* A game in play: its states, and what each move cost. No code here knows of a page.

   The rules of a regime say which moves there are. `refusal`, `after` and `again` take one; `plan`,
   `follows` and `completions` read schedules; `search` finds the least that is still in reach. */

const REGIMES = { mixed: MIXED, separate: SEPARATE, continuous: CONTINUOUS };

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
    const { value, bound } = level.best;
    this.values = [{ value, bound, plan: this.rules.plan(level.best), proved: value === bound }];
    this.hints = 0;
    this.peeked = false; // whether the player went back after seeing what was hidden
  }

  get state() { return this.states[this.states.length - 1]; }
  get over() { return this.rules.decided(this.level, this.state, this.hidden); }
  refusal(move) { return this.rules.refusal(this.level, this.state, move, this.hidden); }

  /* Make a move that the rules allow; returns what happened. A move is undone from its `first`
     part on. */
  make(move, first = true) {
    const { state, ...happened } = this.rules.after(this.level, this.state, move, this.hidden);
    this.moves.push({ ...move, t: this.state.t, first, ...happened });
    this.states.push(state);
    return happened;
  }

  /* The same move again and again, until a request arrives, is completed or is evicted. */
  repeat(move) {
    let happened = this.make(move), next = move;
    while (!this.over && ![happened.arrived, happened.completed, happened.evicted].some(each => each.length)) {
      next = this.rules.again(this.level, this.state, next, this.hidden);
      if (!next) break;
      happened = this.make(next, false);
    }
    return happened;
  }

  /* To the end, when nothing is left to decide. */
  finish() {
    while (this.state.t < this.rules.end(this.level, this.state)) this.make({ what: "next" }, false);
  }

  /* The move that an undo would take back, or null: what has been seen cannot be unseen. */
  undoable() {
    const move = this.moves.findLast(each => each.first);
    if (!move) return null;
    const shown = this.knows !== "all" && this.moves.slice(this.moves.indexOf(move)).some(each => each.what !== "start");
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
      this.values[m] = this.rules.follows(before.plan, move, state) ? before : this.found(state, before.bound);
    }
    return this.values[j];
  }

  found(state, floor) {
    const { value, bound, proved, ...schedule } = this.rules.search(this.level, state, { floor });
    return { value, bound, proved, plan: this.rules.plan(schedule) };
  }

  /* What the moves from j (counted from 0) up to m cost: between `low` and `high`, and `changes`
     of the best plan: [request, rounds later]. */
  cost(j, m = j + 1) {
    const before = this.value(j), after = this.value(m);
    const low = Math.max(0, after.bound - before.value), high = Math.max(0, after.value - before.bound);
    const ends = this.rules.completions(this.level, before.plan);
    const changes = this.rules.completions(this.level, after.plan).map((end, i) => [i, end - ends[i]]).filter(([, later]) => later !== 0);
    return { low, high: before === after ? 0 : high, changes: changes.sort((a, b) => b[1] - a[1]), after };
  }

  /* Total latency of the finished game. */
  total() { return this.rules.latency(this.level, this.state); }
}
