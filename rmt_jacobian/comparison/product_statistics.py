"""What freeness of the factors is judged by, on one sampled product."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from rmt_jacobian.comparison.diagonal_moments import (
    DiagonalMoments,
    FreeMoments,
    site_matrices,
    times_site_matrices,
)
from rmt_jacobian.errors import ParameterError

__all__ = ["STATISTICS", "statistics_of"]

STATISTICS = ("m_1", "m_2", "alternating", "overlap")
_NO_SPREAD = 1e-20  # variances of J J^T below it are rounding noise


def statistics_of(matrices: Iterable[Any], states: int) -> tuple[tuple[int, int], np.ndarray]:
    """Return (T, N), and (sampled, free, diagonal) of every statistic; shape (4, 3)."""
    product = before = None
    free, diagonal = FreeMoments(), None
    pairs: list[np.ndarray] = []
    for matrix in matrices:
        J = _scaled(matrix, before, states)
        if product is None or before is None or diagonal is None:
            product, diagonal = J, DiagonalMoments.identity(len(J) // states, states)
        else:
            product = J @ product
            pairs.append(np.stack([_alternating(before, J, states), _overlap(before, J, states)]))
        free, diagonal, before = free.step(J), diagonal.step(J), J
    if product is None or diagonal is None or not pairs:
        raise ParameterError("a product needs at least 2 matrices")
    square = product @ product.T
    moments = np.array([np.trace(square), np.vdot(square, square)]) / len(product)
    rows = [
        (moments[0], free.mean, diagonal.mean),
        (moments[1], free.second_moment, diagonal.second_moment),
        *np.mean(pairs, axis=0),
    ]
    return (len(pairs) + 1, len(product) // states), np.array(rows)


def _scaled(matrix: Any, like: np.ndarray | None, states: int) -> np.ndarray:
    """Return the matrix with tau(J J^T) = 1, which keeps long products within floating point."""
    try:
        J = np.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"factors must be square matrices, not {matrix!r}") from None
    if J.ndim != 2 or J.shape[0] != J.shape[1] or (like is not None and J.shape != like.shape):
        raise ParameterError(f"factors must be square matrices of one size, not {J.shape}")
    if states < 1 or len(J) % states:
        raise ParameterError(
            f"matrices of {len(J)} rows are not those of {states} states a site: give the number "
            "of states that they have"
        )
    mean = float(np.vdot(J, J)) / len(J) if len(J) else 0.0
    if not (mean > 0 and math.isfinite(mean)):
        raise ParameterError("every factor must be finite and not zero: leave such samples out")
    return J / math.sqrt(mean)


def _alternating(before: np.ndarray, after: np.ndarray, states: int) -> np.ndarray:
    """Return the alternating moment of two factors, sampled and by both predictions."""
    one = np.eye(len(before))
    M, X = before @ before.T - one, after.T @ after - one
    d, x = site_matrices(M, states), site_matrices(X, states)
    product = M @ X
    sampled = np.vdot(product, product.T)
    both = np.einsum("ijn,jkn->ikn", d, x)
    over_diagonal = (
        _square_trace(times_site_matrices(M, x))
        + _square_trace(times_site_matrices(X, d))
        - np.einsum("ijn,jin->", both, both)
    )
    scale = max(np.vdot(M, M) * np.vdot(X, X) / len(one), _NO_SPREAD * len(one))
    return np.array([sampled, 0.0, over_diagonal]) / scale


def _square_trace(product: np.ndarray) -> float:
    """Return the trace of the square."""
    return float(np.vdot(product, product.T))


def _overlap(before: np.ndarray, after: np.ndarray, states: int) -> np.ndarray:
    """Return the overlap of two factors, sampled and by both predictions."""
    left, right = site_matrices(before, states), site_matrices(after, states)
    traces = [np.einsum("iin->", sites) / len(before) for sites in (left, right)]
    sampled, over_diagonal = np.vdot(before, after), np.vdot(left, right)
    return np.array([sampled / len(before), traces[0] * traces[1], over_diagonal / len(before)])
