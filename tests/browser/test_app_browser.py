"""`sculptlab app`: Voilà shows the Sculptor alone, and it plays."""

from playwright.sync_api import expect

from sculptlab import cli


def test_the_app_shows_a_playing_sculptor_without_code(page, serve, keep, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")  # as `sculptlab app` sets it
    with serve(cli.app_command(["--no-browser"])) as (url, _):
        page.goto(url)
        page.wait_for_function("() => document.querySelector('.sculptor')?.dataset.step === '0'")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("() => +document.querySelector('.sculptor').dataset.step > 5")
        keep("playing")
        assert page.title() == "Sculptor"
        expect(page.get_by_text("import sculptlab")).to_have_count(0)
        expect(page.locator(".sculptor .notice")).to_be_empty()
    assert not page.errors
