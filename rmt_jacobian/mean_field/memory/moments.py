"""Stationary moments of what a site remembers, where its memory is an affine map."""

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.averages.factors import lost_power
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.mean_field.memory.affine import affine_memory
from rmt_jacobian.mean_field.memory.affine_moments import stationary_second

__all__ = [
    "MemoryMoments",
    "forgotten_power",
    "memory_moments",
    "memory_powers",
    "relative_kurtosis",
]

_NO_SPREAD = 1e-24  # of a variance, relative to the largest


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
        whitened = _root(centred @ centred.T / centred.shape[1], inverse=True) @ centred
        states = np.array(states)
        states[list(self.memory)] = self.mean[:, None] + _root(self.covariance) @ whitened
        return states


def _root(covariance: np.ndarray, *, inverse: bool = False) -> np.ndarray:
    """Return the symmetric root of a covariance, or the pseudo-inverse of it."""
    values, vectors = np.linalg.eigh(covariance)
    spread = values > _NO_SPREAD * max(float(values.max(initial=0.0)), 1e-300)
    roots = np.sqrt(np.where(spread, values, 1.0))
    scaled = np.where(spread, 1 / roots if inverse else roots, 0.0)
    return (vectors * scaled) @ vectors.T


def memory_moments(
    cell: Cell,
    parameters: Parameters,
    variances: tuple[float, ...],
    correlations: tuple[float, ...] | None = None,
    input_correlation: float = 1.0,
) -> MemoryMoments | None:
    r"""Solve for the stationary mean and covariance of an affine memory s' = a s + b.

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    variances
        Of the preactivations, which are drawn afresh at every step.
    correlations, input_correlation
        Of two networks whose covariance is wanted; by default that of one.

    Returns
    -------
    MemoryMoments or None
        None where there is no memory, it is not affine, or biases are frozen.

    Raises
    ------
    InfeasibleError
        If the memory grows for ever.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> known = memory_moments(minimalrnn, Parameters.of(minimalrnn), (15.936223,))
    >>> round(float(known.covariance[0, 0]), 6)
    0.317897
    """
    update = affine_memory(cell)
    if update is None or parameters.has_frozen_bias:
        return None
    fresh = FreshVariables(cell, parameters, variances, correlations, input_correlation)
    second = stationary_second(update, fresh).mean(axis=(0, 1))
    mean = second[0, 1:]
    return MemoryMoments(cell.memory, mean, second[1:, 1:] - np.outer(mean, mean))


def memory_powers(
    cell: Cell, fresh: FreshVariables, order: int, *, paired: bool = True, unit: float = 1.0
) -> dict[tuple[int, int], np.ndarray]:
    r"""Return :math:`E[c_1^j c_2^k]`, 1 <= j + k <= order, of one affine memory in two networks.

    .. math:: E[c_1^j c_2^k] = \sum_{p \le j, q \le k} \binom jp \binom kq
              E[a_1^p b_1^{j-p} a_2^q b_2^{k-q}] \, E[c_1^p c_2^q]

    Parameters
    ----------
    cell, fresh
        The cell, and its fresh variables in one network or in two.
    order
        The highest j + k.
    paired
        Whether moments of both networks are wanted, k > 0.
    unit
        In which c is measured.

    Returns
    -------
    dict
        By (j, k), each of the shape of the fresh variables: one number for each frozen bias.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> fresh = FreshVariables(minimalrnn, Parameters.of(minimalrnn), (15.936223,))
    >>> memory_powers(minimalrnn, fresh, 2)[2, 0].round(6)
    array([[0.317897]])
    """
    ((b, a),) = affine_memory(cell)  # pyright: ignore[reportGeneralTypeIssues]
    found = {(0, 0): np.ones(fresh.shape)}
    for total in range(1, order + 1):
        for k in range(total // 2 + 1 if paired else 1):
            j, earlier = total - k, np.zeros(fresh.shape)
            for p, q in itertools.product(range(j + 1), range(k + 1)):
                if (p, q) == (j, k):
                    continue
                left, right = _power(a, b, p, j - p), _power(a, b, q, k - q)
                share = fresh.product(left, right) / unit ** (total - p - q)
                earlier = earlier + share * math.comb(j, p) * math.comb(k, q) * found[p, q]
            # 1 - a_1^j a_2^k = (1 - a_1^j) + a_1^j (1 - a_2^k), which keeps its digits.
            lost = fresh.product(lost_power(a, j), sp.S.One)
            if k:
                lost = lost + fresh.product(_power(a, b, j, 0), lost_power(a, k))
            found[j, k] = earlier / lost
            if paired:
                found[k, j] = found[j, k]
    del found[0, 0]
    return found


def forgotten_power(cell: Cell, fresh: FreshVariables, power: int) -> np.ndarray:
    """Return 1 - E[a^n] of the only memory; its n-th moment is finite where that is positive."""
    ((_, a),) = affine_memory(cell)  # pyright: ignore[reportGeneralTypeIssues]
    return fresh.product(lost_power(a, power), sp.S.One)


def relative_kurtosis(cell: Cell, fresh: FreshVariables, unit: float) -> float:
    """Return E[c^4] / E[c^2]^2 of the only memory; 0 where the fourth moment is infinite."""
    if float(np.min(forgotten_power(cell, fresh, 4))) <= 0:
        return 0.0
    powers = memory_powers(cell, fresh, 4, paired=False, unit=unit)
    square, fourth = (float(powers[k, 0].mean()) for k in (2, 4))
    return fourth / square**2 if square > 0 else 0.0


@cache
def _power(a: sp.Expr, b: sp.Expr, p: int, q: int) -> sp.Expr:
    return a**p * b**q  # pyright: ignore[reportReturnType, reportOperatorIssue]
