"""How many sprites a second: `python tests/benchmarks/bench_sprites.py` (aim: 20,000 at 64 px on two cores)."""

import time

import torch

from sculptlab.data import sprites


def rate(n: int, fixed: dict[str, float] | None = None, **options: object) -> float:
    """Images a second: the median of five runs over the same values, after one that warms up."""
    values = sprites.sample(n, seed=0, fixed=fixed)
    sprites.render(values, **options)  # type: ignore[arg-type]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        sprites.render(values, **options)  # type: ignore[arg-type]
        times.append(time.perf_counter() - start)
    return n / sorted(times)[2]


def main() -> None:
    print(f"{torch.get_num_threads()} thread(s), torch {torch.__version__}")
    base = rate(20_000)
    print(f"{'64 px, binary, all shapes':32s} {base:10,.0f} images/s  {base / 20_000:5.2f} x the aim")
    for code, name in sprites.SHAPES.items():
        fast = rate(20_000, fixed={"shape": code, "scale": 1.0})
        print(f"{f'64 px, {name} at scale 1':32s} {fast:10,.0f} images/s  {fast / base:5.2f} x all shapes")
    for size in (16, 32, 64):
        for antialias in (False, True):
            fast = rate(5_000, size=size, antialias=antialias)
            label = f"{size} px, {'antialiased' if antialias else 'binary'}"
            print(f"{label:32s} {fast:10,.0f} images/s  {fast / base:5.2f} x all shapes")


if __name__ == "__main__":
    main()
