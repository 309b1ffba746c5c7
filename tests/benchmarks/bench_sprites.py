"""Rendering sprites, each in a window around it, against the plainest way: testing every pixel of every frame."""

import statistics
import time
from collections.abc import Callable

import torch

from sculptlab.data import sprites


def render_plainly(values: torch.Tensor, size: int) -> torch.Tensor:
    """The images of `sprites.render` by whole frames."""
    centers = (torch.arange(size) + 0.5) * (sprites.FRAME / size)
    shape, scale, angle, x, y = values.T[:, :, None, None]
    right = centers[None, None, :] - (sprites.MARGIN + sprites.TRAVEL * x)
    down = centers[None, :, None] - (sprites.MARGIN + sprites.TRAVEL * y)
    u = (torch.cos(angle) * right - torch.sin(angle) * down) / scale
    v = (torch.sin(angle) * right + torch.cos(angle) * down) / scale
    inside = torch.zeros(u.shape, dtype=torch.bool)
    for code in sprites.SHAPES:
        rows = (shape == code)[:, 0, 0]
        inside[rows] = sprites._inside(code, u[rows], v[rows])
    return inside[:, None].float()


def seconds(call: Callable[[], object]) -> float:
    """The median of three runs, after one that warms up."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> list[tuple[str, float]]:
    """Rows (name, ratio): how many times as fast as the plain way."""
    rows = []
    for size in (32, 64):
        values = sprites.sample(2000, seed=0)
        ratio = seconds(lambda: render_plainly(values, size)) / seconds(lambda: sprites.render(values, size))  # noqa: B023
        rows.append((f"sprites, {size} px: windows against whole frames", ratio))
    return rows


if __name__ == "__main__":
    for name, ratio in main():
        print(f"{name:50} {ratio:5.1f}x")
