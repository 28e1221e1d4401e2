r"""The trigonometric parametrisation of the Fuss-Catalan density of order p.

With an angle :math:`0 < t < \pi/(p+1)`,

.. math::
    x = \frac{\sin((p+1) t)^{p+1}}{\sin(t) \sin(p t)^p}, \qquad
    x \, G(x + i0) = B, \qquad B = \frac{\sin((p+1) t)}{\sin(p t)} e^{-i t}.

The point falls from the upper edge K at t = 0 to 0.  Since :math:`B - 1 = B^{p+1} / x`, the
Cauchy transform has the antiderivative :math:`p B - \log(B - 1)`, and its imaginary part is the
cdf.  Everything is written in the complementary angle :math:`s = \pi - (p+1) t`, which grows with
the point, and in which nothing cancels near 0; near K the even series of :math:`\log(x / K)` in
:math:`\pi - s` serves.

U. Haagerup and S. Möller (2013), The law of large numbers for the free multiplicative
convolution, section 4, has the parametrisation and the density; the cdf is derived as above.
"""

from fractions import Fraction
from functools import cache

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval
from scipy.special import zeta

from rmt_jacobian.laws.monotone import invert_increasing

__all__ = ["angle_of_point", "mass_below", "mass_rate", "point_of_angle", "sines", "upper_edge"]

_HALF = np.pi / 2  # below this angle s the direct form is used, above it the series
_TERMS = 30  # of the series, whose terms fall by a factor of 4


def upper_edge(order: int) -> float:
    r"""Return :math:`K = (p+1)^{p+1} / p^p`, correctly rounded.

    Examples
    --------
    >>> upper_edge(1), upper_edge(2)
    (4.0, 6.75)
    """
    return float(Fraction((order + 1) ** (order + 1), order**order))


def sines(s: np.ndarray, gap: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return the sines of t, p t and (p+1) t for an angle s and its gap :math:`(p+1) t`.

    The gap is kept off 0, where the ratios of the sines have limits; the last sine is that of
    the smaller of s and the gap, which is the one that is known precisely.

    Examples
    --------
    >>> first, inner, outer = sines(np.pi, 0.0, 2)
    >>> round(float(outer / inner), 12), round(float(first / inner), 12)
    (1.5, 0.5)
    """
    gap = np.maximum(gap, 1e-100)
    t = gap / (order + 1)
    return np.sin(t), np.sin(order * t), np.sin(np.minimum(s, gap))


def point_of_angle(s: np.ndarray, order: int) -> np.ndarray:
    r"""Return x at the angle s in :math:`[0, \pi]`.

    Examples
    --------
    >>> point_of_angle(np.array([0, np.pi / 2, np.pi]), 1).round(12)
    array([0., 2., 4.])
    """
    low = np.minimum(s, _HALF)
    t = (np.pi - low) / (order + 1)
    from_zero = np.sin(low) * (np.sin(low) / np.sin(low + t)) ** order / np.sin(t)
    gap = np.pi - np.maximum(s, _HALF)
    from_edge = upper_edge(order) * np.exp(-polyval(gap**2, _log_series(order)))
    return np.where(s < _HALF, from_zero, from_edge)


def angle_of_point(x: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the angle s of a point of the support, and the gap :math:`\pi - s`.

    Each of the two has full relative precision where it is small.

    Examples
    --------
    >>> s, gap = angle_of_point(np.array([0.0, 2.0, 4.0]), 1)
    >>> (s / np.pi).round(12), (gap[:2] / np.pi).round(12)
    (array([0. , 0.5, 1. ]), array([1. , 0.5]))
    """
    s, gap = np.zeros(x.shape), np.full(x.shape, np.pi)
    edge = upper_edge(order)
    upper = x >= point_of_angle(np.array(_HALF), order)
    lower = (x > 0) & ~upper
    s[lower] = _angle_above_zero(np.log(x[lower]), order)
    gap[upper] = _gap_below_edge(-np.log1p((x[upper] - edge) / edge), order)
    gap[lower] = np.pi - s[lower]
    s[upper] = np.pi - gap[upper]
    s[np.isnan(x)] = gap[np.isnan(x)] = np.nan
    return s, gap


def mass_below(s: np.ndarray, order: int) -> np.ndarray:
    r"""Return the cdf, :math:`\frac 1 \pi \bigl(s + p \frac{\sin s \sin t}{\sin(p t)}\bigr)`.

    Examples
    --------
    >>> mass_below(np.array([0, np.pi]), 2).round(12)
    array([0., 1.])
    """
    return (s + order * np.sin(s) * _ratio(s, order)) / np.pi


def mass_rate(s: np.ndarray, order: int) -> np.ndarray:
    """Return the derivative of :func:`mass_below`, inside the open interval.

    Examples
    --------
    >>> mass_rate(np.array([np.pi / 2]), 1) * np.pi
    array([1.])
    """
    t = (np.pi - s) / (order + 1)
    inner = _ratio(s, order)
    turning = 1 / np.tan(t) + order / np.tan(s + t)
    change = np.cos(s) * inner - np.sin(s) * inner * turning / (order + 1)
    return (1 + order * change) / np.pi


def _ratio(s: np.ndarray, order: int) -> np.ndarray:
    """Return sin(t) / sin(p t), which is 1/p at the upper edge."""
    t = np.maximum(np.pi - s, 1e-100) / (order + 1)
    return np.sin(t) / np.sin(order * t)


def _angle_above_zero(log_x: np.ndarray, order: int) -> np.ndarray:
    """Solve log x(s) = log x for log s; the two are proportional near 0."""

    def log_point(log_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s = np.exp(log_s)
        t = (np.pi - s) / (order + 1)
        sine, complement = np.sin(s), np.sin(s + t)
        value = (order + 1) * np.log(sine) - np.log(np.sin(t)) - order * np.log(complement)
        by_t = 1 / np.tan(t) - order**2 / np.tan(s + t)
        slope = (order + 1) / np.tan(s) + by_t / (order + 1)
        return value, s * slope

    highest = np.log(_HALF)
    start = log_x / (order + 1) + np.log(np.sin(np.pi / (order + 1)))
    start = np.minimum(start, highest)
    return np.exp(invert_increasing(log_point, log_x, start - 2, highest + 1e-12, start))


def _gap_below_edge(log_ratio: np.ndarray, order: int) -> np.ndarray:
    """Solve the series for the square of the gap, from above: the series is convex."""
    series = _log_series(order)
    slopes = polyder(series)
    start = log_ratio / series[1]
    squared = invert_increasing(
        lambda v: (polyval(v, series), polyval(v, slopes)), log_ratio, 0.0, start, start
    )
    return np.sqrt(squared)


@cache
def _log_series(order: int) -> np.ndarray:
    r"""Return the coefficients of :math:`-\log(x / K)` in powers of the squared gap.

    From :math:`\log(\sin u / u) = -\sum_n \zeta(2n) (u / \pi)^{2n} / n`; all are positive.
    """
    n = np.arange(1, _TERMS)
    shares = order + 1 - (1 + float(order) ** (2 * n + 1)) / float(order + 1) ** (2 * n)
    return np.concatenate([[0.0], zeta(2 * n) / (n * np.pi ** (2.0 * n)) * shares])
