"""Stationary moments of what a site remembers, where its memory is an affine map."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.fresh import FreshVariables

__all__ = ["MemoryMoments", "memory_moments", "source_squares"]


@dataclass(frozen=True, eq=False)
class MemoryMoments:
    """Mean and covariance of the memory states of a site."""

    memory: tuple[int, ...]
    mean: np.ndarray
    covariance: np.ndarray

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
def _affine_memory(cell: Cell) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]] | None:
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
    affine = _affine_memory(cell)
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
    mean = _solved(np.eye(m) - means[: m * m].reshape(m, m), means[m * m :])
    squares, crosses, own = np.split(pairs, [m**4, m**4 + m**3])
    # squares[i k, j l] = E[a_ik a_jl], crosses[i k, j] = E[a_ik b_j]
    kron = squares.reshape(m, m, m, m).transpose(0, 2, 1, 3).reshape(m * m, m * m)
    cross = np.einsum("ikj,k->ij", crosses.reshape(m, m, m), mean)
    right = (cross + cross.T + own.reshape(m, m)).ravel()
    if not np.max(np.abs(np.linalg.eigvals(kron))) < 1:
        return None
    second = _solved(np.eye(m * m) - kron, right).reshape(m, m)
    covariance = second - np.outer(mean, mean)
    if not np.all(np.isfinite(covariance)):
        return None
    return MemoryMoments(cell.memory, mean, (covariance + covariance.T) / 2)


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def source_squares(
    cell: Cell, parameters: Parameters, variances: tuple[float, ...]
) -> np.ndarray | None:
    r"""Return :math:`E[y_k^2]` of every preactivation where it follows from moments of the memory.

    That is the case where the sources are at most linear in affine memory states, as in the GRU:
    their coefficients read fresh gates only.  None elsewhere.
    """
    polynomials = _source_polynomials(cell)
    known = memory_moments(cell, parameters, variances) if polynomials else None
    if polynomials is None or known is None:
        return None
    second = known.covariance + np.outer(known.mean, known.mean)
    fresh = FreshVariables(cell, parameters, variances)
    squares = []
    for terms in polynomials:
        coefficients = fresh.averages([coefficient for _, coefficient in terms])
        if coefficients is None:
            return None
        moments = [_moment(powers, known.mean, second) for powers, _ in terms]
        squares.append(float(coefficients @ np.array(moments)) if terms else 0.0)
    return np.array(squares)


def _moment(powers: tuple[int, ...], mean: np.ndarray, second: np.ndarray) -> float:
    at = [i for i, power in enumerate(powers) for _ in range(power)]
    if not at:
        return 1.0
    return float(mean[at[0]]) if len(at) == 1 else float(second[at[0], at[1]])


@cache
def _source_polynomials(
    cell: Cell,
) -> tuple[tuple[tuple[tuple[int, ...], sp.Expr], ...], ...] | None:
    """Return y_k^2 as polynomials in the memory: pairs of powers and coefficients."""
    symbols = [cell.states[i] for i in cell.memory]
    if not symbols:
        return None
    found = []
    for source in cell.sources:
        if source.free_symbols & (set(cell.states) - set(symbols)):
            return None
        try:
            polynomial = sp.Poly(source**2, *symbols)
        except sp.PolynomialError:
            return None
        if polynomial.total_degree() > 2:
            return None
        found.append(
            tuple((tuple(map(int, powers)), sp.factor(c)) for powers, c in polynomial.terms() if c)
        )
    return tuple(found)
