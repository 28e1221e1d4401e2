r"""Moments, free cumulants and S-transforms as truncated series, and the free convolutions.

A law enters through its moment sequence, the tuple :math:`(m_1, \ldots, m_n)`; the order of
every result is the order of what was passed in.  Entries are sympy expressions or Python numbers
and the arithmetic is exact unless floats are passed.  The R-transform
:math:`R(w) = \sum_{n \ge 0} \kappa_{n+1} w^n` has the free cumulants for its coefficients, so it
needs no functions of its own.
"""

from collections.abc import Sequence

import sympy as sp

from rmt_jacobian.errors import ParameterError, UndefinedTransformError
from rmt_jacobian.freeprob.power_series import (
    Scalar,
    Series,
    expression,
    expressions,
    multiply_series,
    power_of_series,
    revert_series,
    tidy,
)

__all__ = [
    "boxplus_moments",
    "boxtimes_moments",
    "boxtimes_power_moments",
    "free_cumulants_from_moments",
    "moments_from_free_cumulants",
    "moments_from_s_series",
    "s_coefficients",
    "s_series_from_moments",
]


def moments_from_free_cumulants(cumulants: Sequence[Scalar]) -> Series:
    r"""Moments of the law with the given free cumulants.

    .. math::
        M(z) = C(z M(z)), \quad M(z) = 1 + \sum_n m_n z^n, \quad C(z) = 1 + \sum_n \kappa_n z^n,
        \qquad m_n = \frac{1}{n+1} [z^n] C(z)^{n+1}

    Parameters
    ----------
    cumulants : sequence of sympy.Expr or number
        :math:`(\kappa_1, \ldots, \kappa_n)`, the coefficients of the R-transform
        :math:`R(w) = \sum_n \kappa_{n+1} w^n`.

    References
    ----------
    Mingo & Speicher 2017, section 2.4 (functional equation); the coefficients by Lagrange
    inversion.

    Examples
    --------
    >>> moments_from_free_cumulants((0, 1, 0, 0, 0, 0))  # semicircle
    (0, 1, 0, 2, 0, 5)
    """
    series = (sp.S.One, *expressions(cumulants))
    return tuple(
        tidy(power_of_series(series[: n + 1], n + 1)[-1] / (n + 1)) for n in range(1, len(series))
    )


def free_cumulants_from_moments(moments: Sequence[Scalar]) -> Series:
    r"""Free cumulants of the law with the given moments.

    .. math::
        \kappa_1 = m_1, \qquad \kappa_n = -\frac{1}{n-1} [z^n] M(z)^{-(n-1)}, \quad n \ge 2

    This is the functional equation :math:`C(z M(z)) = M(z)`, solved by Lagrange inversion.

    Parameters
    ----------
    moments : sequence of sympy.Expr or number
        :math:`(m_1, \ldots, m_n)`.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(\kappa_1, \ldots, \kappa_n)`, which are the coefficients of the R-transform.

    References
    ----------
    Mingo & Speicher 2017, section 2.4.

    Examples
    --------
    >>> free_cumulants_from_moments((1, 2, 5, 14))  # Marchenko-Pastur of ratio 1
    (1, 1, 1, 1)
    """
    series = (sp.S.One, *expressions(moments))
    higher = (
        tidy(-power_of_series(series[: n + 1], 1 - n)[-1] / (n - 1)) for n in range(2, len(series))
    )
    return (*series[1:2], *higher)


def s_series_from_moments(moments: Sequence[Scalar]) -> Series:
    r"""Coefficients of the S-transform of a law with non-zero mean.

    .. math::
        S(z) = \frac{1+z}{z} \chi(z) = \sum_{k \ge 0} S_k z^k, \qquad
        \chi = \psi^{-1}, \quad \psi(z) = \sum_{k \ge 1} m_k z^k

    Parameters
    ----------
    moments : sequence of sympy.Expr or number
        :math:`(m_1, \ldots, m_n)` with :math:`m_1 \ne 0`.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(S_0, \ldots, S_{n-1})`, with :math:`S_0 = 1/m_1`.

    Raises
    ------
    UndefinedTransformError
        If the mean is zero.

    References
    ----------
    Voiculescu 1987; Nica & Speicher 2006, Lecture 18.

    Examples
    --------
    >>> s_series_from_moments((1, 2, 5, 14))  # Marchenko-Pastur of ratio 1: 1 / (1 + z)
    (1, -1, 1, -1)
    """
    psi = expressions(moments)
    if psi and tidy(psi[0]).is_zero:
        raise UndefinedTransformError(
            "the S-transform needs a non-zero mean; use the law of X X^T, or free cumulants"
        )
    chi = (sp.S.Zero, *revert_series(psi))
    return tuple(tidy(chi[k] + chi[k + 1]) for k in range(len(psi)))


def moments_from_s_series(coefficients: Sequence[Scalar]) -> Series:
    r"""Moments of the law with the given S-transform.

    .. math:: \psi = \chi^{-1}, \qquad \chi(z) = \frac{z}{1+z} S(z)

    Parameters
    ----------
    coefficients : sequence of sympy.Expr or number
        :math:`(S_0, \ldots, S_{n-1})` of :math:`S(z) = \sum_k S_k z^k`, with :math:`S_0 \ne 0`.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(m_1, \ldots, m_n)`.

    Raises
    ------
    ParameterError
        If :math:`S_0` is zero.

    References
    ----------
    Voiculescu 1987; Nica & Speicher 2006, Lecture 18.

    Examples
    --------
    >>> moments_from_s_series((1, -1, 1, -1))
    (1, 2, 5, 14)
    """
    series = expressions(coefficients)
    alternating = tuple(sp.Integer((-1) ** k) for k in range(len(series)))
    return revert_series(multiply_series(series, alternating))


def s_coefficients(moments: Sequence[Scalar]) -> Series:
    r"""Coefficients of the S-transform normalised by its value at zero.

    .. math:: S(z) = \frac{1}{m_1} (1 + s_1 z + s_2 z^2 + \cdots)

    Parameters
    ----------
    moments : sequence of sympy.Expr or number
        :math:`(m_1, \ldots, m_n)` with :math:`m_1 \ne 0`.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(s_1, \ldots, s_{n-1})`; they do not change when the law is rescaled.

    Raises
    ------
    UndefinedTransformError
        If the mean is zero.

    References
    ----------
    Voiculescu 1987.

    Examples
    --------
    >>> s_coefficients((3, 18, 135, 1134))  # three times Marchenko-Pastur of ratio 1
    (-1, 1, -1)
    """
    series = s_series_from_moments(moments)
    mean = expression(moments[0]) if series else sp.S.One
    return tuple(tidy(mean * coefficient) for coefficient in series[1:])


def boxplus_moments(a: Sequence[Scalar], b: Sequence[Scalar]) -> Series:
    r"""Moments of the sum of two free variables.

    .. math:: R_{X + Y}(w) = R_X(w) + R_Y(w)

    Parameters
    ----------
    a, b : sequence of sympy.Expr or number
        Moments of the two laws; the result has the length of the shorter one.

    References
    ----------
    Nica & Speicher 2006, Lecture 12; Mingo & Speicher 2017, section 2.4.

    Examples
    --------
    >>> boxplus_moments((0, 1, 0, 2), (0, 1, 0, 2))  # two semicircles
    (0, 2, 0, 8)
    """
    cumulants = zip(free_cumulants_from_moments(a), free_cumulants_from_moments(b), strict=False)
    return moments_from_free_cumulants([left + right for left, right in cumulants])


def boxtimes_moments(a: Sequence[Scalar], b: Sequence[Scalar]) -> Series:
    r"""Moments of the product :math:`X^{1/2} Y X^{1/2}` of two free variables.

    .. math:: S_{X Y}(z) = S_X(z) S_Y(z)

    Parameters
    ----------
    a, b : sequence of sympy.Expr or number
        Moments of the two laws, both with non-zero mean; the result has the length of the
        shorter one.

    Raises
    ------
    UndefinedTransformError
        If one of the means is zero.

    References
    ----------
    Voiculescu 1987; Nica & Speicher 2006, Lecture 18.

    Examples
    --------
    >>> boxtimes_moments((1, 2, 5), (1, 2, 5))  # Fuss-Catalan of order 2
    (1, 3, 12)
    """
    return moments_from_s_series(
        multiply_series(s_series_from_moments(a), s_series_from_moments(b))
    )


def boxtimes_power_moments(moments: Sequence[Scalar], exponent: Scalar) -> Series:
    r"""Moments of the free product of :math:`T` copies of a law.

    .. math:: S_{X^{\boxtimes T}}(z) = S_X(z)^T

    Parameters
    ----------
    moments : sequence of sympy.Expr or number
        Moments of the law, with :math:`m_1 \ne 0`.
    exponent : sympy.Expr or number
        The number of factors :math:`T`, a positive integer or a symbol for one.

    Returns
    -------
    tuple of sympy.Expr
        The :math:`n`-th entry is :math:`m_1^{n T}` times a polynomial in :math:`T`.

    Raises
    ------
    ParameterError
        If the exponent is a number but not a positive integer.
    UndefinedTransformError
        If the mean is zero.

    References
    ----------
    Voiculescu 1987.

    Examples
    --------
    >>> boxtimes_power_moments((1, 2, 5), sp.Symbol("T"))
    (1, T + 1, 3*T**2/2 + 5*T/2 + 1)
    """
    power = expression(exponent)
    if power.is_number and not (power.is_integer and power.is_positive):
        raise ParameterError(f"the number of factors must be a positive integer, not {exponent}")
    normalised = (sp.S.One, *s_coefficients(moments))[: len(moments)]
    shape = moments_from_s_series(power_of_series(normalised, power))
    # The mean is put back last, so that no (1/m_1)^T has to be simplified.
    mean = expression(moments[0]) if shape else sp.S.One
    return tuple(mean ** (n * power) * value for n, value in enumerate(shape, start=1))
