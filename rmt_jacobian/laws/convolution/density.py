"""Free convolutions: laws given by the subordination equations of their factors."""

import warnings
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.laws.convolution.arms import arms_of
from rmt_jacobian.laws.convolution.chart import Chart
from rmt_jacobian.laws.convolution.gaps import Segment, gaps_of, segments_of, solve_in_gaps
from rmt_jacobian.laws.convolution.panels import PanelAntiderivative, masses_of_intervals
from rmt_jacobian.laws.convolution.strands import Strands, strands_of
from rmt_jacobian.laws.convolution.subordination import Solved, System
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.solution import LawSolution

__all__ = ["FreeConvolution"]

_NODES = 121  # on every arm of a factor with few gaps
_BUDGET = 40_000  # nodes in all
_FEWEST = 13
_LOST = 1e-11  # of the size of G: a smaller density is no number but rounding
_ROOT = 0.05  # how far from a root of the distance the density may be next to an edge
_SHIFTS = (1e-8, -1e-8, 1e-6, -1e-6)  # of an angle


@dataclass(frozen=True)
class FreeConvolution(Law):
    r"""What the free sum and the free product of some laws have in common.

    On the support the subordination points are interior points of the upper half plane, and a
    solution there is the only one; in a gap they are real, and the fixed point is attracting.  So
    every value carries its certificate, and none depends on a smoothing of the axis.

    Attributes
    ----------
    factors
        Pairs (law, times); a law enters ``times >= 1`` times.
    """

    factors: tuple[tuple[Law, float], ...]

    @property
    @abstractmethod
    def _chart(self) -> Chart:
        """The coordinate in which the convolution adds."""

    @cached_property
    def _times(self) -> np.ndarray:
        return np.array([times for _, times in self.factors], dtype=float)

    @cached_property
    def _strands(self) -> Strands:
        gaps = sum(len(law.support_intervals()) + len(law.atoms()) + 1 for law, _ in self.factors)
        count = int(np.clip(_BUDGET // (4 * gaps), _FEWEST, _NODES)) // 2 * 2 + 1
        arms = tuple(arms_of(law, self._chart, count) for law, _ in self.factors)
        return strands_of(arms, self._times)

    @cached_property
    def _segments(self) -> list[Segment]:
        return segments_of(self._strands)

    @cached_property
    def _intervals(self) -> tuple[tuple[float, float], ...]:
        gaps = gaps_of(self._strands, self._segments, self.atoms())
        ends = [(below[1], above[0]) for below, above in pairwise(gaps)]
        found = tuple((low, high) for low, high in ends if high > low)
        if not (found or self.atoms()):
            raise ConvergenceError(
                "no interval of the support was found: bring the factors to more similar scales"
            )
        return found

    @abstractmethod
    def _hard_edges(self) -> list[float]:
        """Return the ends of intervals at which the density is infinite."""

    @cached_property
    @abstractmethod
    def _system(self) -> System:
        """The subordination equations."""

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the intervals of the continuous part, in increasing order."""
        return self._intervals

    def solve(self, x: ArrayLike) -> LawSolution:
        """Return the law at real points, with residuals and certificates."""
        x = np.asarray(x, dtype=float)
        infinite = np.isinf(x)
        inner, share = self._off_the_edges(np.where(infinite, np.nan, x))
        g, residual, converged = self._solve(inner.astype(complex))
        # Next to an atom G is so large that its rounding may hide the density.
        lost = self._in_interval(x) & ~(-np.imag(g) > _LOST * np.abs(g))
        converged &= ~lost & self._like_a_root(x, inner, g)
        g = np.real(g) + 1j * np.imag(g) * share
        density = np.where(self._in_interval(x), -np.imag(g) / np.pi, 0.0)
        g, residual = np.where(infinite, 0.0, g), np.where(infinite, 0.0, residual)
        converged |= infinite
        g = np.where(converged, g, complex(np.nan, np.nan))
        return LawSolution(x, g, np.where(converged, density, np.nan), residual, converged)

    def _off_the_edges(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move points off the edges by a few roundings, and say how much less is at the edge.

        So close to an edge the rounding of x decides.  The density goes on like the square root
        of the distance there, or like its inverse, if the gap and the interval are wide enough.
        """
        inner, share = x.copy(), np.ones(x.shape)
        ends = [-np.inf, *(end for pair in self._intervals for end in pair), np.inf]
        hard = self._hard_edges()
        for k, end in enumerate(ends[1:-1], start=1):
            size = self._rounding_at(end)
            if size == 0 or min(ends[k] - ends[k - 1], ends[k + 1] - end) < 1e4 * size:
                continue
            sign = 1.0 if k % 2 else -1.0
            distance = sign * (x - end)
            close = (distance > 0) & (distance < size)
            ratio = np.sqrt(np.where(close, distance, size) / size)
            inner = np.where(close, end + sign * size, inner)
            share = np.where(close, 1 / ratio if end in hard else ratio, share)
        return inner, share

    def _like_a_root(self, x: np.ndarray, inner: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Return whether the density near the edge changes as it is continued to moved points."""
        right = np.ones(x.shape, dtype=bool)
        moved = inner != x
        if np.any(moved):
            ends = np.array([end for pair in self._intervals for end in pair])
            nearest = ends[np.argmin(np.abs(inner[moved, None] - ends), axis=1)]
            further, _, _ = self._solve(nearest + 4 * (inner[moved] - nearest) + 0j)
            with np.errstate(all="ignore"):
                ratio = np.imag(further) / np.imag(g[moved])
            power = np.where(np.isin(nearest, self._hard_edges()), -0.5, 0.5)
            right[moved] = np.abs(ratio / 4**power - 1) <= _ROOT
        return right

    @abstractmethod
    def _rounding_at(self, end: float) -> float:
        """Return the distance to an edge below which rounding matters; 0 if it never does."""

    def _in_interval(self, x: np.ndarray) -> np.ndarray:
        inside = np.zeros(x.shape, dtype=bool)
        for low, high in self._intervals:
            inside |= (x > low) & (x < high)
        return inside

    def _solve(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return G, the residual and the certificate on the closed upper half plane."""
        sigma, _, residual, converged = self._evaluated(z)
        with np.errstate(invalid="ignore"):  # of what is not known
            return 1 / (z - sigma), residual, converged

    def _evaluated(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the self-energy, its slope, the residual and the certificate."""
        flat = z.ravel()
        real = np.imag(flat) == 0
        gap = real & ~self._in_interval(np.real(flat)) & np.isfinite(flat)
        values = np.full((2, flat.size), complex(np.nan, np.nan))
        residual, converged = np.full(flat.size, np.nan), np.zeros(flat.size, dtype=bool)
        rest = ~gap & np.isfinite(flat)
        for where, solver in ((gap, self._in_gap), (rest, self._inside)):
            if np.any(where):
                v, found = solver(flat[where])
                with np.errstate(all="ignore"):
                    values[:, where] = self._chart.self_energy(
                        self._chart.point(v), found.energy, found.slope
                    )
                residual[where], converged[where] = found.residual, found.converged
        sigma, slope = values.reshape(2, *z.shape)
        return sigma, slope, residual.reshape(z.shape), converged.reshape(z.shape)

    def _inside(self, z: np.ndarray) -> tuple[np.ndarray, Solved]:
        v = self._chart.coordinate(z)
        return v, self._system.solve(v)

    def _in_gap(self, z: np.ndarray) -> tuple[np.ndarray, Solved]:
        points = solve_in_gaps(self._strands, self._segments, np.real(z))
        v = self._chart.coordinate(z)
        return v, self._system.at(self._chart.coordinate(points.astype(complex)), v)

    def _density(self, x: np.ndarray) -> np.ndarray:
        solution = self.solve(x)
        ends = np.array([end for interval in self._intervals for end in interval])
        at_end = np.isin(x, ends)
        hard = np.isin(x, self._hard_edges())
        if np.any(~solution.converged & ~at_end & ~np.isnan(x)):
            warnings.warn(
                "no certified density at some points: nan there; see solve", RuntimeWarning,
                stacklevel=3,
            )  # fmt: skip
        return np.where(at_end, np.where(hard, np.inf, 0.0), solution.density)

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        g, _, converged = self._solve(z)
        return np.where(converged, g, complex(np.nan, np.nan))

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sigma, slope, _, converged = self._evaluated(z)
        return np.where(converged, sigma, np.nan), np.where(converged, slope, np.nan)

    @cached_property
    def _antiderivatives(self) -> tuple[PanelAntiderivative, ...]:
        atoms = sum(mass for _, mass in self.atoms())
        return masses_of_intervals(self._solved_rate, len(self._intervals), atoms)

    def _solved_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        """Return the density times the derivative of the point, from the equations.

        Closer to an edge than rounding it is constant, as it is at a hard edge; the mass there is
        of the order of the cube of the angle at other edges.
        """
        first, last = self._margins(k)
        if not first + last < np.pi:
            low, high = self._intervals[k]
            raise ConvergenceError(
                f"the interval [{low:.10g}, {high:.10g}] is too narrow for its place: bring the "
                "factors to more similar scales, or nearer to 0"
            )
        angle = np.clip(angle, first, np.pi - last)
        rate = self._rate(k, angle)
        for shift in _SHIFTS:  # over a few points that are not certified, next to a singular one
            unknown = np.isnan(rate)
            if not np.any(unknown):
                return rate
            near = angle[unknown] + shift
            near = np.where((near > first) & (near < np.pi - last), near, angle[unknown])
            rate[unknown] = self._rate(k, near)
        if np.any(np.isnan(rate)):
            raise ConvergenceError(
                "the density was not found everywhere on the support, so there is no cdf; see "
                "solve for the points, or bring the factors to more similar scales"
            )
        return rate

    def _margins(self, k: int) -> tuple[float, float]:
        """Return the angles to the two edges below which rounding decides."""
        low, high = self._intervals[k]
        first, last = (2 * np.sqrt(self._rounding_at(end) / (high - low)) for end in (low, high))
        return float(first), float(last)

    def _rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        """Return the density by the angle, nan where it is not certified."""
        return self.solve(self._point(k, angle)).density * self._stretch(k, angle)

    def _stretch(self, k: int, angle: np.ndarray) -> np.ndarray:
        low, high = self._intervals[k]
        return (high - low) / 2 * np.sin(angle)

    def _mass_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        return self._antiderivatives[k].rate(angle)
