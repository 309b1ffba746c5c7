"""What would bring codes to a prior? Remedies of increasing strength, fitted on one half of the rows and tested on the other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Generator, Tensor

from sculptlab.columns import permute_columns
from sculptlab.evaluation.effects import Target, effect_table, location_and_scale, overall_state
from sculptlab.evaluation.two_samples import c2st, prior_samples
from sculptlab.priors import Prior
from sculptlab.progress import Progress
from sculptlab.threads import one_thread


@dataclass(frozen=True)
class Advice:
    """What to try with codes that should follow a prior, and the measurements behind it.

    Parameters
    ----------
    action : str
        "nothing", "more samples", "fewer latents", "rescale", "whiten", "a marginal term", "the predictability penalty" or
        "reshape after training".
    reason : str
        Why, with the numbers measured.
    tried : pandas.DataFrame
        A row for each remedy that was tested: C2ST accuracy with its 95 % interval (c2st, c2st_low, c2st_high), the largest
        remaining effect and where it is, and the state: "close", "undecided" or "far".
    """

    action: str
    reason: str
    tried: pd.DataFrame = field(repr=False)

    def __str__(self) -> str:
        return f"{self.action}: {self.reason}"


def rescale(fitted: Tensor, z: Tensor, target: Target, generator: Generator) -> Tensor:
    """Give each latent the location and scale of the prior."""
    location, scale, *_ = location_and_scale(fitted, target.heavy)
    return (z - location) / torch.where(scale > 0, scale, 1) * target.each.scale + target.each.location


def whiten(fitted: Tensor, z: Tensor, target: Target, generator: Generator) -> Tensor:
    """Give the codes the mean and the covariance of the prior."""

    def power(rows: Tensor, exponent: float) -> Tensor:
        values, vectors = torch.linalg.eigh(torch.cov(rows.T).reshape(rows.shape[1], -1))
        return vectors * values.clamp_min(1e-12 * values.max()).pow(exponent) @ vectors.T

    return (z - fitted.mean(0)) @ power(fitted, -0.5) @ power(target.draws, 0.5) + target.draws.mean(0)


def match_marginals(fitted: Tensor, z: Tensor, target: Target, generator: Generator) -> Tensor:
    """Map each latent by its ranks to the quantiles of the prior; where between two ranks, is drawn at random."""
    ranks = torch.searchsorted(fitted.T.sort(1).values.contiguous(), z.T.contiguous())
    share = (ranks + torch.rand(ranks.shape, generator=generator, dtype=torch.float64, device="cpu")) / (len(fitted) + 1)
    return target.draws.T.sort(1).values.gather(1, (share * len(target.draws)).long()).T


REMEDIES: dict[str, Callable[[Tensor, Tensor, Target, Generator], Tensor]] = {
    "rescale": rescale,
    "whiten": whiten,
    "a marginal term": match_marginals,
}
REASONS = {
    "rescale": "shifting and scaling each latent by `.constants`",
    "whiten": "giving the codes the prior's mean and covariance by a linear map",
    "a marginal term": "giving each latent the prior's marginal, as MMD(prior, views='marginal') trains,",
    "the predictability penalty": "even with the prior's marginals the latents depend on each other, and the prior's do not: "
    "if the model can be trained, add Predictability()",
    "reshape after training": "even with the prior's marginals the latents depend on each other in another way than the prior's: "
    "sl.Reshaper(prior) fits an invertible map from the codes to the prior; or train with more weight on the joint MMD(prior)",
}


@dataclass
class Trials:
    """Tests of codes (n, d) against fresh draws of a prior, after different remedies."""

    target: Target
    names: list[Any]
    fresh: Callable[[int], tuple[Tensor, Tensor]]
    rows: int
    generator: Generator
    seed: int
    tried: list[dict[str, Any]] = field(default_factory=list)

    def test(self, remedy: str, z: Tensor, kept: Tensor) -> pd.DataFrame:
        """The effects that are left in codes z (n, k) of the `kept` latents (d,)."""
        shown = z[torch.randperm(len(z), generator=self.generator, device="cpu")[: self.rows]]
        test = c2st(shown, self.fresh(self.rows)[0][:, kept], self.seed)
        target = self.target if kept.all() else Target.of(self.target.draws[:, kept])
        left = effect_table(z, target, test.accuracy, self.rows, [self.names[i] for i in kept.nonzero()[:, 0].tolist()])
        low, high = test.interval
        found = {"remedy": remedy, "c2st": test.accuracy, "c2st_low": low, "c2st_high": high}
        self.tried.append(found | {"largest": left["effect"][0], "where": left["where"][0], "state": overall_state(left)})
        return left

    def advice(self, action: str, reason: str, after: str = "") -> Advice:
        """The advice, with the C2ST accuracy that was measured last if `after` says after what."""
        table = pd.DataFrame(self.tried, columns=["remedy", "c2st", "c2st_low", "c2st_high", "largest", "where", "state"])
        if self.tried and after:
            last = self.tried[-1]
            reason += f"; C2ST accuracy {last['c2st']:.0%} ({last['c2st_low']:.0%} to {last['c2st_high']:.0%}) {after}"
        return Advice(action, reason, table.set_index("remedy"))


def advise(z: Tensor, names: list[Any], prior: Prior, effects: pd.DataFrame, kept: Tensor, max_rows: int, seed: int) -> Advice:
    """What to try with codes z (n, d) of these measured effects, of which some latents are not `kept`: inactive or copies."""
    generator = torch.Generator().manual_seed(seed + 1)
    draws, _, fresh, limit = prior_samples(prior, len(z), max_rows, generator)
    trials = Trials(Target.of(draws, prior), names, fresh, min(limit, len(z)), generator, seed)
    state = overall_state(effects)
    with one_thread():
        if not kept.all():
            if kept.any():
                trials.test("fewer latents", z[:, kept], kept)
            few = f"{int((~kept).sum())} of {len(kept)} are inactive or repeat others"
            return trials.advice("fewer latents", few, f"with the other {int(kept.sum())} alone")
        if state == "close":
            return trials.advice("nothing", "every measured difference is within its margin")
        if state == "undecided":
            needed = effects.loc[effects["state"] == "undecided", "rows_needed"].max()
            return trials.advice(
                "more samples", f"about {float(f'{needed:.2g}'):,.0f} rows (now {len(z):,}) would probably decide"
            )
        return _mildest_remedy(z, effects, trials)


def _mildest_remedy(z: Tensor, effects: pd.DataFrame, trials: Trials) -> Advice:
    """The first of `REMEDIES` after which no effect is "far"; or the one that the dependence asks for that all of them leave."""
    generator, everyone = trials.generator, torch.ones(z.shape[1], dtype=torch.bool, device="cpu")
    halves = torch.randperm(len(z), generator=generator, device="cpu").chunk(2)
    with Progress("remedies", len(REMEDIES)) as bar:
        for name, remedy in REMEDIES.items():
            mapped = torch.empty_like(z)
            for fitted, tested in (halves, halves[::-1]):
                mapped[tested] = remedy(z[fitted], z[tested], trials.target, generator)
            left = trials.test(name, mapped, everyone)
            bar.advance(1)
            if (state := overall_state(left)) != "far":
                return trials.advice(name, f"{REASONS[name]} {'is' if state == 'close' else 'may be'} enough", "after it")
    if ((left["state"] == "far") & left["effect"].isin(["shift", "scale", "shape"])).any():  # no map spreads equal values
        return trials.advice("a marginal term", "many codes have the same value, which training with it can spread, but no map")
    sample, copies = trials.fresh(trials.rows)[0], permute_columns(trials.fresh(trials.rows)[1], generator)
    independent = c2st(sample, copies, trials.seed).p_value > 0.01
    action = "the predictability penalty" if independent else "reshape after training"
    moved = ((effects["state"] == "far") & effects["effect"].isin(["shift", "scale"])).any()
    first = "; first shift and scale the latents by `.constants`" if moved else ""
    return trials.advice(action, REASONS[action] + first, "with the prior's marginals")
