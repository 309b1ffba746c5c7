"""Every column from all the others by least squares, for all columns at once and in closed form."""

import torch

RIDGE = 1e-12  # on standardized columns: enough to factorize duplicated ones, too little to move any score


class _Others:
    """Least squares on all the columns but one, for each one left out, from the one inverse that all of them share.

    x: (n, d), float64, columns with mean 0 and variance near 1; y: (n, d), the target of each column. With G = (x'x/n + ridge)^-1
    and b = G x'y/n, leaving column i out takes G[:, i] b[i, i] / G[i, i] from b[:, i] (the inverse of a matrix without one
    row and column).
    """

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.mean = y.mean(0)
        gram = x.T @ x / len(x) + RIDGE * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        full = self.inverse @ (x.T @ (y - self.mean)) / len(x)
        self.weights = full - self.inverse * (full.diagonal() / self.inverse.diagonal())

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return self.mean + x @ self.weights

    def leverage(self, x: torch.Tensor) -> torch.Tensor:
        """How much each fitted row pulls its own prediction, (n, d): what all columns give less the share of the one left out."""
        through = x @ self.inverse
        whole = (through * x).sum(1, keepdim=True)
        return (1 + whole - through.square() / self.inverse.diagonal()) / len(x)


def leave_one_out(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Predictions (n, d) of `y` (n, d), each row by the least squares fit to all other rows: exact, without refitting.

    Column i of `y` is predicted from all columns of `x` (n, d) but the i-th. A row's residual without it is the residual
    with it over 1 - leverage. Needs n > d + 1.
    """
    x = x - x.mean(0)
    fit = _Others(x, y)
    return y - (y - fit.predict(x)) / (1 - fit.leverage(x))


def predict(x: torch.Tensor, y: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Predictions for the rows `new` (t, d) by the fit to `x`, `y` (n, d), column i from all the others; (t, d)."""
    center = x.mean(0)
    return _Others(x - center, y).predict(new - center)
