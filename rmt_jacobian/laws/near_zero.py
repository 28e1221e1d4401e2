r"""R- and S-transforms of a bounded law near zero, from its Cauchy transform.

Let the support lie within :math:`c \pm r`, and let m and v be the mean and the variance.  By
Nevanlinna's representation :math:`1/G(z) = z - m - \int \nu(dx) / (z - x)`, where :math:`\nu` is
a positive measure of mass v on the same interval.  So
:math:`z \mapsto z - 1/G(z) + 1/w` has a derivative below :math:`v / (3r)^2 \le 1/9` where
:math:`\lvert z - c \rvert \ge 4r`, and for :math:`\lvert w \rvert < 1/(6r)` it maps that region
into itself.  Its fixed point is the only solution of :math:`G(z) = w` there.
"""

from typing import Protocol

import numpy as np

from rmt_jacobian.errors import ConvergenceError, ParameterError, UndefinedTransformError

__all__ = ["r_transform_near_zero", "s_transform_near_zero"]

_SWEEPS = 100
_STILL = 4e-15  # of the size of the iterate
_SMALL = 1e-3  # below it, in units of the half-width, z - 1/w has lost digits and a series has not
_TERMS = 7  # of that series; the next is below (4 * _SMALL) ** 7


class _Transformed(Protocol):
    def support(self) -> tuple[float, float]: ...
    def mean(self) -> float: ...
    def var(self) -> float: ...
    def free_cumulants(self, n: int) -> np.ndarray: ...
    def cauchy(self, z: np.ndarray) -> np.ndarray: ...


def r_transform_near_zero(law: _Transformed, w: np.ndarray) -> np.ndarray:
    r"""R-transform in the disc where the inverse of the Cauchy transform is sure to exist.

    .. math:: R(w) = G^{-1}(w) - \frac 1 w, \qquad \lvert w \rvert < \frac{1}{6 r}

    Parameters
    ----------
    law
        A law whose support has the half-width r.
    w
        Complex points of the disc.

    Raises
    ------
    ParameterError
        If a point lies outside the disc.

    References
    ----------
    Mingo & Speicher 2017, section 3.4 (the discs); the iteration is the contraction above.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> r_transform_near_zero(Semicircle(), np.array([0.05 + 0j])).round(12)
    array([0.05+0.j])
    """
    low, high = law.support()
    half = (high - low) / 2
    if np.any(np.abs(w) * half >= 1 / 6):
        raise ParameterError(
            f"this R-transform is computed where abs(w) < {1 / (6 * half):.6g}, that is 1/6 of "
            "the inverse half-width of the support; rescale the argument"
        )
    return _r_transform(law, w, half, law.free_cumulants(_TERMS))


def _r_transform(
    law: _Transformed, w: np.ndarray, half: float, cumulants: np.ndarray
) -> np.ndarray:
    result = np.polynomial.polynomial.polyval(w, cumulants)
    result = np.asarray(result, dtype=complex)
    far = np.abs(w) * half >= _SMALL
    inverse = 1 / w[far]
    z, step = inverse + law.mean(), np.array(np.inf)
    for _ in range(_SWEEPS):
        step = inverse - 1 / law.cauchy(z)
        z = z + step
        if np.all(np.abs(step) <= _STILL * np.abs(z)):
            break
    # The steps end at the rounding of G, which no sum of many terms brings to _STILL.
    if np.any(np.abs(step) > 1e3 * _STILL * np.abs(z)):
        raise ConvergenceError("the inverse of the Cauchy transform was not found: check cauchy")
    result[far] = z - inverse
    return result


def s_transform_near_zero(law: _Transformed, u: np.ndarray) -> np.ndarray:
    r"""S-transform in a disc where the equation for it is a contraction.

    .. math::
        S(u) = \frac{1}{R(u S(u))}, \qquad \lvert u \rvert \le \frac 3 4 \lvert m \rvert
        \min\Bigl(\frac{1}{6 r}, \frac{\lvert m \rvert}{8 v}\Bigr)

    Parameters
    ----------
    law
        A law with mean m, variance v and a support of half-width r.
    u
        Complex points of the disc.

    Raises
    ------
    UndefinedTransformError
        If the mean is zero.
    ParameterError
        If a point lies outside the disc.

    References
    ----------
    The relation between the two transforms: Mingo & Speicher 2017, section 4.5.

    Examples
    --------
    >>> from rmt_jacobian.laws import MarchenkoPastur
    >>> s_transform_near_zero(MarchenkoPastur(), np.array([0.05 + 0j])).round(12)
    array([0.95238095+0.j])
    """
    low, high = law.support()
    half, mean, variance = (high - low) / 2, law.mean(), law.var()
    if abs(mean) <= 1e-14 * max(abs(low), abs(high)):
        raise UndefinedTransformError(
            "the mean is zero, so there is no S-transform; use the R-transform instead"
        )
    if half == 0:
        return np.full(u.shape, 1 / mean, dtype=complex)
    radius = 0.75 * abs(mean) * min(1 / (6 * half), abs(mean) / (8 * variance))
    if np.any(np.abs(u) > radius):
        raise ParameterError(
            f"this S-transform is computed where abs(u) <= {radius:.6g}; use a law with a closed "
            "form, or multiply moments"
        )
    s = np.full(u.shape, 1 / mean, dtype=complex)
    previous, cumulants = s, law.free_cumulants(_TERMS)
    for _ in range(_SWEEPS):
        previous, s = s, 1 / _r_transform(law, u * s, half, cumulants)
        if np.all(np.abs(s - previous) <= 1e-13 * np.abs(s)):
            break
    if np.any(np.abs(s - previous) > 1e-11 * np.abs(s)):
        raise ConvergenceError("the equation of the S-transform was not solved: check cauchy")
    return s
