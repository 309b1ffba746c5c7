"""Adam and AdamW without torch's compiler: the same steps, states and pickles."""

import pickle

import pytest
import torch

from sculptlab.training import optimizers

KINDS = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}


def steps(kind, count=20, **options):
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5, 3, generator=generator))
    optimizer = kind([weight], lr=0.1, **options)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))], "lr": 0.2})
    for _ in range(count):
        optimizer.zero_grad()
        ((weight - 1) * torch.randn(5, 3, generator=generator)).square().sum().backward()
        optimizer.step()
    return weight.detach(), optimizer


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_steps_and_states_are_those_of_torch_bit_for_bit(name, fused):
    ours, optimizer = steps(getattr(optimizers, name), weight_decay=0.1, fused=fused)
    theirs, expected = steps(KINDS[name], weight_decay=0.1, fused=fused)
    assert torch.equal(ours, theirs)
    found, wanted = optimizer.state_dict(), expected.state_dict()
    assert found["param_groups"] == wanted["param_groups"]
    assert all(torch.equal(found["state"][0][key], value) for key, value in wanted["state"][0].items())
    other = KINDS[name]([torch.nn.Parameter(torch.zeros(5, 3))])
    other.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]})
    other.load_state_dict(found)  # what one wrote the other reads
    optimizer.load_state_dict(wanted)


def test_an_optimizer_is_one_of_torch_and_can_be_pickled():
    _, optimizer = steps(optimizers.Adam, 3)
    assert isinstance(optimizer, torch.optim.Adam)
    copy = pickle.loads(pickle.dumps(optimizer))
    assert copy.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    assert type(copy) is optimizers.Adam


def test_gradients_are_not_recorded_in_a_step():
    weight, _ = steps(optimizers.Adam, 1)
    assert not weight.requires_grad
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = optimizers.AdamW([parameter])
    parameter.grad = torch.ones(2)
    optimizer.step()
    assert parameter.is_leaf
    assert parameter.grad_fn is None
