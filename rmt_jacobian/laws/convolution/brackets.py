"""Zeros and extrema of many functions at once, each inside its own bracket."""

from collections.abc import Callable

import numpy as np

__all__ = ["least_in_brackets", "zeros_in_brackets"]

_GOLDEN = (np.sqrt(5) - 1) / 2
_SWEEPS = 200


def zeros_in_brackets(
    function: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    at_low: np.ndarray,
    at_high: np.ndarray,
    tolerance: float | np.ndarray,
) -> np.ndarray:
    r"""Find a zero of each of several functions between two points of opposite sign.

    The false position with the weights of Illinois, and a bisection whenever two steps have not
    halved the bracket.

    Parameters
    ----------
    function
        Takes and returns arrays of the shape of the brackets, entry by entry.
    low, high, at_low, at_high
        The brackets, and the values at their ends.
    tolerance
        Length of a bracket, absolute, at which it is left alone.

    References
    ----------
    M. Dowell and P. Jarratt (1971), A modified regula falsi method for computing the root of an
    equation.

    Examples
    --------
    >>> target = np.array([2.0, 3.0])
    >>> function = lambda x: x**2 - target
    >>> low, high = np.ones(2), 2 * np.ones(2)
    >>> zeros_in_brackets(function, low, high, function(low), function(high), 1e-15) ** 2
    array([2., 3.])
    """
    low, high, at_low, at_high = (np.array(a, dtype=float) for a in (low, high, at_low, at_high))
    found = np.where(np.abs(at_low) <= np.abs(at_high), low, high)
    last = np.abs(high - low)
    for sweep in range(_SWEEPS):
        if not low.size or np.all((np.abs(high - low) <= tolerance) | (at_low == at_high)):
            break
        with np.errstate(all="ignore"):
            x = high - at_high * (high - low) / (at_high - at_low)
        middle = (low + high) / 2
        inside = (x > np.minimum(low, high)) & (x < np.maximum(low, high))
        slow = (sweep % 3 == 2) & (np.abs(high - low) > last / 2)
        last = np.where(sweep % 3 == 2, np.abs(high - low), last)
        x = np.where(inside & ~slow, x, middle)
        value = function(x)
        same = np.sign(value) == np.sign(at_high)
        # Illinois: the end that stays counts for half, so that both ends move.
        low, at_low = np.where(same, low, high), np.where(same, at_low / 2, at_high)
        high, at_high, found = x, value, x
        done = value == 0
        low = np.where(done, x, low)
        at_low = np.where(done, 0.0, at_low)
    return found


def least_in_brackets(
    function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, sweeps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the least value of each of several functions inside its bracket, by golden sections.

    Examples
    --------
    >>> x, value = least_in_brackets(lambda x: (x - 1) ** 2, np.zeros(1), np.ones(1) * 3, 60)
    >>> x.round(6), value.round(12)
    (array([1.]), array([0.]))
    """
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(sweeps):
        below = at_left < at_right
        low, high = np.where(below, low, left), np.where(below, right, high)
        fresh = np.where(below, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        value = function(fresh)
        left, right = np.where(below, fresh, right), np.where(below, left, fresh)
        at_left, at_right = np.where(below, value, at_right), np.where(below, at_left, value)
    return np.where(at_left < at_right, left, right), np.minimum(at_left, at_right)
