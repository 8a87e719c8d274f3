"use strict";
/* What the page says and shows of the regimes with batches: the next batch is put together, and
   run. `draft` is this batch; it is no move until it runs. */

let draft = null;

const empty = move => !move.prefill.length && !move.decode.length;

const BATCH_DESK = {
  go: "Run batch",
  event: "Next event",
  queue: "Prompts that wait: press to read them in the next batch",

  /* Why a batch, or waiting, is refused, in one sentence each. */
  reason(refused) {
    const { level, knows } = play, { why, i, found, most } = refused;
    const held = cache => cache.flatMap((size, j) => (size ? [`${id(j)} ${size}`] : []));
    return {
      empty: () => "The next batch holds nothing: press a request, or wait.",
      unknown: () => "There is no such request.",
      arrival: () => (knows === "all" ? `${id(i)} arrives only at ${clockText(refused.at)}.` : "There is no such request yet."),
      complete: () => `${id(i)} is complete already.`,
      twice: () => `${id(i)} is in the batch already.`,
      kinds: () => "A batch holds prompts or tokens, not both.",
      read: () => `The prompt of ${id(i)} is read already.`,
      unread: () => `The prompt of ${id(i)} is not read yet.`,
      whole: () => "Prompts are not read in parts.",
      part: () => `The prompt of ${id(i)} has ${count(most, "token")} left, not ${found}.`,
      preempt: () => `${id(i)} holds no cache that could be dropped.`,
      "prompt-requests": () => `A prompt batch holds at most ${count(most, "request")}, this one would hold ${found}.`,
      "prompt-tokens": () => `A prompt batch reads at most ${count(most, "token")}, this one would read ${found}.`,
      "token-requests": () => `A token batch holds at most ${count(most, "request")}, this one would hold ${found}.`,
      "batch-tokens": () => `A batch has at most ${count(most, "token")}, this one would have ${found}.${level.limits.chunked_prefill ? " A smaller chunk of a prompt makes room." : ""}`,
      seats: () => `At most ${count(most, "request")} may hold a cache at once, here ${found} would.`,
      kv: () => `At the end of this batch the cache would hold ${refused.held} of ${refused.capacity ?? level.capacity} tokens, ${refused.over} too many: ${listOf(held(refused.cache))}.`,
      stuck: () => `Afterwards ${listOf(refused.stuck.map(id))} could never be completed: caches only grow, and nothing is dropped here. In the end they need more than the ${level.capacity} tokens, whoever goes first.`,
      "nothing-comes": () => "Nothing more arrives: there is nothing to wait for.",
    }[why]();
  },

  /* What a batch holds, in words. */
  batchText({ prefill, decode, preempt = [] }) {
    const { level } = play, parts = [];
    const whole = ([i, chunk]) => (chunk === level.requests[i].prompt ? id(i) : `${id(i)} (${count(chunk, "token")})`);
    if (prefill.length) parts.push(`${prefill.length === 1 ? "prompt" : "prompts"} of ${listOf(prefill.map(whole))}`);
    if (decode.length) parts.push(`tokens of ${listOf(decode.map(id))}`);
    return parts.join(" and ") + (preempt.length ? `, the cache of ${listOf(preempt.map(id))} dropped` : "");
  },
  moveText(move, before) {
    if (move.what === "batch") return `at ${clockText(move.t)}, ${this.batchText(move)}`;
    const waiting = play.rules.waiting(play.level, before);
    return `at ${clockText(move.t)}, wait for the next arrival${waiting.length ? ` while ${listOf(waiting.map(id))} ${waiting.length === 1 ? "waits" : "wait"}` : ""}`;
  },
  moveName(move) {
    return move.what === "batch" ? "This batch" : "Waiting";
  },
  chosen(move, before) {
    return play.rules.waiting(play.level, before).length > 0 || (move.what === "batch" && play.rules.running(play.level, before).length > move.decode.length);
  },

  begin() {
    draft = play.rules.draft(play.level, play.state, play.hidden);
  },

  /* Take a request into the next batch, or out of it. */
  press(i) {
    const { level, state, rules, hidden } = play, each = level.requests[i];
    const here = state.ready[i] || rules.waiting(level, state).includes(i);
    if (!here) {
      const why = state.done[i] === null ? { why: "arrival", i, at: each.arrival } : { why: "complete", i };
      say([made("b", {}, `${id(i)} cannot be chosen. `), this.reason(why)], true);
      return;
    }
    const before = draft, next = rules.toggled(level, state, draft, i, hidden);
    const refused = empty(next) ? null : rules.refusal(level, state, next, hidden);
    const added = next.decode.includes(i) || next.prefill.some(([j]) => j === i);
    if (refused && added) { say([made("b", {}, `${id(i)} does not fit into this batch. `), this.reason(refused)], true); return; }
    this.drafted(next, before);
  },

  /* Show another draft. */
  drafted(next, before) {
    draft = next;
    if (this.key(draft) === this.key(before)) return;
    render();
    const refused = play.refusal(draft);
    say([`Next batch: ${this.draftText()}`, ...(refused && !empty(draft) ? [" ", made("b", {}, this.reason(refused))] : [])]);
  },
  key: move => BATCHES.key(move),

  draftText() {
    const { level, state, rules } = play;
    if (empty(draft)) return "nothing yet.";
    const { length, cache } = rules.effect(level, state, draft);
    return `${this.batchText(draft)}: ${spell(length)}, KV at its end ${total(cache)} of ${level.capacity}.`;
  },

  /* Run the next batch, once or until something happens; where nothing is here, wait. */
  run(toEvent) {
    const { level, state, rules } = play;
    if (!rules.running(level, state).length && !rules.waiting(level, state).length) { this.wait(); return; }
    const refused = play.refusal(draft);
    if (refused) { say([made("b", {}, "This batch cannot run. "), this.reason(refused)], true); return; }
    const from = state.t, happened = toEvent ? play.repeat(draft) : play.make(draft);
    const ran = play.state.batches.length - state.batches.length;
    this.begin();
    moved([`${ran === 1 ? "The batch has" : `${ran} batches have`} run, ${clockText(from)} to ${spell(play.state.t)}. `, ...news(happened)]);
  },

  wait() {
    if (play.over) return;
    const refused = play.refusal({ what: "wait" });
    if (refused) { say([made("b", {}, "No waiting. "), this.reason(refused)], true); return; }
    const happened = play.make({ what: "wait" });
    this.begin();
    moved([`It is ${spell(play.state.t)}. `, ...news(happened)]);
  },

  hint({ plan }) {
    const { move, wait } = play.rules.next(play.level, play.state, plan);
    if (wait === undefined) return `runs ${this.batchText(move)}.`;
    return play.knows === "all" ? `waits until ${clockText(wait)}, then runs ${this.batchText(plan[play.state.batches.length])}.` : "waits.";
  },
  countable: () => true,

  opening(waiting) {
    return `Time ${clockText(play.state.t)}: ${listOf(waiting.map(id))} ${waiting.length === 1 ? "waits" : "wait"}. Press those whose prompts the next batch shall read, then Run batch.`;
  },

  clock() {
    const { level, state, rules } = play;
    return [
      made("b", {}, `${play.over ? "Finished at" : "Time"} ${spell(state.t)}`),
      ` · total latency so far ${num(rules.latency(level, state, state.t))}`,
      play.over ? "" : ` · KV ${rules.held(level, state)} of ${level.capacity} tokens`,
      play.over ? "" : made("span", { id: "draft" }, `Next batch: ${this.draftText()}`),
    ];
  },

  horizon() {
    const { level, state, rules, knows } = play, length = empty(draft) ? 0 : rules.effect(level, state, draft).length;
    const first = rules.first(level).t, best = this.whole(level, level.best).t;
    const least = knows === "all" ? first + Math.ceil(1.15 * (best - first)) : first + 8 * rules.time(level, 0, 1, 1);
    return Math.max(least, state.t + 1.15 * length);
  },
  label() {
    const { level, state, rules } = play, running = rules.running(level, state);
    return `KV cache at ${spell(state.t)}: ${running.length ? `${listOf(running.map(id))} ${running.length === 1 ? "runs" : "run"}` : "nothing runs"}, ${rules.held(level, state)} of ${level.capacity} tokens held. The same is in the table below.`;
  },

  renderDesk(waiting) {
    const { level, state, rules, hidden } = play, running = rules.running(level, state);
    fill("waiting", waiting.map(i => this.waitingCard(i)), play.over ? "All are done." : "No prompt waits.");
    const cards = running.map(i => {
      const { prompt, output } = level.requests[i], inside = draft.decode.includes(i);
      const small = `${inside ? "in the next batch" : draft.preempt.includes(i) ? "dropped" : "rests"}; holds ${count(state.cache[i], "KV token")}`;
      return card(i, { inside, fits: true, text: `token ${state.tokens[i] + 1} of ${hidden ? "?" : output}, prompt ${prompt}`, small, more: this.dropButton(i) });
    });
    fill("running", cards, "Nothing runs.");
    $("wait").disabled = play.over;
  },

  waitingCard(i) {
    const { level, state, rules, hidden } = play, { arrival, prompt, output } = level.requests[i];
    const chunk = draft.prefill.find(([j]) => j === i), left = prompt + state.tokens[i] - state.cache[i];
    const refused = chunk ? null : rules.refusal(level, state, rules.toggled(level, state, draft, i, hidden), hidden);
    const waits = state.t > arrival ? `here for ${spell(state.t - arrival)}` : "has just arrived";
    const fits = chunk ? (chunk[1] < left ? `${chunk[1]} of ${left} in the next batch` : "in the next batch") : refused ? BRIEF[refused.why] : "fits";
    const read = left === prompt ? `prompt ${prompt}` : `prompt: ${left} left`;
    return card(i, { inside: Boolean(chunk), fits: !refused, text: `${read}, output ${hidden ? "?" : output}`, small: `${fits}; ${waits}`, more: this.sizeButtons(i) });
  },

  /* What else can be done with a request: under separate batching nothing. */
  dropButton: () => null,
  sizeButtons: () => null,

  heads: ["request", "arrival", "prompt", "output", "tokens", "KV held", "state", "end", "latency"],
  cells(i) {
    const { level, state, hidden } = play, each = level.requests[i], end = state.done[i];
    const status = end !== null ? "complete" : each.arrival > state.t ? "to come" : state.ready[i] ? "running" : "waiting";
    return [clockText(each.arrival), each.prompt, hidden && end === null ? "?" : each.output, state.tokens[i], state.cache[i], status,
      end === null ? "" : clockText(end), end === null ? "" : num(end - each.arrival)];
  },
  account() {
    const { batches } = play.state, shown = batches.slice(-40);
    return batches.length ? `Batches: ${shown.map(each => `${clockText(each.start)} to ${clockText(each.end)} ${this.batchText(each)}`).join("; ")}.` : "No batch has run.";
  },

  whole: (level, { batches }) => REGIMES[level.regime].played(level, batches),

  /* What a picture shows of a state: columns between ends of batches, bars by request, the GPU's
     batches, and what the next batch would hold. */
  drawing(level, state, { t, ghost = null }) {
    const rules = REGIMES[level.regime], columns = [], bars = level.requests.map(() => []), lives = level.requests.map(() => 0);
    const begun = level.requests.map(() => null);
    let now = rules.first(level);
    const column = (a, b, cache) => {
      if (b > a) columns.push({ a, b, parts: cache.flatMap((tokens, i) => (tokens ? [{ key: `${i}/${lives[i]}`, i, lost: false, tokens }] : [])) });
    };
    const resting = (a, b, held, member = () => false) => held.forEach((tokens, i) => { if (tokens && b > a && !member(i)) bars[i].push({ a, b, kind: "rest" }); });
    for (const batch of state.batches) {
      column(now.t, batch.start, now.cache);
      resting(now.t, batch.start, now.cache);
      const { cache } = rules.effect(level, now, batch), read = new Set(batch.prefill.map(([i]) => i));
      for (const i of batch.preempt) lives[i]++;
      column(batch.start, batch.end, cache);
      for (const [i, kind] of [...[...read].map(i => [i, "read"]), ...batch.decode.map(i => [i, "run"])]) {
        bars[i].push({ a: batch.start, b: batch.end, kind });
        begun[i] ??= batch.start;
      }
      resting(batch.start, batch.end, cache, i => read.has(i) || batch.decode.includes(i));
      now = rules.after(level, { ...now, t: batch.start }, { what: "batch", ...batch }).state;
      now.done.forEach((end, i) => { if (end === now.t) lives[i]++; });
    }
    column(now.t, state.t, now.cache);
    resting(now.t, state.t, now.cache);
    return {
      columns, bars,
      waits: level.requests.map(({ arrival }, i) => [arrival, begun[i] ?? Math.max(arrival, Math.min(t, state.t)), begun[i] === null]),
      batches: state.batches.map(({ start, end, prefill, decode }) => ({ a: start, b: end, prompts: prefill.length > 0, tokens: decode.length > 0 })),
      ghosts: ghost === null ? [] : this.shadows(level, state, ghost),
    };
  },

  /* What the caches would hold at the end of the next batch. */
  shadows(level, state, move) {
    if (empty(move)) return [];
    const { length, cache } = REGIMES[level.regime].effect(level, state, move), found = [];
    let low = 0;
    cache.forEach((tokens, i) => {
      if (tokens) found.push({ i, pieces: [{ a: state.t, b: state.t + length, low, high: low + tokens }] });
      low += tokens;
    });
    return found;
  },
};

/* Why a prompt does not fit, on its card. */
const BRIEF = {
  "prompt-requests": "no place in this batch", "prompt-tokens": "too long for this batch", "batch-tokens": "too long for this batch",
  seats: "no seat", kv: "would overflow", stuck: "would never end",
};
