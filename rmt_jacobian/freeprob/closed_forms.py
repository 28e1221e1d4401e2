r"""R- and S-transforms of the classical laws, as exact expressions in a given variable.

Parameters may be numbers or symbols.  A scale is the mean of the law, so that every S-transform
here is :math:`1/\text{scale}` at zero, except where a law is given by its atoms.
"""

import sympy as sp

from rmt_jacobian.errors import ParameterError, UndefinedTransformError
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
    return 1 / (_mean(scale) * (1 + expression(ratio) * expression(z)))


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
    _mean(expression(rate) * expression(jump))
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


def haar_s_transform(scale: Scalar = 1) -> sp.Expr:
    r"""S-transform of :math:`W W^T` for a scaled Haar orthogonal matrix, a constant.

    .. math:: W W^T = \text{scale} \cdot 1, \qquad S(z) = \frac{1}{\text{scale}}

    Parameters
    ----------
    scale : sympy.Expr or number, default 1
        :math:`\tau(W W^T)`, not zero.

    Raises
    ------
    UndefinedTransformError
        If the scale is zero.

    References
    ----------
    Voiculescu 1987.

    Examples
    --------
    >>> haar_s_transform(4)
    1/4
    """
    return 1 / _mean(scale)


def haar_r_transform(scale: Scalar = 1) -> sp.Expr:
    r"""R-transform of :math:`W W^T` for a scaled Haar orthogonal matrix, a constant.

    .. math:: R(w) = \text{scale}

    Parameters
    ----------
    scale : sympy.Expr or number, default 1
        :math:`\tau(W W^T)`.

    References
    ----------
    Nica & Speicher 2006, Lecture 12.

    Examples
    --------
    >>> haar_r_transform(4)
    4
    """
    return expression(scale)


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
    return 1 / (_mean(variance) * (1 + expression(z)))


def bernoulli_s_transform(z: Scalar, weight: Scalar) -> sp.Expr:
    r"""S-transform of a projection.

    .. math:: S(z) = \frac{1 + z}{p + z}

    Parameters
    ----------
    z : sympy.Expr or number
        Variable.
    weight : sympy.Expr or number
        The trace :math:`p` of the projection, in :math:`(0, 1]`.

    Raises
    ------
    ParameterError
        If the weight is a number outside :math:`[0, 1]`.
    UndefinedTransformError
        If the weight is zero.

    References
    ----------
    Voiculescu 1987; Nica & Speicher 2006, Lecture 18.

    Examples
    --------
    >>> bernoulli_s_transform(sp.Symbol("z"), sp.Rational(1, 2))
    (z + 1)/(z + 1/2)
    """
    return (1 + expression(z)) / (_mean(_weight(weight)) + expression(z))


def bernoulli_r_transform(w: Scalar, weight: Scalar) -> sp.Expr:
    r"""R-transform of a projection.

    .. math::
        R(w) = \frac{w - 1 + \sqrt{(1-w)^2 + 4 p w}}{2 w}
        = \frac{2 p}{1 - w + \sqrt{(1-w)^2 + 4 p w}}, \qquad \sqrt{1} = 1

    Parameters
    ----------
    w : sympy.Expr or number
        Variable.
    weight : sympy.Expr or number
        The trace :math:`p` of the projection, in :math:`[0, 1]`.

    Raises
    ------
    ParameterError
        If the weight is a number outside :math:`[0, 1]`.

    References
    ----------
    Nica & Speicher 2006, Lectures 12 and 14 (compression by a free projection).

    Examples
    --------
    >>> bernoulli_r_transform(0, sp.Rational(1, 3))
    1/3
    """
    x, p = expression(w), _weight(weight)
    return 2 * p / (1 - x + sp.sqrt((1 - x) ** 2 + 4 * p * x))


def two_point_s_transform(z: Scalar, first: Scalar, second: Scalar, weight: Scalar) -> sp.Expr:
    r"""S-transform of the law with two atoms.

    .. math::
        \mu = p \, \delta_a + (1 - p) \, \delta_b, \qquad m = p a + (1 - p) b, \qquad
        S(z) = \frac{2 (1 + z)}
        {m + (a + b) z + m \sqrt{(1 + (a + b) z / m)^2 - 4 a b z (1 + z) / m^2}}

    The root is one at :math:`z = 0`, whatever the sign of the mean.

    Parameters
    ----------
    z : sympy.Expr or number
        Variable.
    first, second : sympy.Expr or number
        The atoms :math:`a` and :math:`b`.
    weight : sympy.Expr or number
        The mass :math:`p` of the first atom, in :math:`[0, 1]`.

    Raises
    ------
    ParameterError
        If the weight is a number outside :math:`[0, 1]`.
    UndefinedTransformError
        If the mean is zero.

    References
    ----------
    The quadratic equation :math:`\psi(\chi) = z`, from the definition of Voiculescu 1987.

    Examples
    --------
    >>> two_point_s_transform(0, 1, 3, sp.Rational(1, 2))
    1/2
    """
    x, a, b, p = expression(z), expression(first), expression(second), _weight(weight)
    m = _mean(p * a + (1 - p) * b)
    linear = 1 + (a + b) * x / m
    return 2 * (1 + x) / (m * (linear + sp.sqrt(linear**2 - 4 * a * b * x * (1 + x) / m**2)))


def two_point_r_transform(w: Scalar, first: Scalar, second: Scalar, weight: Scalar) -> sp.Expr:
    r"""R-transform of the law with two atoms.

    .. math:: R(w) = b + (a - b) R_p\bigl((a - b) w\bigr)

    Here :math:`R_p` is that of a projection, :func:`bernoulli_r_transform`.

    Parameters
    ----------
    w : sympy.Expr or number
        Variable.
    first, second, weight : sympy.Expr or number
        As in :func:`two_point_s_transform`.

    Raises
    ------
    ParameterError
        If the weight is a number outside :math:`[0, 1]`.

    References
    ----------
    Scaling and shift: Mingo & Speicher 2017, section 2.4.

    Examples
    --------
    >>> two_point_r_transform(0, 1, 3, sp.Rational(1, 2))
    2
    """
    a, b = expression(first), expression(second)
    return b + (a - b) * bernoulli_r_transform((a - b) * expression(w), weight)


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
    return 1 / (_mean(scale) * (1 + expression(z)) ** order)


def _mean(value: Scalar) -> sp.Expr:
    mean = expression(value)
    if sp.expand(mean).is_zero:
        raise UndefinedTransformError(
            "the mean is zero, so there is no S-transform; use the R-transform instead"
        )
    return mean


def _weight(value: Scalar) -> sp.Expr:
    weight = expression(value)
    if weight.is_number and not (weight.is_nonnegative and (1 - weight).is_nonnegative):
        raise ParameterError(f"a weight must lie between 0 and 1, not {value}")
    return weight
