"""Where do two samples differ? The witness function of the maximum mean discrepancy."""

from typing import Any

import torch

from sculptlab.mmd.inputs import pair_of_codes
from sculptlab.mmd.kernel_base import Kernel, squared_distances
from sculptlab.mmd.kernels import as_kernel
from sculptlab.mmd.precision import centered, without_autocast
from sculptlab.mmd.views import fitted
from sculptlab.validation import codes


def witness(x: Any, y: Any, points: Any, kernel: Kernel | None = None) -> Any:
    """Witness function of the maximum mean discrepancy: where two samples differ.

    f(p) = mean_i k(x_i, p) - mean_j k(y_j, p).

    It is positive where `x` is denser and negative where `y` is. Its mean over `x` minus its mean over `y` is the biased MMD^2;
    no other function of the same norm in the kernel's space has a larger difference.

    Parameters
    ----------
    x, y : as in `mmd2`
    points : array_like of shape (q, d)
        Where to evaluate the function.
    kernel : Kernel, optional
        None is `kernels.IMQ()`. An open width is set by `y`.

    Returns
    -------
    Tensor or ndarray of shape (q,)
        A tensor, differentiable in all three, if `points` is one; otherwise an array.

    Raises
    ------
    ValueError, TypeError
        As `mmd2`, and for points on another device.

    References
    ----------
    Gretton et al. 2012, A kernel two-sample test, JMLR 13, section 2.3.

    Examples
    --------
    >>> witness([[0.0], [0.1]], [[1.0], [1.1]], [[0.0], [1.0]]).round(1).tolist()
    [5.1, -5.1]
    """
    x, y = pair_of_codes(x, y)
    if isinstance(points, torch.Tensor) and points.device != x.device:
        raise ValueError(f"points must be on the device of x and y, {x.device}, got {points.device}")
    places = codes("points", points, dim=x.shape[1], rows=1).to(x.device, x.dtype)
    kernel = fitted(as_kernel(kernel), y, len(y))
    with without_autocast(x.device):
        places, x, y = centered(kernel, places, x, y)
        # 256 points at a time, so that memory stays small
        values = [
            kernel.values(squared_distances(block, x)).mean(1) - kernel.values(squared_distances(block, y)).mean(1)
            for block in places.split(256)
        ]
    found = torch.cat(values)
    if isinstance(points, torch.Tensor):
        return found.to(points.dtype) if points.is_floating_point() else found.float()
    return found.detach().cpu().numpy()
