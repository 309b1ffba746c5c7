"""Learning the map from codes to N(0, I): heavy tails, whitening, quadratic couplings, then a spline flow."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from sculptlab.columns import interquantile_range
from sculptlab.reshaping.flows import SplineFlow, maximize_likelihood
from sculptlab.reshaping.maps import Chain, HeavyTails, Linear, Map
from sculptlab.reshaping.quadratic import fit_quadratic_couplings

VALIDATION = 5000  # most rows that are held out
PART = 8192  # rows that pass through the couplings at once
Rows = list[dict[str, float]]


@dataclass(frozen=True)
class Fitting:
    """How maps are learned; the settings are those of `Reshaper`."""

    steps: int | None
    batch_size: int
    learning_rate: float | None
    weight_decay: float
    validation_fraction: float
    patience: int
    layers: int | None
    hidden_size: int | None
    device: torch.device
    seed: int
    verbose: bool

    def learn(self, x: Tensor, context: Tensor | None = None, label: str = "codes") -> tuple[list[Map], Rows]:
        """The maps of the distribution that `x` (n, d) was drawn from, on the CPU in float64, and the rows of their training.

        The flow begins as the identity. Fewer than 5 rows to hold out leave it so: the codes are only whitened. Quadratic
        couplings stand before the flow for more than 3 latents without a context.
        """
        tails = heavy_tails(x)
        whitening = Linear.whitening(tails(x)[0])
        white = whitening(tails(x)[0])[0].float().to(self.device)
        given = None if context is None else context.float().to(self.device)
        dim, generator = x.shape[1], torch.Generator().manual_seed(self.seed)
        small, steps = dim <= 3, self.steps or min(1000, 300 + len(x) // 30)
        flow = SplineFlow(
            dim, context=0 if context is None else context.shape[1], bins=16 if small else 8, seed=self.seed,
            layers=self.layers or (4 if small else 6), hidden_size=self.hidden_size or (64 if small else 128),
        ).to(self.device)  # fmt: skip
        order = torch.randperm(len(x), generator=generator, device="cpu").to(self.device)
        held_out = min(VALIDATION, round(self.validation_fraction * len(x)))
        validation, training = order[:held_out], order[held_out:]
        if len(training) < 2:
            raise ValueError(f"validation_fraction must leave 2 of {len(x)} rows to learn from, got {self.validation_fraction}")

        def rows(which: Tensor) -> tuple[Tensor, Tensor | None]:
            return white[which], None if given is None else given[which]

        def draw() -> tuple[Tensor, Tensor | None]:
            which = torch.randint(len(training), (min(self.batch_size, len(training)),), generator=generator, device="cpu")
            return rows(training[which.to(self.device)])

        history: Rows = []
        couplings, stretched = Chain([]), 0.0
        if held_out >= 5:
            if not small and given is None:
                couplings = fit_quadratic_couplings(white[training], white[validation], generator)
                stretched = couplings(white[:1])[1].item()
                white = torch.cat([couplings(part)[0] for part in white.split(PART)])
            from tqdm.auto import tqdm

            with tqdm(total=steps, desc=f"reshaping ({label})", unit="step", leave=False, disable=not self.verbose) as bar:
                history = maximize_likelihood(
                    flow, draw, rows(validation), steps=steps, patience=self.patience, weight_decay=self.weight_decay,
                    learning_rate=self.learning_rate or (5e-3 if small else 2e-3), advance=bar.update,
                )  # fmt: skip
        history = [{**row, **{name: row[name] + stretched for name in ("training", "validation")}} for row in history]
        return [part.double().requires_grad_(False).eval() for part in (tails, whitening, couplings.cpu(), flow.cpu())], history


def heavy_tails(x: Tensor) -> HeavyTails:
    """The map of the columns of `x` (n, d) with a value beyond 10 standard deviations, as its middle 90 % would give them."""
    median, spread = x.median(0).values, interquantile_range(x, 0.05) / 3.29
    quartiles = interquantile_range(x, 0.25) / 2
    heavy = ((x - median).abs().amax(0) > 10 * spread) & (spread > 0)
    return HeavyTails(median, torch.where(quartiles > 0, quartiles, torch.where(spread > 0, spread, 1)), heavy)


def dequantized(x: Tensor, seed: int) -> Tensor:
    """`x` (n, d) with uniform noise, as wide as the gaps, in columns of few different values; a warning names those columns."""
    generator = torch.Generator().manual_seed(seed)
    coarse, filled = [], x.clone()
    for i, column in enumerate(x.T):
        values = column.unique()
        if len(x) >= 50 and len(values) < len(x) / 10:
            coarse.append(i)
            gap = values.diff().median()
            filled[:, i] += gap * (torch.rand(len(x), generator=generator, dtype=x.dtype, device="cpu") - 0.5)
    if coarse:
        warnings.warn(
            f"X has few different values in {len(coarse)} column(s), {coarse[:8]}: no invertible map gives them a continuous "
            "distribution. The map is fitted to X with uniform noise as wide as the gaps; add such noise to X to match the prior",
            stacklevel=4,
        )
    return filled
