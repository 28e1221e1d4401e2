r"""Fixed points of maps that are known from independent samples, with their errors.

A map F is known as R independent estimates :math:`F_r`.  Near its fixed point an error of the map
is amplified by what it feeds back,

.. math:: x_r = \bar x + (1 - J)^{-1} (F_r(\bar x) - \bar x), \qquad J = \partial F / \partial x,

and the scatter of the :math:`x_r` is the error of their mean.  R = 1 stands for an exact map.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from rmt_jacobian.mean_field.replicated.images import (
    NOISY_STEP,
    Image,
    inverse,
    repels,
    slopes_of,
)
from rmt_jacobian.mean_field.replicated.orbits import followed
from rmt_jacobian.solvers import Solution

__all__ = ["Image", "Replicated", "half_width", "not_met", "solve_replicated"]

_COVERED = 0.975  # of Student's t: an interval of 95 % on both sides
_ROUNDING = 1e-13  # relative, of averages by quadrature
_HIDDEN = 1e-12  # relative, of what hides in the rounding of both terms of a difference
_WIDE_STEP = 0.3  # relative, of differences
_SETTLED = 0.5  # of the error: what the next step would change is of second order
_MOST_CHORDS, _RENEWED = 12, 4  # steps, and after how many slopes are those of another place
_FARTHEST = 0.25  # relative length of a step
_SMALL, _NOTHING = 1e-6, 1e-14  # of the scale
_TURNED, _FALLS = 4, 0.9999
_LARGEST_STEP = 0.5  # of a component that stays positive
_FAST = 0.5  # slopes of a map whose orbit gets there as soon


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
        The most that all samples may miss, one for all numbers or one for each.
    """

    samples: np.ndarray
    exact_error: np.ndarray
    amplification: np.ndarray | None = None
    bias: float | np.ndarray = 0.0

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


def not_met(reached: float, tolerance: float) -> str:
    """Say that a tolerance is not met, and what to do."""
    return f"the error is {reached:.2g} where {tolerance:.2g} is wanted: ask for a larger tolerance"


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
    sought = _Sought(image, rough or image, odd, scale, keeps, sizes, remedy)
    calls, x = 0, near
    if x is None:
        found = followed(sought.rough, start, remedy, slow=sought.slow)
        calls, x = found.iterations, found.value
        if not found.converged:
            return Solution(_unknown(x), False, found.residual, calls, remedy)
    found = sought.found_near(x)
    return replace(found, iterations=calls + found.iterations)


@dataclass(frozen=True, eq=False)
class _Sought:
    """A map whose fixed point is sought, and what is known of it; see :func:`solve_replicated`."""

    image: Image
    rough: Image
    odd: np.ndarray | None
    scale: np.ndarray | None
    keeps: Callable[[np.ndarray], float] | None
    sizes: np.ndarray | None
    remedy: str

    @property
    def slow(self) -> bool:
        """Whether an orbit of the map itself would overshoot."""
        return self.keeps is not None

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return J."""
        # What vanishes at 0 is nearly proportional, so that wide steps do no harm.
        step = NOISY_STEP if self.scale is None else _WIDE_STEP
        return slopes_of(self.rough, x, step, self.sizes)

    def found_near(self, x: np.ndarray) -> Solution[Replicated]:
        """Return the fixed point near x; what is 0 there to rounding stays so."""
        if not np.any(x) and not np.any(self.image(x)):
            return Solution(Replicated(x[None], 0 * x), True, 0.0, 1)
        if self.scale is not None:
            rounding, start = _HIDDEN * self.scale, np.maximum(x, 0.0)
            there = self.image(start).mean(axis=0)
            hidden = (start <= rounding) & (np.abs(there) <= rounding)
            if np.any(hidden):
                return self.found_without(hidden, start)
            x = np.where(x > 0, x, np.maximum(there, _SMALL * self.scale))
        return _Chords(self, x).found()

    def found_without(self, hidden: np.ndarray, near: np.ndarray) -> Solution[Replicated]:
        """Find the components that stand out from rounding, where the others are 0 to rounding."""
        assert self.scale is not None
        seen = ~hidden
        errors, amplified = np.where(hidden, _HIDDEN * self.scale, 0.0), np.eye(len(seen))
        if not np.any(seen):
            return Solution(Replicated(np.zeros((1, len(seen))), errors), True, 0.0, 1)
        found = self._restricted(seen).found_near(near[seen])
        own = found.value
        if own.amplification is not None:
            amplified[np.ix_(seen, seen)] = own.amplification
        known = Replicated(
            _spread(own.samples, seen), errors + _spread(own.exact_error, seen), amplified, own.bias
        )
        return replace(found, value=known)

    def _restricted(self, seen: np.ndarray) -> "_Sought":
        image, rough, keeps = self.image, self.rough, self.keeps
        return _Sought(
            lambda part: image(_spread(part, seen))[:, seen],
            lambda part: rough(_spread(part, seen))[:, seen],
            None if self.odd is None else self.odd[seen],
            None if self.scale is None else self.scale[seen],
            None if keeps is None else lambda part: keeps(_spread(part, seen)),
            None if self.sizes is None else self.sizes[seen],
            self.remedy,
        )


class _Chords:
    """Steps of the chord method, which ends within the error that the scatter of the map leaves."""

    def __init__(self, sought: _Sought, x: np.ndarray) -> None:
        self.sought, self.x, self.calls = sought, x, 0
        self.slopes, self.amplified = np.zeros((len(x), len(x))), np.eye(len(x))
        self.moved = np.full(x.shape, np.inf)

    def found(self) -> Solution[Replicated]:
        """Return the fixed point."""
        sought = self.sought
        if not self._renew():
            remedy = "the map is at a bifurcation: " + sought.remedy
            return Solution(_unknown(self.x), False, np.inf, self.calls, remedy)
        for turn in range(_MOST_CHORDS):
            if turn % _RENEWED == _RENEWED - 1:
                self._renew()
            estimates = sought.image(self.x)
            self.calls += 1
            if not np.all(np.isfinite(estimates)):
                break
            samples = self.x + (estimates - self.x) @ self.amplified.T
            own = _ROUNDING * np.abs(self.amplified) @ self._sizes
            error = half_width(samples) if len(samples) > 1 else own
            self.moved = samples.mean(axis=0) - self.x
            if self._is_far(error):
                dead = self._dying()
                if dead is not None:
                    return self._without(dead)
                self._step_far(estimates.mean(axis=0) - self.x)
                continue
            self.x = self.x + self.moved
            nothing = _NOTHING * float(np.max(np.abs(self.x)))
            if np.all(np.abs(self.moved) <= _SETTLED * error + 10 * own + nothing):
                if self._swings():
                    break
                return self._known(samples, error, own)
        return Solution(
            _unknown(self.x), False, float(np.max(np.abs(self.moved))), self.calls, sought.remedy
        )

    @property
    def _sizes(self) -> np.ndarray:
        """What the rounding of the map is relative to."""
        return np.abs(self.x) if self.sought.scale is None else self.sought.scale

    def _renew(self) -> bool:
        """Take the slopes of this place; return whether 1 / (1 - J) exists."""
        self.slopes = self.sought.slopes(self.x)
        self.calls += 2 * len(self.x)
        found = inverse(self.slopes)
        self.amplified = self.amplified if found is None else found
        return found is not None

    @property
    def _repels(self) -> bool:
        return repels(self.slopes, slow=self.sought.slow)

    def _is_far(self, error: np.ndarray) -> bool:
        """Whether components that are never negative would leave where slopes are those of here."""
        far = np.abs(self.moved) > np.maximum(_FARTHEST * self.x, error)
        return self.sought.scale is not None and (bool(np.any(far)) or self._repels)

    def _dying(self) -> np.ndarray | None:
        """Return the components that die, None where none does."""
        scale = self.sought.scale
        assert scale is not None
        dying = self.x + self.moved <= _FARTHEST * self.x
        rest = np.where(dying, 0.0, self.x)
        return dying if np.any(dying) and _die(self.sought.image, rest, dying, scale) else None

    def _without(self, dead: np.ndarray) -> Solution[Replicated]:
        if np.all(dead):
            return Solution(Replicated(0 * self.x[None], 0 * self.x), True, 0.0, self.calls)
        found = self.sought.found_without(dead, self.x)
        return replace(found, iterations=self.calls + found.iterations)

    def _step_far(self, gap: np.ndarray) -> None:
        """Take a step by which no component gets below 0, towards where the orbit goes."""
        if np.max(np.abs(np.linalg.eigvals(self.slopes))) < _FAST:
            self.x = self.x + gap  # never below 0, and the map does most of it
        else:
            step = gap if self._repels else self.moved
            self.x = np.maximum(self.x + _bounded(step, self.x), 0)
        self._renew()

    def _swings(self) -> bool:
        keeps = self.sought.keeps
        return keeps is not None and not _settles(self.slopes, lambda: keeps(self.x))

    def _known(
        self, samples: np.ndarray, error: np.ndarray, own: np.ndarray
    ) -> Solution[Replicated]:
        odd = self.sought.odd
        if odd is not None and _vanishes(self.sought.image, self.x, odd, error):
            samples = np.where(odd, 0.0, samples)
        exact = np.where(np.any(samples, axis=0), np.abs(self.moved) + own, 0.0)
        known = Replicated(samples, exact, self.amplified)
        return Solution(known, True, float(np.max(np.abs(self.moved))), self.calls)


def _spread(part: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return a vector whose other components are 0."""
    found = np.zeros((*part.shape[:-1], len(seen)))
    found[..., seen] = part
    return found


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
