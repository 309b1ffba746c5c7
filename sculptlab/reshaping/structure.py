"""The structure of a map as plain data, so that a file of tensors and text can hold a map."""

from typing import Any, cast

import torch
from torch import nn

from sculptlab.reshaping.flows import SplineFlow
from sculptlab.reshaping.maps import Blocks, Chain, Choice, Columns, HeavyTails, Linear, Map
from sculptlab.reshaping.quadratic import QuadraticCoupling
from sculptlab.reshaping.quantiles import Quantiles

KINDS: dict[str, type[Map]] = {
    kind.__name__: kind for kind in (Blocks, Chain, Choice, Columns, HeavyTails, Linear, QuadraticCoupling, Quantiles)
}
LISTS = ("sizes", "kept", "other")  # attributes that are lists of numbers


def described(map_: Map) -> dict[str, Any]:
    """The structure of a map, for JSON: its kind, and the shapes of its tensors."""
    if isinstance(map_, SplineFlow):
        return {"kind": "SplineFlow", "arguments": map_.arguments}
    own = dict(map_.named_buffers(recurse=False))
    tensors = {name: [str(value.dtype), *value.shape] for name, value in own.items()}
    about: dict[str, Any] = {"kind": type(map_).__name__, "tensors": tensors}
    about |= {name: getattr(map_, name) for name in LISTS if hasattr(map_, name)}
    if hasattr(map_, "maps"):
        about["maps"] = [described(cast(Map, one)) for one in cast(nn.ModuleList, map_.maps)]
    return about


def built(about: dict[str, Any]) -> Map:
    """A map of this structure, float64, whose tensors are still to be loaded."""
    if about["kind"] == "SplineFlow":
        return SplineFlow(**about["arguments"]).double().requires_grad_(False)
    kind = KINDS[about["kind"]]
    map_ = kind.__new__(kind)
    nn.Module.__init__(map_)
    for name, (dtype, *shape) in about["tensors"].items():
        map_.register_buffer(name, torch.zeros(shape, dtype=getattr(torch, dtype.removeprefix("torch.")), device="cpu"))
    if kind is Quantiles and "second" not in about["tensors"]:
        map_.register_buffer("second", None)
    for name in LISTS:
        if name in about:
            setattr(map_, name, [int(number) for number in about[name]])
    if "maps" in about:
        map_.maps = nn.ModuleList(built(one) for one in about["maps"])
    return map_
