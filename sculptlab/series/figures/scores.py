"""Pictures of scores: a strip of known codes, trained models, agreement with scores that know the factors, what moves LPS."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, SAMPLES, TEXT, WIDTH, Picture, panels, style
from sculptlab.plots.tables import line_with_spread
from sculptlab.series.figures.backdrop import Backdrop
from sculptlab.series.reference_codes.mixing import mixed
from sculptlab.validation import choice

REGRESSORS: dict[str, tuple[str, str]] = {"linear": (MEANS, "v"), "boosting": (GOOD, "s"), "mlp": (CODES, "o")}
MOVED = {"n": "rows of codes n", "d": "dimensions d", "steps": "training steps of the autoencoder"}
# what each bar of the slider shows, in which share of its largest possible value
BARS: dict[str, tuple[str, float, str]] = {
    "correlation²": ("|correlation|", 0.0, PRIOR),
    "distance correlation": ("distance correlation", 1.0, PRIOR),
    "HSIC": ("HSIC", 1.0, PRIOR),
    "LPS linear": ("linear", 1.0, MEANS),
    "LPS boosting": ("boosting", 1.0, GOOD),
    "LPS mlp": ("mlp", 1.0, CODES),
    "LPS mlp, squares": ("squares", 1.0, CODES),
    "LPS mlp, bits / 3": ("bits", 3.0, CODES),
    "MIG": ("MIG", 1.0, ACCENT),
    "SAP (continuous)": ("SAP (continuous)", 1.0, ACCENT),
}


def dots(ax: Axes, frame: pd.DataFrame, rows: str, columns: Mapping[str, tuple[str, str]], order: list[str]) -> Axes:
    """A line for each value of the column `rows`, in `order` from the top; on it the mean of each of `columns`, and its range.

    columns: name -> (color, marker). The range runs from the least to the greatest, over seeds, say.
    """
    places = {name: len(order) - 1 - i for i, name in enumerate(order)}
    for shift, (column, (color, marker)) in enumerate(columns.items()):
        grouped = frame.groupby(rows)[column].agg(["mean", "min", "max"]).reindex(order)
        at = np.array([places[name] for name in order]) + 0.22 * ((len(columns) - 1) / 2 - shift)
        ax.hlines(at, grouped["min"], grouped["max"], color=color, linewidth=1.5, alpha=0.7)
        ax.plot(grouped["mean"], at, linestyle="none", marker=marker, color=color, markersize=6, label=column)
    for place in range(1, len(order)):
        ax.axhline(place - 0.5, color=PRIOR, linewidth=0.4, alpha=0.5)
    ax.set_yticks(list(places.values()), list(places))
    ax.set_ylim(-0.6, len(order) - 0.4)
    return style(ax)


def calibration_strip(frame: pd.DataFrame, truths: Mapping[str, float], *, title: str | None = None) -> Picture:
    """Scores of codes whose LPS is known: a line for each case, a mark for each regressor, the truth as a bar.

    frame: columns codes, linear, boosting, mlp; a row per case and seed. truths: case -> the best regressor's value.
    """
    order = list(truths)
    picture, axes = panels(height=0.6 + 0.32 * len(order))
    ax = axes[0, 0]
    ax.scatter(list(truths.values()), range(len(order) - 1, -1, -1), marker="|", s=420, color=TEXT, linewidth=2, label="truth")
    dots(ax, frame, "codes", REGRESSORS, order)
    ax.axvline(0, color=TEXT, linewidth=0.8)
    for handle in ax.legend(fontsize=8, frameon=False, loc="lower right").legend_handles:
        getattr(handle, "set_sizes", lambda sizes: None)([60])
    style(ax, title=title, x="LPS of means (share of variance, R²)")
    return picture


def models(frame: pd.DataFrame, order: list[str], *, title: str | None = None) -> Picture:
    """LPS of trained models, means on the left and samples on the right, a mark for each regressor and the floor's reach."""
    picture, axes = panels(1, 2, height=0.9 + 0.42 * len(order))
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, kind in zip(axes[0], ("means", "samples"), strict=True):
        rows = frame[frame["codes"] == kind]
        floor = rows[[f"{name}_chance" for name in REGRESSORS]].max().max()
        ax.axvspan(0, floor, color=PRIOR, alpha=0.5, linewidth=0)
        ax.axvline(0, color=PRIOR, linewidth=1.5)
        dots(ax, rows, "objective", REGRESSORS, order)
        ax.set_xlim(-0.03, 1.03)
        style(ax, title=f"{kind} (floor at most {floor:.3f})", x="LPS (share of variance, R²)")
    axes[0, 1].set_yticklabels([])
    axes[0, 1].legend(fontsize=8, frameon=False, loc="center right")
    return picture


def agreement(
    frame: pd.DataFrame, scores: Sequence[str] = ("MIG", "SAP", "DCI disentanglement"), *, title: str | None = None
) -> Picture:
    """LPS (mlp) against each of `scores` that know the factors: made codes as named squares, trained models as dots."""
    picture, axes = panels(1, len(scores), height=3.4)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, name in zip(axes[0], scores, strict=True):
        for kind, color, marker in (("model", CODES, "o"), ("made", BAD, "s")):
            rows = frame[frame["kind"] == kind]
            ax.scatter(rows["mlp"], rows[name], s=14, color=color, marker=marker, alpha=0.35, linewidths=0)
            means = rows.groupby("codes", sort=False)[["mlp", name]].mean()
            ax.plot(means["mlp"], means[name], linestyle="none", marker=marker, color=color, markersize=6)
            if kind == "model":
                labels = [(f"{len(means)} kinds of trained models", tuple(means.max()))] if len(means) else []
            else:
                labels = _labels(means, reach=0.04 * frame[name].max())
            for words, (x, y) in labels:
                left = x > 0.7
                above = 16 if kind == "model" else 3
                place: dict[str, Any] = {"xytext": (-6 if left else 6, above), "ha": "right" if left else "left"}
                ax.annotate(words, (x, y), textcoords="offset points", fontsize=7, color=color, **place)
        ax.set_xlim(-0.05, 1.1)
        ax.set_xticks([0, 0.5, 1])
        ax.set_ylim(-0.05 * frame[name].max(), 1.13 * frame[name].max())
        style(ax, title=name, x="LPS (mlp): 0 = independent")
    return picture


def _labels(means: pd.DataFrame, reach: float) -> list[tuple[str, tuple[float, float]]]:
    """A label for each row of (x, y); rows nearer than 0.1 across and `reach` up share one, above the highest of them."""
    groups: list[list[tuple[str, float, float]]] = []
    for code, (x, y) in means.sort_values(list(means.columns)).iterrows():
        near = [g for g in groups if any(abs(x - u) < 0.1 and abs(y - v) < reach for _, u, v in g)]
        if not near:
            groups.append([])
        (near or groups[-1:])[0].append((str(code), float(x), float(y)))
    return [(",\n".join(code for code, _, _ in g), max(((x, y) for _, x, y in g), key=lambda at: at[1])) for g in groups]


def sensitivity(frame: pd.DataFrame, codes: str, *, title: str | None = None) -> Picture:
    """What the score of `codes` found of the truth, over rows and dimensions, by regressor."""
    picture, axes = panels(1, 2, height=2.9)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, knob in zip(axes[0], ("n", "d"), strict=True):
        rows = frame[(frame["hyperparameter"] == knob) & (frame["codes"] == codes)]
        for name, (color, marker) in REGRESSORS.items():
            chosen = rows[rows["regressor"] == name]
            line_with_spread(ax, chosen, "value", "raw", label=name, color=color, marker=marker, log_x=True)
        truth = rows.groupby("value")["raw_truth"].mean()
        ax.plot(truth.index, truth, color=TEXT, linestyle=":", linewidth=1.5, label="truth")
        ax.axhline(0, color=TEXT, linewidth=0.6)
        _whole_ticks(ax, rows["value"])
        style(ax, x=MOVED[knob], y="held-out R²")
    axes[0, 0].legend(fontsize=8, frameon=False)
    return picture


def over_training(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """LPS of the means of models trained for ever more steps, by regressor, a panel for each model."""
    rows = frame[frame["hyperparameter"] == "steps"]
    names = list(dict.fromkeys(rows["codes"]))
    picture, axes = panels(1, len(names), height=2.9)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, codes in zip(axes[0], names, strict=True):
        for name, (color, marker) in REGRESSORS.items():
            chosen = rows[(rows["codes"] == codes) & (rows["regressor"] == name)]
            line_with_spread(ax, chosen, "value", "score", label=name, color=color, marker=marker, log_x=True)
        ax.set_ylim(-0.03, 1.03)
        _whole_ticks(ax, rows["value"])
        style(ax, title=codes, x=MOVED["steps"], y="LPS")
    axes[0, 0].legend(fontsize=8, frameon=False)
    return picture


def clouds(sets: Mapping[str, Any], scores: pd.DataFrame, *, title: str | None = None) -> Picture:
    """Codes (n, 2) by name, and below each what it scores: a bar for each of the columns of `scores` (a row per name)."""
    picture, axes = panels(2, len(sets), height=2.1)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for (above, below), (name, z) in zip(axes.T, sets.items(), strict=True):
        rows = np.asarray(z)[:800]
        above.plot(rows[:, 0], rows[:, 1], linestyle="none", marker=".", markersize=2, color=SAMPLES)
        above.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal")
        style(above, title=name, x="z0", y="z1" if above is axes[0, 0] else None)
        values = scores.loc[name].to_numpy(dtype=float)
        below.barh(range(len(values))[::-1], values, color=[CODES if value > 0.02 else PRIOR for value in values])
        for place, value in zip(range(len(values))[::-1], values, strict=True):
            below.text(max(value, 0) + 0.02, place, f"{value:.2f}", va="center", fontsize=8, color=TEXT)
        below.set(xlim=(0, max(1.0, 1.2 * scores.to_numpy().max())), yticks=range(len(values))[::-1])
        below.set_yticklabels(list(scores.columns) if below is axes[1, 0] else [])
        style(below, x="score")
    return picture


class MixingPanel:
    """The slider's picture: the mixed codes, and every recorded score of that setting as a bar, with its range over seeds."""

    def __init__(self, frame: pd.DataFrame, *, n: int) -> None:
        self.frame, self.n = frame.set_index(["source", "angle", "bend"]).sort_index(), n
        picture = Picture(figsize=(WIDTH, 3.6))
        self.cloud, self.bars = picture.subplots(1, 2, width_ratios=[1, 1.5])
        self.cloud.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
        style(self.cloud, title="codes", x="z0", y="z1")
        self.bars.set(xlim=(0, 1.12), ylim=(-0.6, len(BARS) - 0.4), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=range(len(BARS)))
        self.bars.set_yticklabels(list(reversed(BARS)))
        style(self.bars, title="dependence of the codes; pink: alignment with the sources", x="mean and range over seeds")
        self.backdrop = Backdrop(picture)

    def __call__(self, settings: Mapping[str, Any]) -> bytes:
        """The picture as a PNG at settings "source", "angle" (degrees) and "bend" of the recorded grid."""
        key = (settings["source"], settings["angle"], settings["bend"])
        choice("settings", key, list(self.frame.index.unique()))
        rows, (source, angle, bend) = self.frame.loc[[key]], key
        z = mixed(source, angle, bend, n=self.n, seed=0).codes
        drawn = list(self.cloud.plot(z[:, 0], z[:, 1], linestyle="none", marker=".", markersize=2.5, color=SAMPLES))
        for place, (column, scale, color) in enumerate(reversed(BARS.values())):
            values = rows[column] ** 2 if scale == 0 else rows[column] / scale
            drawn += self.bars.barh(place, values.mean(), color=color, height=0.7).patches
            drawn += self.bars.plot([values.min(), values.max()], [place, place], color=TEXT, linewidth=1)
            drawn.append(self.bars.text(1.12, place, f"{values.mean():.2f}", ha="right", va="center", fontsize=8, color=TEXT))
        return self.backdrop.png(drawn)


def _whole_ticks(ax: Axes, values: pd.Series) -> None:
    ax.set_xticks(sorted(set(values)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.tick_params(axis="x", labelrotation=30)
