"""Damaged, malformed and old checkpoints and saved runs: refused by name, or replaced by the one before."""

import copy
import hashlib
import io
import random
import warnings

import pytest
import torch

import sculptlab as sl
from sculptlab.training import checkpoints
from sculptlab.training.objectives import KL, FactorVAE

DATA = torch.rand(40, 1, 3, 3, generator=torch.Generator().manual_seed(0))
OPTIONS = {"steps": 6, "batch_size": 16, "device": "cpu", "scheduler": "constant", "progress": False, "log_every": 2}
GOAL = FactorVAE(width=4, depth=1)


def make(seed=0):
    return sl.build_autoencoder("mlp", image_shape=(1, 3, 3), dim=2, width=8, stochastic=True, seed=seed)


def fit(path, model=None, goal=GOAL, **options):
    return sl.fit(model or make(), DATA, goal, **OPTIONS | options, checkpoint=path)


def same(a, b):
    return all(torch.equal(value, b.export()[name]) for name, value in a.export().items())


def flipped(content, drawn):
    place, bit = drawn.randrange(len(content)), drawn.randrange(8)
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def test_every_flipped_bit_of_a_checkpoint_is_refused_and_the_model_stays(tmp_path):
    path, drawn = tmp_path / "a.pt", random.Random(0)
    fit(path)
    whole = path.read_bytes()
    model = make(1)
    before = copy.deepcopy(model.state_dict())
    for _ in range(200):
        path.write_bytes(damaged := flipped(whole, drawn))
        with pytest.raises(ValueError, match=r"checkpoint '.*a\.pt' cannot be read .*its checksum is not that of its content"):
            fit(path, model)
        assert path.read_bytes() == damaged
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_flipped_bit_of_a_saved_run_is_refused_or_harmless(tmp_path):
    run, drawn = fit(tmp_path / "a.pt"), random.Random(1)
    whole, refused = run.save(tmp_path / "run").read_bytes(), 0
    for _ in range(200):
        (tmp_path / "run").write_bytes(flipped(whole, drawn))
        try:
            found = sl.load_run(tmp_path / "run", device="cpu")
        except ValueError as error:
            assert str(tmp_path / "run") in str(error)  # noqa: PT017
            refused += 1
        else:
            assert same(found, run)
            assert found.rows == run.rows
            assert repr(found) == repr(run)
    assert refused > 190


def test_the_predecessor_of_a_damaged_checkpoint_is_used_with_a_warning(tmp_path):
    path = tmp_path / "a.pt"
    fit(path, steps=3)
    fit(path, steps=5)
    expected = fit(tmp_path / "b.pt", steps=9)
    path.write_bytes(flipped(path.read_bytes(), random.Random(2)))
    with pytest.warns(
        UserWarning, match=r"a\.pt' cannot be read .*goes on from its predecessor '.*a\.pt\.previous', 3 steps along"
    ):
        resumed = fit(path, make(7), steps=9)
    assert same(resumed, expected)
    assert torch.load(path, weights_only=True)["state"]["step"] == 9
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="3 steps along"):  # the damaged one has not taken the place of the good one
        assert same(fit(path, make(7), steps=9), expected)
    path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(fit(path, steps=9), expected)  # deleted: it starts anew
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="predecessor"), pytest.raises(ValueError, match="belongs to another training"):
        fit(path, goal=KL())


def sealed(content):
    torch.save(content, file := io.BytesIO())
    body = file.getvalue()[:-2] + (64).to_bytes(2, "little")
    return body + hashlib.sha256(body).hexdigest().encode()


def changed(*keys, to=None, drop=False):
    def change(content):
        held = content
        for key in keys[:-1]:
            held = held[key]
        if drop:
            del held[keys[-1]]
        else:
            held[keys[-1]] = to(held[keys[-1]]) if callable(to) else to
        return content

    return change


def inside(state):
    return torch.load(io.BytesIO(state.numpy().tobytes()), weights_only=True)


def as_bytes(content):
    torch.save(content, file := io.BytesIO())
    return torch.frombuffer(file.getbuffer(), dtype=torch.uint8).clone()


MALFORMED = {
    "a list": lambda content: [content], "a number": lambda content: 5, "empty": lambda content: {},
    "another format": changed("format", to="sculptlab checkpoint 99"), "no format": changed("format", drop=True),
    "negative step": changed("state", "step", to=-5), "a step of text": changed("state", "step", to="3"),
    "a true step": changed("state", "step", to=True), "a fractional step": changed("state", "step", to=2.5),
    "no step": changed("state", "step", drop=True), "no state": changed("state", drop=True),
    "state of text": changed("state", to="x"),
    "no model": changed("state", "model", drop=True), "no optimizer": changed("state", "optimizer", drop=True),
    "empty optimizer": changed("state", "optimizer", to={}), "no generator": changed("state", "generator", drop=True),
    "a short generator": changed("state", "generator", to=lambda old: old[:100]),
    "a generator of floats": changed("state", "generator", to=lambda old: old.float()),
    "no regularizer": changed("state", "regularizer", drop=True), "empty regularizer": changed("state", "regularizer", to={}),
    "no rows": changed("rows", drop=True), "rows of text": changed("rows", to=["a"]),
    "rows without a loss": changed("rows", to=[{"step": 1}]),
    "rows of later steps": changed("rows", to=lambda old: [row | {"step": row["step"] + 99} for row in old]),
    "rows backward": changed("rows", to=lambda old: old[::-1]), "no settings": changed("settings", drop=True),
    "settings of text": changed("settings", to="all"), "no versions": changed("made_with", drop=True),
    "first loss of text": changed("state", "first_loss", to="1"),
    "weights of another shape": changed("state", "model", to=lambda old: {name: value[..., :1] for name, value in old.items()}),
    "weights that are no tensors": changed("state", "model", to=lambda old: dict.fromkeys(old, 1)),
    "averages of another shape": changed(
        "state", "optimizer", "state", 0, "exp_avg", to=lambda old: old.new_zeros(1, 1)),
    "averages without names": changed("state", "optimizer", "state", 0, to=lambda old: {"step": old["step"]}),
    "averages that are not dense": changed("state", "optimizer", "state", 0, "exp_avg", to=lambda old: old.to_sparse()),
    "no average": changed("state", "optimizer", "state", 0, "exp_avg", to=None),
    "averages of text": changed("state", "optimizer", "state", 0, "exp_avg", to="x"),
    "averages after a negative step": changed("state", "optimizer", "state", 0, "step", to=torch.tensor(-5.0)),
    "momenta of text": changed("state", "optimizer", "param_groups", 0, "betas", to=("a", "b")),
    "a decay that is no number": changed("state", "optimizer", "param_groups", 0, "weight_decay", to=float("nan")),
    "settings of tensors": changed("settings", "seed", to=torch.zeros(2)),
    "settings of tensors deeper": changed("settings", "model", to=lambda old: dict.fromkeys(old, torch.zeros(2))),
    "versions of tensors": changed("made_with", "threads", to=torch.zeros(2)),
    "rows of further text": changed("rows", to=lambda old: [row | {"kl": "x"} for row in old]),
    "rows of numbers that no float holds": changed("rows", to=lambda old: [row | {"seconds": 10**400} for row in old]),
    "a regularizer's step of text": changed(
        "state", "regularizer", "_extra_state", to=lambda old: as_bytes(inside(old) | {"step": "x"})),
    "fewer averages": changed("state", "optimizer", "param_groups", to=lambda old: [old[0] | {"params": old[0]["params"][:1]}]),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_checkpoints_are_refused_by_name_and_change_nothing(tmp_path, name):
    path = tmp_path / "a.pt"
    fit(path, steps=4)
    path.write_bytes(sealed(MALFORMED[name](torch.load(path, weights_only=True))))
    model = make(3)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"checkpoint '.*a\.pt' (cannot be read|does not fit)"):
        fit(path, model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("kind", [None, torch.optim.SGD])
def test_an_average_that_repeats_its_values_in_memory_is_written_to_its_own(tmp_path, kind):
    """torch's fused Adam writes as many values as an average has rows and columns, whatever it holds in memory."""
    path, optimizer = tmp_path / "a.pt", kind and (lambda weights: kind(weights, lr=1e-3, momentum=0.9))
    options = {"optimizer": optimizer, "steps": 4}
    fit(path, **options)
    content = torch.load(path, weights_only=True)
    expected = {}
    for how in ("in full", "repeated"):
        content = torch.load(path, weights_only=True) if how == "in full" else content
        for averages in content["state"]["optimizer"]["state"].values():
            for name, value in averages.items():
                if value is not None and value.ndim:
                    averages[name] = torch.zeros_like(value) if how == "in full" else value.new_zeros(1).expand(value.shape)
        (tmp_path / how).write_bytes(sealed(content))
        expected[how] = fit(tmp_path / how, make(1), **options | {"steps": 6})
    assert same(expected["in full"], expected["repeated"])


def test_how_an_optimizer_computes_is_not_read_from_a_checkpoint(tmp_path):
    path = tmp_path / "a.pt"
    expected = fit(tmp_path / "b.pt")
    fit(path, steps=4)
    content = torch.load(path, weights_only=True)
    content["state"]["optimizer"]["param_groups"][0] |= {"maximize": True, "amsgrad": True, "fused": None, "capturable": True}
    path.write_bytes(sealed(content))
    assert same(fit(path, make(1)), expected)


@pytest.mark.parametrize("content", [b"", b"x", b"PK\3\4" * 100, b"half"], ids=["empty", "byte", "no archive", "truncated"])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.pt"
    fit(path, steps=2)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2] if content == b"half" else content)
    with pytest.raises(ValueError, match=r"checkpoint '.*a\.pt' cannot be read .*damaged, or another file"):
        fit(path)
    run = fit(tmp_path / "b.pt", steps=2)
    whole = run.save(tmp_path / "run").read_bytes()
    (tmp_path / "run").write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    with pytest.raises(ValueError, match=r"path '.*run' is damaged"):
        sl.load_run(tmp_path / "run")


def test_versions_and_threads_are_recorded_and_another_torch_is_told(tmp_path):
    path = tmp_path / "a.pt"
    run = fit(path, steps=2)
    content = torch.load(path, weights_only=True)
    assert content["format"] == checkpoints.FORMAT
    assert content["made_with"] == checkpoints.made_with()
    assert content["made_with"].keys() == {"sculptlab", "torch", "numpy", "python", "threads"}
    path.write_bytes(sealed(changed("made_with", "torch", to="2.0.0")(content)))
    with pytest.warns(UserWarning, match=r"was written with torch 2\.0\.0, here it is torch .*the last bits may differ"):
        assert same(fit(path, make(5), steps=2), run)
