"""One page with all levels, and one browser, for all tests of the game."""

import pytest

import batchprophet as bp
from batchprophet.game.game import Game
from tests.browser import Browser

#: Seconds by regime: one level of continuous batching takes all that it gets.
SECONDS = {"mixed": 120, "separate": 120, "continuous": 20}


@pytest.fixture(scope="package")
def games():
    """The levels of each regime, solved."""
    return {model: bp.play(model=model, time_limit=limit) for model, limit in SECONDS.items()}


@pytest.fixture(scope="package")
def file(games, tmp_path_factory):
    game = Game(levels=tuple(level for each in games.values() for level in each.levels))
    return game.save(tmp_path_factory.mktemp("play") / "play.html")


@pytest.fixture(scope="package")
def browser(file):
    with Browser() as page:
        page.screen(1280, 800)
        page.open(file)
        yield page


@pytest.fixture
def page(browser, file):
    browser.screen(1280, 800)
    if browser.evaluate("location.href") != file.as_uri():  # a test has opened a page of its own
        browser.open(file)
    browser.evaluate("kept = {}; store(); $('knows').value = 'all'; begin(0)")
    browser.evaluate("for (const id of ['costs', 'keys']) $(id).checked = true")
    return browser
