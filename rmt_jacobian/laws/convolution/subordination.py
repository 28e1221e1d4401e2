r"""Newton's method for the subordination equations, with a certificate.

In the coordinate of a :class:`.Chart` the equations read

.. math:: u_i = v - s + p_i(u_i), \qquad s = \sum_j t_j \, p_j(u_j).

The Jacobian matrix is diagonal plus a matrix of rank one.  A solution whose points all lie in the
open upper half plane is the only one, also at a real v: by induction over the factors it is the
Denjoy-Wolff point of an analytic self-map.  So it does not matter how it was found, here by
continuation in Im v from far above the axis.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rmt_jacobian.laws.convolution.chart import Chart

if TYPE_CHECKING:
    from rmt_jacobian.laws.law import Law

__all__ = ["Solved", "System"]

_SWEEPS = 30  # of the plain iteration, far above the axis
_STARTS = 10
_FALLS = ((4.0, 1e-4), (2.0, 1e-4), (2.0, 1e-10), (1.4, 1e-15))
"""By how much the height falls at a time, and from where to 0; the next where the last failed."""
_CORRECTIONS = 4
_FINAL = 60
_GOOD, _POOR = 1e-12, 1e-8  # residuals: enough alone, and enough where the next step is small
_STILL = 1e-6  # of the height of a point: the next step, where the residual is poor
_GAP = 1e-9  # residual of a real solution, which a bracket holds
_EPS = np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class Solved:
    """Subordination points, and whether they are certified.

    Attributes
    ----------
    points
        A row for every factor.
    energy, slope
        The sum of the energies, and its derivative, in the coordinate of the chart.
    residual
        The largest residual of the equations, relative to the size of their terms.
    converged
        Whether Newton's next step stays well inside the upper half plane, and either the residual
        is at rounding level or that step is very small.
    """

    points: np.ndarray
    energy: np.ndarray
    slope: np.ndarray
    residual: np.ndarray
    converged: np.ndarray


@dataclass(frozen=True, eq=False)
class System:
    """The subordination equations of some factors, each with the times it enters."""

    chart: Chart
    laws: tuple["Law", ...]
    times: np.ndarray
    height: float
    """An imaginary part of the coordinate from which the continuation may start."""
    table: tuple[np.ndarray, np.ndarray] | None = None
    """Logarithms of -z and of minus the points on the negative axis, for a product."""

    def solve(self, v: np.ndarray) -> Solved:
        """Solve at coordinates in the closed upper half plane."""
        flat = v.ravel()
        if not flat.size:
            empty = np.zeros(v.shape)
            points = np.zeros((len(self.laws), *v.shape), dtype=complex)
            return Solved(points, empty + 0j, empty + 0j, empty, empty == 0)
        with np.errstate(all="ignore"):
            solved = self._continued(flat, *_FALLS[0])
            for factor, lowest in _FALLS[1:]:
                left = np.flatnonzero(~solved.converged)
                if left.size:
                    again = self._continued(flat[left], factor, lowest)
                    for name in ("points", "energy", "slope", "residual", "converged"):
                        getattr(solved, name)[..., left] = getattr(again, name)
        return Solved(
            solved.points.reshape(-1, *v.shape),
            solved.energy.reshape(v.shape),
            solved.slope.reshape(v.shape),
            solved.residual.reshape(v.shape),
            solved.converged.reshape(v.shape),
        )

    def at(self, u: np.ndarray, v: np.ndarray) -> Solved:
        """Return what belongs to real points that solve the equations in a gap."""
        with np.errstate(all="ignore"):
            p, slopes = self._energies(u)
            tangent = self._tangent(slopes)
            energy, slope = self._total(p), self._total(slopes * tangent)
            error = np.max(np.abs(self._errors(p, u, v)), axis=0)
            size = np.abs(v) + np.max(np.abs(u), axis=0) + np.abs(energy)
            residual = np.where(np.isinf(energy), 0.0, error / size)  # infinite where G is 0
        return Solved(u, energy, slope, residual, residual <= _GAP)

    def _continued(self, v: np.ndarray, factor: float, lowest: float) -> Solved:
        top = np.maximum(self.height, np.imag(v))
        here = np.real(v) + 1j * top
        u = self._started(here)
        target, height = here, self.height
        while np.any(np.imag(target) > np.imag(v)):
            height = height / factor if height > lowest * self.height else 0.0
            following = np.real(v) + 1j * np.maximum(np.minimum(height, top), np.imag(v))
            _, slopes = self._energies(u)
            u = self._moved(u, self._tangent(slopes) * (following - target))
            target = following
            for _ in range(_CORRECTIONS):
                u = self._moved(u, self._step(u, target)[0])
        return self._polished(u, v)

    def _started(self, v: np.ndarray) -> np.ndarray:
        if self.table is None:  # the plain iteration is a contraction far above the axis
            u = np.repeat(v[None], len(self.laws), axis=0)
            for _ in range(_SWEEPS):
                p, _ = self._energies(u)
                u = v - self._total(p) + p
            return u
        log_z, rows = self.table
        moduli = np.array([_interpolated(np.real(v), log_z, row) for row in rows])
        u = moduli + 1j * (np.pi + np.imag(v)) / 2
        for _ in range(_STARTS):
            u = self._moved(u, self._step(u, v)[0])
        return u

    def _polished(self, u: np.ndarray, v: np.ndarray) -> Solved:
        moving = np.arange(len(v))
        for _ in range(_FINAL):
            step, residual = self._step(u[:, moving], v[moving])
            u[:, moving] = self._moved(u[:, moving], step)
            still = np.max(np.abs(step) / (np.abs(u[:, moving]) + 1e-300), axis=0) <= 4 * _EPS
            moving = moving[~still & np.isfinite(residual)]
            if not moving.size:
                break
        p, slopes = self._energies(u)
        step, residual = self._step(u, v)
        size = np.abs(v) + np.max(np.abs(u), axis=0) + np.abs(self._total(p))
        # One point that is surely inside is enough: it fixes those of all other factors.
        inside = np.any(np.abs(step) <= 0.1 * np.imag(u), axis=0) & np.all(np.imag(u) > 0, axis=0)
        relative = residual / size
        # Next to a pole of an energy rounding is worse, but the next step still tells the error.
        still = np.all(np.abs(step) <= _STILL * np.imag(u), axis=0) & (relative <= _POOR)
        certified = inside & ((relative <= _GOOD) | still)
        energy_slope = self._total(slopes * self._tangent(slopes))
        return Solved(u, self._total(p), energy_slope, relative, certified)

    def _energies(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = [self.chart.energy(law, row) for law, row in zip(self.laws, u, strict=True)]
        return np.array([p for p, _ in pairs]), np.array([slope for _, slope in pairs])

    def _total(self, rows: np.ndarray) -> np.ndarray:
        return self.times @ rows

    def _errors(self, p: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return v - u_i less the energies but one p_i, which may be larger than all others."""
        others = self.times - np.eye(len(self.times))
        return v - others @ p - u

    def _tangent(self, slopes: np.ndarray) -> np.ndarray:
        """Return the derivatives of the points by v."""
        return self._solved(slopes, np.ones_like(slopes))

    def _step(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p, slopes = self._energies(u)
        error = self._errors(p, u, v)
        return self._solved(slopes, error), np.max(np.abs(error), axis=0)

    def _solved(self, slopes: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Solve (1 - p_i') x_i + sum of t_j p_j' x_j = right_i.

        One or two factors by Cramer's rule, which does not mind where some 1 - p_i' is 0.
        """
        own, shared = 1 - slopes, self.times[:, None] * slopes
        if len(slopes) == 1:
            return right / (own + shared)
        if len(slopes) == 2:
            (a, b), (first, second), (x, y) = own, shared, right
            determinant = a * b + a * second + b * first
            return np.array([(b * x + second * (x - y)), (a * y + first * (y - x))]) / determinant
        matrix = np.moveaxis(shared[None] + np.eye(len(own))[..., None] * own, -1, 0)
        finite = np.all(np.isfinite(matrix), axis=(1, 2)) & np.all(np.isfinite(right), axis=0)
        result = np.full_like(right, np.nan)
        result[:, finite] = np.linalg.solve(matrix[finite], right.T[finite, :, None])[..., 0].T
        return result

    def _moved(self, u: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Add a step, with every rise cut so that no point comes ten times closer to a border.

        A point at a border would hold up all others if the whole step were shortened with it.
        """
        step = np.where(np.isfinite(step), step, 0)
        rise = np.imag(step)
        room = np.where(rise < 0, np.imag(u), self.chart.ceiling - np.imag(u))
        return u + np.real(step) + 1j * np.clip(rise, -0.9 * room, 0.9 * room)


def _interpolated(x: np.ndarray, nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate linearly, and go on linearly beyond the ends."""
    k = np.clip(np.searchsorted(nodes, x), 1, len(nodes) - 1)
    slope = (values[k] - values[k - 1]) / (nodes[k] - nodes[k - 1])
    return values[k] + slope * (x - nodes[k])
