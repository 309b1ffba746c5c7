"""QLAE: each latent takes one of a few learned values, and weight decay keeps the networks simple."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sculptlab.priors import Prior, Product, Samples
from sculptlab.series.rivals.method import Method
from sculptlab.training.objectives import Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.training.run import Run
from sculptlab.validation import number, parameter, whole

if TYPE_CHECKING:
    from sculptlab.series.studies.settings import PreparedImages


class Codebook(Companion):
    """The values (dim, count) that each latent can take; at first evenly from -1/2 to 1/2."""

    joins_model = True

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.linspace(-0.5, 0.5, count, device="cpu", dtype=torch.float32).repeat(dim, 1))

    def nearest(self, codes: Tensor) -> Tensor:
        """The value nearest to each entry of codes (n, dim), differentiable in the values."""
        chosen = (codes.detach()[:, :, None] - self.values.detach()).abs().argmin(2)
        return self.values.expand(len(codes), -1, -1).gather(2, chosen[:, :, None])[:, :, 0]


@dataclass(frozen=True)
class QLAE(Objective):
    """Reconstruction from quantized codes q + quantize * |sg(z) - q|^2 + commit * |z - sg(q)|^2, sg without a gradient.

    q_j is the value nearest to z_j among `count` learned values of latent j. The gradient of the reconstruction passes straight
    through q to z. Train it with a weight decay, which the paper found to matter most: `fit(..., weight_decay=0.1)`. The values
    do not decay. Declared are independent latents, each uniform over its values. In the history: "quantize", "commit".

    The paper takes ten values, twice as many latents as the data have factors, AdamW with a decay of 0.1 and a learning rate of
    1e-3, and 200,000 steps. Its weights of 0.01 multiply means over latents, beside a cross-entropy that is a mean over pixels:
    in nats per image they are 0.01 * pixels / latents, about 10 for its 64 x 64 x 3 images and 12 latents. With far smaller
    weights, codes leave the range of the values, and each latent takes little more than its two outermost values.

    The scorecard takes as many latents as for the other methods, and fewer steps.

    Parameters
    ----------
    count : int
        Values that a latent can take, at least 2.
    quantize, commit : float, at least 0
        Nats per image for a squared distance of 1.
    likelihood : as in `Reconstruction`

    References
    ----------
    Hsu, Dorrell, Whittington, Wu and Finn 2023, arXiv 2305.18378.
    """

    count: int = parameter(whole, 10, least=2)
    quantize: float = parameter(number, 10.0, least=0)
    commit: float = parameter(number, 10.0, least=0)

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"codebook": Codebook(dim, self.count)}

    def decoder_input(self, batch: Batch, companions: Companions) -> Tensor:
        codebook: Any = companions["codebook"]
        straight_through = batch.codes - batch.codes.detach()  # exactly 0, so that codes are exactly the values
        return codebook.nearest(batch.codes).detach() + straight_through

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        codebook: Any = companions["codebook"]
        nearest = codebook.nearest(batch.codes)
        yield Term("quantize", self.quantize, (batch.codes.detach() - nearest).square().sum(1).mean())
        yield Term("commit", self.commit, (batch.codes - nearest.detach()).square().sum(1).mean())

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior:
        codebook: Any = companions["codebook"]
        return Product([Samples(values[:, None]) for values in codebook.values.detach()])


def trained(images: PreparedImages, weight: float, seed: int) -> Run:
    """A quantized autoencoder; `weight` is the weight decay."""
    return images.train(QLAE(), seed, weight_decay=weight)


LATENT_QUANTIZATION = Method(
    "QLAE", "quantized", "Hsu et al. 2023, arXiv 2305.18378; the weight is the weight decay", None,
    (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), trained,
)  # fmt: skip
