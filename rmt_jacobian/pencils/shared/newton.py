"""Newton's method for the Dyson equation of a chain with shared weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.pencils.chain.newton import TOLERANCE, drift, newton
from rmt_jacobian.pencils.chain.solution import ChainSolution
from rmt_jacobian.pencils.shared.chain import SharedChain
from rmt_jacobian.pencils.shared.half_space import Linearised, balanced, certified, iterated
from rmt_jacobian.pencils.shared.matrices import sizes

__all__: list[str] = []


@dataclass(frozen=True, eq=False)
class _Linearised(Linearised):
    """The equation of a chain at some self-energies and one point.

    Attributes
    ----------
    averages, cauchy
        There.
    cauchy_row, cauchy_drift
        The derivatives of G.
    """

    averages: np.ndarray
    cauchy: complex
    cauchy_row: np.ndarray
    cauchy_drift: complex

    @classmethod
    def at(cls, chain: SharedChain, s: complex, sigma: np.ndarray) -> "_Linearised":
        """Return all that is known there; nan where a matrix is singular, far off a solution."""
        try:
            return cls._at(chain, s, sigma)
        except np.linalg.LinAlgError:
            nan = complex(np.nan)
            lost = np.full(chain.blocks, nan)
            return cls(lost, np.diag(lost), lost, lost, lost, nan, lost, nan)

    @classmethod
    def _at(cls, chain: SharedChain, s: complex, sigma: np.ndarray) -> "_Linearised":
        found = chain.responses(np.array([s]), sigma[None, :])
        g, matrix, by_s = found.averages[0], found.matrix[0], found.drift[0]
        (spreads, costs), (g_e, g_y) = chain.matrices(sigma), chain.matrices(g)
        K = chain.gates
        m = chain.blocks // (2 * K)
        rows = np.arange(m)
        parts = [
            (
                ensemble, np.concatenate([rows + k * m, rows + (K + k) * m]),
                (spreads[k], costs[k]), (g_e[k], g_y[k]),
            )
            for k, ensemble in enumerate(chain.ensembles)
        ]  # fmt: skip
        gap, slope, moved = balanced(parts, sigma, matrix, by_s)
        both = sizes(np.concatenate([spreads, costs]))
        unit = np.real(chain.vector(both[:K], both[K:]))
        row, along = found.cauchy_row[0], found.cauchy_drift[0]
        return cls(gap, slope, moved, unit, g, complex(found.cauchy[0]), row, complex(along))


@dataclass(frozen=True, eq=False)
class _OfChain:
    """The equation of a chain as one of matrices, all of one size."""

    chain: SharedChain

    def groups(self, sigma: np.ndarray) -> list[np.ndarray]:
        """Return the matrices of e and y, shape (2 K, T, T)."""
        return [np.concatenate(self.chain.matrices(sigma))]

    def joined(self, groups: Sequence[np.ndarray]) -> np.ndarray:
        """Return the vector of these matrices."""
        (both,) = groups
        return self.chain.vector(both[: self.chain.gates], both[self.chain.gates :])

    def linearised(self, s: complex, sigma: np.ndarray) -> _Linearised:
        """Return the equation there."""
        return _Linearised.at(self.chain, s, sigma)


@newton.register
@np.errstate(all="ignore")  # iterates far off overflow, and are rejected
def _newton(
    chain: SharedChain,
    s: np.ndarray,
    start: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
    max_sweeps: int = 40,
) -> ChainSolution:
    parts = [
        _at_point(chain, complex(point), guess, tolerance, max_sweeps)
        for point, guess in zip(s, start, strict=True)
    ]
    return ChainSolution.joined(s, parts)


def _at_point(
    chain: SharedChain, s: complex, start: np.ndarray, tolerance: float, max_sweeps: int
) -> ChainSolution:
    equation = _OfChain(chain)
    found = iterated(equation, s, start, tolerance, max_sweeps)
    rests = found.rests(tolerance)
    right, inside = certified(equation, s, found) if rests else (False, True)
    return ChainSolution(
        np.array([s]), found.sigma[None, :], found.at.averages[None, :],
        np.array([found.at.cauchy]), np.array([found.residual]), np.array([found.length]),
        np.array([inside]), np.array([rests and right]), found.sweeps,
    )  # fmt: skip


@drift.register
@np.errstate(all="ignore")
def _drift(chain: SharedChain, solution: ChainSolution) -> tuple[np.ndarray, np.ndarray]:
    moving, cauchy = [], []
    for s, sigma in zip(solution.s, solution.sigma, strict=True):
        at = _Linearised.at(chain, complex(s), sigma)
        each = at.drift()
        moving.append(each)
        cauchy.append(at.cauchy_drift + at.cauchy_row @ each)
    return np.array(moving), np.array(cauchy)
