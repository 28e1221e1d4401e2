r"""Fixed points of maps that are known from independent samples, with their errors.

A map F is known as R independent estimates :math:`F_r`.  Near its fixed point an error of the map
is amplified by what it feeds back,

.. math:: x_r = \bar x + (1 - J)^{-1} (F_r(\bar x) - \bar x), \qquad J = \partial F / \partial x,

and the scatter of the :math:`x_r` is the error of their mean.  R = 1 stands for an exact map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from rmt_jacobian.solvers import Solution, fixed_point_of_orbit

__all__ = ["Replicated", "half_width", "solve_replicated"]

_COVERED = 0.975  # of Student's t: an interval of 95 % on both sides
_ROUNDING = 1e-13  # relative, of averages by quadrature
_STEP = 1e-4  # relative, of differences
_SETTLED = 0.05  # of the error
_MOST_CHORDS = 12

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
    """

    samples: np.ndarray
    exact_error: np.ndarray
    amplification: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """The estimate, shape (n,)."""
        return self.samples.mean(axis=0)

    @property
    def errors(self) -> np.ndarray:
        """Half widths of intervals that hold the truth in 95 % of cases."""
        return half_width(self.samples) if len(self.samples) > 1 else self.exact_error


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
    """
    rough = rough or image
    calls, x, gap = 0, near, 0.0
    if x is None:
        found = fixed_point_of_orbit(lambda u: rough(u).mean(axis=0), start, remedy=remedy)
        calls, x, gap = found.iterations, found.value, found.residual
        if not found.converged:
            known = Replicated(x[None], np.full(x.shape, np.inf))
            return Solution(known, False, gap, calls, remedy)
    if not np.any(x) and not np.any(image(x)):
        return Solution(Replicated(x[None], 0 * x), True, 0.0, calls + 1)
    amplified = _amplification(rough, x, start)
    if amplified is None:
        known = Replicated(x[None], np.full(x.shape, np.inf))
        return Solution(known, False, gap, calls, "the map is at a bifurcation: " + remedy)
    calls += len(x)
    for _ in range(_MOST_CHORDS):
        estimates = image(x)
        calls += 1
        samples = x + (estimates - x) @ amplified.T
        own = _ROUNDING * np.abs(amplified) @ np.abs(x)
        error = half_width(samples) if len(samples) > 1 else own
        moved = samples.mean(axis=0) - x
        if not np.all(np.isfinite(moved)):
            break
        x = x + moved
        if np.all(np.abs(moved) <= _SETTLED * error + 10 * own):
            known = Replicated(samples, np.abs(moved) + own, amplified)
            return Solution(known, True, float(np.max(np.abs(moved))), calls)
    known = Replicated(x[None], np.full(x.shape, np.inf))
    return Solution(known, False, float(np.max(np.abs(moved))), calls, remedy)  # pyright: ignore


def _amplification(rough: Image, x: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    """Return 1 / (1 - J)."""
    here = rough(x).mean(axis=0)
    unit = max(float(np.max(np.abs(x))), 1e-300)
    columns = []
    for k in range(len(x)):
        width = _STEP * max(abs(x[k]), 1e-3 * unit)
        moved = np.array(x)
        moved[k] += width
        columns.append((rough(moved).mean(axis=0) - here) / width)
    matrix = np.eye(len(x)) - np.stack(columns, axis=1)
    if not np.all(np.isfinite(matrix)) or np.linalg.cond(matrix) > 1e12:
        return None
    return np.linalg.inv(matrix)
