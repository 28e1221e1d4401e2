"""Solvers that say whether they converged.

Every solver returns a :class:`Solution`.  Its value is an answer only where ``converged`` is
true; :meth:`Solution.unwrap` turns an unconverged one into an error instead of a number.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from scipy.optimize import brentq

from rmt_jacobian.errors import ConvergenceError

__all__ = [
    "RUN_AWAY",
    "RunAway",
    "Solution",
    "bracketed_root",
    "first_bounded",
    "fixed_point_from",
    "fixed_point_of_orbit",
    "roots_in",
    "without_dead",
]

Value = TypeVar("Value")
Other = TypeVar("Other")

# Brent's method ends at 4 machine epsilons; tighter requests are refused by scipy.
_RELATIVE_TOLERANCE = 4 * np.finfo(float).eps

# A move that is smaller than this, relative to where it starts, is rounding.
_ROUNDED = 1e-13

# A residual above this share of the values at the ends of the bracket is a jump, not a zero.
_JUMP = 1e-4

# Residual of an orbit on its way to infinity.
_ON_ITS_WAY = 1e12

# Relative rounding of a map that is an average.
_GAP_ROUNDING = 16 * np.finfo(float).eps


@dataclass(frozen=True)
class Solution(Generic[Value]):
    """What a solver found, and whether it is an answer.

    Attributes
    ----------
    value
        The last iterate.
    converged
        Whether the solver's criterion was met.
    residual
        The absolute residual of the equation at ``value``.
    iterations
        The number of function evaluations.
    remedy
        What to try when it did not converge.
    """

    value: Value
    converged: bool
    residual: float
    iterations: int
    remedy: str = ""

    def of(self, value: Other) -> "Solution[Other]":
        """Return the outcome for something that follows from the value.

        Examples
        --------
        >>> fixed_point_from(lambda x: 1 + x / 2, start=0.1).of("two").unwrap()
        'two'
        """
        return Solution(value, self.converged, self.residual, self.iterations, self.remedy)

    def unwrap(self) -> Value:
        """Return the value, or raise :class:`ConvergenceError` if it is not an answer."""
        if not self.converged:
            raise ConvergenceError(
                f"no convergence after {self.iterations} evaluations (residual "
                f"{self.residual:.3g}); {self.remedy or 'try another starting point'}"
            )
        return self.value


def bracketed_root(
    function: Callable[[float], float], low: float, high: float, *, remedy: str = ""
) -> Solution[float]:
    """Find a zero of a continuous function between two points of opposite sign.

    Brent's method [1]_, to 4 machine epsilons.  A change of sign by a jump is reported as not
    converged.

    References
    ----------
    .. [1] R. P. Brent (1973), Algorithms for Minimization without Derivatives, ch. 4.

    Examples
    --------
    >>> bracketed_root(lambda x: x * x - 2, 0, 2).unwrap()
    1.41421356237309...
    """
    at_low, at_high = function(low), function(high)
    if at_low == 0.0:
        return Solution(low, True, 0.0, 2)
    if at_high == 0.0:
        return Solution(high, True, 0.0, 2)
    if not _differ_in_sign(at_low, at_high):
        return Solution(low, False, min(abs(at_low), abs(at_high)), 2, remedy)
    root, info = brentq(
        function,
        low,
        high,
        xtol=1e-300,
        rtol=_RELATIVE_TOLERANCE,
        maxiter=2000,  # a zero at 0 is approached through all the powers of 2
        full_output=True,
        disp=False,
    )
    residual = abs(function(root))
    # At a jump the bracket shrinks to nothing while the function does not.
    vanishes = residual <= _JUMP * max(abs(at_low), abs(at_high))
    converged = bool(info.converged) and vanishes
    return Solution(float(root), converged, residual, info.function_calls + 3, remedy)


def _differ_in_sign(first: float, second: float) -> bool:
    # Not by the sign of the product, which may underflow.
    return (first < 0 < second) or (second < 0 < first)


def roots_in(function: Callable[[float], float], grid: list[float]) -> list[Solution[float]]:
    """Find one zero in every interval of an increasing grid over which the sign changes.

    Zeros of even multiplicity, and pairs that fall between two neighbours of the grid, are missed.

    Examples
    --------
    >>> [round(root.unwrap(), 12) for root in roots_in(lambda x: x * (x - 1), [-1, 0.5, 2])]
    [0.0, 1.0]
    """
    values = [function(point) for point in grid]
    found = []
    for k in range(len(grid) - 1):
        if values[k] == 0.0:
            found.append(Solution(grid[k], True, 0.0, len(grid)))
        elif _differ_in_sign(values[k], values[k + 1]):
            found.append(bracketed_root(function, grid[k], grid[k + 1]))
    if values[-1] == 0.0:
        found.append(Solution(grid[-1], True, 0.0, len(grid)))
    return found


def first_bounded(orbits: Iterable[Callable[[], Solution[Value]]]) -> Solution[Value]:
    """Follow one orbit after the other until one does not escape to infinity.

    If all do, it is the first.

    Examples
    --------
    >>> def orbit(start):  # up from above 2, and down to the bound 1 from below
    ...     return lambda: fixed_point_from(lambda x: max(1.0, x * x / 2), start)
    >>> first_bounded([orbit(3.0), orbit(0.5)]).unwrap()
    1.0
    """
    escaped = None
    for orbit in orbits:
        found = orbit()
        if found.converged or found.residual <= _ON_ITS_WAY:
            return found
        escaped = escaped or found
    if escaped is None:
        raise ValueError("there is no orbit to follow")
    return escaped


def fixed_point_from(
    function: Callable[[float], float], start: float, *, growth: float = 1.1, remedy: str = ""
) -> Solution[float]:
    """Find the fixed point on (0, inf) to which the orbit of an increasing map runs from ``start``.

    The orbit of an increasing map is monotone, so it ends at the first fixed point in the
    direction of its first move.  That point is bracketed by a geometric walk and polished by
    Brent's method, which stays fast where the orbit itself would be slow (slope near 1).

    Parameters
    ----------
    function
        A continuous increasing map of the positive half line to itself.
    start
        Where the orbit begins; positive.
    growth
        Ratio of neighbouring points of the walk; fixed points closer than that may be missed.
        Beyond 1e16 times the start, or 1, it is 10.

    Returns
    -------
    Solution
        Where the orbit rises without bound, or so slowly that rounding decides where it ends, the
        value and the residual are infinite.

    Examples
    --------
    >>> fixed_point_from(lambda x: 1 + x / 2, start=0.1).unwrap()
    2.0
    """

    def gap(x: float) -> float:
        return function(x) - x

    here, move, walked = start, gap(start), 1
    if abs(move) <= _GAP_ROUNDING * start:  # where the map keeps any value, noise has no direction
        return Solution(start, True, abs(move), 1)
    factor, last = growth if move > 0 else 1 / growth, move
    while 1e-30 < here * factor < 1e300:
        there = here * factor
        beyond = gap(there)
        if beyond * move <= 0:
            if move > 0 and max(abs(last), abs(beyond)) <= _ROUNDED * there:
                break  # the map is not told from the identity any more
            found = bracketed_root(gap, min(here, there), max(here, there), remedy=remedy)
            return replace(found, iterations=found.iterations + walked)
        here, last, walked = there, beyond, walked + 1
        if here > _ESCAPED * max(start, 1.0):  # where fixed points are not expected
            factor = _STRIDE
    if move > 0:
        return Solution(math.inf, False, math.inf, walked, remedy)
    # Nothing between start and the end of the half line: 0 is the answer if it is a fixed point.
    at_zero = function(0.0)
    return Solution(0.0, move < 0 and at_zero == 0.0, abs(at_zero), walked, remedy)


_ORBIT_EXACT = 1e-13  # relative change of the largest component
_ORBIT_ROUNDED = 1e-11  # the same, of an orbit that comes back
_ORBIT_ROUNDS = 400
_NEWTON_EVERY = 6  # steps of the orbit between two of Newton's method
_DIFFERENCE = 1e-6  # relative, of the finite differences for it
_ESCAPED = 1e16  # of 1 and the start: where fixed points are not expected
RUN_AWAY = 1e12  # of 1, the start and its image; an orbit that is there runs to infinity
_FAR = 1e-6  # of what an orbit may reach, from where on one that still doubles runs to infinity
_DOUBLED = 3  # steps in a row
_STRIDE = 10.0  # of a walk that has come so far
_DEAD = 1e-12  # of the start; what is so small has died


def fixed_point_of_orbit(
    image: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, remedy: str = ""
) -> Solution[np.ndarray]:
    """Find the fixed point of a map of a few variables to which the orbit from ``start`` runs.

    The orbit itself chooses the fixed point; every few steps Newton's method tries to end it, and
    is heeded where the map contracts there and its step makes the residual smaller.

    Parameters
    ----------
    image
        The map, smooth near the fixed point.
    start
        Where the orbit begins, shape (variables,); its size is the unit of "small".

    Examples
    --------
    >>> found = fixed_point_of_orbit(lambda x: np.cos(x), np.array([0.3, 1.0]))
    >>> found.unwrap().round(12)
    array([0.73908513, 0.73908513])
    """
    calls = 0

    def counted(x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.asarray(image(x))

    unit = max(float(np.max(np.abs(start), initial=0.0)), 1e-300)
    here, there = start, counted(start)
    farthest, before = RUN_AWAY * float(np.max(np.abs([start, there]), initial=1.0)), None
    watch = RunAway(farthest)
    for turn in range(_ORBIT_ROUNDS):
        gap = _orbit_gap(here, there, unit)
        nothing = float(np.max(np.abs([here, there]), initial=0.0)) <= _DEAD * unit
        if (nothing or gap <= _ORBIT_ROUNDED) and _comes_back(before, there, gap, unit):
            return Solution(without_dead(counted, there, unit), True, gap, calls)
        if not np.max(np.abs(there), initial=0.0) <= farthest or farthest == math.inf:
            return Solution(here, False, math.inf, calls, remedy)
        if gap <= _ORBIT_EXACT:
            return Solution(without_dead(counted, there, unit), True, gap, calls)
        if watch.seen(here, there):
            return Solution(here, False, math.inf, calls, remedy)
        before, here = here, there
        if turn % _NEWTON_EVERY == _NEWTON_EVERY - 1:
            before, here = None, _newton_step(counted, here, unit)
            watch.interrupted()
        there = counted(here)
    gap = _orbit_gap(here, there, unit)
    return Solution(here, False, gap, calls, remedy)


class RunAway:
    """Watches an orbit: one that is far out and keeps doubling runs to infinity.

    Parameters
    ----------
    farthest
        Where it is taken for that in any case; a millionth of it is far out.

    Examples
    --------
    >>> watch = RunAway(1e12)
    >>> [watch.seen(np.array([x]), np.array([3 * x])) for x in (1e5, 1e6, 1e7, 1e8)]
    [False, False, True, True]
    """

    def __init__(self, farthest: float) -> None:
        self.farthest, self.doubled = farthest, 0

    def seen(self, here: np.ndarray, there: np.ndarray) -> bool:
        """Take notice of a step of the orbit itself; whether it is the last."""
        sizes = [float(np.max(np.abs(each), initial=0.0)) for each in (here, there)]
        self.doubled = self.doubled + 1 if sizes[1] > 2 * sizes[0] else 0
        return sizes[1] > self.farthest * _FAR and self.doubled >= _DOUBLED

    def interrupted(self) -> None:
        """Start counting anew, after a step that is not the orbit's."""
        self.doubled = 0


def without_dead(
    image: Callable[[np.ndarray], np.ndarray], x: np.ndarray, unit: float
) -> np.ndarray:
    """Return x with 0 for what has died out: components that are tiny, and stay at 0.

    Examples
    --------
    >>> without_dead(lambda x: x / 2 + [0, 1], np.array([1e-20, 2.0]), 1.0)
    array([0., 2.])
    """
    dead = (np.abs(x) <= _DEAD * unit) & (x != 0)
    if not np.any(dead):
        return x
    there = np.where(dead, 0.0, x)
    return x if np.any(np.atleast_2d(image(there))[:, dead]) else there


def _comes_back(before: np.ndarray | None, there: np.ndarray, gap: float, unit: float) -> bool:
    """Whether an orbit goes to and fro around its end, by rounding."""
    return before is not None and _orbit_gap(before, there, unit) <= gap / 2


def _orbit_gap(here: np.ndarray, there: np.ndarray, unit: float) -> float:
    size = max(float(np.max(np.abs(there), initial=0.0)), _DEAD * unit)
    return float(np.max(np.abs(there - here), initial=0.0)) / size


def _newton_step(
    image: Callable[[np.ndarray], np.ndarray], here: np.ndarray, unit: float
) -> np.ndarray:
    """Return the step of Newton's method where it helps, and the step of the orbit elsewhere."""
    there = image(here)
    width = _DIFFERENCE * np.maximum(np.abs(here), _DEAD * unit)
    moves = zip(np.diag(width), width, strict=True)
    slopes = np.stack([(image(here + move) - there) / size for move, size in moves], axis=1)
    if not np.all(np.isfinite(slopes)) or np.max(np.abs(np.linalg.eigvals(slopes))) >= 1:
        return there  # an expanding direction: the orbit leaves that fixed point
    moved = here + np.linalg.solve(np.eye(len(here)) - slopes, there - here)
    better = _orbit_gap(moved, image(moved), unit) < _orbit_gap(here, there, unit)
    return moved if better else there
