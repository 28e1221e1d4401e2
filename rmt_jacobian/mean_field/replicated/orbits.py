"""Orbits of maps that are known from independent samples, to the fixed point that they select."""

import math

import numpy as np

from rmt_jacobian.mean_field.replicated.images import (
    Image,
    inverse,
    noise_of,
    repels,
    slopes_of,
)
from rmt_jacobian.solvers import RUN_AWAY, RunAway, Solution, fixed_point_of_orbit, without_dead

__all__ = ["followed"]

_DEAD = 1e-12  # of the start; a vector that small has died
_CLOSE = 1e-9  # relative
_STRAIGHT, _FARTHEST = 0.9, 0.25  # cosine of a turn; relative length of a step
_MOST_TURNS, _NEWTON_EVERY = 60, 4
_CRAWL, _SKEW = 1.1, 1e6  # growth of a direction that is slow; condition of directions
_SHARES = (1.0, 0.5)  # of a step of Newton's method that are tried
_HALVINGS = 4  # of a step that doubles x
_SLOWEST = 1 / 32  # share of the way of a step


def followed(image: Image, start: np.ndarray, remedy: str, *, slow: bool) -> Solution[np.ndarray]:
    """Follow the orbit to its fixed point: to rounding, or to where the noise hides the rest."""
    if len(image(start)) == 1:
        exact = fixed_point_of_orbit(lambda x: image(x)[0], start, remedy=remedy)
        if exact.converged or exact.residual == np.inf:
            return exact
        close = _flow(image, start, remedy, slow=slow)
        polished = fixed_point_of_orbit(lambda x: image(x)[0], close.value, remedy=remedy)
        return polished if close.converged else exact
    return _flow(image, start, remedy, slow=slow)


def _flow(image: Image, start: np.ndarray, remedy: str, *, slow: bool) -> Solution[np.ndarray]:
    """Follow the orbit with steps that grow while it keeps its direction.

    Where it is slow, it does not overshoot as the map does: once that turns, steps are shares of
    the way on a logarithmic scale, smaller at every turn.
    """
    brake = 1.0
    x, unit, calls = start, max(float(np.max(np.abs(start), initial=0.0)), 1e-300), 0
    before, stride = np.zeros(x.shape), 1.0
    gap, bound, watch = before, math.inf, RunAway(math.inf)
    for turn in range(_MOST_TURNS):
        estimates = image(x)
        calls += 1
        if not turn:
            bound = RUN_AWAY * float(np.max(np.abs([start, *estimates]), initial=1.0))
            watch = RunAway(bound)
        if not np.all(np.abs(estimates) <= bound) or bound == math.inf:
            return Solution(x, False, np.inf, calls, remedy)
        there, noise = estimates.mean(axis=0), noise_of(estimates)
        if watch.seen(x, there):
            return Solution(x, False, np.inf, calls, remedy)
        gap = there - x
        alive = without_dead(image, there, unit)
        if not np.any(alive) and not np.any(image(alive)):
            return Solution(0 * x, True, 0.0, calls)
        if np.any(alive != there):
            x, before, stride = alive, 0 * gap, 1.0
            continue
        felt = float(np.max(noise, initial=0.0))  # by all, as each feeds on the others
        if turn and np.all(np.abs(gap) <= felt + _CLOSE * np.abs(x) + _DEAD * unit):
            return Solution(there, True, float(np.max(np.abs(gap), initial=0.0)), calls)
        same = gap @ before >= _STRAIGHT * np.linalg.norm(gap) * np.linalg.norm(before)
        stride = 2 * stride if turn and same else 1.0
        if slow and gap @ before <= -_STRAIGHT * np.linalg.norm(gap) * np.linalg.norm(before) < 0:
            brake = max(brake / 2, _SLOWEST)
        if brake < 1:
            before = gap
            x = _on_the_way(x, there, brake)
            if turn % _NEWTON_EVERY == _NEWTON_EVERY - 1:
                moved, used = _newton(image, x, slow=True)
                x, calls = (x if moved is None else moved), calls + used
            continue
        farthest = _FARTHEST * np.max(np.abs(x)) / max(float(np.max(np.abs(gap))), 1e-300)
        bounded = min(stride, max(1.0, farthest))
        before = gap
        x = x + bounded * gap
        if turn % _NEWTON_EVERY == _NEWTON_EVERY - 1:
            moved, used = _newton(image, x)
            if moved is not None:
                x, before, stride = moved, 0 * gap, 1.0
            calls += used
    return Solution(x, False, float(np.max(np.abs(gap))), calls, remedy)


def _on_the_way(x: np.ndarray, there: np.ndarray, share: float) -> np.ndarray:
    """Return a share of the way on a logarithmic scale; what is not positive goes all of it."""
    both = (x > 0) & (there > 0)
    ratio = np.divide(there, x, out=np.ones(x.shape), where=both)
    return np.where(both, x * ratio**share, there)


def _newton(image: Image, x: np.ndarray, *, slow: bool = False) -> tuple[np.ndarray | None, int]:
    """Return the step of Newton's method where the orbit contracts and the step helps.

    Where it leaves a fixed point slowly, return a long step in the direction in which it does.
    """
    slopes = slopes_of(image, x)
    there = image(x).mean(axis=0)
    calls = 2 * len(x) + 1
    inverted = inverse(slopes)
    if inverted is None or repels(slopes, slow=slow):
        moved, used = _along(image, x, there - x, slopes)
        return moved, calls + used
    for share in _SHARES:
        moved = x + share * (inverted @ (there - x))
        estimates, calls = image(moved), calls + 1
        gap = np.abs(estimates.mean(axis=0) - moved)
        if np.max(gap - noise_of(estimates)) < np.max(np.abs(there - x)):  # never if not finite
            return moved, calls
    return None, calls


def _along(
    image: Image, x: np.ndarray, gap: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray | None, int]:
    """Return a point farther in the direction that grows slowly, and how often the map was asked.

    It is no farther than the orbit still goes on from there in the same direction.
    """
    if not np.all(np.isfinite(slopes)):
        return None, 0
    values, vectors = np.linalg.eig(slopes)
    k = int(np.argmax(np.real(values)))
    growth = complex(values[k])
    if growth.imag or not 1 <= growth.real <= _CRAWL or np.linalg.cond(vectors) > _SKEW:
        return None, 0
    reading = np.real(np.linalg.inv(vectors)[k])  # of how far a vector goes in that direction
    way = float(reading @ gap) * np.real(vectors[:, k])
    way = way * np.max(np.abs(x)) / max(float(np.max(np.abs(way))), 1e-300)
    way = way if way @ x > 0 else way / 2  # never to 0 at once
    for halving in range(_HALVINGS):
        there = x + way / 2**halving
        onward = reading @ (image(there).mean(axis=0) - there)
        if onward * (reading @ way) > 0:
            return there, halving + 1
    return None, _HALVINGS
