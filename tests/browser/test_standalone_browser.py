"""The Sculptor without a kernel, in chromium: its numbers are PyTorch's; played, painted, shared; broken links; old browsers."""

import json
import re

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from sculptlab.live import standalone
from sculptlab.live.engine import Engine
from sculptlab.live.frames import describe_controls
from sculptlab.live.settings import Settings
from sculptlab.live.targets import PRESETS, decode_painting, encode_painting
from sculptlab.live.widget import FRONT
from sculptlab.threads import one_thread

GRAY = np.outer(np.arange(32) % 7, np.arange(32) % 5) * (np.add.outer(np.arange(32), np.arange(32)) > 20) % 16
PAINTED = f"prior=painted&painted={encode_painting(GRAY)}"
RUNS = [  # of 50 steps: several priors, every kernel, KL, no regularizer
    "prior=square&stretch=2&turn=45", "prior=ring&noise=0.2", "prior=clusters&count=3", "prior=triangle&concentration=0.7",
    "prior=spirals&arms=1&turns=0.75", PAINTED, "kernel=rbf", "kernel=laplace&bandwidth=0.5", "kernel=energy", "objective=kl",
    "objective=kl&beta=1.5&batch=32&seed=4000000000", "weight=0&batch=512&rate=0.01&seed=7",
]  # fmt: skip
STEPS = 50


@pytest.fixture(scope="session")
def built():
    """The module, and the constants at its head."""
    module = standalone.sculptor_module()
    head = {name: json.loads(value) for name, value in re.findall(r"^const (SPEC|IMAGES) = (.*);$", module, re.MULTILINE)}
    return module, head["SPEC"], head["IMAGES"]


@pytest.fixture
def call(page, built):
    """call(body, given): what an asynchronous function of the engine's names gives in the browser, for `given` and `spec`."""
    _, spec, images = built

    def run(body, given=None):
        page.goto("about:blank")
        source = f"{standalone.engine_script()}; return (async (spec, packed, given) => {{ {body} }})(...arguments)"
        # as one text, since Playwright takes long for arrays of many numbers
        text = "async ([source, ...given]) => JSON.stringify(await new Function(source)(...given))"
        return json.loads(page.evaluate(text, [source, spec, images, given]))

    return run


def begun(text):
    """The Python engine's training under a settings string, and the engine."""
    engine = Engine(settings=Settings.read(f"sculptor?{text}"))
    (training,) = engine.trainings.values()
    return engine, training


RUN = """
const images = await unpackImages(packed), found = [];
for (const text of given.texts) {
  const engine = new Engine(spec, images, await readSettings(`sculptor?${text}`, spec)), lane = engine.lanes[0], terms = [];
  const first = lane.network.parts.map((part) => [...part]);
  for (let i = 0; i < given.steps; i++) {
    engine.advance();
    const { loss, reconstruction, penalty } = lane.network.terms;
    terms.push([loss, reconstruction, penalty]);
  }
  const shown = engine.snapshots(true, true, true)[0];
  engine.target.measureBand();
  found.push({ terms, first, last: lane.network.parts.map((part) => [...part]), notice: engine.notice, band: engine.target.band,
    box: engine.target.box, lps: engine.target.lps, density: [...engine.target.density], codes: [...shown.codes],
    pulls: shown.pulls && [...shown.pulls], tiles: [...shown.sheet],
    scores: [shown.reconstruction, shown.mmd2, shown.lps] });
}
return found;
"""


def test_fifty_steps_from_the_same_seed_are_those_of_the_python_engine(call):
    """Losses, weights and scores to 1e-4: both draw the same random numbers, and differ by the rounding of single precision."""
    for text, found in zip(RUNS, call(RUN, {"texts": RUNS, "steps": STEPS}), strict=True):
        with one_thread():
            engine, training = begun(text)
            assert found["first"] == [weight.flatten().tolist() for weight in training.model.parameters()], text
            terms = np.array([[value.item() for value in training.advance().terms.values()] for _ in range(STEPS)])
            (shown,) = engine.take_snapshots().values()
        assert found["notice"] == ""
        mine = np.array(found["terms"])
        assert mine[:, :2] == pytest.approx(terms[:, :2], rel=1e-4), text
        assert mine[:, 2] == pytest.approx(terms[:, 2], rel=1e-4, abs=1e-6), text  # MMD² is near 0 at the end
        for weight, other in zip(training.model.parameters(), found["last"], strict=True):
            difference = torch.tensor(other, dtype=torch.float32, device="cpu").view_as(weight) - weight
            assert difference.norm() <= 1e-4 * weight.norm(), text
        assert found["codes"] == pytest.approx(shown.codes.ravel(), abs=1e-4), text
        (name,) = engine.trainings
        pulls = engine.pulls(name, shown.codes)
        assert found["pulls"] == (None if pulls is None else pytest.approx(pulls.ravel(), abs=0.02, rel=0.01)), text
        assert found["lps"] == pytest.approx(engine.target.lps, rel=1e-3, abs=1e-5), text
        assert found["tiles"] == pytest.approx(shown.tiles.ravel(), abs=1), text
        assert found["scores"] == pytest.approx([shown.reconstruction, shown.mmd2, shown.lps], rel=1e-3, abs=1e-5), text
        assert found["box"] == pytest.approx(engine.target.box, rel=1e-5)
        assert found["band"] == pytest.approx(engine.target.null_band, rel=1e-3)
        assert found["density"] == pytest.approx(engine.target.density.ravel(), abs=2)


def test_without_vectors_in_webassembly_the_numbers_are_the_same(call):
    """The products in JavaScript and in WebAssembly, on a step of a deterministic and of a stochastic model."""
    first, second = call(
        """return [true, false].map((vectors) => [true, false].map((variances) => {
             const network = new Network(3, variances, vectors), random = new Random(1), n = 48;
             for (let i = 0; i < n * PIXELS; i++) network.input[i] = random.single();
             const points = Float64Array.from({ length: 20000 }, () => random.single());
             const own = { kernel: new Kernel("imq", points, 1), weight: 100, beta: 1, draws: points };
             own.noise = Float32Array.from(points);
             network.learn(n, own);
             return [network.encoder[0].memory.fast !== null, ...network.gradients.map((part) => [...part])];
           }));"""
    )
    for (fast, *one), (slow, *other) in zip(first, second, strict=True):
        assert (fast, slow) == (True, False)
        for a, b in zip(one, other, strict=True):
            assert np.linalg.norm(np.subtract(a, b)) <= 1e-5 * np.linalg.norm(a)


def test_a_run_after_many_others_is_the_same_and_takes_no_more_memory(call):
    first, again, memories = call(
        """const images = await unpackImages(packed), engine = new Engine(spec, images, firstSettings(spec)), seen = new Set();
           const run = () => {
             for (let i = 0; i < 3; i++) engine.advance();
             seen.add(engine.lanes[0].network.memory.bytes);
             return engine.lanes[0].network.parts.map((part) => [...part]);
           };
           const first = run();
           for (let i = 0; i < 100; i++) engine.reset(i);
           engine.reset(0);
           return [first, run(), seen.size + released.length];"""
    )
    assert first == again
    assert memories <= 3


def test_draws_of_every_shape_at_the_ends_of_its_sliders_are_those_of_python(call):
    settings = []
    for name, (_, *sliders) in PRESETS.items():
        for end in ("low", "start", "high"):
            at = {slider.name: getattr(slider, end) for slider in sliders}
            if name == "gaussian":
                at["correlation"] = max(-0.9, min(0.9, at["correlation"]))
            settings.append(Settings().changed(prior=name, **at))
    body = """const found = [];
      for (const text of given) {
        const { prior, sliders, pairs } = await readSettings(text, spec), out = new Float64Array(600);
        const target = new Prior(prior, sliders, grayOf(pairs, spec), spec.paper, spec.reach);
        target.sample(new Random(5), 300, out, new Float32Array(600));
        found.push([...out]);
      }
      return found;"""
    texts = [*map(str, settings), f"sculptor?{PAINTED}"]
    for text, found in zip(texts, call(body, texts), strict=True):
        drawn = Settings.read(text).target().sample(300, torch.Generator().manual_seed(5))
        assert found == pytest.approx(drawn.ravel().tolist(), abs=2e-5), text


def test_the_string_is_read_and_written_as_python_does(call):
    texts = [
        "sculptor?", "sculptor?prior=spirals&arms=3&weight=30.0", "sculptor?weight=0.0&rate=1e-05&seed=4294967295",
        "sculptor?prior=ring&noise=0.30000000000000004&size=1.25&compare=1", "sculptor?objective=kl&beta=0.00123&batch=16",
        "sculptor?prior=gaussian&correlation=-0.35&kernel=laplace&bandwidth=2.5", "sculptor?weight=12345.678&rate=0.1",
    ]  # fmt: skip
    body = """const found = [];
      for (const text of given) {
        const settings = await readSettings(text, spec), { pairs, ...plain } = settings;
        found.push([writeSettings(settings, spec), plain]);
      }
      return found;"""
    for text, (written, plain) in zip(texts, call(body, texts), strict=True):
        assert written == text == str(Settings.read(text))
        assert plain == vars(Settings.read(text))
    (packed,) = call(
        """const { pairs } = await readSettings(given, spec);
           return [await packPainting(pairs)];""",
        f"sculptor?{PAINTED}",
    )
    assert np.array_equal(decode_painting(packed), GRAY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digits", r"begins with 'sculptor\?'"),
        ("sculptor?weigth=3", "settings must be one of"),
        ("sculptor?weight=heavy", "weight must be a number"),
        ("sculptor?weight=", "weight must be a number"),
        ("sculptor?weight=nan", "weight must be a number"),
        ("sculptor?weight=-1", "weight must lie between"),
        ("sculptor?noise=0.1&prior=square", "a slider of ring, moons, spirals"),
        ("sculptor?prior=cube", "prior must be one of"),
        ("sculptor?prior=yours", "prior must be one of"),
        ("sculptor?data=cifar10", "other images need a notebook"),
        ("sculptor?prior=painted", "nothing is painted"),
        ("sculptor?prior=ring&painted=AAAA", "painted is for prior='painted'"),
        ("sculptor?prior=painted&painted=AAAA", "painted must be a painting"),
        (f"sculptor?{PAINTED}%3D%22%29%23", "painted must be a painting"),
        ("sculptor?batch=7", "batch must be one of"),
        ("sculptor?seed=-1", "seed must be"),
        ("sculptor?seed=1.5", "seed must be a number"),
        ("sculptor?constructor=1", "settings must be one of"),
        ("sculptor?kernel=__proto__", "kernel must be one of"),
        ("sculptor?sliders=1", "each slider by its name"),
        ("sculptor?pairs=1", "settings must be one of"),
    ],
)
def test_the_error_of_a_bad_string_says_what_is_wrong(call, text, words):
    assert re.search(words, call("try { await readSettings(given, spec); } catch (error) { return error.message; }", text))


# ---- the page

BLANK_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def opened(page, built, tmp_path):
    """opened(link): the page with the Sculptor, and what it asked the network for."""
    picture = f'<img alt="a picture" src="data:image/png;base64,{BLANK_PNG}">'
    (tmp_path / "sculptor.html").write_text(standalone.page_of(built[0], picture), encoding="utf-8")
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    def show(link=""):
        page.goto(f"file://{tmp_path}/sculptor.html{link}")
        return page.locator(".sculptor"), asked

    return show


def wait(page, condition):
    page.wait_for_function(f"() => {{ const d = document.querySelector('.sculptor')?.dataset; return d && ({condition}); }}")


def drag(page, canvas, *path):
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def test_it_is_played_painted_shared_and_reset(page, opened, keep):
    root, asked = opened()
    wait(page, "d.step === '50' && d.frames > 0")  # what is first shown has begun
    expect(page.get_by_alt_text("a picture")).to_have_count(0)
    assert root.bounding_box()["height"] <= 750  # charts, sharing and controls fit a small screen
    keep("start")
    picture = "() => document.querySelector('.sculptor canvas.plane').toDataURL()"
    begun = page.evaluate(picture)
    root.get_by_role("button", name="Arrows").click()
    page.wait_for_function("url => document.querySelector('.sculptor canvas.plane').toDataURL() !== url", arg=begun)
    keep("arrows")
    root.locator("canvas.plane").press("a")
    page.wait_for_function("url => document.querySelector('.sculptor canvas.plane').toDataURL() === url", arg=begun)
    expect(root.locator(".charts p").last).to_contain_text("(chance: 0; target: 0)")
    root.get_by_role("button", name="Reset").click()
    wait(page, "d.step === '0'")
    first = page.evaluate(picture)
    root.get_by_role("button", name="Play").click()
    wait(page, "+d.step > 60 && d.playing === 'true'")
    keep("playing")
    root.get_by_label("Shape").select_option("ring")
    text = root.locator("input[type=text]")
    expect(text).to_have_value("sculptor?prior=ring")
    drag(page, root.locator("canvas.paper"), (0.2, 0.2), (0.8, 0.2), (0.8, 0.8))
    expect(text).to_have_value(re.compile("prior=painted"))
    keep("painted")
    painted = Settings.read(text.input_value())
    assert 30 < (decode_painting(painted.painted) > 0).sum() < 400
    undo = root.get_by_role("button", name="Undo")
    root.get_by_label("Brush").select_option("broad")
    drag(page, root.locator("canvas.paper"), (0.5, 0.9), (0.6, 0.9))
    page.wait_for_function("text => document.querySelector('.sculptor .share input').value !== text", arg=str(painted))
    broad = decode_painting(Settings.read(text.input_value()).painted) - decode_painting(painted.painted).astype(int)
    assert (broad > 0).sum() > 80  # pixels of a dab: a medium brush paints 40
    root.locator("canvas.paper").press("Control+z")
    expect(text).to_have_value(str(painted))
    undo.click()
    expect(text).to_have_value("sculptor?prior=ring")  # the shape on which the first stroke began
    expect(undo).to_be_disabled()
    root.get_by_label("Brush").select_option("medium")
    root.get_by_role("button", name="Clear").click()
    expect(root.locator(".notice")).to_contain_text("canvas is blank")
    wait(page, "d.playing === 'false'")
    drag(page, root.locator("canvas.paper"), (0.3, 0.7), (0.7, 0.7))
    wait(page, "d.playing === 'true'")
    expect(root.locator(".notice")).to_be_empty()
    plane = root.locator("canvas.plane")
    dials = root.locator(".dials")
    before = dials.bounding_box()
    plane.hover()
    expect(root.locator(".under p")).to_have_text(re.compile(r"At \("))
    assert dials.bounding_box() == before
    root.get_by_role("button", name="Pause").click()
    wait(page, "d.playing === 'false'")
    step = root.get_attribute("data-step")
    page.wait_for_timeout(500)  # long enough for a step that must not come
    assert root.get_attribute("data-step") == step

    page.evaluate("() => location.hash = '#s=' + encodeURIComponent('sculptor?batch=64')")
    expect(text).to_have_value("sculptor?batch=64")
    page.evaluate("() => location.hash = '#s=sculptor?'")
    expect(text).to_have_value("sculptor?")
    root.get_by_role("button", name="Reset").click()
    wait(page, "d.step === '0'")
    page.mouse.move(2, 2)
    page.wait_for_function("url => document.querySelector('.sculptor canvas.plane').toDataURL() === url", arg=first)
    root.get_by_label("Objective").select_option("both")
    expect(root.locator("canvas.plane")).to_have_count(2)
    root.get_by_role("button", name="Step").click()
    wait(page, "d.step === '1'")
    root.get_by_text("Share:").click()
    root.get_by_role("button", name="Python").click()
    expect(root.locator("textarea")).to_have_value(re.compile(r"sl\.Sculptor\(settings=\"sculptor\?compare=1\"\)"))
    page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
    root.get_by_role("button", name="Copy link").click()
    expect(root.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => window.copied").endswith("sculptor.html#s=sculptor%3Fcompare%3D1")
    keep("both")
    assert not page.errors
    assert not page.said
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.mark.parametrize(
    ("link", "notice", "text"),
    [
        ("#s=sculptor%3Fprior%3Dring%26noise%3D0.2", "", "sculptor?prior=ring&noise=0.2"),
        ("#s=sculptor?prior=moons", "", "sculptor?prior=moons"),
        ("#s=sculptor%3Fprior%3Dcube", "settings of this link cannot be used: prior must be one of", "sculptor?"),
        ("#s=%E0%A4%A", "settings of this link cannot be used: settings must be a string that begins with", "sculptor?"),
        ("#s=sculptor%3Fprior%3Dpainted", "nothing is painted yet", "sculptor?"),
        ("#another", "", "sculptor?"),
    ],
)
def test_a_link_opens_its_settings_and_a_broken_one_says_so(page, opened, link, notice, text):
    root, _ = opened(link)
    wait(page, "d.frames > 0")
    expect(root.locator("input[type=text]")).to_have_value(text)
    expect(root.locator(".notice")).to_contain_text(notice) if notice else expect(root.locator(".notice")).to_be_empty()
    root.get_by_role("button", name="Play").click()
    wait(page, "+d.step > 52")
    expect(root.locator(".notice")).to_be_empty()
    assert not page.errors


def test_a_chart_forgets_a_spike(page):
    """A fall from 100, then a spike: its range is that of the values between, and of the latest."""
    charts = (FRONT / "charts.js").read_text(encoding="utf-8")
    rows = [100.0, 50.0, 1.0, *[0.1, 0.2] * 20, 80.0, *[0.3, 0.1] * 20, 0.25]
    for given, found in ((rows, [0.1, 0.3]), ([], [0, 0])):
        assert page.evaluate(f"rows => {{ {charts}; return rangeOf(rows, rows.slice(-5)); }}", given) == found


def test_a_tab_in_the_background_waits(page, opened):
    root, _ = opened()
    wait(page, "d.frames > 0")
    root.get_by_role("button", name="Play").click()
    wait(page, "+d.step > 55")
    show = """hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
                          document.dispatchEvent(new Event('visibilitychange')); }"""
    page.evaluate(show, True)
    page.wait_for_timeout(1000)  # what was on its way arrives
    step = root.get_attribute("data-step")
    page.wait_for_timeout(1000)  # long enough for steps that must not come
    assert root.get_attribute("data-step") == step
    page.evaluate(show, False)
    wait(page, f"+d.step > {step} + 5 && d.playing === 'true'")
    expect(root.locator(".notice")).to_be_empty()


def test_a_divergence_says_so_and_a_reset_repairs_it(page, opened):
    root, _ = opened("#s=sculptor%3Frate%3D1.0%26weight%3D100000.0")
    wait(page, "d.frames > 0")
    root.get_by_role("button", name="Play").click()
    expect(root.locator(".notice")).to_contain_text(re.compile("diverged|flew off"))
    for name, power in (("learning rate", "-3"), ("MMD weight", "1")):
        root.get_by_label(name).fill(power)
    root.get_by_role("button", name="Reset").click()
    wait(page, "d.playing === 'true' || d.step === '0'")
    if root.get_attribute("data-playing") != "true":  # it stopped if a loss was not finite, and not if codes flew off
        root.get_by_role("button", name="Play").click()
    expect(root.locator(".notice")).to_be_empty()
    wait(page, "d.step > 30")
    expect(root.locator(".notice")).to_be_empty()


@pytest.mark.parametrize("name", ["Worker", "OffscreenCanvas", "DecompressionStream", "ResizeObserver", "canvas"])
def test_a_browser_without_what_it_needs_shows_a_sentence_and_the_picture(page, opened, name):
    no_canvas = "HTMLCanvasElement.prototype.getContext = () => null;"
    page.add_init_script(no_canvas if name == "canvas" else f"delete window.{name};")
    opened()
    expect(page.get_by_text(re.compile(f"Sculptor needs a newer browser: this one has no .*{name}"))).to_be_visible()
    expect(page.get_by_alt_text("a picture")).to_be_visible()
    assert page.locator(".sculptor").count() == 0
    assert not page.errors


def test_a_worker_that_cannot_be_started_shows_a_sentence_and_the_picture(page, opened):
    page.add_init_script("window.Worker = class { constructor() { throw new Error('not allowed here'); } };")
    opened()
    expect(page.get_by_text("not allowed here")).to_be_visible()
    expect(page.get_by_alt_text("a picture")).to_be_visible()
    assert not page.errors


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark"), (240, "light")])
def test_narrow_wide_light_and_dark(page, opened, keep, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 2200 if width < 500 else 1000})
    root, _ = opened("#s=sculptor%3Fprior%3Dspirals")
    wait(page, "d.frames > 0")
    root.get_by_role("button", name="Play").click()
    wait(page, "+d.step > 150")
    root.get_by_role("button", name="Pause").click()
    wait(page, "d.playing === 'false'")
    assert root.get_attribute("data-theme") == scheme
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth + 1")
    keep(f"{width}-{scheme}")
    assert not page.errors


def test_the_page_written_is_the_module_and_a_picture(tmp_path):
    page = standalone.write_standalone(tmp_path, steps=1)
    text = page.read_text(encoding="utf-8")
    assert "</script" not in text.split('<script type="module">')[1].removesuffix("\n</script>\n</body>\n</html>\n")
    assert 'src="data:image/png;base64,' in text
    module = (tmp_path / "sculptor.js").read_text(encoding="utf-8")
    assert not re.search(r"https?:|^\s*import\b", module, re.MULTILINE)
    assert len(module) < 200_000
    assert set(json.loads(re.search(r"^const SPEC = (.*);$", module, re.MULTILINE)[1])) >= set(describe_controls(Engine()))
