"""What studies share: the images of a data set, the settings of a small autoencoder, and the training of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from sculptlab.data import Dataset, load
from sculptlab.evaluation.two_samples import hold_out
from sculptlab.series.studies.principal_components import PrincipalComponents
from sculptlab.training.loop import fit_to_the_end
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import Batch, Objective, SumObjective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.training.run import Run

Objectives = Mapping[str, Objective]  # by the name of each in a study's table


def train_and_test(name: str) -> tuple[Dataset, Dataset]:
    """The official training and test images of `name`, or two thirds and one third of a set that has no such split."""
    everything = load(name)
    if name in ("mnist", "fashion_mnist", "fashion_mnist_small", "cifar10"):
        return everything, load(name, split="test")
    return everything.split(test=1 / 3, seed=0)


def train_autoencoder(
    images: Dataset | Tensor, objective: Any, *, steps: int, seed: int, kind: str = "mlp", wrap: Any = None, **options: Any
) -> Run:
    """Build an autoencoder and fit it; weights and batches are drawn from `seed`.

    `wrap` takes and returns the untrained model, for example to quantize its codes. `options` are those of
    `build_autoencoder`, with a width of 128 where it is not given, and `batch_size`, `learning_rate` and `weight_decay` of `fit`.
    """
    training = {name: options.pop(name) for name in ("batch_size", "learning_rate", "weight_decay") if name in options}
    shape = images.image_shape if isinstance(images, Dataset) else tuple(images.shape[1:])
    model: Any = build_autoencoder(kind, image_shape=shape, seed=seed, **{"width": 128, **options})
    return fit_to_the_end(wrap(model) if wrap else model, images, objective, steps=steps, seed=seed, progress=False, **training)


@dataclass(frozen=True)
class WithDecoderVariance(SumObjective):
    """An objective under a Gaussian decoder of another variance than 1: all regularizers are multiplied by the variance.

    The loss is the variance times (1/2 sum of squared errors / variance + regularizers), which has the same minimum.
    """

    variance: float = 1.0

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        for term in super().regularizers(batch, companions):
            yield term._replace(weight=self.variance * term.weight)


@dataclass(frozen=True)
class Setting:
    """What all models of a study share.

    data           name of the data set
    dim            number of latents
    components     number of principal components of the images that the autoencoder is trained on
    steps, width, batch_size, learning_rate, weight_decay    of the training of an mlp autoencoder
    rows           number of training images; None: all
    betas          weights of the KL term in the KL baselines
    kl_only        train the plain autoencoder and the KL baselines alone
    evaluated      number of held-out images whose codes are evaluated
    """

    data: str
    dim: int
    components: int = 384
    steps: int = 2000
    width: int = 256
    batch_size: int = 256
    rows: int | None = None
    betas: tuple[float, ...] = (0.01, 0.03, 0.1)
    evaluated: int = 4000
    kl_only: bool = False
    learning_rate: float = 1e-3
    weight_decay: float = 0.0


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """Training and held-out images of a setting, as principal components (n, components) of the training images.

    `lost` is the mean squared error per pixel of held-out images that the components alone cause. `decoder_variance` is that of
    the Gaussian decoder which `train` assumes.
    """

    setting: Setting
    basis: PrincipalComponents
    training: Tensor
    held_out: Tensor
    lost: float
    decoder_variance: float = 1.0

    @classmethod
    def of(cls, setting: Setting, sets: tuple[Dataset, Dataset] | tuple[Tensor, Tensor] | None = None) -> PreparedImages:
        """Load the images of `setting`, fit the components to the training images and project both sets.

        `sets` are training and held-out images, if they are not those of `train_and_test`; or rows (n, columns) of a table.
        """
        chosen = sets or train_and_test(setting.data)
        training, held_out = (one.images if isinstance(one, Dataset) else one for one in chosen)
        images = training[: setting.rows]
        basis = PrincipalComponents.fit(images, setting.components)
        return cls(setting, basis, basis.project(images), basis.project(held_out), basis.lost(held_out))

    def train(self, objective: Objective, seed: int, wrap: Callable[[Any], Any] | None = None, **changes: Any) -> Run:
        """Train an mlp autoencoder on the components; `changes` replace parts of the setting, such as dim or steps."""
        at = replace(self.setting, **changes)
        goal = objective if self.decoder_variance == 1 else WithDecoderVariance((objective,), self.decoder_variance)
        return train_autoencoder(
            self.training, goal, dim=at.dim, steps=at.steps, seed=seed, width=at.width, output="linear", wrap=wrap,
            stochastic=objective.needs_posterior, batch_size=at.batch_size, learning_rate=at.learning_rate,
            weight_decay=at.weight_decay,
        )  # fmt: skip

    def set_aside(self, share: float) -> PreparedImages:
        """The same with a share of the training images, drawn at random, in place of the held-out ones, to choose settings by."""
        kept, aside = hold_out(len(self.training), share)
        return replace(self, training=self.training[kept], held_out=self.training[aside])

    def error_per_pixel(self, error: Any) -> Any:
        """A mean squared error per component as one per pixel of whole images, what the components lose included."""
        return error * self.setting.components / self.basis.pixels + self.lost

    def error(self, run: Run) -> float:
        """The mean squared reconstruction error per pixel of the held-out images."""
        return self.error_per_pixel(run.reconstruction_error(self.held_out))
