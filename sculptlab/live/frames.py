"""Messages between the Sculptor and its page: plain words and numbers, with binary buffers for points and images."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sculptlab.live import targets
from sculptlab.live.engine import Engine
from sculptlab.live.settings import BATCHES, HYPERPARAMETERS, KERNELS, OBJECTIVES, PREFIX, Settings
from sculptlab.live.snapshots import SCORES, TILES, code_extent, images_near
from sculptlab.live.targets import CANVAS_SIZE, EXTENT, PAINTED, PRESETS, YOURS
from sculptlab.validation import choice

Message = tuple[dict[str, Any], list[bytes]]


def describe_controls(engine: Engine) -> dict[str, Any]:
    """All that can be set, from which the page builds its controls."""
    priors = [*PRESETS, PAINTED, *([YOURS] if engine.yours is not None else [])]
    return {
        "data": list(engine.offered),
        "priors": {name: [vars(slider) for slider in targets.sliders_of(name)] for name in priors},
        "dials": [vars(slider) for slider in HYPERPARAMETERS.values()],
        "objectives": list(OBJECTIVES),
        "kernels": list(KERNELS),
        "batches": [size for size in BATCHES if size <= len(engine.images.training)],
        "paper": CANVAS_SIZE, "levels": targets.GRAY_LEVELS, "reach": EXTENT, "map": targets.DENSITY_SCALE, "side": TILES,
        "scheme": PREFIX,
    }  # fmt: skip


def read_changes(message: Mapping[str, Any], offered: Sequence[str]) -> dict[str, Any]:
    """The changes that a page asks for, as `Engine.change` takes them; only for data that are `offered`.

    The page may send a settings string as "text", or a "painting" as base64 of two pixels to a byte; the prior's sliders come
    as a mapping, and whole numbers perhaps as floats.
    """
    changes = dict(message)
    if "text" in changes:
        changes = dict(vars(Settings.read(changes["text"])))
    if "data" in changes:
        choice("data", changes["data"], offered)
    if "painting" in changes:
        pairs = base64.b64decode(changes.pop("painting"), validate=True)
        if len(pairs) * 2 != CANVAS_SIZE**2:
            raise ValueError(f"painting must have {CANVAS_SIZE} x {CANVAS_SIZE} pixels, got {2 * len(pairs)}")
        changes |= {"prior": PAINTED, "painted": targets.encode_painting(targets.unpack_pixels(pairs))}
    changes |= changes.pop("sliders", None) or {}
    for name in ("batch", "seed"):
        if isinstance(changes.get(name), float) and changes[name].is_integer():
            changes[name] = int(changes[name])
    return changes


def frame_message(
    engine: Engine, pointer: Mapping[str, Any] | None, span: float, *, settled: bool, arrows: bool = False
) -> Message:
    """All that the page shows at one moment, so that a page that opens now can draw it.

    `pointer` is the point of a model's plane that the reader points at. `span` is half the width of the plane in the last frame.
    `settled` is False soon after a change: then LPS and the null band, which are slow, are not measured. `arrows`: also how MMD²
    pulls each code.
    """
    snapshots = engine.take_snapshots(with_lps=settled)
    images, target = engine.images, engine.target
    buffers: list[bytes] = []

    def put(array: np.ndarray) -> int:
        buffers.append(np.ascontiguousarray(array).tobytes())
        return len(buffers) - 1

    models = [
        {
            "name": name, "codes": put(snapshot.codes.astype(np.float32)), "sheet": put(snapshot.tiles),
            "pulls": put(pulls) if arrows and (pulls := engine.pulls(name, snapshot.codes)) is not None else None,
            **{score: _plain(getattr(snapshot, score)) for score in SCORES},
        }
        for name, snapshot in snapshots.items()
    ]  # fmt: skip
    history = engine.history.to_numpy(np.float32)
    content = {
        "kind": "frame", "step": engine.step, "settings": dict(vars(engine.settings)), "text": str(engine.settings),
        "notice": engine.notice or engine.advice, "broken": engine.error is not None, "blank": engine.blank,
        "band": target.null_band if settled or "null_band" in vars(target) else None, "box": target.box,
        "span": _plane_span((snapshot.codes for snapshot in snapshots.values()), span),
        "target_lps": _plain(target.lps) if settled or "lps" in vars(target) else None,
        "count": len(images.held_out), "sheet": next(iter(snapshots.values())).tiles.shape, "density": put(target.density),
        "painting": put(targets.decode_painting(engine.settings.painted)),
        "labels": None if images.labels is None else put(images.labels.numpy().astype(np.float64)),
        "label_names": list(images.label_names), "rows": put(history), "columns": history.shape[1],
        "lanes": models, "pointer": None,
    }  # fmt: skip
    if pointer and pointer.get("lane") in snapshots:
        name, point = pointer["lane"], tuple(map(float, pointer["at"]))
        if len(point) == 2 and np.isfinite(point).all():
            shown, rows = images_near(engine.model(name), images, snapshots[name].codes, point)
            labels = None if images.labels is None else images.labels[rows].tolist()
            content["pointer"] = {
                "lane": name, "at": point, "images": put(shown), "shape": shown.shape, "rows": rows, "labels": labels
            }  # fmt: skip
    return content, buffers


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plane_span(samples: Iterable[np.ndarray], before: float) -> float:
    """Half the width of the plane, EXTENT times a power of √2; it rarely changes, so that the plane does not flicker."""
    wide = 1.15 * max(map(code_extent, samples))
    if wide <= before and (before <= EXTENT or wide > 0.62 * before):
        return before
    return EXTENT * 2 ** (max(0, math.ceil(2 * math.log2(max(wide, 1e-9) / EXTENT))) / 2)
