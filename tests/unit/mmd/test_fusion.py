"""The compiled sum of scales: what the plain one finds, only where it is asked for, and never in the way."""

import shutil
import sys

import pytest
import torch

import sculptlab as sl
from sculptlab.mmd import fusion
from sculptlab.mmd.kernels import IMQ, fuse

KERNEL = IMQ(base=4.0)


def rows(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 600, 4, generator=generator).to(dtype)
    return (x * 1.3).requires_grad_(), y


def value_and_gradient(x, y):
    value = sl.mmd2(x, y, KERNEL)
    return value.detach(), *torch.autograd.grad(value, x)


@pytest.fixture
def put_back():
    yield
    fuse(False)


@pytest.fixture(scope="module")
def compiled():
    if not fuse():
        fuse(False)
        pytest.skip("PyTorch has no working compiler here")
    passes = dict(fusion._passes)
    fuse(False)
    return passes


def test_nothing_is_compiled_unless_it_is_asked_for():
    assert fusion._passes == {}
    tile = torch.ones(fusion.MANY)
    assert not fusion.summed(tile, KERNEL.widths, tile.clone(), None)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("g++"), reason="needs a C++ compiler")
def test_it_compiles_where_there_is_a_compiler(compiled):
    assert "cpu" in compiled


@pytest.mark.parametrize("distance", [0.0, 1e-6, 1.0, 1e30])
def test_values_and_slopes_in_closed_form(compiled, monkeypatch, distance):
    monkeypatch.setattr(fusion, "_passes", compiled)
    squared = torch.full((2, 128, 150), distance)
    values, slope = torch.empty_like(squared), torch.ones_like(squared)
    assert fusion.summed(squared, (1.0, 2.0, 5.0), values, slope)
    assert values.unique().item() == pytest.approx(sum(w / (w + distance) for w in (1, 2, 5)), rel=1e-6)
    assert slope.unique().item() == pytest.approx(1 - sum(w / (w + distance) ** 2 for w in (1, 2, 5)), rel=1e-5)


def test_mmd2_is_the_same_but_for_rounding(compiled, monkeypatch):
    x, y = rows()
    value, slope = value_and_gradient(x, y)
    calls = []
    counted = {"cpu": lambda *tile: (calls.append(len(tile[0])), compiled["cpu"](*tile))}
    monkeypatch.setattr(fusion, "_passes", counted)
    fused, fused_slope = value_and_gradient(x, y)
    assert len(calls) >= 3
    assert fused.item() == pytest.approx(value.item(), abs=1e-6)
    assert (fused_slope - slope).abs().max() < 1e-5 * slope.abs().max()
    exact, _ = value_and_gradient(*rows(torch.float64))
    assert fused.item() == pytest.approx(exact.item(), abs=1e-6)
    done = len(calls)
    value_and_gradient(*rows(torch.float64))  # double precision and small calls go the plain way
    value_and_gradient(x[:20], y[:20])
    assert len(calls) == done


def test_without_a_compiler_it_says_so_and_changes_nothing(monkeypatch, put_back):
    def refuse(*arguments, **keywords):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", refuse)
    assert fuse() is False
    value_and_gradient(*rows())


def test_a_wrong_pass_is_not_taken(monkeypatch, put_back):
    monkeypatch.setattr(torch, "compile", lambda function, **keywords: lambda *tile: None)
    assert fuse() is False


def test_a_pass_that_fails_later_is_given_up(monkeypatch):
    def fail(*tile):
        raise RuntimeError("out of registers")

    x, y = rows()
    expected = value_and_gradient(x, y)
    passes = {"cpu": fail}
    monkeypatch.setattr(fusion, "_passes", passes)
    found = value_and_gradient(x, y)
    assert passes == {}
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_pass_that_works_is_kept_until_it_is_switched_off(monkeypatch, put_back):
    monkeypatch.setattr(torch, "compile", lambda function, **keywords: function)
    assert fuse() is True
    assert fuse(False) is False
    assert fusion._passes == {}


def test_bad_input_is_named():
    with pytest.raises(TypeError, match="on must be True or False, got 'yes'"):
        fuse("yes")
