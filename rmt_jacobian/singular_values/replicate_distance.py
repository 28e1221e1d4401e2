"""How far the law of the singular values of one chain is from that of another draw of its sites."""

import math

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.chain.continuation import solve_chain
from rmt_jacobian.pencils.chain.protocol import Chain

__all__ = ["distance_to_chain"]

_ASIDE = (1e-5, 1e-4, 1e-3)  # relative distances from an atom where the cdf beside it is taken
_CLOSE = 1e-7  # error of the self-energies: the potential is stationary, and has its square
_STEEP = 1e3  # slope of the cdf in log s beyond which a rise is an atom for all we can tell


def distance_to_chain(
    chain: Chain, s: np.ndarray, start: np.ndarray, own: np.ndarray, slope: np.ndarray
) -> float:
    """Return how far the cdf of the singular values of a chain is at most from given values at s.

    At an atom the equation has no solution, and next to it only rounding decides on which side one
    is.  There the cdf may have any value between those on both sides.

    Parameters
    ----------
    chain
        The other one.
    s, start
        Points, and self-energies to start from there.
    own, slope
        The cdf of a law at the points, and its derivative in log s.

    Raises
    ------
    ConvergenceError
        If a point, or what lies beside it, is not solved.
    """
    below, solved = _below(chain, s, start)
    gap = np.abs(below - own)
    at = ~solved | (slope > _STEEP)
    if np.any(at):
        low, high = (_beside(chain, s[at], start[at], sign) for sign in (-1, 1))
        gap[at] = np.maximum(np.maximum(low - own[at], own[at] - high), 0.0)
    return float(np.max(gap))


def _beside(chain: Chain, s: np.ndarray, start: np.ndarray, sign: int) -> np.ndarray:
    """Return the cdf on one side of points that are not solved, as close to them as it is."""
    below, solved = np.empty_like(s), np.zeros(s.shape, dtype=bool)
    for distance in _ASIDE:
        left = np.flatnonzero(~solved)
        if len(left):
            shifted = s[left] * (1 + sign * distance)
            below[left], solved[left] = _below(chain, shifted, start[left])
    if not np.all(solved):
        raise ConvergenceError("a replicate was not solved: use other sites")
    return below


def _below(chain: Chain, s: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cdf of the singular values of a chain at s, and where it was solved."""
    xp = chain.namespace
    # Few sites may never see what another W passes on: their equation has fewer blocks.
    known = xp.asarray(start) if start.shape[1] == chain.blocks else None
    found = solve_chain(chain, xp.asarray(s + 0j), known, tolerance=_CLOSE)
    potential = chain.potential(found.s, found.sigma, found.averages)
    return 1 - to_numpy(xp.imag(potential)) / math.pi, to_numpy(found.converged)
