"""Images through their principal components: a linear first and last layer, fitted once, that makes training cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from sculptlab.runs import as_images, as_unit_floats
from sculptlab.validation import whole


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """An orthonormal basis (components, pixels) of the directions in which some images vary most, and their mean.

    Distances within the basis are distances between images, so an autoencoder trained on the components minimises the same
    squared error as one on the pixels whose first and last layers are this basis, frozen; what the basis cannot say is `lost`.
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, images: Any, components: int, seed: int = 0) -> PrincipalComponents:
        """The basis of `images` (n, ...), floats or uint8 (scaled by 1/255): randomised, with `seed`; n >= components.

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
        return self._centred(images) @ self.basis.T

    def restore(self, components: Tensor) -> Tensor:
        """The images, flat (n, pixels), that these components (n, k) stand for."""
        return components @ self.basis + self.mean

    def lost(self, images: Any) -> float:
        """The mean squared error per pixel of images that went through the basis and back."""
        centred = self._centred(images)
        return float((centred.square().sum(1) - (centred @ self.basis.T).square().sum(1)).mean() / self.pixels)

    def error(self, run: Any, images: Any) -> float:
        """The mean squared error per pixel of whole images reconstructed by `run`, which was trained on their components."""
        kept = self.project(images)
        return run.reconstruction_error(kept) * kept.shape[1] / self.pixels + self.lost(images)

    def _centred(self, images: Any) -> Tensor:
        rows = _rows(images)
        if rows.shape[1] != self.pixels:
            raise ValueError(f"images must have {self.pixels} pixels as those of the basis, got {rows.shape[1]}")
        return rows - self.mean


def _rows(images: Any) -> Tensor:
    return as_unit_floats(as_images(images)).detach().flatten(1)
