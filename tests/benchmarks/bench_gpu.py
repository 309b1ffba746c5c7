"""Where a training step's time goes on a GPU, and what bfloat16, channels-last and torch.compile save of it.

    python tests/benchmarks/bench_gpu.py [--architectures conv residual] [--batch 256] [--dim 16] [--width 32]
        [--rounds 5] [--steps 100]

Random images of CIFAR-10's shape, MMD (joint and pairs) and the predictability penalty. All settings train in one process and
take turns, so that the ratios are of one run; the first setting, float32 in the usual layout without a compiler, is 1. Then for
the first and the last setting of each architecture: how the time between events on the GPU's stream divides over the parts of a
step, how busy its kernels were, which took longest, and every line of a step where the processor had to wait for the GPU. Without
a GPU the same runs small on the CPU, to show that it runs.
"""

import argparse
import itertools
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import sculptlab as sl
from sculptlab.training.objectives import MMD, Predictability
from sculptlab.training.state import Training

WARM = 10  # steps before any is timed
PROFILED_STEPS = 50
PARTS = ("data", "forward", "mmd", "predictability", "backward", "optimizer", "predictability's own steps", "rest")

Setting = tuple[str, bool, bool]  # precision, channels-last, compiled


class Clock:
    """Time of the parts of a step, each without those inside it: of a GPU's stream, which is never made to wait, or the CPU's."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.running = device, False
        self.open: list[str] = []
        self.marks: list[tuple[str, Any]] = []

    def mark(self) -> None:
        """What comes next belongs to the innermost open part."""
        if not self.running:
            return
        now: Any = time.perf_counter()
        if self.device.type == "cuda":
            now = torch.cuda.Event(enable_timing=True)
            now.record()
        self.marks.append((self.open[-1] if self.open else "rest", now))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.open.append(name)
        self.mark()
        try:
            yield
        finally:
            self.open.pop()
            self.mark()

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **keywords: Any) -> Any:
            with self.part(name):
                return function(*arguments, **keywords)

        return timed

    def shares(self) -> dict[str, float]:
        synchronize(self.device)
        spent: Counter[str] = Counter()
        for (name, start), (_, end) in itertools.pairwise(self.marks):
            spent[name] += start.elapsed_time(end) if self.device.type == "cuda" else end - start
        return {name: spent[name] / sum(spent.values()) for name in PARTS}


def timed_objective(clock: Clock, dim: int) -> Any:
    """MMD, joint and in pairs, and the predictability penalty, timed by `clock`."""

    class TimedMMD(MMD):
        def regularizers(self, batch: Any, companions: Any) -> Any:
            with clock.part("mmd"):
                return list(super().regularizers(batch, companions))

    class TimedPenalty(Predictability):
        def regularizers(self, batch: Any, companions: Any) -> Any:
            with clock.part("predictability"):
                return list(super().regularizers(batch, companions))

    prior = sl.priors.Gaussian(dim)
    return TimedMMD(prior, weight=100.0) + TimedMMD(prior, weight=10.0, views="pairs") + TimedPenalty()


def make(architecture: str, setting: Setting, images: torch.Tensor, options: argparse.Namespace) -> tuple[Training, Clock, float]:
    """A training, warmed up, its clock, and the seconds that took, compiler and all."""
    precision, channels_last, compiled = setting
    model = sl.build_autoencoder(architecture, image_shape=tuple(images.shape[1:]), dim=options.dim, width=options.width)
    clock, started = Clock(images.device), time.perf_counter()
    training = Training(
        model, images, timed_objective(clock, options.dim), batch_size=options.batch, device=images.device, precision=precision,
        compile=compiled,
    )  # fmt: skip
    training.execution.channels_last = channels_last
    training.start()
    for _ in range(WARM):
        training.advance()
    synchronize(images.device)
    return training, clock, time.perf_counter() - started


def seconds(training: Training, steps: int) -> float:
    """Of one step."""
    synchronize(training.device)
    started = time.perf_counter()
    for _ in range(steps):
        training.advance()
    synchronize(training.device)
    return (time.perf_counter() - started) / steps


def parts(training: Training, clock: Clock) -> dict[str, float]:
    """Shares of the time of a step."""
    backward = torch.Tensor.backward

    def timed(loss: torch.Tensor) -> None:
        with clock.part("predictability's own steps" if clock.open[-1:] == ["predictability's own steps"] else "backward"):
            backward(loss)

    with (
        mock.patch.object(torch.Tensor, "backward", timed),
        mock.patch.object(training.batches, "at", clock.wrap("data", training.batches.at)),
        mock.patch.object(training, "_terms", clock.wrap("forward", training._terms)),
        mock.patch.object(training.optimization.optimizer, "step", clock.wrap("optimizer", training.optimization.optimizer.step)),
        mock.patch.object(training.regularizer, "update", clock.wrap("predictability's own steps", training.regularizer.update)),
    ):
        clock.running = True
        for _ in range(PROFILED_STEPS):
            training.advance()
        clock.running = False
    return clock.shares()


def kernels(training: Training) -> tuple[float, list[tuple[str, float]]]:
    """How much of the time some kernel of the GPU (or operation of the CPU) runs, and the shares of the longest."""
    on_gpu = training.device.type == "cuda"
    synchronize(training.device)
    started = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as watched:
        for _ in range(PROFILED_STEPS):
            training.advance()
        synchronize(training.device)
        wall = time.perf_counter() - started
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    spent = sorted(((getattr(e, name), e.key) for e in watched.key_averages()), reverse=True)
    total = sum(time for time, _ in spent)
    return total * 1e-6 / wall, [(key, time / total) for time, key in spent[:10]]


def waits(training: Training) -> Counter[str]:
    """Where the processor waits for the GPU in a step that is not due for a check: line and how often."""
    while training.step % 50 in (0, 49):
        training.advance()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            training.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Counter(f"{w.filename}:{w.lineno}" for w in seen if "synchroniz" in str(w.message))


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def name_of(setting: Setting) -> str:
    precision, channels_last, compiled = setting
    return f"{precision:9} {'channels-last' if channels_last else 'channels-first'}{' compiled' if compiled else ''}"


def compare(architecture: str, settings: list[Setting], images: torch.Tensor, options: argparse.Namespace) -> None:
    ready = {setting: make(architecture, setting, images, options) for setting in settings}
    with FlopCounterMode(display=False) as counter:
        ready[settings[0]][0].advance()
    for training, *_ in list(ready.values())[1:]:
        training.advance()  # all see the same batches
    flops = counter.get_total_flops()
    rounds = [{s: seconds(training, options.steps) for s, (training, *_) in ready.items()} for _ in range(options.rounds)]
    sizes = f"width {options.width}, batch {options.batch}, dim {options.dim}"
    print(f"\n{architecture}, {sizes}: {flops / 1e9:.3g} GFLOP a step of the model")
    print(f"{'':36}{'steps/s':>9}{'faster by':>10}{'range':>14}{'TFLOP/s':>9}{'start (s)':>11}{'loss':>9}")
    for setting in settings:
        ratios = [r[settings[0]] / r[setting] for r in rounds]
        step = statistics.median(r[setting] for r in rounds)
        training, _, start = ready[setting]
        loss = training.advance().terms["loss"].item()
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(
            f"{name_of(setting):36}{1 / step:9.1f}{statistics.median(ratios):10.2f}{spread:>14}{flops / step / 1e12:9.2f}"
            f"{start:11.1f}{loss:9.1f}"
        )
    for setting in (settings[0], settings[-1]):
        training, clock, _ = ready[setting]
        print(f"\n{architecture}, {name_of(setting)}\n  shares of a step: ", end="")
        print(", ".join(f"{part} {100 * share:.0f} %" for part, share in parts(training, clock).items()))
        busy, longest = kernels(training)
        print(f"  kernels run {100 * busy:.0f} % of the time (with the profiler's own cost); the longest:")
        for kernel, share in longest:
            print(f"    {100 * share:5.1f} %  {kernel[:110]}")
        if training.device.type == "cuda":
            found = waits(training)
            print(f"  the processor waits {found.total()} time(s) a step: {dict(found)}")


def measure() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", nargs="+", default=["conv", "residual"])
    for option, default in (("batch", 256), ("dim", 16), ("width", 32), ("rounds", 5), ("steps", 100)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    rows, settings = 50_000, list(itertools.product(("float32", "bfloat16"), (False, True), (False, True)))
    if not torch.cuda.is_available():
        print("No CUDA here: a small version on the CPU, which says nothing of a GPU.")
        options.batch, options.width, options.dim, options.rounds, options.steps, rows = 32, 8, 4, 2, 3, 256
        settings = [s for s in settings if not s[2]]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__}, {where}")
    images = torch.randint(256, (rows, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(device)
    for architecture in options.architectures:
        compare(architecture, settings, images, options)


if __name__ == "__main__":
    measure()
