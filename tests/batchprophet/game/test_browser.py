"""The game in a real browser: played by mouse, touch size and keys, on a desktop and a phone."""

from __future__ import annotations

import json
import time

import pytest

import batchprophet as bp
from tests.browser import program

pytestmark = pytest.mark.skipif(program() is None, reason="needs Chromium")

#: Sizes in pixels: a desktop, a phone, and the narrowest phone.
SIZES = [(1280, 800), (390, 844), (360, 740)]

RIGHT, LEFT, BACK, HOME = ("ArrowRight", 39), ("ArrowLeft", 37), ("Backspace", 8), ("Home", 36)


def said(page):
    return page.evaluate("$('said').innerText")


def account(page):
    """What each move cost, once the page has worked it out."""
    until = time.monotonic() + 60
    while page.evaluate("$('account').hasAttribute('aria-busy')"):
        assert time.monotonic() < until
    return page.evaluate("$('account').innerText")


def letter(page, name):
    page.press(name.lower(), ord(name.upper()))


def follow(page, name="best"):
    """Play a schedule of a level to its end with the mouse: press each card, or Next round."""
    starts = page.evaluate(f"play.level.{name}.start")
    while not page.evaluate("play.over"):
        t = page.evaluate("play.state.t")
        for i in [i for i, k in enumerate(starts) if k == t]:
            page.click(f'#waiting [data-request="{i}"]')
        if not page.evaluate("play.over"):
            page.click("#next")


#: What stands out of the window and is in no box that scrolls.
OUTSIDE = """[...document.querySelectorAll("main *")]
  .filter(e => !e.closest(".scroll, details, svg"))
  .filter(e => e.getClientRects().length)
  .map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)])
  .filter(([b]) => b.left < -1 || b.right > innerWidth + 1).map(([, text]) => text)"""

#: The least contrast of text with what is behind it, by element.
CONTRAST = """(() => {
  const part = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = numbers(colour).slice(0, 3).map(part);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const { backgroundColor } = getComputedStyle(e), [, , , a = 1] = numbers(backgroundColor);
      if (backgroundColor.startsWith("rgb") && a) return light(backgroundColor);
    }
    return 1;
  };
  const found = {};
  const texts = "p, h1, h2, h3, dt, dd, th, td, summary, figcaption, label, li, small, b, i, em, "
    + "button:not(:disabled), svg text:not(.id)";
  for (const e of document.querySelectorAll(texts)) {
    if (!e.getClientRects().length || !e.textContent.trim()) continue;
    const { fill, color } = getComputedStyle(e), page = ground(e);
    const own = light(e instanceof SVGElement ? fill : color);
    const ratio = (Math.max(own, page) + .05) / (Math.min(own, page) + .05);
    const key = e.tagName + "#" + e.id + "." + (e.getAttribute("class") || "");
    found[key] = Math.min(found[key] || 99, ratio);
  }
  return found;
})()"""


@pytest.mark.parametrize("number", range(5))
def test_levels_one_to_five_are_won_by_the_optimum_s_moves(page, number):
    page.click(f"#levels li:nth-child({number + 1}) button")
    follow(page)
    assert page.evaluate("$('verdict').innerText").startswith("Optimal!")
    total, best = page.evaluate("[play.total(), play.level.best.value]")
    assert total == best
    assert "optimal" in page.evaluate("$('levels').querySelector('[aria-current]').innerText")
    assert "No move of yours" in account(page)
    assert page.evaluate("$('where').innerText") == "Where nothing was lost"
    assert page.evaluate("document.activeElement.id") == "verdict"


def shortest_first(page):
    """Play by keys: of the waiting requests that fit, the one with the shortest output."""
    while not page.evaluate("play.over"):
        name = page.evaluate(
            "(play.rules.waiting(play.level, play.state)"
            ".filter(i => !play.refusal({ what: 'start', i }))"
            ".sort((a, b) => play.level.requests[a].output - play.level.requests[b].output)"
            ".map(id))[0] || null"
        )
        if name:
            letter(page, name)
        else:
            page.press(*RIGHT)


def test_a_game_is_played_by_keys_alone_and_its_loss_is_accounted_for(page):
    page.evaluate("begin(3)")
    letter(page, "a")
    assert said(page).startswith("A starts before round 1. This start costs 17: the best total")
    letter(page, "b")
    assert said(page) == "B cannot start. B arrives only at 4."
    assert page.evaluate("$('said').className") == "no"
    shortest_first(page)
    assert page.evaluate("play.total()") == 44
    text = account(page)
    assert page.evaluate("$('where').innerText") == "Where the 17 rounds went"
    assert text.startswith("Start A before round 1. This start costs 17: in the best plan")
    assert "17 = 17 rounds, exactly your distance from the optimum." in text
    row = page.evaluate("$('ladder').querySelector('.you').innerText").split()
    assert row == ["you", "44", "1.63"]


def test_the_account_adds_up_over_several_moves(page):
    page.evaluate("begin(5)")
    shortest_first(page)
    lost = page.evaluate("play.total()") - 128
    costs = page.evaluate("play.moves.map((_, j) => play.cost(j).low).filter(cost => cost > 0)")
    assert len(costs) > 1
    assert sum(costs) == lost > 0
    assert f"{' + '.join(map(str, costs))} = {lost} rounds" in account(page)
    assert page.evaluate("$('account').querySelectorAll('li').length") == len(costs)


def test_a_refusal_says_which_round_overflows_by_how_much_and_when_it_fits(page):
    letter(page, "a")
    letter(page, "b")
    assert said(page) == (
        "B cannot start. In round 3 the cache would hold 11 of 9 tokens, 2 too many: B 6 and A 5. "
        "If nothing else starts, B fits before round 5."
    )


def test_undo_restart_and_back_to_a_costly_move(page):
    letter(page, "a")
    page.press(*RIGHT)
    page.press(*LEFT)
    assert said(page) == "Undone: let round 1 run while B waits."
    page.press(*BACK)
    assert page.evaluate("play.moves.length") == 0
    assert page.evaluate("$('undo').disabled")
    follow(page, "policies.find(each => each.name === 'mc-benchmark')")
    page.click("#account li:first-child button")
    assert said(page).startswith("Back to before this: let round 2 run while B and C wait.")
    assert page.evaluate("$('result').hidden")
    assert page.evaluate("[play.moves.length, play.state.t]") == [2, 1]
    letter(page, "c")
    assert "This start costs nothing" in said(page)
    page.press(*HOME)
    assert page.evaluate("[play.moves.length, play.state.t]") == [0, 0]


def test_a_hint_followed_to_the_end_is_optimal(page):
    page.click("#levels li:nth-child(4) button")
    for _ in range(60):
        if page.evaluate("play.over"):
            break
        page.press("?", 191)
        text = said(page)
        assert text.startswith("Hint: The best plan from here (total 27) starts ")
        now = text.split(" starts ")[1].split(" before ")[0]
        for name in now.replace(" and ", ", ").split(", "):
            if name != "nothing":
                letter(page, name)
        if not page.evaluate("play.over"):
            page.press(*RIGHT)
    assert page.evaluate("play.total()") == 27
    assert "You took" in page.evaluate("$('summary').innerText")


def test_a_hidden_future_is_nowhere_on_the_page(page):
    page.evaluate("begin(6)")
    assert page.evaluate("$('knows').value") == "arrived"
    shown = "$('board').innerHTML + $('desk').innerHTML + $('numbers').innerHTML"
    future = page.evaluate(
        "play.level.requests.filter(each => each.arrival > 0).map(each => each.id)"
    )
    rows = "[...$('requests').querySelectorAll('tbody th')].map(e => e.textContent)"
    assert page.evaluate(rows) == ["A"]
    assert (
        page.evaluate(
            "[...$('picture').querySelectorAll('text.small')].map(e => e.textContent)"
        ).count("A")
        == 1
    )
    assert not [name for name in future if f">{name}<" in page.evaluate(shown)]
    letter(page, "b")
    assert said(page) == "B cannot start. There is no such request yet."
    letter(page, "a")
    page.press(*RIGHT)
    assert "costs" not in said(page)
    page.press(*LEFT)
    assert said(page).startswith("What has been seen cannot be unseen")
    page.evaluate("begin(6, 'prompts')")
    cards = page.evaluate("$('waiting').innerText")
    assert "output ?" in cards
    follow(page, "best")
    assert "evictions" in account(page)


def test_cards_show_what_a_start_would_do(page):
    letter(page, "a")
    page.hover("#waiting button")
    assert page.evaluate("$('picture').querySelectorAll('.ghost').length") == 1
    assert page.evaluate("$('picture').querySelectorAll('[fill=\"url(#hatch-lost)\"]').length") == 1
    assert page.evaluate("document.querySelector('#waiting button').dataset.fits") == "no"


def test_focus_stays_on_the_cards_when_one_is_pressed(page):
    page.evaluate("begin(2)")
    page.evaluate("document.querySelector('#waiting [data-request=\"3\"]').focus()")
    page.press("Enter", 13)
    assert page.evaluate("play.state.start[3]") == 0
    assert page.evaluate("document.activeElement.dataset.request") is not None


def test_single_keys_can_be_switched_off(page):
    page.click("#keys")
    letter(page, "a")
    page.press(*RIGHT)
    assert page.evaluate("play.moves.length") == 0


def test_replays_stand_side_by_side_and_follow_the_slider(page):
    page.evaluate("begin(1)")
    follow(page, "policies.find(each => each.name === 'mc-sf')")
    now = "['left', 'right'].map(id => $(id).getAttribute('aria-label'))"
    page.evaluate("$('at').value = 3; $('at').dispatchEvent(new Event('input'))")
    mine, other = page.evaluate(now)
    assert mine.startswith("Your schedule at time 3")
    assert other.startswith("The other schedule at time 3")
    page.evaluate("$('other').value = 'vllm'; $('other').dispatchEvent(new Event('change'))")
    assert page.evaluate("$('name').innerText").startswith("vllm")
    page.click("#run")
    assert page.evaluate("$('run').innerText") == "Pause"
    page.click("#run")
    assert page.evaluate("$('run').innerText") == "Play"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_and_all_text_can_be_read(page, size, dark):
    page.screen(*size, mobile=size[0] < 500, dark=dark)
    for number in (0, 5):
        page.evaluate(f"begin({number})")
        page.evaluate("press(play.rules.waiting(play.level, play.state)[0])")
        for each in page.evaluate("play.rules.waiting(play.level, play.state)"):
            page.evaluate(f"press({each})")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.evaluate(OUTSIDE) == []
        contrast = page.evaluate(CONTRAST)
        assert min(contrast.values()) >= 4.5, contrast
        page.evaluate(
            "while (!play.over) { const i = play.rules.waiting(play.level, play.state)"
            ".find(i => !play.refusal({ what: 'start', i }));"
            " if (i === undefined) go(true); else press(i); }"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.evaluate(OUTSIDE) == []
        contrast = page.evaluate(CONTRAST)
        assert min(contrast.values()) >= 4.5, contrast


@pytest.mark.parametrize("size", SIZES)
def test_what_is_pressed_on_a_phone_is_large_enough(page, size):
    page.screen(*size, mobile=size[0] < 500)
    pressed = "#bar button:not([hidden]), #waiting button, #levels button"
    heights = f"[...document.querySelectorAll('{pressed}')].map(e => e.offsetHeight)"
    assert min(page.evaluate(heights)) >= 44
    bar = page.evaluate(
        "[...document.querySelectorAll('#bar button:not([hidden])')]"
        ".map(e => e.getBoundingClientRect().top)"
    )
    assert max(bar) - min(bar) < 5  # one row


#: Controls without a name that a screen reader can say.
NAMELESS = """[...document.querySelectorAll("button, select, input")].filter(e => !(
  e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.[0]?.textContent.trim()
)).map(e => e.outerHTML)"""


def test_every_control_has_a_name_and_the_picture_has_a_table(page):
    letter(page, "a")
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("$('said').getAttribute('aria-live')") == "polite"
    assert page.evaluate("$('picture').getAttribute('aria-label')").startswith(
        "KV cache at time 0: A runs, 3 of 9 tokens in the next round."
    )
    rows = page.evaluate(
        "[...$('requests').tBodies[0].rows].map(row => [...row.cells].map(c => c.textContent))"
    )
    assert rows[0] == ["A", "0", "2", "4", "6", "running", "0", "4", "4"]
    assert rows[1] == ["B", "0", "3", "3", "6", "waiting", "", "", ""]
    assert page.evaluate("$('rounds').textContent").endswith("of 9: 1: 3; 2: 4; 3: 5; 4: 6.")


def test_results_are_kept_in_the_browser(page, file):
    follow(page)
    key = page.evaluate("play.level.key")
    stored = json.loads(page.evaluate("localStorage.getItem('batchprophet-play')"))
    assert stored == {key: {"all": 16}}
    page.open(file)
    assert page.evaluate("$('levels').querySelector('button').innerText").endswith("16: optimal")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.click("#forget")
    assert page.evaluate("localStorage.getItem('batchprophet-play')") == "{}"


def test_the_page_asks_for_nothing_and_has_no_errors(page):
    assert page.requested() == []
    assert page.complaints() == []


def test_a_level_that_is_too_large_to_search_shows_intervals(browser, tmp_path):
    settings = {"n": 18, "rate": 1.0, "kv_capacity": 30}
    large = bp.make("arrival-model-2", seed=1, settings=settings)
    browser.open(bp.play(large, time_limit=0).save(tmp_path / "play.html"))
    assert "the optimum is between" in browser.evaluate("$('goal').innerText").lower()
    browser.evaluate(
        "while (!play.over) { const i = play.rules.waiting(play.level, play.state)"
        ".find(i => !play.refusal({ what: 'start', i }));"
        " if (i === undefined) go(true); else press(i); }"
    )
    assert "times optimal" in browser.evaluate("$('summary').innerText")
    assert "lower bound" in browser.evaluate("$('ladder').innerText")
    assert "known as intervals" in account(browser)
    assert browser.complaints() == []
