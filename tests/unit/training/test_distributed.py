"""Training by several processes is training by one: all objectives, the whole of `fit`, and what happens when a process fails."""

import numpy as np
import pytest
import torch
from rank_checks import (
    all_objectives,
    every_objective,
    fitted,
    in_ranks,
    one_is_killed,
    one_stalls,
    own_loop,
    several_fits,
    shifted_codes,
    stepped,
)  # fmt: skip

import sculptlab as sl
from sculptlab.mmd.distance import discrepancies, discrepancy_share


def test_every_objective_takes_the_step_of_one_process():
    by_one = {name: stepped(objective) for name, objective in every_objective().items()}
    for answer, found in in_ranks(all_objectives, 4):
        assert answer == "ok", found
        for name, (terms, changes) in by_one.items():
            for ours, theirs in zip(found[name][0], terms, strict=True):
                assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-9), name
            assert np.abs(found[name][1] - changes).max() < 1e-5 * np.abs(changes).max(), name


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """What two ranks found, and what one process finds, which wrote a checkpoint of 15 steps for them before."""
    folder = tmp_path_factory.mktemp("checkpoints")
    fitted(path=f"{folder}/of_one", steps=15)
    found = in_ranks(several_fits, 2, str(folder))
    assert [answer for answer, _ in found] == ["ok", "ok"], found
    return [one for _, one in found], folder


def same(one, other):
    history, weights, _ = one
    for ours, theirs in zip(history, other[0], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)
    for name, value in weights.items():
        assert np.allclose(value, other[1][name], atol=1e-4), name


def test_the_mean_of_the_ranks_own_mmds_is_another_objective(by_two):
    z, target = shifted_codes()
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    sl.mmd2(z + shift, target).backward()
    whole = shift.grad.numpy()
    assert np.linalg.norm(by_two[0][0]["naive"] - whole) > 0.02 * np.linalg.norm(whole)


def test_a_loop_of_ones_own_under_ddp_is_that_of_one_process(by_two):
    for found in by_two[0]:
        assert np.allclose(found["own loop"], own_loop(), rtol=1e-6, atol=1e-9)


def test_fit_has_the_history_and_weights_of_one_process_and_reads_each_row_once(by_two):
    one = fitted()
    for found in by_two[0]:
        same(found["fit"], one)
    read = [found["fit"][2] for found in by_two[0]]
    assert all(len(rows) < 0.7 * len(one[2]) for rows in read)  # half, and the first 64 that all know


def test_a_checkpoint_resumes_with_another_number_of_ranks(by_two):
    found, folder = by_two
    same(found[0]["resumed"], fitted())
    same(fitted(path=f"{folder}/checkpoint", steps=40), fitted(steps=40))


def test_all_ranks_end_together_when_one_is_told_to(by_two):
    assert [found["stopped"] for found in by_two[0]] == [7, 7]
    assert [found["loader"] for found in by_two[0]] == [7, 7]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("not sharded", "ValueError: data that come in batches must be other ones in each of 2 processes"),
        ("batch size", "ValueError: batch_size must be a multiple of the 2 processes, got 15"),
        ("function", "ValueError: objective must be one of sl.objectives"),
        ("batch norm", "ValueError: model must have no batch normalization"),
        ("seed", "seed: 0 in rank 0, 1 in rank 1"),
        ("steps", "steps: 5 in rank 0, 6 in rank 1"),
        ("data", "differ in data:"),
        ("rows", "ValueError: codes must have the same number of rows in every process, got [4, 5]"),
    ],
)
def test_ranks_that_disagree_and_what_cannot_be_exact_are_refused_in_all_ranks(by_two, name, words):
    assert [words in (found["errors"][name] or "") for found in by_two[0]] == [True, True], by_two[0][0]["errors"][name]


def test_a_killed_rank_ends_the_others_with_a_message_and_a_checkpoint(tmp_path):
    (_, message), killed = in_ranks(one_is_killed, 2, str(tmp_path))
    assert killed is None
    assert "RankError: rank 0 of 2 was" in message
    assert "another rank ended" in message
    with pytest.raises(ValueError, match="is 8 steps along"):
        fitted(path=f"{tmp_path}/killed", steps=7)


def test_a_stalled_rank_ends_the_others_with_a_message():
    (_, message), _ = in_ranks(one_stalls, 2, timeout=2.0)
    assert "another rank did not come in time" in message


@pytest.mark.parametrize("kernel", [sl.kernels.IMQ(base=3.0), sl.kernels.RBF(1.0), sl.kernels.Energy()])
@pytest.mark.parametrize("shape", [(24, 3), (5, 24, 1), (1200, 2)])
def test_shares_of_ranks_add_up_to_mmd2_and_its_gradient(kernel, shape):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    whole = discrepancies(x, y, kernel, True)
    (slope,) = torch.autograd.grad(whole.sum(), x)
    n = shape[-2]
    parts = [discrepancy_share(x, y, kernel, True, slice(i * n // 4, (i + 1) * n // 4)) for i in range(4)]
    slopes = [torch.autograd.grad(part.sum(), x)[0] for part in parts]
    assert torch.allclose(sum(parts), whole, rtol=1e-9, atol=1e-12)
    assert torch.allclose(sum(slopes), slope, rtol=1e-9, atol=1e-12)
    assert not slopes[1][..., : n // 4, :].any()
