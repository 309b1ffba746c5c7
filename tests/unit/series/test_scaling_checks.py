"""Page 11's exercises: the right answer passes, each usual slip is named."""

import pytest
import torch

from sculptlab.series import checks


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda own, others, y, r, d: r * d(torch.cat([own, others]), y), None),
        (lambda own, others, y, r, d: r * d(torch.cat([own, others.detach()]), y), None),
        (lambda own, others, y, r, d: d(torch.cat([own, others]), y), "multiplied by their number"),
        (lambda own, others, y, r, d: d(own, y[: len(own)]), "within this process alone"),
        (lambda own, others, y, r, d: d(own, y), "join them with torch.cat"),
        (lambda own, others, y, r, d: r * d(own, y), "a factor does not help"),
        (lambda own, others, y, r, d: d(torch.cat([own, others]), y) / r, "do not divide"),
        (lambda own, others, y, r, d: r * d(torch.cat([own.detach(), others]), y), "do not detach"),
        (lambda own, others, y, r, d: d(own.detach(), y), "do not detach"),
        (lambda own, others, y, r, d: 3.0, "a 0-d tensor"),
        (lambda own, others, y, r, d: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_loss_of_a_process_is_named(answer, words):
    feedback = checks.check_whole_batch(answer)
    assert feedback.passed == (words is None), feedback
    assert words is None or words in feedback.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda ranks, rows, dim: 4 * (ranks - 1) * rows * dim, None),
        (lambda ranks, rows, dim: 4 * ranks * rows * dim, "has its own codes already"),
        (lambda ranks, rows, dim: (ranks - 1) * rows * dim, "4 bytes"),
        (lambda ranks, rows, dim: 32 * (ranks - 1) * rows * dim, "32 bits"),
        (lambda ranks, rows, dim: 4 * rows * dim, "sends"),
        (lambda ranks, rows, dim: 4 * (ranks - 1) * rows, "images are not gathered"),
        (lambda ranks, rows, dim: 1, "expected about"),
        (lambda ranks, rows, dim: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_bytes_is_named(answer, words):
    feedback = checks.check_gathered_bytes(answer)
    assert feedback.passed == (words is None), feedback
    assert words is None or words in feedback.message
