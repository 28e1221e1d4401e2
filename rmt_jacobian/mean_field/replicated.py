r"""Fixed points of maps that are known from independent samples, with their errors.

A map F is known as R independent estimates :math:`F_r`.  Near its fixed point an error of the map
is amplified by what it feeds back,

.. math:: x_r = \bar x + (1 - J)^{-1} (F_r(\bar x) - \bar x), \qquad J = \partial F / \partial x,

and the scatter of the :math:`x_r` is the error of their mean.  R = 1 stands for an exact map.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import t as student

from rmt_jacobian.solvers import Solution, fixed_point_of_orbit

__all__ = ["Image", "Replicated", "half_width", "solve_replicated"]

_COVERED = 0.975  # of Student's t: an interval of 95 % on both sides
_ROUNDING = 1e-13  # relative, of averages by quadrature
_HIDDEN = 1e-12  # relative, of what hides in the rounding of both terms of a difference
_PART = 0.2  # of what a component can be: a difference over less would be noise
_STEP, _NOISY_STEP, _WIDE_STEP = 1e-4, 0.05, 0.3  # relative, of differences
_SETTLED = 0.5  # of the error: what the next step would change is of second order
_MOST_CHORDS, _MOST_TURNS, _NEWTON_EVERY = 12, 60, 4
_DEAD = 1e-12  # of the start; a vector that small has died
_CLOSE = 1e-9  # relative
_STRAIGHT, _FARTHEST = 0.9, 0.25  # cosine of a turn; relative length of a step
_SMALL, _NOTHING = 1e-6, 1e-14  # of the scale
_TURNED, _FALLS = 4, 0.9999
_LARGEST_STEP = 0.5  # of a component that stays positive
_SLOWEST = 1 / 32  # share of the way of a step
_SINGULAR = 1e12
_FAST = 0.5  # slopes of a map whose orbit gets there as soon

Image = Callable[[np.ndarray], np.ndarray]
"""From x, shape (n,), to R estimates of F(x), shape (R, n)."""


@dataclass(frozen=True, eq=False)
class Replicated:
    """Independent estimates of a vector.

    Attributes
    ----------
    samples
        Shape (R, n).
    exact_error
        Of an exact vector, R = 1, shape (n,).
    amplification
        1 / (1 - J), by which an error of the map becomes one of its fixed point.
    bias
        The most that all samples may miss.
    """

    samples: np.ndarray
    exact_error: np.ndarray
    amplification: np.ndarray | None = None
    bias: float = 0.0

    @property
    def mean(self) -> np.ndarray:
        """The estimate, shape (n,)."""
        return self.samples.mean(axis=0)

    @property
    def errors(self) -> np.ndarray:
        """Half widths of intervals that hold the truth in 95 % of cases."""
        if len(self.samples) == 1:
            return self.exact_error
        return half_width(self.samples) + self.bias


def half_width(samples: np.ndarray) -> np.ndarray:
    """Return the half width of the interval of 95 % around the mean of independent samples.

    Examples
    --------
    >>> round(float(half_width(np.array([-1.0, 1.0]))), 3)
    12.706
    """
    R = len(samples)
    if R < 2:
        return np.zeros(samples.shape[1:])
    return student.ppf(_COVERED, R - 1) * samples.std(axis=0, ddof=1) / np.sqrt(R)


def solve_replicated(
    image: Image,
    start: np.ndarray,
    *,
    rough: Image | None = None,
    near: np.ndarray | None = None,
    odd: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    keeps: Callable[[np.ndarray], float] | None = None,
    sizes: np.ndarray | None = None,
    remedy: str = "",
) -> Solution[Replicated]:
    """Find the fixed point to which the orbit from ``start`` runs, with its error.

    Parameters
    ----------
    image
        The map.
    start
        Where the orbit begins.
    rough
        A cheaper map close to it, by default the map itself: it selects the fixed point and gives
        the slopes.
    near
        A point close to the fixed point, where one is known: the orbit is left out.
    odd
        Which components a symmetry may let vanish, shape (n,).
    scale
        For components that vanish together and are never negative: what their rounding is relative
        to, shape (n,).
    keeps
        Share A of x that a step keeps, where the orbit follows :math:`A x + (1 - A) F(x)` and F
        would overshoot; by default the orbit is that of F.
    sizes
        Of components that may come near 0, without being small: what they can be, shape (n,).
    """
    rough, slow = rough or image, keeps is not None
    calls, x = 0, near
    if x is None:
        found = _selected(rough, start, remedy, slow=slow)
        calls, x = found.iterations, found.value
        if not found.converged:
            return Solution(_unknown(x), False, found.residual, calls, remedy)
    if not np.any(x) and not np.any(image(x)):
        return Solution(Replicated(x[None], 0 * x), True, 0.0, calls + 1)
    if scale is not None:
        rounding, start = _HIDDEN * scale, np.maximum(x, 0.0)
        there = image(start).mean(axis=0)
        hidden = (start <= rounding) & (np.abs(there) <= rounding)
        if np.any(hidden):
            return _with_hidden(image, rough, start, hidden, scale, keeps, remedy)
        x = np.where(x > 0, x, np.maximum(there, _SMALL * scale))
    # What vanishes at 0 is nearly proportional, so that wide steps do no harm.
    noisy_step = _NOISY_STEP if scale is None else _WIDE_STEP
    slopes_at = partial(_slopes, rough, noisy_step=noisy_step, sizes=sizes)
    slopes = slopes_at(x)
    amplified, repels = _inverse(slopes), _repels(slopes, slow=slow)
    calls += 2 * len(x)
    if amplified is None:
        return Solution(_unknown(x), False, np.inf, calls, "the map is at a bifurcation: " + remedy)
    moved = np.full(x.shape, np.inf)
    for turn in range(_MOST_CHORDS):
        if turn % _NEWTON_EVERY == _NEWTON_EVERY - 1:  # the slopes there were those of elsewhere
            found = _inverse(slopes_at(x))
            amplified = amplified if found is None else found
            calls += 2 * len(x)
        estimates = image(x)
        calls += 1
        if not np.all(np.isfinite(estimates)):
            break
        samples = x + (estimates - x) @ amplified.T
        own = _ROUNDING * np.abs(amplified) @ (np.abs(x) if scale is None else scale)
        error = half_width(samples) if len(samples) > 1 else own
        moved = samples.mean(axis=0) - x
        far = np.abs(moved) > np.maximum(_FARTHEST * x, error)
        if scale is not None and (np.any(far) or repels):
            gap = estimates.mean(axis=0) - x
            dying = x + moved <= _FARTHEST * x
            if np.any(dying) and _die(image, np.where(dying, 0.0, x), dying, scale):
                if np.all(dying):
                    return Solution(Replicated(0 * x[None], 0 * x), True, 0.0, calls)
                return _with_hidden(image, rough, x, dying, scale, keeps, remedy)
            if np.max(np.abs(np.linalg.eigvals(slopes))) < _FAST:
                x = x + gap  # never below 0, and the map does most of it
            else:
                x = np.maximum(x + (_bounded(gap, x) if repels else _bounded(moved, x)), 0)
            slopes = slopes_at(x)
            calls += 2 * len(x) + 1
            found, repels = _inverse(slopes), _repels(slopes, slow=slow)
            amplified = amplified if found is None else found
            continue
        x = x + moved
        nothing = _NOTHING * float(np.max(np.abs(x)))
        if np.all(np.abs(moved) <= _SETTLED * error + 10 * own + nothing):
            if odd is not None and _vanishes(image, x, odd, error):
                samples = np.where(odd, 0.0, samples)
            if keeps is not None and not _settles(slopes, lambda at=x: keeps(at)):
                break
            known = Replicated(samples, np.where(np.any(samples, axis=0), np.abs(moved) + own, 0.0),
                               amplified)  # fmt: skip
            return Solution(known, True, float(np.max(np.abs(moved))), calls)
    return Solution(_unknown(x), False, float(np.max(np.abs(moved))), calls, remedy)


def _with_hidden(
    image: Image,
    rough: Image,
    near: np.ndarray,
    hidden: np.ndarray,
    scale: np.ndarray,
    keeps: Callable[[np.ndarray], float] | None,
    remedy: str,
) -> Solution[Replicated]:
    """Find the components that stand out from rounding, where the others are 0 to rounding."""
    seen = ~hidden

    def whole(part: np.ndarray) -> np.ndarray:
        found = np.zeros((*part.shape[:-1], len(seen)))
        found[..., seen] = part
        return found

    errors, amplified = np.where(hidden, _HIDDEN * scale, 0.0), np.eye(len(seen))
    if not np.any(seen):
        return Solution(Replicated(np.zeros((1, len(seen))), errors), True, 0.0, 1)
    found = solve_replicated(
        lambda part: image(whole(part))[:, seen], near[seen],
        rough=lambda part: rough(whole(part))[:, seen], near=near[seen], scale=scale[seen],
        keeps=None if keeps is None else lambda part: keeps(whole(part)), remedy=remedy,
    )  # fmt: skip
    own = found.value
    if own.amplification is not None:
        amplified[np.ix_(seen, seen)] = own.amplification
    known = Replicated(whole(own.samples), errors + whole(own.exact_error), amplified, own.bias)
    return replace(found, value=known)


def _die(image: Image, rest: np.ndarray, dying: np.ndarray, scale: np.ndarray) -> bool:
    """Whether some components reproduce 0 to rounding where the rest stay, and fall to it."""
    if np.any(np.abs(image(rest))[:, dying] > _NOTHING * scale[dying]):
        return False
    small, falls = np.where(dying, _SMALL * scale, rest), False
    for _ in range(_TURNED):  # towards the direction that falls most slowly
        estimates = np.maximum(image(small), 0.0)[:, dying]
        there, before = estimates.mean(axis=0), small[dying]
        if np.all(there <= _NOTHING * scale[dying]):
            return True
        if not np.all(np.isfinite(there)):
            return False
        falls = bool(np.all(there + half_width(estimates) <= _FALLS * before))
        small = small.copy()
        small[dying] = there * (_SMALL * float(np.max(scale)) / float(np.max(there)))
    return falls


def _repels(slopes: np.ndarray, *, slow: bool) -> bool:
    """Whether an orbit leaves; one that is slow only follows slopes above 1."""
    values = np.linalg.eigvals(slopes)
    return bool(np.max(np.real(values) if slow else np.abs(values), initial=0.0) >= 1)


def _settles(slopes: np.ndarray, keeps: Callable[[], float]) -> bool:
    """Whether an orbit that keeps a share A of x a step does not swing around the fixed point."""
    lowest = float(np.min(np.real(np.linalg.eigvals(slopes)), initial=0.0))
    return lowest > -1 or (1 - keeps()) * (1 - lowest) < 2


def _bounded(step: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return a step along the given one by which no component changes by more than its share."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(step != 0, _LARGEST_STEP * np.abs(x) / np.abs(step), np.inf)
    return step * min(1e3, float(np.min(shares)))


def _vanishes(image: Image, x: np.ndarray, odd: np.ndarray, error: np.ndarray) -> bool:
    """Whether the odd components are 0 within their errors, and 0 reproduces itself exactly."""
    if not np.any(odd) or np.any(np.abs(x[odd]) > 2 * error[odd]):
        return False
    there = image(np.where(odd, 0.0, x))[:, odd]
    return bool(np.all(np.abs(there) <= 1e-14 * np.max(np.abs(image(x)))))


def _unknown(x: np.ndarray) -> Replicated:
    return Replicated(x[None], np.full(x.shape, np.inf))


def _selected(image: Image, start: np.ndarray, remedy: str, *, slow: bool) -> Solution[np.ndarray]:
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
    gap = before
    for turn in range(_MOST_TURNS):
        estimates = image(x)
        calls += 1
        if not np.all(np.isfinite(estimates)):
            return Solution(x, False, np.inf, calls, remedy)
        there, noise = estimates.mean(axis=0), _noise(estimates)
        gap = there - x
        if np.max(np.abs(there), initial=0.0) <= _DEAD * unit and not np.any(image(0 * x)):
            return Solution(0 * x, True, 0.0, calls)
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
    """Return the step of Newton's method where the orbit contracts and the step helps."""
    slopes = _slopes(image, x)
    there = image(x).mean(axis=0)
    calls = 2 * len(x) + 1
    inverse = _inverse(slopes)
    if inverse is None or _repels(slopes, slow=slow):
        return None, calls
    moved = x + inverse @ (there - x)
    estimates = image(moved)
    if not np.all(np.isfinite(estimates)):
        return None, calls + 1
    gap = np.abs(estimates.mean(axis=0) - moved)
    better = np.max(gap - _noise(estimates)) < np.max(np.abs(there - x))
    return (moved if better else None), calls + 1


def _noise(estimates: np.ndarray) -> np.ndarray:
    if len(estimates) == 1:
        return np.zeros(estimates.shape[1])
    return estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))


def _slopes(
    image: Image,
    x: np.ndarray,
    noisy_step: float = _NOISY_STEP,
    sizes: np.ndarray | None = None,
) -> np.ndarray:
    """Return J by central differences; wide ones where the map is noisy."""
    there = image(x)
    least = _PART * (np.zeros(len(x)) if sizes is None else sizes)
    unit = max(float(np.max(np.abs(x))), float(np.max(np.abs(there.mean(axis=0)))), 1e-300)
    exact, columns = len(there) == 1, []
    for k in range(len(x)):
        width = (_STEP if exact else noisy_step) * max(abs(x[k]), 1e-3 * unit, least[k])
        move = width * np.eye(len(x))[k]
        ends = [image(x + move).mean(axis=0), image(x - move).mean(axis=0)]
        columns.append((ends[0] - ends[1]) / (2 * width))
    return np.stack(columns, axis=1)


def _inverse(slopes: np.ndarray) -> np.ndarray | None:
    """Return 1 / (1 - J), None where it does not exist."""
    matrix = np.eye(len(slopes)) - slopes
    if not np.all(np.isfinite(matrix)) or np.linalg.cond(matrix) > _SINGULAR:
        return None
    return np.linalg.inv(matrix)
