import base64
import io
import threading

import numpy as np
import pytest
from matplotlib.image import imread

from sculptlab.plots.style import panels
from sculptlab.series.browser import Browser


def draw(settings):
    picture, axes = panels(height=1.5)
    axes[0, 0].bar([0], [settings["beta"]])
    axes[0, 0].set_title(settings["data"])
    return picture


@pytest.fixture
def calls():
    return []


@pytest.fixture
def browser(calls):
    def counted(settings):
        calls.append(dict(settings))
        return draw(settings)

    return Browser({"data": ["digits", "fashion"], "beta": [0.1, 1.0, 10.0]}, counted)


def shown(browser):
    return imread(io.BytesIO(bytes(browser._image.value)))


def test_the_first_settings_are_drawn_at_once(browser):
    assert browser.settings == {"data": "digits", "beta": 0.1}
    assert shown(browser).std() > 0


def test_a_moved_control_changes_the_picture(browser):
    before = shown(browser)
    browser._controls["beta"].value = 10.0
    assert browser.settings["beta"] == 10.0
    assert not np.array_equal(before, shown(browser))
    assert "beta = 10.0" in browser._status.value


def test_the_browsers_message_has_the_same_effect(browser):
    browser._controls["beta"].set_state({"index": 1})
    assert browser.settings["beta"] == 1.0


def test_each_setting_is_drawn_once(browser, calls):
    for value in (1.0, 10.0, 1.0, 10.0):
        browser.show(beta=value)
    assert [c["beta"] for c in calls] == [0.1, 1.0, 10.0]


def test_show_moves_the_controls(browser):
    browser.show(data="fashion", beta=1.0)
    assert browser._controls["data"].value == "fashion"
    assert browser._controls["beta"].value == 1.0


@pytest.mark.parametrize(
    ("settings", "words"), [({"beta": 2.0}, "beta must be one of"), ({"gamma": 1}, "settings must be one of")]
)
def test_unknown_settings_are_named(browser, settings, words):
    with pytest.raises(ValueError, match=words):
        browser.show(**settings)
    assert browser.settings == {"data": "digits", "beta": 0.1}


def test_empty_controls_are_refused():
    with pytest.raises(ValueError, match="controls must name"):
        Browser({"beta": []}, draw)


def test_an_error_is_shown_and_the_widget_recovers():
    def fragile(settings):
        if settings["beta"] == 2:
            raise KeyError("no such row")
        return draw(settings | {"data": "x"})

    browser = Browser({"beta": [1, 2, 3]}, fragile)
    browser._controls["beta"].value = 2
    assert isinstance(browser.error, KeyError)
    assert "cannot draw" in browser._status.value
    browser._controls["beta"].value = 3
    assert browser.error is None


def test_events_from_many_threads_leave_it_consistent(browser):
    """JupyterLab may deliver events on several threads; the picture must be the one of the settings."""
    values = [0.1, 1.0, 10.0]

    def move(k):
        for i in range(20):
            browser.show(beta=values[(i + k) % 3])

    threads = [threading.Thread(target=move, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert browser._controls["beta"].value == browser.settings["beta"]
    assert bytes(browser._image.value) == browser.picture()


def test_without_a_kernel_the_picture_stands_in_its_place(browser):
    bundle = browser._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == browser.picture()
