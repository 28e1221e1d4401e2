"""Random weight matrices that multiply without being formed where that is cheaper."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from scipy.linalg import lapack

from rmt_jacobian.errors import ParameterError

__all__ = [
    "DenseMatrix",
    "HouseholderMatrix",
    "WeightMatrix",
    "Weights",
    "checked_weights",
    "draw_image",
    "draw_weights",
]

Weights = Literal["gaussian", "orthogonal"]


class WeightMatrix(Protocol):
    """An N x N matrix W that can be applied to arrays of shape (N,) and (N, m)."""

    def apply(self, X: Any) -> Any:
        """Return W X."""
        ...

    def apply_transposed(self, X: Any) -> Any:
        """Return W^T X."""
        ...

    def matrix(self) -> Any:
        """Return W itself, shape (N, N)."""
        ...

    def row_lengths(self) -> Any:
        """Return the length of every row, shape (N,)."""
        ...


@dataclass(frozen=True)
class DenseMatrix:
    """A matrix that is stored whole."""

    entries: np.ndarray

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return W X."""
        return self.entries @ X

    def apply_transposed(self, X: np.ndarray) -> np.ndarray:
        """Return W^T X."""
        return self.entries.T @ X

    def matrix(self) -> np.ndarray:
        """Return W itself."""
        return self.entries

    def row_lengths(self) -> np.ndarray:
        """Return the length of every row."""
        return np.sqrt(np.einsum("ij,ij->i", self.entries, self.entries))


@dataclass(frozen=True)
class HouseholderMatrix:
    r"""A scaled orthogonal matrix stored as a product of reflections and signs.

    .. math:: W = \sigma H_1 H_2 \cdots H_N \, \mathrm{diag}(\pm 1)

    It is applied by LAPACK's blocked reflections, at 2/3 of the cost of forming it by QR and
    multiplying.

    Attributes
    ----------
    reflectors, factors
        Vectors below the diagonal and their coefficients, in LAPACK's format.
    signs
        The signs, shape (N,).
    scale
        sigma.
    """

    reflectors: np.ndarray
    factors: np.ndarray
    signs: np.ndarray
    scale: float

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return W X."""
        columns = X.reshape(X.shape[0], -1)
        signed = np.asfortranarray(self.scale * self.signs[:, None] * columns)
        return self._reflected("N", signed).reshape(X.shape)

    def apply_transposed(self, X: np.ndarray) -> np.ndarray:
        """Return W^T X."""
        columns = np.array(X.reshape(X.shape[0], -1), order="F")
        reflected = self._reflected("T", columns)
        return (self.scale * self.signs[:, None] * reflected).reshape(X.shape)

    def _reflected(self, transposed: str, columns: np.ndarray) -> np.ndarray:
        """Return the reflections applied to columns, which are overwritten."""
        work = lapack.dormqr("L", transposed, self.reflectors, self.factors, columns, -1)[1]
        product, _, info = lapack.dormqr(
            "L", transposed, self.reflectors, self.factors, columns, int(work[0]), overwrite_c=True
        )
        assert info == 0, f"dormqr refused argument {-info}"
        return product

    def matrix(self) -> np.ndarray:
        """Return W itself."""
        return self.apply(np.eye(len(self.signs)))

    def row_lengths(self) -> np.ndarray:
        """Return the length of every row, which is sigma."""
        return np.full(len(self.signs), self.scale)


def checked_weights(weights: str) -> Weights:
    """Return the name of an ensemble, or raise :class:`ParameterError` if there is none such."""
    if weights not in get_args(Weights):
        raise ParameterError(
            f"unknown weights {weights!r}: use one of {', '.join(get_args(Weights))}"
        )
    return weights  # pyright: ignore[reportReturnType]


def draw_weights(
    weights: Weights, width: int, weight_std: float, rng: np.random.Generator
) -> WeightMatrix:
    r"""Draw W: Gaussian of entry variance sigma_w^2 / N, or sigma_w times Haar orthogonal.

    Parameters
    ----------
    weights
        ``"gaussian"`` or ``"orthogonal"``.
    width
        N.
    weight_std
        sigma_w >= 0.
    rng
        The generator to draw from.

    Notes
    -----
    The reflections of the QR decomposition of a Gaussian matrix come from independent Gaussian
    vectors of falling length, so the decomposition itself need not be computed; the signs of the
    diagonal of R make the law invariant.

    References
    ----------
    :cite:t:`Stewart1980`; :cite:t:`Mezzadri2007`, section 5.

    Examples
    --------
    >>> W = draw_weights("orthogonal", 4, 2.0, np.random.default_rng(0))
    >>> bool(np.allclose(W.matrix() @ W.matrix().T, 4 * np.eye(4)))
    True
    """
    if checked_weights(weights) == "gaussian":
        return DenseMatrix(rng.standard_normal((width, width)) * (weight_std / math.sqrt(width)))
    gaussian = np.tril(rng.standard_normal((width, width)))
    lead = gaussian.diagonal().copy()
    norms = np.sqrt(np.einsum("ij,ij->j", gaussian, gaussian))
    signs = np.where(lead < 0, -1.0, 1.0)
    # H maps the k-th vector to -sign(lead) |vector| e_1, which is the k-th diagonal entry of R.
    reflectors = np.asfortranarray(gaussian / (lead + signs * norms))
    factors = 1 + signs * lead / norms
    # The last vector has one entry: no reflection is left, and R keeps its sign.
    factors[-1] = 0.0
    r_signs = -signs
    r_signs[-1] = signs[-1]
    return HouseholderMatrix(reflectors, factors, r_signs, weight_std)


def draw_image(
    weights: Weights, weight_std: float, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw W y for a fresh W without drawing W; the law is exact at every width.

    For Gaussian W the image is Gaussian with sigma_w^2 times the mean square of y as variance, for
    Haar W it is uniform on the sphere whose radius is sigma_w times the length of y.
    """
    z = rng.standard_normal(y.shape)
    spread = np.sqrt(y.size) if checked_weights(weights) == "gaussian" else np.linalg.norm(z)
    return z * (weight_std * np.linalg.norm(y) / spread)
