r"""The support of the eigenvalue law: where some block has no stable phase."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.eigenvalues.level import LevelSet
from rmt_jacobian.eigenvalues.phases import Phase, phases
from rmt_jacobian.eigenvalues.sites import SiteProblem, TermValues
from rmt_jacobian.errors import ConvergenceError

__all__ = ["Support", "chunks"]

_CHUNK = 2**17  # points times sites that are held at a time
_COLUMNS, _QUANTILES, _ROWS, _FINE_ROWS = 64, 32, 24, 16
_MARGIN = 1.02
_NEGLIGIBLE = 1e-3
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
        Components with the own eigenvalues of fewer sites than this, of average share, are left
        out of the curves: they belong to the few sites behind the law.
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

    def log_radius(self, k: int, n: int, lam: np.ndarray) -> np.ndarray:
        r"""Return :math:`\log \rho` of phase n of block k at points."""
        xp, block = array_namespace(self.problem.weights), self.problem.blocks[k]
        return np.concatenate(
            [
                self.phases[k][n].log_radius(
                    TermValues(block, xp.asarray(piece)), self.problem.weights
                )
                for piece in chunks(lam, block.sites)
            ]
        )

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
        shares = to_numpy(self.problem.weights)
        # Nodes of a quadrature far out in the tail are poles that no number resolves.
        heavy = shares > _NEGLIGIBLE * shares.max()
        own = np.sort(np.real(self.problem.own_eigenvalues[heavy]).ravel())
        ranks = np.linspace(0, len(own) - 1, int(_QUANTILES * detail)).astype(int)
        even = np.linspace(-radius, radius, int(_COLUMNS * detail))
        # Own values are poles: lines pass between them, and through the outermost two.
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
        found = []
        x, y = self.grid(detail) if self.problem.blocks else (np.zeros(0), np.zeros(0))
        for k in range(len(self.problem.blocks)):
            for level in self._level_sets(k, x, y):
                found += [c for c in level.curves(points) if self._is_trait(k, c)]
        return sorted(found, key=lambda curve: -_area(curve))

    def _level_sets(self, k: int, x: np.ndarray, y: np.ndarray) -> Iterator[LevelSet]:
        """Yield the function of each phase on a grid; its zeros bound where the phase is stable.

        The curve of a phase is looked for by itself, so that a ring is found however thin it is.
        """
        lam = (x[:, None] + 1j * y[None, :]).ravel()
        outside = self.log_radius(k, 0, lam)
        yield LevelSet(partial(self.log_radius, k, 0), x, y, outside.reshape(len(x), len(y)))
        unstable = np.flatnonzero(outside > 0)
        for n in range(1, len(self.phases[k])):
            values = np.ones(len(lam))
            values[unstable] = self.log_radius(k, n, lam[unstable])
            if (values < 0).any():
                yield LevelSet(partial(self.log_radius, k, n), x, y, values.reshape(len(x), len(y)))

    def _is_trait(self, k: int, curve: np.ndarray) -> bool:
        """Return whether a curve bounds the support, and by the doing of more than a few sites."""
        others = [least for n, (least, _) in enumerate(self.levels(curve)) if n != k]
        if others and (np.max(others, axis=0) > 0).all():
            return False
        if len(self.problem.own_eigenvalues) < _EVEN:
            return True
        return self._holds_sites(curve) if _area(curve) > 0 else self._is_even(k, curve)

    def _holds_sites(self, curve: np.ndarray) -> bool:
        """Return whether a component has the own eigenvalues of enough sites, by their shares."""
        own = self.problem.own_eigenvalues
        held = to_numpy(self.problem.weights)[_encloses(curve, own).any(axis=1)]
        return float(held.sum()) * len(own) >= self.grain * (1 - 1e-9)

    def _is_even(self, k: int, curve: np.ndarray) -> bool:
        """Return whether the averages that make a hole are those of enough sites."""
        block, weights = self.problem.blocks[k], self.problem.weights
        points = curve[:: max(1, len(curve) // 8)]
        values = TermValues(block, array_namespace(weights).asarray(points))
        levels = [phase.log_radius(values, weights) for phase in self.phases[k]]
        effective = [phase.effective_sites(values, weights) for phase in self.phases[k]]
        ruling = np.abs(levels).argmin(axis=0)
        return float(np.median(np.array(effective)[ruling, np.arange(len(points))])) >= self.grain


def _area(curve: np.ndarray) -> float:
    """Return the area that a closed curve encloses, positive where it runs counterclockwise."""
    return float(0.5 * np.sum(np.imag(np.conj(curve[:-1]) * curve[1:])))


def _encloses(curve: np.ndarray, points: Any) -> np.ndarray:
    """Return which points lie inside a closed polygon, by the crossings of a ray to the right."""
    inside = np.zeros(points.shape, dtype=bool)
    x, y = points.real, points.imag + 1e-13 * (1 + np.abs(points))  # not along an edge
    for a, b in pairwise(curve):
        crosses = (a.imag > y) != (b.imag > y)
        if crosses.any():
            place = a.real + (y - a.imag) / (b.imag - a.imag) * (b.real - a.real)
            inside ^= crosses & (x < place)
    return inside
