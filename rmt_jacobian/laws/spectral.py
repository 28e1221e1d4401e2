r"""Antiderivatives of smooth functions on :math:`[0, \pi]`, as Chebyshev series.

After the substitution :math:`x = \text{mid} - \text{half} \cos\theta` a density that starts or
ends like a half-integer power of the distance to the edge is smooth in :math:`\theta`, and its
Chebyshev coefficients fall exponentially.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.fft import dct
from scipy.integrate import quad_vec

from rmt_jacobian.errors import ConvergenceError

__all__ = ["antiderivative", "integral"]

_TAIL = 1e-13
_SIZES = tuple(2**k for k in range(5, 15))
_SMOOTH = 128  # nodes that resolve what is smooth
_DIGITS, _ENOUGH = 1e-10, 1e-6  # of an integral over what is not, aimed at and put up with


def antiderivative(function: Callable[[np.ndarray], np.ndarray]) -> Chebyshev:
    r"""Integrate a smooth function from 0.

    .. math:: F(\theta) = \int_0^\theta f(t) \, dt, \qquad 0 \le \theta \le \pi

    The number of nodes is doubled until the last eighth of the coefficients of :math:`f` is below
    :math:`10^{-13}` of the largest one.  The ends of the interval are not among the nodes.

    Raises
    ------
    ConvergenceError
        If 16384 nodes do not resolve the function.

    References
    ----------
    L. N. Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3 and 19.

    Examples
    --------
    >>> round(float(antiderivative(np.sin)(np.pi)), 14)
    2.0
    """
    for size in _SIZES:
        found = _series(function, size)
        if found is not None:
            return found.integ(lbnd=0)
    raise ConvergenceError(
        f"{_SIZES[-1]} nodes do not resolve the density; split its interval where it is not "
        "smooth, or give the law a cdf of its own"
    )


def _series(function: Callable[[np.ndarray], np.ndarray], size: int) -> Chebyshev | None:
    """Return the series on so many nodes; None where they do not resolve the function."""
    nodes = np.pi / 2 * (1 + np.cos(np.pi * (np.arange(size) + 0.5) / size))
    coefficients = np.asarray(dct(function(nodes), type=2)) / size
    coefficients[0] /= 2
    largest = np.max(np.abs(coefficients))
    if not np.max(np.abs(coefficients[-size // 8 :])) <= _TAIL * largest:
        return None
    kept = np.flatnonzero(np.abs(coefficients) > _TAIL / 100 * largest)
    length = kept[-1] + 1 if kept.size else 1
    return Chebyshev(coefficients[:length], domain=[0, np.pi])


def integral(function: Callable[[np.ndarray], np.ndarray], start: float, end: float) -> float:
    r"""Integrate a function on :math:`[0, \pi]` between two angles, whether it is smooth or not.

    Raises
    ------
    ConvergenceError
        If the integral is infinite, or not known to six digits of that of the absolute value.

    Examples
    --------
    >>> round(integral(np.sin, 0.0, np.pi), 12), round(integral(lambda t: abs(t - 1), 0.0, 2.0), 9)
    (2.0, 1.0)
    """
    if not end > start:
        return 0.0
    with np.errstate(all="ignore"):
        found = _series(function, _SMOOTH)
        if found is not None:
            whole = found.integ(lbnd=0)
            return float(whole(end) - whole(start))

        def with_size(t: float) -> np.ndarray:  # the error is relative to the larger of both
            value = float(function(np.array([t]))[0])
            return np.array([value, abs(value)])

        (value, size), error = quad_vec(
            with_size, start, end, epsabs=0.0, epsrel=_DIGITS, norm="max", limit=500
        )[:2]
    if not error <= _ENOUGH * size:
        raise ConvergenceError(
            f"an integral against a law is {value:.6g} with an error of {error:.1g}: it may be "
            "infinite, or turn too fast"
        )
    return float(value)
