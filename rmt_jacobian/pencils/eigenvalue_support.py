r"""The support of the eigenvalue law: where some block has no stable phase."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.eigenvalue_level import LevelSet
from rmt_jacobian.pencils.eigenvalue_phases import Phase, phases
from rmt_jacobian.pencils.eigenvalue_sites import SiteProblem, TermValues

__all__ = ["Support", "chunks"]

_CHUNK = 2**17  # points times sites that are held at a time
_COLUMNS, _QUANTILES, _ROWS, _FINE_ROWS = 64, 32, 24, 16
_MARGIN = 1.02
_EVEN = 64  # sites from which on a few of them are no trait of the law


def chunks(points: np.ndarray, sites: int) -> Iterator[np.ndarray]:
    """Cut points into pieces that fit into a cache together with their sites."""
    size = max(1, _CHUNK // sites)
    for start in range(0, len(points), size):
        yield points[start : start + size]


@dataclass(frozen=True, eq=False)
class Support:
    """The support on given sites, and the curves that bound it.

    Attributes
    ----------
    problem
        The eigenvalue problem of the sites.
    grain
        Components with the own eigenvalues of fewer sites than this are left out of the curves:
        they belong to the few sites behind the law.
    """

    problem: SiteProblem
    grain: int = 8

    @cached_property
    def phases(self) -> tuple[tuple[Phase, ...], ...]:
        """The phases of each block."""
        return tuple(phases(block) for block in self.problem.blocks)

    def levels(self, lam: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        r"""Return for each block the least :math:`\log \rho` of its phases, and which that is."""
        found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in self.problem.blocks]
        for piece in chunks(lam, self.problem.weights.shape[0]):
            for k in range(len(self.problem.blocks)):
                found[k].append(self._least(k, piece))
        return [
            (np.concatenate([each[0] for each in pieces]), np.concatenate([e[1] for e in pieces]))
            for pieces in found
        ]

    def _least(self, k: int, lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        block, weights = self.problem.blocks[k], self.problem.weights
        xp = array_namespace(weights)
        first, *others = self.phases[k]
        least = first.log_radius(TermValues(block, xp.asarray(lam)), weights)
        which = np.zeros(len(lam), dtype=int)
        # No two phases are stable at once.
        unstable = np.flatnonzero(least > 0)
        if others and unstable.size:
            values = TermValues(block, xp.asarray(lam[unstable]))
            for n, phase in enumerate(others, start=1):
                level = phase.log_radius(values, weights)
                lower = unstable[level < least[unstable]]
                least[lower], which[lower] = level[level < least[unstable]], n
        return least, which

    def level(self, lam: np.ndarray) -> np.ndarray:
        r"""Return a function that is positive inside the support and 0 on its boundary.

        It is the largest over the blocks of the smallest :math:`\log \rho` of their phases.
        """
        if not self.problem.blocks:
            return np.full(lam.shape, -1.0)
        flat = np.asarray(lam, dtype=complex).ravel()
        each = [least for least, _ in self.levels(flat)]
        return np.max(each, axis=0).reshape(np.shape(lam))

    @cached_property
    def radius(self) -> float:
        """A radius outside of which there is no support."""
        own = np.abs(self.problem.own_eigenvalues)
        circle = np.exp(1j * math.pi * np.arange(13) / 12)
        radius = _MARGIN * max(1e-3, float(own.max()))
        while radius < 1e12:
            if all(
                ((least < 0) & (which == 0)).all() for least, which in self.levels(radius * circle)
            ):
                return radius
            radius *= 1.25
        raise ConvergenceError("the support has no end: the weights are too large")

    def grid(self, detail: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the lines of a grid of the upper half plane, finer near the sites' own values."""
        radius = self.radius
        own = np.sort(self.problem.own_eigenvalues.real.ravel())
        ranks = np.linspace(0, len(own) - 1, int(_QUANTILES * detail)).astype(int)
        even = np.linspace(-radius, radius, int(_COLUMNS * detail))
        # Own values themselves are poles: lines pass between them.
        between = (own[ranks[1:]] + own[ranks[:-1]]) / 2
        x = np.unique(np.concatenate([even, between, own[[0, -1]]]))
        x = x[np.concatenate([[True], np.diff(x) > 1e-12 * radius])]
        rows = np.linspace(0, radius, int(_ROWS * detail) + 1)
        fine = np.geomspace(1e-6 * radius, rows[1], int(_FINE_ROWS * detail), endpoint=False)
        return x, np.sort(np.concatenate([rows, fine]))

    def curves(self, points: int = 200, detail: float = 1.0) -> list[np.ndarray]:
        """Return the closed curves that bound the support, the inside on their left.

        Parameters
        ----------
        points
            About how many points each curve has.
        detail
            Of the grid on which they are looked for; 2 has half the step.
        """
        if not self.problem.blocks:
            return []
        found = LevelSet.on(self.level, *self.grid(detail)).curves(points)
        outer = [curve for curve in found if _area(curve) > 0 and self._holds_sites(curve)]
        holes = [curve for curve in found if _area(curve) < 0 and self._is_even(curve)]
        return sorted(outer, key=lambda curve: -abs(_area(curve))) + holes

    def _holds_sites(self, curve: np.ndarray) -> bool:
        """Return whether a component holds enough sites to be a trait of the law."""
        own = self.problem.own_eigenvalues
        if len(own) < _EVEN:
            return True
        return int(_encloses(curve, own).any(axis=1).sum()) >= self.grain

    def _is_even(self, curve: np.ndarray) -> bool:
        """Return whether the averages that make a hole are those of enough sites."""
        if len(self.problem.own_eigenvalues) < _EVEN:
            return True
        xp = array_namespace(self.problem.weights)
        points = curve[:: max(1, len(curve) // 8)]
        fewest = []
        for block, own_phases, (_, which) in zip(
            self.problem.blocks, self.phases, self.levels(points), strict=True
        ):
            values = TermValues(block, xp.asarray(points))
            each = [p.effective_sites(values, self.problem.weights) for p in own_phases]
            fewest.append(np.take_along_axis(np.array(each), which[None], axis=0)[0])
        return float(np.median(np.min(fewest, axis=0))) >= self.grain


def _area(curve: np.ndarray) -> float:
    """Return the area that a closed curve encloses, positive where it runs counterclockwise."""
    return float(0.5 * np.sum(np.imag(np.conj(curve[:-1]) * curve[1:])))


def _encloses(curve: np.ndarray, points: Any) -> np.ndarray:
    """Return which points lie inside a closed polygon, by the crossings of a ray to the right."""
    inside = np.zeros(points.shape, dtype=bool)
    x, y = points.real, points.imag + 1e-13 * (1 + np.abs(points))  # not along an edge
    for a, b in zip(curve[:-1], curve[1:], strict=True):
        crosses = (a.imag > y) != (b.imag > y)
        if crosses.any():
            place = a.real + (y - a.imag) / (b.imag - a.imag) * (b.real - a.real)
            inside ^= crosses & (x < place)
    return inside
