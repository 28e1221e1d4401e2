r"""The surface of growth rate 1 in the space of free hyperparameters, and the least spread on it.

With :math:`\gamma` the logarithm of the growth rate and :math:`f = \log m_2/m_1^2` on common sites,

.. math:: \min f(x), \qquad \gamma(x) = 0, \qquad x \in \text{box} .

At a minimum the gradient of :math:`L = f - \mu \gamma` vanishes but at bounds that bind, where it
points outward, and the second derivatives of L are not negative along the surface.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import minimize

from rmt_jacobian.initialization.populations import CommonPopulation
from rmt_jacobian.initialization.search import CriticalSearch

__all__ = ["CriticalSurface", "Optimality", "Slopes"]

_SCALES = 15  # of all weights together, where a change of sign is looked for
_HOPELESS = 50.0  # logarithm of what is not a number
_SMOOTH, _KINKED = 1e-6, 0.05  # steps of finite differences; kinks are averaged over
_CURVED = 0.01  # and of differences of gradients
_AT_END = 1e-6
_ON_SURFACE = 1e-5  # of the logarithm of the growth rate
_NEAR, _STAIRCASE = 5e-5, 1e-3  # what will do, and what will where kinks make it a staircase
_RETURNS = 6  # steps of Newton's method back to the surface
_RADIUS, _FARTHEST = 1.0, 4.0  # of the trust region, in units of every coordinate
_STIFF = 0.1  # curvature before any is known
_STILL = 1e-4  # a step that is none
_REFINED, _FINER = 4, 9  # rounds in which an interval is divided, and points in each
_JUMP = 0.02  # of the logarithm of the growth rate: more than what is left of an interval
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
        Moves along which the model predicts less spread: all together, and the most promising one.
    normal
        The shortest change that raises the growth by 1 and leaves alone what is held.
    """

    multiplier: float
    binding: np.ndarray
    curvature: float
    gain: float
    downhill: tuple[np.ndarray, ...]
    normal: np.ndarray


@dataclass(frozen=True, eq=False)
class CriticalSurface:
    """Growth and spread as functions on the box.

    Attributes
    ----------
    search
        The box and what a vector in it stands for.
    sites
        The common sites, or paths of sites, on which both are measured.
    tick
        Called once for every set of points.
    """

    search: CriticalSearch
    sites: CommonPopulation
    tick: Callable[[], object] = lambda: None
    _known: dict[bytes, Slopes] = field(default_factory=dict, repr=False)
    _values: dict[bytes, tuple[float, float]] = field(default_factory=dict, repr=False)

    def measured(
        self, vectors: np.ndarray, *, spread: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return growth, spread and what the memory keeps; shape (points,) each."""
        self.tick()
        points = [self.search.at(vector) for vector in vectors]
        rates = self.sites.rates(points, spread=spread)
        return rates.growth, rates.spread, rates.kept

    def growth(self, vector: np.ndarray) -> float:
        """Return the growth at one point, large where it is not a number."""
        key = vector.tobytes()
        if key in self._known or key in self._values:
            return self.value(vector)[0]
        return _number(self.measured(vector[None], spread=False)[0])

    def value(self, vector: np.ndarray) -> tuple[float, float]:
        """Return growth and spread at one point, large where they are not numbers."""
        key = vector.tobytes()
        if key in self._known:
            at = self._known[key]
            return at.growth, at.spread
        if key not in self._values:
            growth, spread, _ = self.measured(vector[None])
            self._values[key] = _number(growth), _number(spread)
        return self._values[key]

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
        return _SMOOTH if self.search.smooth else _KINKED

    def scaled(
        self, zero: np.ndarray, moving: np.ndarray, *, clipped: bool = False
    ) -> tuple[np.ndarray, bool, np.ndarray]:
        """Look for the first point on a line where the growth rate becomes 1, or ceases to be less.

        A change from below to above comes first.  Returns the point, or else the one where the
        growth rate is nearest to 1, whether it is 1 there, and the growth along the line.

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
        crossed = True
        for _ in range(_REFINED):
            k = _crossing(growth)
            if k is None:
                crossed = False
                break
            scales = np.linspace(scales[k], scales[k + 1], _FINER)
            growth = self._along(zero, moving, scales)
        distance = np.where(np.isfinite(growth), np.abs(growth), np.inf)
        best = int(np.argmin(distance))
        point = np.clip(zero + scales[best] * moving, low, high)
        return point, bool(crossed and distance[best] <= _JUMP), first

    def _along(self, zero: np.ndarray, moving: np.ndarray, scales: np.ndarray) -> np.ndarray:
        low, high = self.search.bounds.T
        points = np.clip(zero + scales[:, None] * moving, low, high)
        return self.measured(points, spread=False)[0]

    def descended(self, start: np.ndarray, iterations: int, fall: float) -> np.ndarray:
        """Return a point of the surface of no more spread than the start, that descent leads to.

        Sequential quadratic programming with a trust region: every step of a quadratic model of L
        inside the box is brought back to the surface, and kept where the spread has fallen.

        Parameters
        ----------
        start, iterations
            Where it begins, and the most steps.
        fall
            Of the logarithm of the spread, in one step, that is not worth another.

        References
        ----------
        Nocedal and Wright (2006), Numerical Optimization, algorithms 18.2 and 18.4 (damped BFGS).
        """
        here, radius, curved = start, _RADIUS, _STIFF * np.eye(len(start))
        for _ in range(iterations):
            at = self.slopes(here)
            move = self._model_step(here, at, curved, radius)
            length = float(np.max(np.abs(move)))
            if length < _STILL:
                break
            there = self.projected(np.clip(here + move, *self.search.bounds.T), near=at)
            # Slopes cost little more than the value, and most steps are kept.
            now = at if there is None else self.slopes(there)
            if there is None or not now.spread < at.spread:
                radius = min(radius, length) / 4
                continue
            curved = _updated(curved, there - here, at, now)
            fallen = at.spread - now.spread
            radius = min(_FARTHEST, max(radius, 2 * length))
            here = there
            if fallen < fall:
                break
        return here

    def _model_step(
        self, here: np.ndarray, at: Slopes, curved: np.ndarray, radius: float
    ) -> np.ndarray:
        """Return the step that minimises a quadratic model on the linearised surface."""
        low, high = self.search.bounds.T - here
        ends = np.clip(np.stack([low, high]), -radius, radius)
        found = minimize(
            lambda p: float(at.of_spread @ p + p @ curved @ p / 2),
            np.zeros(len(here)),
            jac=lambda p: at.of_spread + curved @ p,
            method="SLSQP",
            bounds=ends.T,
            constraints={
                "type": "eq",
                "fun": lambda p: at.growth + at.of_growth @ p,
                "jac": lambda p: at.of_growth,
            },
        )
        return np.where(np.isfinite(found.x), np.clip(found.x, *ends), 0.0)

    def projected(
        self, vector: np.ndarray, rounds: int = _RETURNS, *, near: Slopes | None = None
    ) -> np.ndarray | None:
        """Return a point of the surface nearby; None if none is found.

        Newton's method; from slopes of a point near by, first that of Broyden, which needs the
        growth alone.
        """
        if near is not None and self.search.smooth:
            found = self._returned(vector, near)
            if found is not None:
                return found
        for _ in range(rounds):
            if abs(self.value(vector)[0]) <= _ON_SURFACE:
                return vector
            at = self.slopes(vector)
            vector = self.shifted(vector, -at.growth * self.normal(vector, at, -at.growth))
        near_enough = _NEAR if self.search.smooth else _STAIRCASE
        return vector if abs(self.value(vector)[0]) <= near_enough else None

    def _returned(self, vector: np.ndarray, near: Slopes) -> np.ndarray | None:
        """Return a point of the surface by Broyden's method, None where it does not converge."""
        at, growth = near, self.growth(vector)
        for _ in range(_RETURNS):
            if abs(growth) <= _ON_SURFACE:
                return vector
            there = self.shifted(vector, -growth * self.normal(vector, at, -growth))
            move, before = there - vector, growth
            vector, growth = there, self.growth(there)
            square = float(move @ move)
            if not square or not abs(growth) < abs(before):
                return None
            missed = growth - before - at.of_growth @ move
            at = replace(at, of_growth=at.of_growth + missed / square * move)
        return None

    def shifted(self, vector: np.ndarray, move: np.ndarray) -> np.ndarray:
        """Return a point moved by one unit of every coordinate at most, and kept in the box."""
        longest = max(1.0, float(np.max(np.abs(move))))
        return np.clip(vector + move / longest, *self.search.bounds.T)

    def normal(self, vector: np.ndarray, at: Slopes, sign: float) -> np.ndarray:
        """Return the shortest change that raises the growth by 1, with a sign, inside the box."""
        low, high = self.search.bounds.T
        wanted = sign * at.of_growth
        free = ~(
            (vector <= low + _AT_END) & (wanted < 0) | (vector >= high - _AT_END) & (wanted > 0)
        )
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
        curved = self._curvature(vector, at, along, multiplier)
        values, axes = np.linalg.eigh(curved)
        moves = along @ axes
        falls, downhill = [], []
        for value, g, move in zip(values, axes.T @ slope, moves.T, strict=True):
            length = _reach(vector, move, low, high, g)
            step = min(length, abs(g) / value) if value > 0 else length
            falls.append(abs(g) * step - value * step**2 / 2)
            downhill.append(-math.copysign(step, g) * move)
        least = float(values[0]) if len(values) else math.inf
        ways = (np.sum(downhill, axis=0), downhill[int(np.argmax(falls))]) if falls else ()
        normal = np.where(binding, 0.0, at.of_growth)
        normal = normal / max(float(normal @ normal), _FLAT)
        return Optimality(multiplier, binding, least, float(sum(falls)), ways, normal)

    def _curvature(
        self, vector: np.ndarray, at: Slopes, along: np.ndarray, multiplier: float
    ) -> np.ndarray:
        """Return the second derivatives of L along given directions."""
        h, columns = max(_CURVED, self._step), []
        here = at.of_spread - multiplier * at.of_growth
        for direction in along.T:
            there = self.slopes(vector + h * direction)
            change = there.of_spread - multiplier * there.of_growth - here
            columns.append(along.T @ change / h)
        found = np.array(columns).reshape(along.shape[1], along.shape[1])
        return (found + found.T) / 2


def _updated(curved: np.ndarray, move: np.ndarray, before: Slopes, after: Slopes) -> np.ndarray:
    """Return the curvature of L after a step, by damped BFGS."""
    multiplier = _multiplier(after, np.full(len(move), True))
    change = after.of_spread - before.of_spread - multiplier * (after.of_growth - before.of_growth)
    bent = curved @ move
    along, known = float(change @ move), float(move @ bent)
    if along < 0.2 * known:
        theta = 0.8 * known / (known - along)
        change, along = theta * change + (1 - theta) * bent, 0.2 * known
    return curved - np.outer(bent, bent) / known + np.outer(change, change) / along


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


def _number(values: np.ndarray) -> float:
    """Return the first of some values, large where it is not a number."""
    return float(values[0]) if np.isfinite(values[0]) else _HOPELESS


def _crossing(growth: np.ndarray) -> int | None:
    """Return where the growth changes sign, upward if it does."""
    below, above = growth[:-1], growth[1:]
    for found in ((below < 0) & (above >= 0), (below >= 0) & (above < 0)):
        if np.any(found):
            return int(np.argmax(found))
    return None
