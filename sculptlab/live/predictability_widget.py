"""`PredictabilityWidget`: each latent of a small model that trains, beside its prediction from the other latents."""

from typing import Any

import numpy as np
import pandas as pd

from sculptlab.live.predictability import MADE, MAPPED, PredictabilityEngine, PredictabilitySettings
from sculptlab.live.snapshots import as_bytes
from sculptlab.live.training_widget import TrainingWidget
from sculptlab.live.widget import front_script
from sculptlab.plots.style import CODES, PRIOR, Picture, panels, style

IMAGES = 12  # held-out images shown with their reconstructions
REACH = 3.2  # standard deviations that a plot shows


class PredictabilityWidget(TrainingWidget[PredictabilityEngine]):
    """An autoencoder that trains in the kernel, each of its latents plotted against its prediction from the other latents.

    A latent of a held-out code is predicted by its mean over the 25 training codes that are nearest in the other latents; LPS is
    the mean of max(0, R²) of these predictions. The adversarial predictability penalty can be switched on and off; its networks,
    whose R² is also given, train along in both cases. `Whiten` and `Reshape` show the codes after a linear or an invertible map
    that is fitted at that moment, with the same reconstructions; made samples show what LPS finds and misses. A notebook shows it
    as a widget, which first takes 60 steps if none was taken. From Python, `run` trains it without a display.

    Parameters
    ----------
    data : str, Dataset or array_like of shape (n, c, h, w), optional
        A name for `sl.load`, or at least 42 images of 1 or 3 channels. By default "digits".
    latents : int
        How many latents the model has: 2 to 4.
    penalty : bool
        Whether the penalty is on.
    weight : float
        Of the penalty, from 0.01 to 100: nats of reconstruction per nat of information that the others have about a latent.
    seed : int
        Of weights, batches and made samples.
    show : str
        For `change`: "codes", "whitened", "reshaped", or a made sample: "independent", "parabola", "XOR", "cross". It is shown
        until the next step, which trains the model on.

    Raises
    ------
    ValueError, TypeError
        For unusable data or settings.

    Examples
    --------
    >>> import sculptlab as sl
    >>> widget = sl.PredictabilityWidget("digits", latents=2)
    >>> history = widget.run(20)
    >>> widget.change(show="cross").scores["score"].round(1).tolist()
    [0.0, 1.0]
    >>> widget.close()
    """

    _esm = front_script("asking", "training", "charts", "predictability")

    def __init__(
        self,
        data: Any = None,
        *,
        latents: int = 3,
        penalty: bool = False,
        weight: float = 1.0,
        seed: int = 0,
        show: str = "codes",
    ) -> None:
        settings = PredictabilitySettings(latents, penalty, weight, seed, show)
        engine = PredictabilityEngine(data, settings)
        super().__init__(engine, {"mapped": list(MAPPED), "made": list(MADE)})
        if settings.show != "codes":
            engine.change(show=settings.show)

    @property
    def scores(self) -> pd.DataFrame:
        """LPS and LPS of squares of what is shown, each with its chance level."""
        look = self._visit(PredictabilityEngine.look)
        found = {"score": (look.predicted.lps, look.predicted.squares), "chance level": look.chance}
        return pd.DataFrame(found, index=["LPS", "LPS of squares"])

    def _frame(self, engine: PredictabilityEngine, settled: bool) -> tuple[dict[str, Any], list[bytes]]:
        look = engine.look(with_chance=settled)
        predicted, made, networks = look.predicted, look.reconstructions, look.network_r2
        buffers: list[bytes] = []

        def put(array: np.ndarray) -> int:
            buffers.append(np.ascontiguousarray(array).tobytes())
            return len(buffers) - 1

        images = engine.images.held_out[:IMAGES]
        history = engine.history.reindex(columns=["step", "relative reconstruction error", "LPS"]).to_numpy(np.float32)
        live = history[-1, 1:].tolist() if len(history) else (np.nan, np.nan)  # of the codes in training
        content = {
            "kind": "frame", "step": engine.step, "settings": dict(vars(engine.settings)), "notice": engine.notice,
            "broken": engine.error is not None, "finding": engine.finding(look), "count": len(predicted.codes),
            "codes": put(predicted.codes.float().numpy()), "predictions": put(predicted.predictions.float().numpy()),
            "r2": predicted.r2.tolist(), "network_r2": None if networks is None else [*map(_plain, networks)],
            "lps": predicted.lps, "squares": predicted.squares,
            "chance": [_plain(value) for value in look.chance], "relative": _plain(look.relative),
            "rows": put(history), "columns": 3,
            "lanes": [{"name": "mmd", "relative": _plain(live[0]), "lps": _plain(live[1])}],
            "images": None if made is None else put(np.stack([as_bytes(images), as_bytes(made[:IMAGES])])),
            "shape": (len(images), *images.shape[2:], images.shape[1]),
        }  # fmt: skip
        return content, buffers

    def _picture(self, engine: PredictabilityEngine) -> Picture:
        look = engine.look()
        predicted = look.predicted
        figure, axes = panels(1, len(predicted.r2) + 1, height=2.6)
        for i, r2 in enumerate(predicted.r2.tolist()):
            ax, name = axes[0, i], f"z{i}"
            predictions, codes = predicted.predictions[:, i].numpy(), predicted.codes[:, i].numpy()
            ax.plot(predictions, codes, ".", markersize=2, color=CODES)
            ax.plot([-REACH, REACH], [-REACH, REACH], color=PRIOR, linewidth=1)
            ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
            style(ax, title=f"{name}: R² {r2:.2f}", x="predicted (sd)", y="latent (sd)")
        history = engine.history.reindex(columns=["step", "LPS", "chance level"]).dropna()
        axes[0, -1].plot(history["step"], history["LPS"], color=CODES)
        axes[0, -1].plot(history["step"], history["chance level"], color=PRIOR)
        axes[0, -1].set_ylim(-0.02, 1.02)
        style(axes[0, -1], title="LPS (gray: chance)", x="step", y="LPS")
        shown = {"codes": "the latents"}.get(engine.settings.show, engine.settings.show)
        found = f"LPS {predicted.lps:.2f}, LPS of squares {predicted.squares:.2f}"
        figure.suptitle(f"Step {engine.step}, {shown}: {found}", fontsize=11)
        return figure


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
