"""Couplings by quadratic polynomials, fitted by least squares: what a curve of the codes needs before a flow is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sculptlab.reshaping.maps import Chain, Map

ROWS, FEATURES = 50_000, 1000  # most rows that a layer is fitted to, and most monomials
ROWS_PER_FEATURE = 20
REACH = 5.0  # standard deviations at which a latent is clipped before its powers are taken
ROUNDS, PATIENCE = 12, 4  # most rounds in which each latent predicts others; rounds without a change after which they end
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # for monomials of latents with standard deviation 1
LEAST_GAIN, LEAST_ERRORS = 1e-3, 3.0  # of a latent's variance predicted on validation rows: share, and standard errors


class QuadraticCoupling(Map):
    """z_A = x_A and z_B = (x_B - offset - p(x_A) coefficients) / scale for two groups A and B of latents.

    p are the k (k + 3) / 2 monomials of degree 1 and 2 of the k latents of A, clipped at 5. The map is invertible whatever the
    coefficients are, as A stays.

    Parameters
    ----------
    given, predicted : Tensor of shape (k,) and (m,), int64
        Positions of the latents of A and of B.
    coefficients, offset, scale : Tensor of shape (k (k + 3) / 2, m), (m,) and (m,)
    """

    given: Tensor
    predicted: Tensor
    coefficients: Tensor
    offset: Tensor
    scale: Tensor

    def __init__(self, given: Tensor, predicted: Tensor, coefficients: Tensor, offset: Tensor, scale: Tensor) -> None:
        super().__init__()
        names = {"given": given, "predicted": predicted, "coefficients": coefficients, "offset": offset, "scale": scale}
        for name, value in names.items():
            self.register_buffer(name, value)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = x.clone()
        z[:, self.predicted] = (x[:, self.predicted] - self._mean(x)) / self.scale
        return z, -self.scale.log().sum().expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x = z.clone()
        x[:, self.predicted] = z[:, self.predicted] * self.scale + self._mean(z)
        return x

    def _mean(self, x: Tensor) -> Tensor:
        return monomials(x[:, self.given]) @ self.coefficients + self.offset


def monomials(x: Tensor) -> Tensor:
    """The columns of `x` (n, k), clipped at 5, and their products in pairs: (n, k (k + 3) / 2)."""
    x = x.clamp(-REACH, REACH)
    i, j = torch.triu_indices(x.shape[1], x.shape[1], device=x.device)
    return torch.cat([x, x[:, i] * x[:, j]], 1)


def fit_quadratic_couplings(x: Tensor, validation: Tensor, generator: torch.Generator) -> Chain:
    """Layers after which no quadratic polynomial of one part of the latents predicts another latent.

    In each round every latent is once in the group A that predicts, in a random order. Each other latent is regressed on the
    monomials of A with the ridge penalty that predicts validation rows best, and what is predicted is subtracted. A latent is
    left as it is where the gain on validation rows is below 0.1 % of its variance or below three standard errors. The layers end
    with the twelfth round, or with the fourth in turn that changes nothing. Independent latents give no layer.

    Parameters
    ----------
    x, validation : Tensor of shape (n, d) and (v, d)
        White codes, and others that the penalties are chosen by.
    generator : torch.Generator
        Of the order of the latents.

    Returns
    -------
    Chain of QuadraticCoupling
    """
    x, layers = x[:ROWS], list[Map]()
    most = min(FEATURES, len(x) // ROWS_PER_FEATURE)
    size = min(x.shape[1] // 2, int((math.sqrt(9 + 8 * most) - 3) / 2))
    unchanged = 0
    for _ in range(ROUNDS if size else 0):
        before = len(layers)
        for given in torch.randperm(x.shape[1], generator=generator, device="cpu").split(size):
            if layer := _least_squares(x, validation, given.to(x.device)):
                layers.append(layer)
                x, validation = layer(x)[0], layer(validation)[0]
        unchanged = 0 if len(layers) > before else unchanged + 1
        if unchanged == PATIENCE:
            break
    return Chain(layers)


def _least_squares(x: Tensor, validation: Tensor, given: Tensor) -> QuadraticCoupling | None:
    """The layer in which the latents `given` (k,) predict all others that they can, or None if they can predict none."""
    others = torch.ones(x.shape[1], dtype=torch.bool, device=x.device)
    others[given] = False
    predicted = others.nonzero()[:, 0]
    features, y = monomials(x[:, given]), x[:, predicted]
    center, mean = features.mean(0), y.mean(0)
    features = features - center
    values, vectors = (part.to(x) for part in torch.linalg.eigh((features.T @ features / len(x)).cpu().double()))
    along = vectors.T @ (features.T @ (y - mean) / len(x))
    weights = torch.stack([along / (values + ridge)[:, None] for ridge in RIDGES])
    deviation = validation[:, predicted] - mean
    turned = (monomials(validation[:, given]) - center) @ vectors
    left = torch.stack([(deviation - turned @ weight).square().mean(0) for weight in weights])
    which = left.argmin(0)
    best = weights[which, :, torch.arange(len(which), device=x.device)].T
    gain = deviation.square() - (deviation - turned @ best).square()
    share = gain.mean(0) / deviation.square().mean(0)
    used = (share > LEAST_GAIN) & (gain.mean(0) > LEAST_ERRORS * gain.std(0) / math.sqrt(len(gain)))
    if not used.any():
        return None
    coefficients, mean, predicted = (vectors @ best)[:, used], mean[used], predicted[used]
    scale = (y[:, used] - mean - features @ coefficients).std(0, correction=0)
    return QuadraticCoupling(given, predicted, coefficients, mean - center @ coefficients, scale)
