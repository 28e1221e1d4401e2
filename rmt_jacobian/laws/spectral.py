r"""Antiderivatives of smooth functions on :math:`[0, \pi]`, as Chebyshev series.

After the substitution :math:`x = \text{mid} - \text{half} \cos\theta` a density that starts or
ends like a half-integer power of the distance to the edge is smooth in :math:`\theta`, and its
Chebyshev coefficients fall exponentially.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.fft import dct

from rmt_jacobian.errors import ConvergenceError

__all__ = ["antiderivative"]

_TAIL = 1e-13
_SIZES = tuple(2**k for k in range(5, 15))


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
        nodes = np.pi / 2 * (1 + np.cos(np.pi * (np.arange(size) + 0.5) / size))
        coefficients = np.asarray(dct(function(nodes), type=2)) / size
        coefficients[0] /= 2
        largest = np.max(np.abs(coefficients))
        if np.max(np.abs(coefficients[-size // 8 :])) <= _TAIL * largest:
            kept = np.flatnonzero(np.abs(coefficients) > _TAIL / 100 * largest)
            length = kept[-1] + 1 if kept.size else 1
            return Chebyshev(coefficients[:length], domain=[0, np.pi]).integ(lbnd=0)
    raise ConvergenceError(
        f"{_SIZES[-1]} nodes do not resolve the density; split its interval where it is not "
        "smooth, or give the law a cdf of its own"
    )
