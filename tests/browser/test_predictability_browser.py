"""The PredictabilityWidget in a real JupyterLab: played, penalized, mapped, on made samples, dark, on a phone."""

import base64
import json
import re

from playwright.sync_api import expect

import sculptlab as sl

FIRST = "import sculptlab as sl\nw = sl.PredictabilityWidget(latents=4)\nw"


def test_the_predictability_widget_by_hand(page, notebook, keep):
    run = notebook([FIRST])
    page.set_viewport_size({"width": 1200, "height": 900})
    run(0)
    root = page.locator(".predictability")
    expect(root.locator(".panels canvas")).to_have_count(5)

    def wait(condition):
        page.wait_for_function(f"() => {{ const d = document.querySelector('.predictability').dataset; return {condition}; }}")

    def drawn(number):
        return root.locator("canvas").nth(number).evaluate("c => c.toDataURL()")

    def fits():
        return root.evaluate("e => e.scrollWidth <= e.clientWidth + 1")

    wait("d.step === '60' && d.drawn > 0")  # what is first shown has begun
    root.scroll_into_view_if_needed()
    keep("start")
    finding, notice = root.locator(".finding"), root.locator(".notice")
    expect(finding).to_contain_text("LPS finds a dependence")
    assert root.bounding_box()["height"] < 800  # with the toolbar of the page above it, in a window of 900 pixels

    before = drawn(1)
    root.get_by_role("button", name="Adversarial predictability penalty: off").click()
    expect(root.get_by_role("button", name="Adversarial predictability penalty: on")).to_have_attribute("aria-pressed", "true")
    root.get_by_role("button", name="Play").click()
    wait("+d.step > 90 && d.playing === 'true'")
    root.get_by_role("button", name="Pause").click()
    wait("d.playing === 'false'")
    assert drawn(1) != before
    expect(notice).to_be_empty()
    keep("penalty", root)

    for name, words in (("Whiten", "Whitened: a linear map"), ("Reshape", "Reshaped: an invertible map")):
        root.get_by_role("button", name=name).click()
        expect(finding).to_contain_text(words)
        expect(root.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        expect(notice).to_be_empty()
    keep("reshaped", root)
    assert re.search(r"relative error [\d.]+", root.locator(".under p").inner_text())
    root.get_by_label("Made samples").select_option("cross")
    wait("d.show === 'cross'")
    expect(finding).to_contain_text("LPS misses this dependence")
    expect(root.locator(".panels canvas")).to_have_count(3)
    keep("cross", root)

    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    wait("d.theme === 'dark'")
    step = int(root.get_attribute("data-step"))
    root.get_by_role("button", name="Train on").click()
    wait(f"d.show === 'codes' && +d.step > {step}")
    root.get_by_role("button", name="Pause").click()
    keep("dark", root)
    assert fits()
    page.set_viewport_size({"width": 464, "height": 1500})  # of which JupyterLab leaves about 360
    page.wait_for_timeout(500)
    keep("narrow", root)
    assert fits()

    page.set_viewport_size({"width": 1200, "height": 900})
    root.get_by_label("Latents", exact=True).select_option("2")  # other weights: a new run
    expect(root.locator(".panels canvas")).to_have_count(3)
    wait("+d.step < 60")
    assert not page.errors
    assert not [text for text in page.said if "predictability" in text.lower() or "widget" in text.lower()], page.said

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    root.get_by_role("button", name="Step").click()
    expect(notice).to_contain_text("No answer from the kernel")


MODEL = """([module, controls]) => {
  document.body.innerHTML = "<div id=root></div>";
  const listeners = {}, sent = window.sent = [];
  const counters = { revision: 0, plays: 0, steps: 0, resets: 0, reseeds: 0, views: 0, seen: 0, codes: 0 };
  const asked = { ...counters, changes: {}, on: false, slow: false, arrows: false, pointer: null };
  const values = { controls, picture: "", asked };
  const model = { get: (name) => values[name], set: (name, value) => { values[name] = value; },
    save_changes: () => sent.push(values.asked), on: (name, act) => { listeners[name] = act; }, off: () => {} };
  const widget = new Function(module.replace("export default", "return"))();
  window.end = widget.render({ model, el: document.getElementById("root") });
  window.say = (content, buffers) => listeners["msg:custom"](content,
    buffers.map((text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)));
}"""


def test_what_is_pressed_before_the_kernel_answers_and_scores_that_are_not_finite(page):
    """The page alone, with the messages that the kernel sent: the test answers when it wants."""
    widget = sl.PredictabilityWidget(latents=2)
    page.goto("about:blank")
    page.evaluate(MODEL, [widget._esm, widget.controls])

    def say(revision, **changed):
        content, buffers = widget._frame(widget._engine, True)
        content |= {"number": 1, "playing": False, "slow": False, "revision": revision} | changed
        page.evaluate(
            "([content, buffers]) => window.say(content, buffers)",
            [json.loads(json.dumps(content)), [base64.b64encode(buffer).decode() for buffer in buffers]],
        )

    def asked():
        found = page.evaluate("() => window.sent.at(-1)")
        return found["revision"], found["changes"]

    say(0, network_r2=[None, 0.5], relative=None)
    root = page.locator(".predictability")
    expect(root.locator("h4 small").nth(1)).to_have_text(" network –")
    root.get_by_role("button", name="Reshape").click()
    expect(root.locator(".notice")).to_have_text("Fitting: reshaped…")
    root.get_by_role("button", name="penalty").click()  # which shows the trained codes: no second fit
    assert asked() == (2, {"show": "codes", "penalty": True})
    say(1)
    say(2)
    say(1)  # late
    root.get_by_role("button", name="Whiten").click()
    assert asked() == (3, {"show": "whitened"})
    root.get_by_label("weight").fill("1")  # a power of ten
    assert asked() == (4, {"show": "codes", "weight": 10})
    page.evaluate("() => window.end()")
    expect(root).to_have_count(0)
    assert not page.errors
    widget.close()
