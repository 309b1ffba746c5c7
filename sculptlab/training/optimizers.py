"""Adam and AdamW of torch without the import of torch's compiler, which takes seconds.

`torch.optim` imports `torch._dynamo` when the first optimizer is made and when it first steps, so that a compiled function can
leave them out. Here they are never compiled.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch


def _uncompiled(kind: type[torch.optim.Optimizer]) -> Any:
    """A subclass with the undecorated methods of `kind`; its steps are the same, bit for bit."""
    methods = {
        name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    }
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {"__module__": __name__, "__doc__": kind.__doc__, "step": step, **methods})


Adam, AdamW = _uncompiled(torch.optim.Adam), _uncompiled(torch.optim.AdamW)
