"""What would bring codes to a prior? Remedies of increasing strength, fitted on one half of the rows and tested on the other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Generator, Tensor

from sculptlab.columns import permute_columns
from sculptlab.evaluation.effects import Target, effect_table, latent_effects, location_and_scale, overall_state
from sculptlab.evaluation.two_samples import c2st, prior_samples
from sculptlab.priors import Prior
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
    return (z - location) / torch.where(scale > 0, scale, 1) * target.each[1] + target.each[0]


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
    "rescale": "the shift and scale of each latent in `.constants` {are} enough",
    "whiten": "giving the codes the prior's mean and covariance by a linear map {is_} enough",
    "a marginal term": "the latents would follow the prior if each followed its marginal, as MMD(prior, views='marginal') trains",
    "the predictability penalty": "even with the prior's marginals the latents depend on each other, and the prior's do not: "
    "if the model can be trained, add Predictability()",
    "reshape after training": "even with the prior's marginals the latents depend on each other in another way than the prior's: "
    "fit an invertible map from the codes to the prior, or train with more weight on the joint MMD(prior)",
}


def advise(z: Tensor, names: list[Any], prior: Prior, effects: pd.DataFrame, kept: Tensor, max_rows: int, seed: int) -> Advice:
    """What to try with codes z (n, d) of these measured effects, of which some latents are not `kept`: inactive or copies."""
    generator = torch.Generator().manual_seed(seed + 1)
    draws, _, fresh, limit = prior_samples(prior, len(z), max_rows, generator)
    target, rows, state = Target.of(prior, draws), min(limit, len(z)), overall_state(effects)
    tried: list[dict[str, Any]] = []

    def outcome(name: str, mapped: Tensor, of: Tensor) -> pd.DataFrame:
        shown = mapped[torch.randperm(len(mapped), generator=generator, device="cpu")[:rows]]
        test = c2st(shown, fresh(rows)[0][:, of], seed)
        part, labels = target.only(of), [names[i] for i in of.nonzero()[:, 0].tolist()]
        found = effect_table(latent_effects(mapped, part), mapped, part, test.accuracy, rows, labels)
        largest = found.iloc[0]
        tried.append({
            "remedy": name, "c2st": test.accuracy, "c2st_low": test.interval[0], "c2st_high": test.interval[1],
            "largest": largest["effect"], "where": largest["where"], "state": overall_state(found),
        })  # fmt: skip
        return found

    def result(action: str, reason: str) -> Advice:
        table = pd.DataFrame(tried, columns=["remedy", "c2st", "c2st_low", "c2st_high", "largest", "where", "state"])
        return Advice(action, reason, table.set_index("remedy"))

    def accuracies() -> str:
        last = tried[-1]
        return f"C2ST accuracy {last['c2st']:.0%} ({last['c2st_low']:.0%} to {last['c2st_high']:.0%})"

    with one_thread():
        if not kept.all():
            if kept.any():
                outcome("fewer latents", z[:, kept], kept)
            without = f"; the other {int(kept.sum())} alone: {accuracies()}" if tried else ""
            return result("fewer latents", f"{int((~kept).sum())} of {len(kept)} are inactive or repeat others{without}")
        if state == "close":
            return result("nothing", "every measured difference is within its margin")
        if state == "undecided":
            needed = effects.loc[effects["state"] == "undecided", "rows_needed"].max()
            return result("more samples", f"about {float(f'{needed:.2g}'):,.0f} rows (now {len(z):,}) would probably decide")
        everyone = torch.ones(z.shape[1], dtype=torch.bool, device="cpu")
        halves = torch.randperm(len(z), generator=generator, device="cpu").chunk(2)
        for name, remedy in _progress(REMEDIES):
            mapped = torch.empty_like(z)
            for fitted, tested in (halves, halves[::-1]):
                mapped[tested] = remedy(z[fitted], z[tested], target, generator)
            found = outcome(name, mapped, everyone)
            if overall_state(found) != "far":
                sure = overall_state(found) == "close"
                words = {"are": "are" if sure else "may be", "is_": "is" if sure else "may be"}
                return result(name, f"{REASONS[name].format(**words)}: {accuracies()} after it")
        marginal = found["effect"].isin(["shift", "scale", "shape"]) & (found["state"] == "far")
        if marginal.any():  # no map spreads values that occur many times
            return result("a marginal term", "many codes have the same value, which training with it can spread, but no map")
        sample = fresh(rows)[0]
        independent = c2st(sample, permute_columns(fresh(rows)[1], generator), seed).p_value > 0.01
        action = "the predictability penalty" if independent else "reshape after training"
        first = effects[effects["effect"].isin(["shift", "scale"]) & (effects["state"] == "far")]
        rescaled = "; first shift and scale the latents by `.constants`" if len(first) else ""
        return result(action, f"{REASONS[action]}{rescaled}; {accuracies()} with the prior's marginals")


def _progress(named: dict[str, Any]) -> Any:
    from tqdm.auto import tqdm  # its bar for notebooks imports IPython

    return tqdm(named.items(), desc="remedies", unit="test", delay=5, leave=False)
