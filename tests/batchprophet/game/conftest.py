"""One page with all levels, and one browser, for all tests of the game."""

import pytest

import batchprophet as bp
from tests.browser import Browser


@pytest.fixture(scope="package")
def file(tmp_path_factory):
    return bp.play(time_limit=60).save(tmp_path_factory.mktemp("play") / "play.html")


@pytest.fixture(scope="package")
def browser(file):
    with Browser() as page:
        page.screen(1280, 800)
        page.open(file)
        yield page


@pytest.fixture
def page(browser):
    browser.screen(1280, 800)
    browser.evaluate("kept = {}; store(); $('knows').value = 'all'; begin(0)")
    browser.evaluate("for (const id of ['costs', 'keys']) $(id).checked = true")
    return browser
