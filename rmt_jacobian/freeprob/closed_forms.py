r"""R- and S-transforms of the classical laws, as exact expressions in a given variable.

Parameters may be numbers or symbols.  A scale is the mean of the law, so that every S-transform
here is :math:`1/\text{scale}` at zero.  Laws that are given by their atoms are those of
:mod:`.atoms`.
"""

import sympy as sp

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob.atoms import (
    bernoulli_r_transform,
    bernoulli_s_transform,
    haar_r_transform,
    haar_s_transform,
    nonzero_mean,
    two_point_r_transform,
    two_point_s_transform,
)
from rmt_jacobian.freeprob.power_series import Scalar, expression

__all__ = [
    "bernoulli_r_transform",
    "bernoulli_s_transform",
    "free_poisson_r_transform",
    "free_poisson_s_transform",
    "fuss_catalan_s_transform",
    "haar_r_transform",
    "haar_s_transform",
    "marchenko_pastur_r_transform",
    "marchenko_pastur_s_transform",
    "semicircle_r_transform",
    "semicircle_squared_s_transform",
    "two_point_r_transform",
    "two_point_s_transform",
]


def marchenko_pastur_s_transform(z: Scalar, ratio: Scalar = 1, scale: Scalar = 1) -> sp.Expr:
    r"""S-transform of the Marchenko-Pastur law of :math:`G G^T`.

    .. math:: S(z) = \frac{1}{\text{scale} \, (1 + \text{ratio} \cdot z)}

    Parameters
    ----------
    z : sympy.Expr or number
        Variable.
    ratio : sympy.Expr or number, default 1
        :math:`N / M` for :math:`G` of shape :math:`N \times M`, at least 0.
    scale : sympy.Expr or number, default 1
        The mean: the entries of :math:`G` have variance :math:`\text{scale} / M`.

    Raises
    ------
    UndefinedTransformError
        If the scale is zero.

    References
    ----------
    Voiculescu 1987; Mingo & Speicher 2017, section 4.5.

    Examples
    --------
    >>> marchenko_pastur_s_transform(sp.Symbol("z"), ratio=2)
    1/(2*z + 1)
    """
    return 1 / (nonzero_mean(scale) * (1 + expression(ratio) * expression(z)))


def marchenko_pastur_r_transform(w: Scalar, ratio: Scalar = 1, scale: Scalar = 1) -> sp.Expr:
    r"""R-transform of the Marchenko-Pastur law of :math:`G G^T`.

    .. math::
        R(w) = \frac{\text{scale}}{1 - \text{scale} \cdot \text{ratio} \cdot w}, \qquad
        \kappa_n = \text{scale}^n \, \text{ratio}^{n-1}

    Parameters
    ----------
    w : sympy.Expr or number
        Variable.
    ratio, scale : sympy.Expr or number, default 1
        As in :func:`marchenko_pastur_s_transform`.

    References
    ----------
    Nica & Speicher 2006, Proposition 12.11 (free Poisson law).

    Examples
    --------
    >>> marchenko_pastur_r_transform(sp.Symbol("w"))
    1/(1 - w)
    """
    mean = expression(scale)
    return mean / (1 - mean * expression(ratio) * expression(w))


def free_poisson_s_transform(z: Scalar, rate: Scalar = 1, jump: Scalar = 1) -> sp.Expr:
    r"""S-transform of the free Poisson law.

    .. math:: S(z) = \frac{1}{\text{jump} \, (\text{rate} + z)}

    Parameters
    ----------
    z : sympy.Expr or number
        Variable.
    rate, jump : sympy.Expr or number, default 1
        :math:`\kappa_n = \text{rate} \cdot \text{jump}^n`, neither of them zero.  This is the
        Marchenko-Pastur law with ratio ``1/rate`` and scale ``rate * jump``.

    Raises
    ------
    UndefinedTransformError
        If the mean ``rate * jump`` is zero.

    References
    ----------
    Voiculescu 1987; Nica & Speicher 2006, Definition 12.12.

    Examples
    --------
    >>> free_poisson_s_transform(sp.Symbol("z"), rate=3)
    1/(z + 3)
    """
    nonzero_mean(expression(rate) * expression(jump))
    return 1 / (expression(jump) * (expression(rate) + expression(z)))


def free_poisson_r_transform(w: Scalar, rate: Scalar = 1, jump: Scalar = 1) -> sp.Expr:
    r"""R-transform of the free Poisson law.

    .. math:: R(w) = \frac{\text{rate} \cdot \text{jump}}{1 - \text{jump} \cdot w}

    Parameters
    ----------
    w : sympy.Expr or number
        Variable.
    rate, jump : sympy.Expr or number, default 1
        As in :func:`free_poisson_s_transform`.

    References
    ----------
    Nica & Speicher 2006, Proposition 12.11.

    Examples
    --------
    >>> free_poisson_r_transform(sp.Symbol("w"), rate=3)
    3/(1 - w)
    """
    return expression(rate) * expression(jump) / (1 - expression(jump) * expression(w))


def semicircle_r_transform(w: Scalar, variance: Scalar = 1) -> sp.Expr:
    r"""R-transform of the centred semicircle law, which has no S-transform.

    .. math:: R(w) = \text{variance} \cdot w

    Parameters
    ----------
    w : sympy.Expr or number
        Variable.
    variance : sympy.Expr or number, default 1
        Variance; the support is :math:`\pm 2 \sqrt{\text{variance}}`.

    References
    ----------
    Nica & Speicher 2006, Lecture 12.

    Examples
    --------
    >>> semicircle_r_transform(sp.Symbol("w"), 4)
    4*w
    """
    return expression(variance) * expression(w)


def semicircle_squared_s_transform(z: Scalar, variance: Scalar = 1) -> sp.Expr:
    r"""S-transform of the square of a centred semicircular variable.

    .. math:: S(z) = \frac{1}{\text{variance} \, (1 + z)}

    Parameters
    ----------
    z : sympy.Expr or number
        Variable.
    variance : sympy.Expr or number, default 1
        Variance of the variable, the mean of its square; not zero.

    Raises
    ------
    UndefinedTransformError
        If the variance is zero.

    References
    ----------
    Nica & Speicher 2006, Proposition 12.13 (the square is free Poisson of rate 1).

    Examples
    --------
    >>> semicircle_squared_s_transform(sp.Symbol("z"))
    1/(z + 1)
    """
    return 1 / (nonzero_mean(variance) * (1 + expression(z)))


def fuss_catalan_s_transform(z: Scalar, order: int, scale: Scalar = 1) -> sp.Expr:
    r"""S-transform of the product of independent square Gaussian matrices.

    .. math::
        X = (G_1 \cdots G_p) (G_1 \cdots G_p)^T, \qquad
        S(z) = \frac{1}{\text{scale} \, (1 + z)^p}

    Parameters
    ----------
    z : sympy.Expr or number
        Variable.
    order : int
        The number of factors :math:`p`, at least 0; order 1 is Marchenko-Pastur of ratio 1.
    scale : sympy.Expr or number, default 1
        The mean, not zero.

    Raises
    ------
    ParameterError
        If the order is negative or not an integer.
    UndefinedTransformError
        If the scale is zero.

    References
    ----------
    Voiculescu 1987; the moments are the Fuss-Catalan numbers, Nica & Speicher 2006, Lecture 9.

    Examples
    --------
    >>> fuss_catalan_s_transform(sp.Symbol("z"), 2)
    (z + 1)**(-2)
    """
    if order != int(order) or order < 0:
        raise ParameterError(f"the Fuss-Catalan order must be an integer >= 0, not {order}")
    return 1 / (nonzero_mean(scale) * (1 + expression(z)) ** order)
