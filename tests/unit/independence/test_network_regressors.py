"""The batched networks: gradients as autograd's, own columns unseen, best weights kept, each stopped by itself."""

import pytest
import torch

from sculptlab.independence.networks import Networks, log_frequencies, losses, output_gradients, predict_by_networks


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize("hidden", [(), (7,), (6, 5)])
def test_the_gradients_are_those_of_autograd(classes, hidden):
    generator = torch.Generator().manual_seed(0)
    x = normal(3, 20).double()
    y = torch.randint(classes, (3, 20), generator=generator) if classes else normal(3, 20, 1).double()
    networks = Networks(hidden, torch.zeros(3, classes or 1, dtype=torch.float64), generator)
    own = torch.arange(3)
    last = networks.weights[-1]  # zero at first
    last += normal(last[0].numel(), 3).T.reshape(last.shape)
    networks.weights[0][own, :, own] = 0
    values = networks.layers(x)
    ours = networks.gradients(values, output_gradients(values[-1], y))
    networks.weights = [w.clone().requires_grad_() for w in networks.weights]
    networks.biases = [b.clone().requires_grad_() for b in networks.biases]
    value = x
    for level, (w, b) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        value = w @ value + b
        value = value.relu() if level < len(hidden) else value
    theirs = list(torch.autograd.grad(losses(value, y).sum(), networks.parameters()))
    theirs[0][own, :, own] = 0
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("classes", [0, 3])
def test_no_network_sees_the_column_it_predicts(classes):
    x = normal(400, 3)
    x[:, 2] = x[:, 0] + 0.1 * x[:, 2]
    y = torch.bucketize(x, torch.tensor([-0.4, 0.4])) if classes else x
    new = normal(5, 3, 1)
    moved = new.clone()
    moved[:, 1] += 9
    before, after = (predict_by_networks(x, y, rows, hidden=(8,), classes=classes, seed=3) for rows in (new, moved))
    assert torch.allclose(before[:, 1], after[:, 1])
    assert not torch.allclose(before[:, 0], after[:, 0]) or not torch.allclose(before[:, 2], after[:, 2])


def test_it_learns_what_can_be_learnt():
    z = normal(3000, 3)
    z[:, 1] = z[:, 0] ** 2
    predicted = predict_by_networks(z[:2000], z[:2000], z[2000:], hidden=(64, 64))
    left = (predicted - z[2000:]).square().mean(0) / z[2000:].var(0)
    assert left[1] < 0.05
    assert 0.95 < left[0] < 1.1  # E[z0 | z0^2] = 0
    assert 0.95 < left[2] < 1.1


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    z = normal(300, 3)
    first, again, other = (predict_by_networks(z, z, z, hidden=(8,), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_frequencies_of_classes():
    labels = torch.tensor([[0, 1], [0, 1], [1, 1], [0, 1]])
    assert torch.allclose(log_frequencies(labels, 3).exp(), torch.tensor([[0.75, 0.25, 0], [0, 1, 0]]), atol=1e-12)


def test_a_network_that_stops_leaves_the_others_running(monkeypatch):
    """Columns 0 and 1 determine each other, column 2 is noise: its network stops first, the others go on to a better fit."""
    z = normal(1000, 3)
    z[:, 1] = (3 * z[:, 0]).sin() + 0.05 * z[:, 1]
    running = []
    keep = Networks.keep
    monkeypatch.setattr(Networks, "keep", lambda self, chosen: (keep(self, chosen), running.append(self.columns.tolist()))[0])
    predict_by_networks(z, z, z, hidden=(32, 32))
    assert running
    assert 1 in running[0]
    assert 2 not in running[-1]
