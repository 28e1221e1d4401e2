"""Inverses of increasing functions, for whole arrays at once."""

from collections.abc import Callable

import numpy as np

__all__ = ["invert_increasing"]

_EPS = np.finfo(float).eps
_SWEEPS = 100


def invert_increasing(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    target: np.ndarray,
    low: np.ndarray | float,
    high: np.ndarray | float,
    start: np.ndarray,
    rounding: float = 1.0,
) -> np.ndarray:
    r"""Solve :math:`f(x) = y` for every entry of an array, by Newton steps inside a bracket.

    A step that would leave the bracket, or whose slope is no number, is replaced by a bisection.
    The iteration ends where every entry either stands still or meets its target to rounding.

    Parameters
    ----------
    function
        Returns the value and the slope of an increasing function at an array of points.
    target
        The values y to reach, between ``function(low)`` and ``function(high)``.
    low, high
        The bracket, with ``low <= start <= high``.
    start
        First guess, of the shape of ``target``.
    rounding
        The relative error of the values of the function, in machine epsilons.

    Examples
    --------
    >>> cube = lambda x: (x**3, 3 * x**2)
    >>> invert_increasing(cube, np.array([8.0, 27.0]), 0.0, 5.0, np.ones(2)).round(12)
    array([2., 3.])
    """
    found = np.array(start, dtype=float)
    moving = np.arange(found.size)  # the entries that have not come to rest
    x, y = found.flatten(), np.ravel(target)
    low, high = (np.broadcast_to(end, found.shape).ravel() for end in (low, high))
    for _ in range(_SWEEPS):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            value, slope = function(x)
            error = value - y
            newton = x - error / slope
        high = np.where(error > 0, x, high)
        low = np.where(error <= 0, x, low)
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        # Where the target is met a step is noise over a slope, which may be 0 at an end.
        met = np.abs(error) <= rounding * _EPS * np.abs(y)
        following = np.where(met, x, following)
        found.flat[moving] = following
        moves = ~met & (np.abs(following - x) > 4 * _EPS * np.abs(following))
        if not np.any(moves):
            break
        moving, x, y = moving[moves], following[moves], y[moves]
        low, high = low[moves], high[moves]
    return found
