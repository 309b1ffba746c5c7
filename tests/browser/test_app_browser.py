"""`sculptlab app` in a browser: the Sculptor alone plays, takes the settings of a link, and its kernel ends with its page."""

import re
import sys

from playwright.sync_api import expect

APP = [sys.executable, "-m", "sculptlab.cli", "app", "--no-browser", "--visitors", "1"]
READY = "() => document.querySelector('.sculptor')?.dataset.step === '50'"


def test_the_app_plays_and_makes_room_when_its_page_is_closed(page, serve, keep):
    with serve(APP) as (url, _):
        page.goto(f"{url}/?prior=ring&noise=0.2")
        page.wait_for_function(READY)
        expect(page.get_by_label("Settings as a string")).to_have_value("sculptor?prior=ring&noise=0.2")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("() => +document.querySelector('.sculptor').dataset.step > 55")
        keep("playing")
        assert page.title() == "Sculptor"
        expect(page.get_by_role("heading", name="The Sculptor")).to_be_visible()
        expect(page.get_by_text("import ")).to_have_count(0)
        expect(page.locator(".sculptor .notice")).to_be_empty()
        kernel = re.search(r'"kernelId": "([\w-]+)"', page.content())[1]

        refused = page.context.browser.new_page()
        assert refused.goto(url).status == 503
        expect(refused.get_by_role("heading", name="No place is free")).to_be_visible()
        keep("full", refused)
        refused.close()

        page.goto("about:blank")  # unloads the page, as closing the tab does
        for _ in range(100):  # half a minute: before the minute after which a kernel without a page ends anyway
            if page.request.get(f"{url}/api/kernels/{kernel}").status == 404:
                break
            page.wait_for_timeout(300)
        else:
            raise AssertionError("the kernel lives on without its page")

        page.goto(f"{url}/?data=cifar10&%3Cscript%3E=1")
        page.wait_for_function(READY)
        keep("refused_link")
        expect(page.get_by_text("The settings in this link cannot be used")).to_have_count(1)
        expect(page.get_by_label("Settings as a string")).to_have_value("sculptor?")
    assert not page.errors
