"""The regimes with batches in a real browser: by mouse and by keys, on a desktop and a phone."""

from __future__ import annotations

import pytest

from batchprophet.game.level import built_in_levels
from tests.batchprophet.game.test_browser import (
    BACK,
    CONTRAST,
    HOME,
    NAMELESS,
    OUTSIDE,
    RIGHT,
    SIZES,
    account,
    letter,
    said,
)
from tests.browser import program

pytestmark = pytest.mark.skipif(program() is None, reason="needs Chromium")

FIRST = {}
for _position, _level in enumerate(built_in_levels()):
    FIRST.setdefault(_level.regime, _position)

#: What is to be pressed so that the next batch is that of the best plan.
PRESSES = """(() => {
  const { move } = play.rules.next(play.level, play.state, play.value(0).plan);
  if (move.what === "wait") return "wait";
  const has = list => list.map(each => each[0] ?? each);
  const wanted = [...has(move.prefill), ...move.decode];
  const now = [...has(draft.prefill), ...draft.decode];
  if (move.prefill.length && !move.decode.length && play.level.regime === "separate") {
    return has(move.prefill).filter(i => !has(draft.prefill).includes(i));
  }
  return [...now.filter(i => !wanted.includes(i)), ...wanted.filter(i => !now.includes(i))];
})()"""


def follow_plan(page):
    """Play the best plan with the mouse."""
    for _ in range(60):
        if page.evaluate("play.over"):
            return
        presses = page.evaluate(PRESSES)
        if presses == "wait":
            page.click("#wait")
            continue
        for i in presses:
            page.click(f'#desk [data-request="{i}"]')
        page.click("#next")


def put_together(page):
    """Put the next batch of the best plan together: caches to drop, tokens, then each chunk."""
    move = page.evaluate("play.rules.next(play.level, play.state, play.value(0).plan).move")
    if move["what"] == "wait":
        page.click("#wait")
        return
    for i in page.evaluate("draft.decode"):
        if i not in move["decode"]:
            page.click(f'#running [data-request="{i}"]')
    for i in move["preempt"]:
        page.click(f'#desk li:has([data-request="{i}"]) .drop')
    for i in set(move["decode"]) - set(page.evaluate("draft.decode")):
        page.click(f'#running [data-request="{i}"]')
    for i, tokens in move["prefill"]:
        page.click(f'#desk [data-request="{i}"]')
        for _ in range(page.evaluate(f"draft.prefill.find(([j]) => j === {i})[1]") - tokens):
            page.press("-", 189)
    page.click("#next")


@pytest.mark.parametrize("number", range(4))
def test_continuous_levels_are_won_by_the_optimum_s_batches(page, number):
    page.click("#regimes li:nth-child(3) button")
    page.click(f"#levels li:nth-child({number + 1}) button")
    assert page.evaluate("play.level.regime") == "continuous"
    for _ in range(30):
        if not page.evaluate("play.over"):
            put_together(page)
    assert page.evaluate("play.over")
    assert page.evaluate("$('verdict').innerText").startswith("Optimal!")
    assert page.evaluate("play.total() === play.level.best.value")
    assert "No move of yours" in account(page)
    assert page.evaluate("$('goal').innerText").startswith("The proved optimum is ")


def test_a_continuous_game_by_keys_with_chunks_and_a_dropped_cache(page):
    page.evaluate(f"begin({FIRST['continuous']})")
    letter(page, "a")
    assert said(page) == (
        "Next batch: prompt of A: 16 ms, KV at its end 3 of 20, 3 of 4 tokens in the batch."
    )
    page.press("-", 189)
    assert "prompt of A (2 tokens): 14 ms" in said(page)
    letter(page, "b")
    page.press("+", 187)
    assert said(page) == (
        "The chunk of B stays as it is. The prompt of B has 2 tokens left, not 3."
    )
    page.press(*RIGHT)
    assert said(page).startswith("The batch has run, 0 to 18 ms. C arrives. This batch costs ")
    assert page.evaluate("$('waiting').innerText").startswith("A prompt: 1 left")
    page.evaluate(
        "document.body.dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'B', shiftKey: true, bubbles: true }))"
    )
    assert page.evaluate("draft.preempt") == [1]
    letter(page, "b")
    page.press(*RIGHT)
    assert "costs nothing" not in said(page)
    assert page.evaluate("play.state.tokens[1]") == 2
    page.evaluate(f"begin({FIRST['continuous'] + 4}, 'prompts')")
    assert "output ?" in page.evaluate("$('waiting').innerText")
    assert page.evaluate("$('coach').hidden")


def test_a_level_that_is_not_proved_says_so(page):
    page.evaluate(f"begin({FIRST['continuous'] + 4})")
    assert "the optimum is between" in page.evaluate("$('goal').innerText").lower()
    page.evaluate("begin(number, 'all')")
    page.press("?", 191)
    assert "the best found" in said(page)


@pytest.mark.parametrize("number", range(5))
def test_separate_levels_are_won_by_the_optimum_s_batches(page, number):
    page.click("#regimes li:nth-child(2) button")
    page.click(f"#levels li:nth-child({number + 1}) button")
    assert page.evaluate("play.level.regime") == "separate"
    follow_plan(page)
    assert page.evaluate("$('verdict').innerText").startswith("Optimal!")
    total, best = page.evaluate("[play.total(), play.level.best.value]")
    assert total == best
    assert "No move of yours" in account(page)
    assert "optimal" in page.evaluate("$('levels').querySelector('[aria-current]').innerText")


def test_a_separate_game_by_keys_alone(page):
    page.evaluate(f"begin({FIRST['separate']})")
    letter(page, "c")
    assert said(page) == "C cannot be chosen. C arrives only at 2."
    letter(page, "a")
    assert said(page) == "Next batch: prompt of A: 3 slots, KV at its end 4 of 30."
    page.press(*RIGHT)
    assert said(page).startswith("The batch has run, 0 to 3 slots. C arrives. This batch costs ")
    letter(page, "b")
    letter(page, "b")  # out again: the draft is the token batch
    assert page.evaluate("[draft.prefill, draft.decode]") == [[], [0]]
    page.press(*BACK)
    assert said(page) == "Undone: at 0, prompt of A."
    page.press(".", 190)
    assert said(page).startswith("It is 2 slots. C arrives. Waiting costs ")
    page.press(*HOME)
    for _ in range(40):
        if page.evaluate("play.over"):
            break
        for i in page.evaluate("play.rules.waiting(play.level, play.state)"):
            letter(page, "abcd"[i])
        page.press(*RIGHT)
    text, lost = account(page), page.evaluate("play.total() - play.level.best.value")
    assert lost > 0
    assert f"= {lost} slots, exactly your distance from the optimum." in text


def test_a_batch_that_would_end_in_a_deadlock_is_refused_with_its_reason(page):
    page.evaluate(f"begin({FIRST['separate'] + 3})")
    letter(page, "a")
    letter(page, "b")
    page.press(*RIGHT)
    page.press(*RIGHT)
    letter(page, "d")
    assert said(page).startswith(
        "D does not fit into this batch. Afterwards A, B and D could never be completed"
    )
    assert "would never end" in page.evaluate("$('waiting').innerText")


@pytest.mark.parametrize("regime", sorted({*FIRST} - {"mixed"}))
def test_a_hidden_future_is_nowhere_on_the_page(page, regime):
    number = max(k for k, level in enumerate(built_in_levels()) if level.regime == regime)
    page.evaluate(f"begin({number}, 'arrived')")
    page.evaluate("render()")
    later = page.evaluate("play.level.requests.filter(e => e.arrival > 0).map(e => e.id)")
    shown = page.evaluate("$('board').innerHTML + $('desk').innerHTML + $('numbers').innerHTML")
    assert later
    assert not [name for name in later if f">{name}<" in shown]
    letter(page, later[-1])
    assert said(page).endswith("There is no such request yet.")
    letter(page, "a")
    page.press(*RIGHT)
    assert "costs" not in said(page)
    page.press(*BACK)
    assert said(page).startswith("What has been seen cannot be unseen")


@pytest.mark.parametrize("regime", sorted({*FIRST} - {"mixed"}))
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_and_all_can_be_read_and_pressed(page, regime, size):
    dark = size[0] < 500
    page.screen(*size, mobile=size[0] < 500, dark=dark)
    page.evaluate(f"begin({FIRST[regime] + 2})")
    page.evaluate("press(0); go(false); press(play.rules.waiting(play.level, play.state)[0])")
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.evaluate(OUTSIDE) == []
        contrast = page.evaluate(CONTRAST)
        assert min(contrast.values()) >= 4.5, contrast
        assert page.evaluate(NAMELESS) == []
        page.evaluate(
            "for (let k = 0; k < 60 && !play.over; k++) { "
            "const m = play.rules.ruled(play.level, play.state, "
            "play.level.requests.map((_, i) => i), 1); m.what === 'wait' ? BATCH_DESK.wait() "
            ": (draft = m, go(false)); }"
        )
    page.evaluate(f"begin({FIRST[regime]})")
    buttons = "#bar button:not([hidden]), #desk li button, #levels button, #regimes button"
    heights = f"[...document.querySelectorAll('{buttons}')].map(e => e.offsetHeight)"
    assert min(page.evaluate(heights)) >= 44
    tops = page.evaluate(
        "[...document.querySelectorAll('#bar button:not([hidden])')]"
        ".map(e => e.getBoundingClientRect().top)"
    )
    assert len(tops) == 5
    assert max(tops) - min(tops) < 5


@pytest.mark.parametrize("regime", sorted({*FIRST} - {"mixed"}))
def test_the_picture_has_a_table_and_the_hint_is_the_plan_s_batch(page, regime):
    page.evaluate(f"begin({FIRST[regime]})")
    page.press("?", 191)
    assert said(page).startswith("Hint: The best plan from here (total ")
    page.evaluate("press(0); go(false)")
    heads = page.evaluate("[...$('requests').tHead.rows[0].cells].map(e => e.textContent)")
    row = page.evaluate("[...$('requests').tBodies[0].rows[0].cells].map(e => e.textContent)")
    assert dict(zip(heads, row, strict=True))["tokens"] == "1"
    assert page.evaluate("$('rounds').textContent").startswith("Batches: 0 to ")
    assert page.evaluate("$('picture').getAttribute('aria-label')").startswith("KV cache at ")
    assert page.evaluate("document.querySelector('#running button').ariaPressed") == "true"
    assert page.complaints() == []


def test_focus_stays_where_a_cache_is_dropped_or_a_chunk_sized(page):
    page.evaluate(f"begin({FIRST['continuous']})")
    page.evaluate("press(0); document.querySelector('[data-focus=\"less-0\"]').focus()")
    page.press("Enter", 13)
    assert page.evaluate("draft.prefill") == [[0, 2]]
    assert page.evaluate("document.activeElement.dataset.focus") == "less-0"
    page.evaluate("go(false); document.querySelector('[data-focus=\"drop-0\"]').focus()")
    page.press("Enter", 13)
    assert page.evaluate("draft.preempt") == [0]
    assert page.evaluate("document.activeElement.dataset.focus") == "drop-0"
