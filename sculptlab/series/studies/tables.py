"""Data of the scorecard that are no images: a table of measurements, and waveforms from a formula with known factors."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sculptlab.evaluation.two_samples import hold_out

SAMPLES, FREQUENCIES, DUTY_CYCLES = 256, range(2, 9), (0.1, 0.9)
EDGE = 0.1  # width of the edges of a pulse, in units of the cosine: 0 would make steps


def breast_cancer() -> tuple[Tensor, Tensor]:
    """Training rows (398, 30) and held-out rows (171, 30) of scikit-learn's table of breast tumors, measured in microscopy.

    Each column has mean 0 and variance 1 over the training rows.
    """
    from sklearn.datasets import load_breast_cancer

    rows = torch.from_numpy(load_breast_cancer().data)
    kept, aside = hold_out(len(rows), 0.3)
    mean, std = rows[kept].mean(0), rows[kept].std(0, correction=0)
    training, held_out = (((rows[one] - mean) / std).float() for one in (kept, aside))
    return training, held_out


def pulse_train(frequency: Tensor, duty_cycle: Tensor) -> Tensor:
    """Waveforms (n, 256) in [0, 1] over one unit of time: `frequency` (n,) pulses, each on for the share `duty_cycle` (n,).

    sigmoid((cos(2 pi f t) - cos(pi d)) / 0.1): the cosine exceeds cos(pi d) in the share d of each period.
    """
    time = torch.arange(SAMPLES, device="cpu", dtype=torch.float32) / SAMPLES
    return torch.sigmoid((torch.cos(2 * math.pi * frequency[:, None] * time) - torch.cos(math.pi * duty_cycle[:, None])) / EDGE)


def pulses(n: int = 4000, seed: int = 0, whole: bool = True) -> tuple[Tensor, Tensor, np.ndarray]:
    """Three quarters of n pulse trains for training, the rest held out, and the factors (n / 4, 2) of these.

    The factors are drawn independently and evenly: a whole frequency from 2 to 8, or any frequency between them, and a duty cycle
    between 0.1 and 0.9, so that no waveform is there twice. They are those of Beamsynthesis (Yeats et al. 2022, ECCV), a
    simulation of a particle accelerator; its waveforms are not used here.
    """
    generator = torch.Generator().manual_seed(seed)
    if whole:
        frequency = torch.randint(FREQUENCIES.start, FREQUENCIES.stop, (n,), generator=generator, device="cpu").float()
    else:
        frequency = FREQUENCIES[0] + len(FREQUENCIES[1:]) * torch.rand(n, generator=generator, device="cpu", dtype=torch.float32)
    duty_cycle = torch.rand(n, generator=generator, device="cpu", dtype=torch.float32)
    duty_cycle = DUTY_CYCLES[0] + (DUTY_CYCLES[1] - DUTY_CYCLES[0]) * duty_cycle
    waves, split = pulse_train(frequency, duty_cycle), n * 3 // 4
    return waves[:split], waves[split:], torch.stack([frequency, duty_cycle], dim=1)[split:].numpy()
