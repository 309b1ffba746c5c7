"""What the Sculptor sends to its page: one message of plain words and numbers, and binary buffers for points and pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sculptlab.data.sources import BUNDLED
from sculptlab.live import sculptor_priors
from sculptlab.live.sculptor_engine import MEASURES, Engine
from sculptlab.live.sculptor_measures import MAP, SIDE, LanePicture, Target, reach, under
from sculptlab.live.sculptor_priors import LEVELS, PAINTED, PAPER, PRESETS, REACH, YOURS
from sculptlab.live.sculptor_state import BATCHES, DIALS, KERNELS, OBJECTIVES, SCHEME, Settings

Message = tuple[dict[str, Any], list[bytes]]
SHRINK = 0.62  # it narrows when that, with the room, is a smaller share of it
ROOM = 1.15  # the plane shown is so much wider than where 98 of 100 codes lie


def controls(engine: Engine) -> dict[str, Any]:
    """What can be set, for a page that builds its controls from it."""
    names = [*BUNDLED, *([] if engine.pictures.name in BUNDLED else [engine.pictures.name])]
    priors = [*PRESETS, PAINTED, *([YOURS] if engine.yours is not None else [])]
    return {
        "data": names,
        "priors": {name: [vars(slider) for slider in sculptor_priors.sliders(name)] for name in priors},
        "dials": [vars(dial) for dial in DIALS.values()],
        "objectives": list(OBJECTIVES),
        "kernels": list(KERNELS),
        "batches": [size for size in BATCHES if size <= len(engine.pictures.training)],
        "paper": PAPER, "levels": LEVELS, "reach": REACH, "map": MAP, "side": SIDE, "scheme": SCHEME,
    }  # fmt: skip


def wished(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that a page asks for, as `Engine.change` takes them: a painting comes as base64 of two pixels to a byte."""
    plain = dict(changes)
    text = plain.pop("text", None)
    if text is not None:
        return _all_of(Settings.read(text))
    if "painting" in plain:
        pairs = np.frombuffer(base64.b64decode(plain.pop("painting")), np.uint8)
        if len(pairs) * 2 != PAPER * PAPER:
            raise ValueError(f"painting must have {PAPER} x {PAPER} pixels, got {2 * len(pairs)}")
        darkness = np.stack([pairs >> 4, pairs & 15], 1).reshape(PAPER, PAPER)
        plain |= {"prior": PAINTED, "painted": sculptor_priors.packed(darkness)}
    return plain


def _all_of(settings: Settings) -> dict[str, Any]:
    return {**settings.as_dict(), "painted": settings.painted}


class Packer:
    """Makes the message of a frame; remembers how wide the plane was, so that it does not breathe with every step."""

    def __init__(self) -> None:
        self._span = REACH

    def message(self, engine: Engine, pointer: Mapping[str, Any] | None, *, settled: bool) -> Message:
        """The whole picture of a moment: a page that has seen nothing before can draw it."""
        seen = engine.look(settled=settled)
        buffers: list[bytes] = []

        def put(array: np.ndarray) -> int:
            buffers.append(np.ascontiguousarray(array).tobytes())
            return len(buffers) - 1

        pictures, target = engine.pictures, engine.target
        self._span = _span([picture.codes for picture in seen.values()], self._span)
        numbers = engine.history.to_numpy(np.float32)
        first = next(iter(seen.values()))
        content = {
            "kind": "frame", "step": engine.step, "settings": engine.settings.as_dict(), "text": str(engine.settings),
            "notice": engine.notice or engine.advice, "broken": engine.broken, "blank": engine.blank,
            "band": _band(target, settled), "box": target.box, "span": self._span,
            "count": len(first.codes), "sheet": first.sheet.shape, "density": put(target.density),
            "painting": put(sculptor_priors.unpacked(engine.settings.painted)),
            "labels": None if pictures.labels is None else put(pictures.labels.numpy().astype(np.uint8)),
            "label_names": list(pictures.label_names), "rows": put(numbers), "columns": numbers.shape[1],
            "lanes": [_lane(name, picture, engine, put) for name, picture in seen.items()],
            "pointer": _pointed(engine, seen, pointer, put),
        }  # fmt: skip
        return content, buffers


def _band(target: Target, settled: bool) -> float | None:
    return target.band if settled or "band" in vars(target) else None


def _lane(name: str, picture: LanePicture, engine: Engine, put: Any) -> dict[str, Any]:
    numbers = {measure: _finite(engine.pace.get(f"{name} {measure}")) for measure in MEASURES}
    return {"name": name, "codes": put(picture.codes.astype(np.float32)), "sheet": put(picture.sheet), **numbers}


def _pointed(engine: Engine, seen: Mapping[str, LanePicture], pointer: Mapping[str, Any] | None, put: Any) -> Any:
    """What lies under the pointer, if it is on a plane that is shown."""
    if not pointer or pointer.get("lane") not in seen:
        return None
    at = tuple(float(value) for value in pointer["at"])
    if len(at) != 2 or not all(map(math.isfinite, at)):
        return None
    codes = seen[pointer["lane"]].codes
    images, rows = under(engine.model(pointer["lane"]), engine.pictures, codes, at)
    labels = engine.pictures.labels
    return {
        "lane": pointer["lane"], "at": at, "images": put(images), "shape": images.shape, "rows": rows,
        "labels": None if labels is None else labels[rows].tolist(),
    }  # fmt: skip


def _span(clouds: list[np.ndarray], before: float) -> float:
    """Half the width of the plane shown: REACH times a power of the root of 2, changed only when it must be."""
    wide = ROOM * max(map(reach, clouds))
    if wide <= before and (before <= REACH or wide > SHRINK * before):
        return before
    return REACH * 2 ** (max(0, math.ceil(2 * math.log2(max(wide, 1e-9) / REACH))) / 2)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
