r"""R- and S-transforms of laws that are one atom or two.

Parameters may be numbers or symbols.
"""

import sympy as sp

from rmt_jacobian.errors import ParameterError, UndefinedTransformError
from rmt_jacobian.freeprob.power_series import Scalar, expression

__all__ = [
    "bernoulli_r_transform",
    "bernoulli_s_transform",
    "haar_r_transform",
    "haar_s_transform",
    "nonzero_mean",
    "two_point_r_transform",
    "two_point_s_transform",
]


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
    return 1 / nonzero_mean(scale)


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
    return (1 + expression(z)) / (nonzero_mean(_weight(weight)) + expression(z))


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
    m = nonzero_mean(p * a + (1 - p) * b)
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


def nonzero_mean(value: Scalar) -> sp.Expr:
    """Return a mean as an expression, or refuse one that is 0."""
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
