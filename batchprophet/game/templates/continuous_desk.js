"use strict";
/* What continuous batching has beside other regimes with batches: sizes of chunks, and caches that
   are dropped. */

const CONTINUOUS_DESK = {
  ...BATCH_DESK,
  queue: "Prompts that wait: press to read them, as much as fits",

  begin() {
    BATCH_DESK.begin();
    $("law").textContent = this.lawText(play.level.law);
  },
  lawText({ prompt, token, per_prompt_token, per_token_job, per_kv_token, divisor }) {
    if (divisor === 1) return "one round, whatever it holds";
    const ms = value => value / divisor / 1000, own = prompt === token ? "" : ` (${ms(prompt)} instead of ${ms(token)} without token jobs)`;
    return `${ms(token)} + ${ms(per_prompt_token)}·p + ${ms(per_token_job)}·d + ${ms(per_kv_token)}·kv milliseconds${own}, rounded up to whole microseconds`;
  },

  /* Why a size is what it is: the budget, in words. */
  draftText() {
    const { level, state, rules } = play, text = BATCH_DESK.draftText.call(this);
    if (empty(draft)) return text;
    const { p, d } = rules.effect(level, state, draft), budget = level.limits.batch_tokens;
    return budget === null ? text : `${text.slice(0, -1)}, ${p + d} of ${budget} tokens in the batch.`;
  },

  /* A chunk with more tokens, or less; the last chunk that was touched if no request is named. */
  resize(by, i = draft.prefill.length ? draft.prefill[draft.prefill.length - 1][0] : null) {
    const { level, state, rules } = play;
    if (i === null) { say(["No prompt is in the next batch."], true); return; }
    const now = draft.prefill.find(([j]) => j === i), size = now ? now[1] + by : 1;
    if (size < 1) { this.press(i); return; }
    const next = rules.resized(level, state, draft, i, size), before = draft;
    if (this.key(next) === this.key(before)) {
      const refused = rules.refusal(level, state, { ...draft, prefill: [...draft.prefill.filter(([j]) => j !== i), [i, size]] });
      say([made("b", {}, `The chunk of ${id(i)} stays as it is. `), refused ? this.reason(refused) : "Prompts are not read in parts."], true);
      return;
    }
    this.drafted(next, before);
  },

  drop(i) {
    const { level, state, rules } = play;
    this.drafted(rules.withDrop(level, state, draft, i), draft);
  },

  /* Steps of a size that a finger can take: a tenth of the longest prompt, at least a token. */
  step() {
    return Math.max(1, Math.round(Math.max(...play.level.requests.map(each => each.prompt)) / 20));
  },

  sizeButtons(i) {
    const { level, state } = play, has = draft.prefill.some(([j]) => j === i), step = this.step();
    const sizes = has && level.limits.chunked_prefill ? [
      made("button", { type: "button", "data-focus": `less-${i}`, "data-of": String(i), "aria-label": `${id(i)}: a smaller chunk`, onclick: () => this.resize(-step, i) }, "−"),
      made("button", { type: "button", "data-focus": `more-${i}`, "data-of": String(i), "aria-label": `${id(i)}: a larger chunk`, onclick: () => this.resize(step, i) }, "+"),
    ] : [];
    const drops = state.cache[i] ? [this.dropButton(i)] : [];
    return sizes.length + drops.length ? made("span", { class: "sizes" }, ...sizes, ...drops) : null;
  },

  dropButton(i) {
    const gone = draft.preempt.includes(i), shows = count(play.state.cache[i], "KV token");
    return made("button", { type: "button", class: "drop", "data-focus": `drop-${i}`, "data-of": String(i), "aria-pressed": String(gone), "aria-label": `Drop the cache of ${id(i)}: ${shows}`, onclick: () => this.drop(i) }, gone ? "dropped" : "drop");
  },
};
