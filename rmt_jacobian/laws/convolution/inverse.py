r"""Laws given by an inverse: z as an analytic function of a level t, instead of t as one of z.

The level is G for an R-transform and :math:`z G - 1` for an S-transform.  It maps the upper half
plane one to one onto a region of the lower one.  The boundary of that region is two stretches of
the real axis, over the gaps outside the support, and a curve over the support; the edges are where
z'(t) vanishes.  The curve is followed from the upper edge to the lower; a level inside it is the
right one, because it is the only one there.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.laws.convolution.boundary import Boundary, followed
from rmt_jacobian.laws.convolution.brackets import zeros_in_brackets
from rmt_jacobian.laws.convolution.panels import PanelAntiderivative, antiderivative_in_panels
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.solution import LawSolution

__all__ = ["InverseLaw"]

_STEP = 1e-4  # of the distance to the nearest special level; the error of a slope is its 4th power
_MASS = 1e-8
_MOMENTS = 1e-6
_LEVELS = 40
_RESIDUAL = 1e-10
_CORRECTIONS = 6
_AT_EDGE = 1e-5  # angle to an edge, the mass of which is of the order of its square


@dataclass(frozen=True)
class InverseLaw(Law):
    """What laws given by an R- and by an S-transform have in common."""

    @abstractmethod
    def _inverse(self, t: np.ndarray) -> np.ndarray:
        """Return z at a level t."""

    @abstractmethod
    def _cauchy_of(self, z: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return G from z and its level."""

    @abstractmethod
    def _energy_of(self, t: np.ndarray) -> np.ndarray:
        """Return the self-energy at a level."""

    @abstractmethod
    def _room(self, t: np.ndarray) -> np.ndarray:
        """Return the distance from a level to the nearest known singular one."""

    @cached_property
    @abstractmethod
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Real levels from 0 outwards: over the gap above the support, and over that below."""

    def _slope(self, t: np.ndarray) -> np.ndarray:
        return self._difference(self._inverse, t)

    def _difference(
        self, function: Callable[[np.ndarray], np.ndarray], t: np.ndarray
    ) -> np.ndarray:
        h = _STEP * self._room(t)
        with np.errstate(all="ignore"):
            far = function(t - 2 * h) - function(t + 2 * h)
            return (far + 8 * (function(t + h) - function(t - h))) / (12 * h)

    @cached_property
    def _boundary(self) -> Boundary:
        above, below = (self._end_of(side) for side in self._sides)
        return followed(self._inverse, self._slope, above, below, self._power_at_zero)

    @property
    def _power_at_zero(self) -> float | None:
        r"""The power k of :math:`z \sim (t - t_0)^k` at a hard edge at 0; None without one."""
        return None

    def _end_of(self, side: np.ndarray) -> float:
        """Return the first level on one side at which z is stationary."""
        slope = np.real(self._slope(side.astype(complex)))
        change = np.flatnonzero(~(slope < 0))
        if not change.size or change[0] == 0:
            raise HypothesisError(
                "no edge of the support was found: this is not the transform of a law on one "
                "interval, or it ends before the edge (for a law with mass at 0, give S)"
            )
        k = int(change[0])
        if not np.isfinite(slope[k]):
            raise HypothesisError(
                f"the transform is not defined at {side[k]:.6g}, before the edge of the support"
            )
        found = zeros_in_brackets(
            lambda t: np.real(self._slope(t.astype(complex))),
            side[k - 1 : k], side[k : k + 1], slope[k - 1 : k], slope[k : k + 1],
            1e-13 * abs(side[k]),
        )  # fmt: skip
        return float(found[0])

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the interval of the continuous part."""
        return ((self._boundary.low, self._boundary.high),)

    def solve(self, x: ArrayLike) -> LawSolution:
        """Return the law at real points, with residuals and certificates."""
        x = np.asarray(x, dtype=float)
        t, residual, converged = self._level(x.astype(complex))
        with np.errstate(all="ignore"):
            g = self._cauchy_of(x.astype(complex), t)
        inside = (x > self._boundary.low) & (x < self._boundary.high)
        g = np.where(converged, g, complex(np.nan, np.nan))
        infinite = np.isinf(x)
        g, residual = np.where(infinite, 0.0, g), np.where(infinite, 0.0, residual)
        converged = converged | infinite
        density = np.where(inside | ~converged, -np.imag(g) / np.pi, 0.0)
        return LawSolution(x, g, density, residual, converged)

    def _level(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the level, the residual and the certificate on the closed upper half plane."""
        flat = z.ravel()
        x, real = np.real(flat), np.imag(flat) == 0
        inside = real & (x > self._boundary.low) & (x < self._boundary.high)
        start = np.full(flat.shape, complex(np.nan, np.nan))
        start[inside] = self._boundary.near(x[inside])
        gap = real & ~inside & np.isfinite(flat)
        start[gap] = self._real_level(x[gap])
        rest = ~real & np.isfinite(flat)
        start[rest] = self._continued(flat[rest])
        with np.errstate(all="ignore"):
            t, error = self._newton(start, flat)
            t = np.where(gap, np.real(t), t)
            moved = np.abs(t - start)
            good = np.where(
                inside,
                (np.imag(t) < 0) & (moved <= self._boundary.leeway(x)),
                np.where(gap, moved <= 1e-6 * np.abs(t), self._boundary.encloses(t)),
            )
        residual = np.where(gap | inside | rest, error, np.nan)
        shape = z.shape
        return (
            t.reshape(shape),
            residual.reshape(shape),
            (good & (error <= _RESIDUAL)).reshape(shape),
        )

    def _newton(self, t: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for _ in range(_CORRECTIONS):
            step = (self._inverse(t) - z) / self._slope(t)
            t = t - np.where(np.isfinite(step), step, 0)
        return t, np.abs(self._inverse(t) - z) / (np.abs(z) + np.abs(self._cauchy_of(z, t)) ** -1)

    def _real_level(self, x: np.ndarray) -> np.ndarray:
        above = x >= self._boundary.high
        ends = (self._boundary.level_high, self._boundary.level_low)
        found = np.empty(x.shape)
        for own, side, end in zip((above, ~above), self._sides, ends, strict=True):
            t = np.append(side[np.abs(side) < abs(end)], end)
            z = np.real(self._inverse(t.astype(complex)))
            order = np.argsort(z)
            k = np.clip(np.searchsorted(z[order], x[own]), 1, len(t) - 1)
            low, high = order[k - 1], order[k]
            target = np.clip(x[own], z[low], z[high])
            found[own] = zeros_in_brackets(
                lambda t, target=target: np.real(self._inverse(t.astype(complex))) - target,
                t[low], t[high], z[low] - target, z[high] - target, 0.0,
            )  # fmt: skip
        return found

    def _continued(self, z: np.ndarray) -> np.ndarray:
        """Follow the level down from far above the axis."""
        span = self._boundary.high - self._boundary.low
        size = span + max(abs(self._boundary.high), abs(self._boundary.low))
        target = np.real(z) + 1j * np.maximum(np.imag(z), 4 * size)
        t = self._far_level(target)
        with np.errstate(all="ignore"):
            t, _ = self._newton(t, target)
            for share in np.logspace(0, -12, _LEVELS):
                target = np.real(z) + 1j * np.maximum(np.imag(z), 4 * size * share)
                t, _ = self._newton(t, target)
        return t

    @abstractmethod
    def _far_level(self, z: np.ndarray) -> np.ndarray:
        """Return the level of large z, roughly."""

    def _density(self, x: np.ndarray) -> np.ndarray:
        density = self.solve(x).density
        ends = (x == self._boundary.low, x == self._boundary.high)
        hard = self._power_at_zero is not None
        return np.where(ends[0], np.inf if hard else 0.0, np.where(ends[1], 0.0, density))

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        t, _, converged = self._level(z)
        return np.where(converged, self._cauchy_of(z, t), complex(np.nan, np.nan))

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        t, _, converged = self._level(z)
        slope = self._difference(self._energy_of, t) / self._slope(t)
        return np.where(converged, self._energy_of(t), np.nan), np.where(converged, slope, np.nan)

    @cached_property
    def _antiderivatives(self) -> tuple[PanelAntiderivative, ...]:
        low, high = self._boundary.low, self._boundary.high

        def integrate(power: int) -> PanelAntiderivative:
            def rate(angle: np.ndarray) -> np.ndarray:
                x = np.clip(
                    self._boundary.point(angle), np.nextafter(low, high), np.nextafter(high, low)
                )
                values = self.solve(x).density * self._boundary.stretch(angle) * x**power
                near = np.minimum(angle, np.pi - angle) <= _AT_EDGE
                return np.where(near & ~np.isfinite(values), 0.0, values)

            return antiderivative_in_panels(rate, 0.0, np.pi)

        below = integrate(0)
        atom = sum(mass for _, mass in self.atoms())
        mass = float(below(np.array(np.pi))) + atom
        mean = float(integrate(1)(np.array(np.pi)))
        size = max(abs(low), abs(high))
        if abs(mass - 1) > _MASS or abs(mean - self.mean()) > _MOMENTS * size:
            raise ConvergenceError(
                f"mass {mass:.8g} and mean {mean:.8g} instead of 1 and {self.mean():.8g}: this is "
                "not the transform of a probability law, or not on one interval"
            )
        return (below,)

    def _mass_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        return self._antiderivatives[k].rate(angle)

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        return self._boundary.point(angle)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        return self._boundary.angle(x)
