"""Stationary moments of what a site remembers, where its memory is an affine map."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.fresh import FreshVariables

__all__ = [
    "MemoryMoments",
    "affine_memory",
    "linear_in_memory",
    "linear_sources",
    "memory_moments",
    "second_moment",
    "solved",
    "source_squares",
]


@dataclass(frozen=True, eq=False)
class MemoryMoments:
    """Mean and covariance of the memory states of a site."""

    memory: tuple[int, ...]
    mean: np.ndarray
    covariance: np.ndarray

    def with_covariance(
        self, covariance: np.ndarray, *, mean: np.ndarray | None = None
    ) -> "MemoryMoments":
        """Return the moments with another covariance, and another mean if one is given."""
        return replace(self, covariance=covariance, mean=self.mean if mean is None else mean)

    def imposed(self, states: np.ndarray) -> np.ndarray:
        """Return states whose memory has been shifted and mixed to have these moments."""
        memory = states[list(self.memory)]
        centred = memory - memory.mean(axis=1, keepdims=True)
        found = centred @ centred.T / centred.shape[1]
        if np.linalg.matrix_rank(found, hermitian=True) == len(found):
            root = np.linalg.cholesky(found)
            centred = np.linalg.solve(root, centred)
        values, vectors = np.linalg.eigh(self.covariance)
        target = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        if len(target) == 1:  # the sign is kept, and so is the shape
            target = np.sqrt(np.clip(self.covariance, 0, None))
        states = np.array(states)
        states[list(self.memory)] = self.mean[:, None] + target @ centred
        return states


@cache
def affine_memory(cell: Cell) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]] | None:
    """Return (a, b) of the update s' = a s + b of the memory, flattened; None if there is none."""
    if not cell.memory:
        return None
    symbols = [cell.states[i] for i in cell.memory]
    slopes = [cell.state_derivatives[i][j] for i in cell.memory for j in cell.memory]
    if any(slope.has(*symbols) for slope in slopes):
        return None
    rest = [cell.updates[i].subs(dict.fromkeys(symbols, 0)) for i in cell.memory]
    return tuple(slopes), tuple(rest)


def memory_moments(
    cell: Cell, parameters: Parameters, variances: tuple[float, ...]
) -> MemoryMoments | None:
    r"""Solve for the stationary mean and second moment of an affine memory s' = a s + b.

    .. math:: E[s] = E[a] E[s] + E[b], \qquad
              E[s s^T] = E[a s s^T a^T] + E[a s b^T] + E[b s^T a^T] + E[b b^T]

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    variances
        Of the preactivations, which are drawn afresh at every step, so that s is independent of
        the a and b that update it.

    Returns
    -------
    MemoryMoments or None
        None where there is no memory, it is not affine, or it has no stationary second moment.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> known = memory_moments(minimalrnn, Parameters.of(minimalrnn), (15.936223,))
    >>> round(float(known.covariance[0, 0]), 6)
    0.317897
    """
    affine = affine_memory(cell)
    if affine is None:
        return None
    slopes, rests = affine
    m, fresh = len(cell.memory), FreshVariables(cell, parameters, variances)
    means = fresh.averages([*slopes, *rests])
    if means is None:
        return None
    pairs = fresh.averages(
        [a * b for a in slopes for b in slopes]
        + [a * b for a in slopes for b in rests]
        + [a * b for a in rests for b in rests]
    )
    if pairs is None:
        return None
    mean = solved(np.eye(m) - means[: m * m].reshape(m, m), means[m * m :])
    squares, crosses, own = np.split(pairs, [m**4, m**4 + m**3])
    # squares[i k, j l] = E[a_ik a_jl], crosses[i k, j] = E[a_ik b_j]
    kron = squares.reshape(m, m, m, m).transpose(0, 2, 1, 3).reshape(m * m, m * m)
    cross = np.einsum("ikj,k->ij", crosses.reshape(m, m, m), mean)
    right = (cross + cross.T + own.reshape(m, m)).ravel()
    if not np.max(np.abs(np.linalg.eigvals(kron))) < 1:
        return None
    second = solved(np.eye(m * m) - kron, right).reshape(m, m)
    covariance = second - np.outer(mean, mean)
    if not np.all(np.isfinite(covariance)):
        return None
    return MemoryMoments(cell.memory, mean, (covariance + covariance.T) / 2)


def solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a linear system; nan where it is singular."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def source_squares(
    cell: Cell, parameters: Parameters, variances: tuple[float, ...]
) -> np.ndarray | None:
    r"""Return :math:`E[y_k^2]` of every preactivation where it follows from moments of the memory.

    That is the case where the sources are affine in an affine memory, as in the GRU: their
    coefficients read fresh gates only.  None elsewhere.
    """
    sources = linear_sources(cell)
    known = memory_moments(cell, parameters, variances) if sources else None
    if sources is None or known is None:
        return None
    second = second_moment(known.mean, known.covariance)
    fresh = FreshVariables(cell, parameters, variances)
    squares = []
    for terms in sources:
        products = fresh.averages([one * two for one in terms for two in terms])
        if products is None:
            return None
        squares.append(float(products @ second.ravel()))
    return np.array(squares)


def second_moment(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return E[(1, s) (1, s')^T] of two vectors of equal mean and given covariance."""
    longer = np.concatenate([[1.0], mean])
    second = np.outer(longer, longer)
    second[1:, 1:] += covariance
    return second


@cache
def linear_in_memory(cell: Cell, expression: sp.Expr) -> tuple[sp.Expr, ...] | None:
    """Return (rest, slopes) of an expression that is affine in the memory; None if it is not.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> linear_in_memory(gru, gru.sources[2])
    (0, sigmoid(e_r))
    """
    symbols = [cell.states[i] for i in cell.memory]
    others = set(cell.states) - set(symbols)
    slopes = [expression.diff(symbol) for symbol in symbols]
    if expression.free_symbols & others or any(slope.has(*symbols) for slope in slopes):
        return None
    return (sp.sympify(expression.subs(dict.fromkeys(symbols, 0)), strict=True), *slopes)


def linear_sources(cell: Cell) -> list[tuple[sp.Expr, ...]] | None:
    """Return the sources as affine functions of the memory; None if one is not, or there is none.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> linear_sources(gru)
    [(0, 1), (0, 1), (0, sigmoid(e_r))]
    """
    found = [linear_in_memory(cell, source) for source in cell.sources]
    known = [each for each in found if each is not None]
    return known if cell.memory and len(known) == len(found) else None
