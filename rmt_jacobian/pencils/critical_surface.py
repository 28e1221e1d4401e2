r"""The surface of growth rate 1 in the space of free hyperparameters, and the least spread on it.

With :math:`\gamma` the logarithm of the growth rate and :math:`f = \log m_2/m_1^2`, on common sites,

.. math:: \min f(x), \qquad \gamma(x) = 0, \qquad x \in \text{box} .

At a minimum the gradient of :math:`L = f - \mu \gamma` vanishes but at bounds that bind, where it
points outward, and the second derivatives of L are not negative along the surface.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import minimize

from rmt_jacobian.mean_field.factors import is_smooth
from rmt_jacobian.pencils.common_sites import CommonSites
from rmt_jacobian.pencils.critical_search import CriticalSearch

__all__ = ["CriticalSurface", "Optimality", "Slopes"]

_SCALES = 15  # of all weights together, where a change of sign is looked for
_HOPELESS = 50.0  # logarithm of what is not a number
_SMOOTH, _KINKED = 1e-6, 0.05  # steps of finite differences; kinks are averaged over
_CURVED = 0.02  # and of second differences
_AT_END = 1e-6
_ON_SURFACE = 1e-6  # of the logarithm of the growth rate
_JUMP = 0.02
_FLAT = 1e-12  # of a squared gradient
_REACH = 1.0  # how far along the surface less spread is predicted


@dataclass(frozen=True, eq=False)
class Slopes:
    """Values and gradients of growth and spread at a point; gradients have shape (free,)."""

    growth: float
    spread: float
    of_growth: np.ndarray
    of_spread: np.ndarray


@dataclass(frozen=True, eq=False)
class Optimality:
    r"""Whether a point of the surface is a minimum on it.

    Attributes
    ----------
    multiplier
        :math:`\mu = df / d\gamma`.
    binding
        Of every coordinate, whether it is held by an end of its range.
    curvature
        The least second derivative along the surface, of :math:`\log(m_2/m_1^2)`; infinite where
        growth rate 1 and the ends of ranges leave no direction.
    gain
        By how much a quadratic model predicts that :math:`\log(m_2/m_1^2)` can still fall within
        one unit of every direction, a unit being a factor e or a bias of 1.
    downhill
        Where the model predicts the least spread.
    normal
        The shortest change that raises the growth by 1 and leaves alone what is held.
    """

    multiplier: float
    binding: np.ndarray
    curvature: float
    gain: float
    downhill: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True, eq=False)
class CriticalSurface:
    """Growth and spread as functions on the box.

    Attributes
    ----------
    search
        The box and what a vector in it stands for.
    sites
        The common sites on which both are measured.
    tick
        Called once for every set of points.
    """

    search: CriticalSearch
    sites: CommonSites
    tick: Callable[[], object] = lambda: None
    _known: dict[bytes, Slopes] = field(default_factory=dict, repr=False)

    def measured(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return growth, spread and what the memory keeps; shape (points,) each."""
        self.tick()
        rates = self.sites.rates([self.search.at(vector) for vector in vectors])
        return rates.growth, rates.spread, rates.kept

    def value(self, vector: np.ndarray) -> tuple[float, float]:
        """Return growth and spread at one point, large where they are not numbers."""
        at = self.slopes(vector)
        return at.growth, at.spread

    def slopes(self, vector: np.ndarray) -> Slopes:
        """Return values and gradients, by finite differences on the same sites."""
        key = vector.tobytes()
        if key not in self._known:
            n, h = len(vector), self._step
            moves = [np.zeros((1, n)), h * np.eye(n)]
            if h == _KINKED:
                moves.append(-h * np.eye(n))
            growth, spread, _ = self.measured(vector + np.concatenate(moves))
            growth, spread = (np.where(np.isfinite(f), f, _HOPELESS) for f in (growth, spread))
            slopes = (
                (f[1 : n + 1] - f[0]) / h if h == _SMOOTH else (f[1 : n + 1] - f[n + 1 :]) / (2 * h)
                for f in (growth, spread)
            )
            self._known[key] = Slopes(float(growth[0]), float(spread[0]), *slopes)
        return self._known[key]

    @property
    def _step(self) -> float:
        tables = (self.search.cell.state_derivatives, self.search.cell.gate_derivatives)
        entries = [e for table in tables for row in table for e in row]
        return _SMOOTH if all(is_smooth(entry) for entry in entries) else _KINKED

    def scaled(
        self, zero: np.ndarray, moving: np.ndarray, *, clipped: bool = False
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Return the first point on a line where the growth rate becomes 1, or ceases to be less.

        A change from below to above comes first.  None where there is none; the growth along the
        line follows.

        Parameters
        ----------
        zero, moving
            A point of the line, and its direction.
        clipped
            Whether coordinates that leave the box stay at its end while others go on.
        """
        low, high = self.search.bounds.T
        moved = moving > 0
        most, least = (np.min, np.max) if clipped else (np.max, np.min)
        ends = most((low - zero)[moved]), least((high - zero)[moved])
        scales = np.linspace(*ends, _SCALES)
        first = growth = self._along(zero, moving, scales)
        for _ in range(4):
            k = _crossing(growth)
            if k is None:
                return None, first
            near = growth[k : k + 2]
            scales = np.linspace(scales[k], scales[k + 1], 9)
            growth = self._along(zero, moving, scales)
            if not np.any(np.isfinite(near)):
                return None, first
        best = int(np.nanargmin(np.abs(growth)))
        if abs(growth[best]) > _JUMP:
            return None, first
        return np.clip(zero + scales[best] * moving, low, high), first

    def _along(self, zero: np.ndarray, moving: np.ndarray, scales: np.ndarray) -> np.ndarray:
        low, high = self.search.bounds.T
        return self.measured(np.clip(zero + scales[:, None] * moving, low, high))[0]

    def descended(self, start: np.ndarray, iterations: int) -> np.ndarray:
        """Return a point of the surface of no more spread than the start, that descent leads to."""
        found = minimize(
            lambda v: self.value(v)[1],
            start,
            jac=lambda v: self.slopes(v).of_spread,
            method="SLSQP",
            bounds=self.search.bounds,
            constraints={
                "type": "eq",
                "fun": lambda v: self.value(v)[0],
                "jac": lambda v: self.slopes(v).of_growth,
            },
            options={"maxiter": iterations, "ftol": 1e-7},
        )
        if not np.all(np.isfinite(found.x)):
            return start
        best = self.projected(np.clip(found.x, *self.search.bounds.T))
        if best is None or self.value(best)[1] > self.value(start)[1]:
            return start
        return best

    def projected(self, vector: np.ndarray) -> np.ndarray | None:
        """Return a point of the surface nearby; None if none is found."""
        for _ in range(8):
            if abs(self.value(vector)[0]) <= _ON_SURFACE:
                return vector
            at = self.slopes(vector)
            vector = self.shifted(vector, -at.growth * self.normal(vector, at, -at.growth))
        return vector if abs(self.value(vector)[0]) <= 1e-4 else None

    def shifted(self, vector: np.ndarray, move: np.ndarray) -> np.ndarray:
        """Return a point moved by one unit of every coordinate at most, and kept in the box."""
        longest = max(1.0, float(np.max(np.abs(move))))
        return np.clip(vector + move / longest, *self.search.bounds.T)

    def normal(self, vector: np.ndarray, at: Slopes, sign: float) -> np.ndarray:
        """Return the shortest change that raises the growth by 1, with a sign, inside the box."""
        low, high = self.search.bounds.T
        wanted = sign * at.of_growth
        free = ~((vector <= low + _AT_END) & (wanted < 0) | (vector >= high - _AT_END) & (wanted > 0))
        gradient = np.where(free, at.of_growth, 0.0)
        return gradient / max(float(gradient @ gradient), _FLAT)

    def optimality(self, vector: np.ndarray) -> Optimality:
        """Judge a point of the surface by first and second derivatives."""
        low, high = self.search.bounds.T
        at = self.slopes(vector)
        ends = np.where(vector <= low + _AT_END, 1.0, np.where(vector >= high - _AT_END, -1.0, 0.0))
        binding = ends != 0
        for _ in range(len(vector)):
            multiplier = _multiplier(at, ~binding)
            outward = ends * (at.of_spread - multiplier * at.of_growth) >= 0
            if np.all(outward[binding]):
                break
            binding &= outward
        multiplier = _multiplier(at, ~binding)
        along = np.zeros((len(vector), 0))
        if np.sum(~binding) > 1:
            along = np.zeros((len(vector), int(np.sum(~binding)) - 1))
            along[~binding] = null_space(at.of_growth[None, ~binding])[:, : along.shape[1]]
        slope = along.T @ (at.of_spread - multiplier * at.of_growth)
        curved = self._curvature(vector, along, multiplier)
        values, axes = np.linalg.eigh(curved)
        moves = along @ axes
        gain, downhill = 0.0, vector.copy()
        for value, g, move in zip(values, axes.T @ slope, moves.T, strict=True):
            length = _reach(vector, move, low, high, g)
            step = min(length, abs(g) / value) if value > 0 else length
            gain += abs(g) * step - value * step**2 / 2
            downhill = downhill - math.copysign(step, g) * move
        least = float(values[0]) if len(values) else math.inf
        normal = np.where(binding, 0.0, at.of_growth)
        normal = normal / max(float(normal @ normal), _FLAT)
        return Optimality(multiplier, binding, least, gain, np.clip(downhill, low, high), normal)

    def _curvature(self, vector: np.ndarray, along: np.ndarray, multiplier: float) -> np.ndarray:
        """Return the second derivatives of L along given directions."""
        h, columns = max(_CURVED, self._step), []
        for direction in along.T:
            ends = [self.slopes(vector + sign * h * direction) for sign in (1, -1)]
            gradients = [each.of_spread - multiplier * each.of_growth for each in ends]
            columns.append(along.T @ (gradients[0] - gradients[1]) / (2 * h))
        found = np.array(columns).reshape(along.shape[1], along.shape[1])
        return (found + found.T) / 2


def _reach(
    vector: np.ndarray, move: np.ndarray, low: np.ndarray, high: np.ndarray, slope: float
) -> float:
    """Return how far one may go downhill: one unit, and not out of the box."""
    heading = -math.copysign(1.0, slope) * move
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(heading > 0, (high - vector) / heading, (low - vector) / heading)
    return float(min(_REACH, np.min(room[np.abs(heading) > 1e-9], initial=_REACH)))


def _multiplier(at: Slopes, free: np.ndarray) -> float:
    gradient = at.of_growth[free]
    size = float(gradient @ gradient)
    return float(gradient @ at.of_spread[free]) / size if size > 0 else 0.0


def _crossing(growth: np.ndarray) -> int | None:
    """Return where the growth changes sign, upward if it does."""
    below, above = growth[:-1], growth[1:]
    for found in ((below < 0) & (above >= 0), (below >= 0) & (above < 0)):
        if np.any(found):
            return int(np.argmax(found))
    return None
