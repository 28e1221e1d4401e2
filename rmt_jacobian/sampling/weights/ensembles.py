"""Ensembles of random weight matrices, by name."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from rmt_jacobian.arrays import ArrayGenerator, Random, array_generator
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.sampling.weights.dense import DenseMatrix
from rmt_jacobian.sampling.weights.fast_ensembles import (
    FastGaussianMatrix,
    FastOrthogonalMatrix,
    draw_fast_gaussian,
    draw_fast_orthogonal,
)
from rmt_jacobian.sampling.weights.householder import HouseholderMatrix, draw_haar

__all__ = [
    "DenseMatrix",
    "FastGaussianMatrix",
    "FastOrthogonalMatrix",
    "HouseholderMatrix",
    "TheoryWeights",
    "UndrawnMatrix",
    "WeightMatrix",
    "Weights",
    "checked_weights",
    "draw_image",
    "draw_weights",
    "ensemble_of",
    "is_fast",
]

TheoryWeights = Literal["gaussian", "orthogonal"]
Weights = Literal["gaussian", "orthogonal", "fast-gaussian", "fast-orthogonal"]


_UNDRAWN = "this network was run without its W: run it with matrices=True"


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


@dataclass(frozen=True, eq=False)
class UndrawnMatrix:
    """A W of which only the image of the state was drawn; its rows have their mean length.

    Attributes
    ----------
    width, weight_std
        N and sigma_w.
    random
        Whose namespace and type the row lengths have.
    """

    width: int
    weight_std: float
    random: ArrayGenerator

    def apply(self, X: Any) -> Any:
        """Refuse."""
        raise HypothesisError(_UNDRAWN)

    def apply_transposed(self, X: Any) -> Any:
        """Refuse."""
        raise HypothesisError(_UNDRAWN)

    def matrix(self) -> Any:
        """Refuse."""
        raise HypothesisError(_UNDRAWN)

    def row_lengths(self) -> Any:
        """Return sigma_w at every site."""
        return self.random.xp.full((self.width,), self.weight_std, dtype=self.random.dtype)


def checked_weights(weights: str) -> Weights:
    """Return the name of an ensemble, or raise :class:`ParameterError` if there is none such.

    Examples
    --------
    >>> checked_weights("fast-orthogonal")
    'fast-orthogonal'
    """
    if weights not in get_args(Weights):
        raise ParameterError(
            f"unknown weights {weights!r}: use one of {', '.join(get_args(Weights))}"
        )
    return weights  # pyright: ignore[reportReturnType]


def is_fast(weights: Weights) -> bool:
    """Tell whether W is applied in O(N log N) and need not be stored.

    Examples
    --------
    >>> is_fast("fast-gaussian"), is_fast("gaussian")
    (True, False)
    """
    return checked_weights(weights).startswith("fast-")


def ensemble_of(weights: Weights) -> TheoryWeights:
    """Return the ensemble whose theory holds for W as N -> infinity.

    Examples
    --------
    >>> ensemble_of("fast-orthogonal"), ensemble_of("gaussian")
    ('orthogonal', 'gaussian')
    """
    name = checked_weights(weights).removeprefix("fast-")
    return name  # pyright: ignore[reportReturnType]


def draw_weights(weights: Weights, width: int, weight_std: float, rng: Random) -> WeightMatrix:
    r"""Draw W: Gaussian of entry variance sigma_w^2 / N, or sigma_w times Haar orthogonal.

    Parameters
    ----------
    weights
        ``"gaussian"`` or ``"orthogonal"``, or their stand-ins ``"fast-gaussian"`` and
        ``"fast-orthogonal"``, see :class:`.FastGaussianMatrix` and :class:`.FastOrthogonalMatrix`.
    width
        N.
    weight_std
        sigma_w >= 0.
    rng
        The generator to draw from.

    Examples
    --------
    >>> import numpy as np
    >>> W = draw_weights("orthogonal", 4, 2.0, np.random.default_rng(0))
    >>> bool(np.allclose(W.matrix() @ W.matrix().T, 4 * np.eye(4)))
    True
    """
    random = array_generator(rng)
    if checked_weights(weights) == "gaussian":
        entries = random.standard_normal((width, width))
        entries *= weight_std / math.sqrt(width)
        return DenseMatrix(entries)
    draw = {
        "orthogonal": draw_haar,
        "fast-orthogonal": draw_fast_orthogonal,
        "fast-gaussian": draw_fast_gaussian,
    }[weights]
    return draw(width, weight_std, random)


def draw_image(weights: Weights, weight_std: float, y: Any, rng: Random) -> Any:
    """Draw W y for a fresh W without drawing W; the law is exact at every width.

    For Gaussian W the image is Gaussian with sigma_w^2 times the mean square of y as variance, for
    Haar W it is uniform on the sphere whose radius is sigma_w times the length of y.  A fast W is
    drawn and applied: at finite width its image has a law of its own.
    """
    random, width = array_generator(rng), y.shape[0]
    if is_fast(weights):
        return draw_weights(weights, width, weight_std, random).apply(y)
    z = random.standard_normal((width,))
    spread = math.sqrt(width) if weights == "gaussian" else math.sqrt(float(z @ z))
    return z * (weight_std * math.sqrt(float(y @ y)) / spread)
