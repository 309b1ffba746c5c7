"""Images through their principal components: a linear first and last layer, fitted once, that makes training cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from sculptlab.training.loop import fit
from sculptlab.training.run import as_images, as_unit_floats
from sculptlab.validation import codes, whole

PULL = 10.0  # nats of a picture for a nat of a place: pictures have more of them


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """An orthonormal basis (components, pixels) of the directions in which some images vary most, and their mean.

    Distances within the basis are distances between images, so an autoencoder trained on the components minimizes the same
    squared error as one on the pixels whose first and last layers are this basis, frozen; what the basis cannot say is `lost`.
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, images: Any, components: int, seed: int = 0) -> PrincipalComponents:
        """The basis of `images` (n, ...), floats or uint8 (scaled by 1/255): randomized, with `seed`; n >= components.

        Raises ValueError for more components than rows or pixels, TypeError for whole numbers other than uint8.
        """
        rows = _rows(images)
        most = min(rows.shape)
        if whole("components", components) > most:
            raise ValueError(f"components must be at most {most}, the smaller of rows and pixels, got {components}")
        found = PCA(components, svd_solver="randomized", random_state=seed).fit(rows.cpu().numpy())
        return cls(torch.from_numpy(found.mean_).float(), torch.from_numpy(found.components_).float())

    @property
    def pixels(self) -> int:
        return self.basis.shape[1]

    def project(self, images: Any) -> Tensor:
        """The components (n, k) of `images` (n, ...), in units of a pixel's value."""
        return self._centered(images) @ self.basis.T

    def restore(self, components: Tensor) -> Tensor:
        """The images, flat (n, pixels), that these components (n, k) stand for."""
        return components @ self.basis + self.mean

    def lost(self, images: Any) -> float:
        """The mean squared error per pixel of images that went through the basis and back."""
        centered = self._centered(images)
        return float((centered.square().sum(1) - (centered @ self.basis.T).square().sum(1)).mean() / self.pixels)

    def error(self, run: Any, images: Any) -> float:
        """The mean squared error per pixel of whole images reconstructed by `run`, which was trained on their components."""
        kept = self.project(images)
        return run.reconstruction_error(kept) * kept.shape[1] / self.pixels + self.lost(images)

    def _centered(self, images: Any) -> Tensor:
        rows = _rows(images)
        if rows.shape[1] != self.pixels:
            raise ValueError(f"images must have {self.pixels} pixels as those of the basis, got {rows.shape[1]}")
        return rows - self.mean


def warm_start(
    model: Any, images: Any, *, turn: Any = None, steps: int = 200, learning_rate: float = 1e-3, seed: int = 0
) -> PrincipalComponents:
    """Bring `model` near a linear autoencoder: its d codes to the d leading components of `images`, each of variance 1.

    A network that starts at random may fold a cloud of images in two before it has seen that the halves belong side by side, and
    no regularizer unfolds it. The leading components are a smooth map to begin with, of a moving object one without folds.
    `model` is trained in place, the encoder towards the components and the decoder to draw from them, both in nats; train it
    with `fit` afterwards.
    turn       (d, d), orthogonal: applied to the components, so that a restart begins at another angle; None: as they are.
    Returns the components. Raises ValueError for a turn of another shape or not orthogonal, or fewer rows or pixels than latents.
    """
    components = PrincipalComponents.fit(images, model.dim, seed=seed)
    turn = torch.eye(model.dim) if turn is None else codes("turn", turn, dim=model.dim).float()
    if turn.shape != (model.dim, model.dim) or not torch.allclose(turn @ turn.T, torch.eye(model.dim), atol=1e-4):
        raise ValueError(f"turn must be an orthogonal matrix ({model.dim}, {model.dim}), got {turn.tolist()}")
    spread = components.project(images).std(0)
    basis = (components.basis.T / torch.where(spread > 0, spread, 1)) @ turn  # of a dead component: zeros

    def near_components(model: Any, batch: Tensor, generator: torch.Generator | None) -> dict[str, Tensor]:
        places = (batch.flatten(1) - components.mean.to(batch)) @ basis.to(batch)
        placed = 0.5 * (model.encode(batch) - places).square().sum() / len(batch)
        drawn = 0.5 * (model.decode(places) - batch).square().sum() / len(batch)
        return {"loss": PULL * placed + drawn, "places": placed, "drawn": drawn}

    fit(model, images, near_components, steps=steps, learning_rate=learning_rate, seed=seed, progress=False)
    return components


def _rows(images: Any) -> Tensor:
    return as_unit_floats(as_images(images)).detach().flatten(1)
