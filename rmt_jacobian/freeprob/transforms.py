r"""R- and S-transforms as exact expressions: one from the other, scaling, shift, coefficients.

.. math::
    R(w) = G^{-1}(w) - \frac{1}{w}, \qquad S(z) = \frac{1 + z}{z} \, \psi^{-1}(z), \qquad
    S\bigl(w R(w)\bigr) R(w) = 1 = R\bigl(z S(z)\bigr) S(z)

The last identity says that :math:`w \mapsto w R(w)` and :math:`z \mapsto z S(z)` are inverse to
each other; it is used in both directions.
"""

from functools import reduce

import sympy as sp

from rmt_jacobian.errors import HypothesisError, ParameterError, UndefinedTransformError
from rmt_jacobian.freeprob.power_series import (
    Scalar,
    Series,
    expression,
    multiply_series,
    power_of_series,
    tidy,
)

__all__ = [
    "r_transform_from_s_transform",
    "s_transform_from_r_transform",
    "scaled_r_transform",
    "scaled_s_transform",
    "series_of_transform",
    "shifted_r_transform",
    "shifted_s_transform",
]


def s_transform_from_r_transform(r_transform: Scalar, w: sp.Symbol, z: sp.Symbol) -> sp.Expr:
    r"""Solve for the S-transform that belongs to an algebraic R-transform.

    .. math:: z = w R(w), \quad w(0) = 0, \qquad S(z) = \frac{w(z)}{z}, \quad S(0) = \frac{1}{R(0)}

    The branch is the one analytic at zero; it is written so that no sign of a parameter matters.

    Parameters
    ----------
    r_transform : sympy.Expr
        :math:`R(w)`, rational or with square roots, analytic at zero.
    w : sympy.Symbol
        Its variable.
    z : sympy.Symbol
        The variable of the result.

    Raises
    ------
    UndefinedTransformError
        If the mean :math:`R(0)` is zero.
    HypothesisError
        If :math:`R` is not analytic at zero, or the equation is of degree above two.

    References
    ----------
    Nica & Speicher 2006, Lecture 18; Haagerup & Larsen 2000, section 2.

    Examples
    --------
    >>> w, z = sp.symbols("w z")
    >>> s_transform_from_r_transform(1 / (1 - w), w, z)  # Marchenko-Pastur of ratio 1
    1/(z + 1)
    """
    mean = _value_at_zero(expression(r_transform), w)
    if mean.is_zero:
        raise UndefinedTransformError(
            "the S-transform needs a non-zero mean; shift the law, or use its R-transform"
        )
    return _solve_reciprocal(expression(r_transform), w, z, 1 / mean)


def r_transform_from_s_transform(s_transform: Scalar, z: sp.Symbol, w: sp.Symbol) -> sp.Expr:
    r"""Solve for the R-transform that belongs to an algebraic S-transform.

    .. math:: w = z S(z), \quad z(0) = 0, \qquad R(w) = \frac{z(w)}{w}, \quad R(0) = \frac{1}{S(0)}

    Parameters
    ----------
    s_transform : sympy.Expr
        :math:`S(z)`, rational or with square roots, analytic and not zero at zero.
    z : sympy.Symbol
        Its variable.
    w : sympy.Symbol
        The variable of the result.

    Raises
    ------
    ParameterError
        If :math:`S(0)` is zero, which no law has.
    HypothesisError
        If :math:`S` is not analytic at zero, or the equation is of degree above two.

    References
    ----------
    Nica & Speicher 2006, Lecture 18; Haagerup & Larsen 2000, section 2.

    Examples
    --------
    >>> w, z = sp.symbols("w z")
    >>> r_transform_from_s_transform(1 / (1 + z) ** 2, z, w)  # Fuss-Catalan of order 2
    2/(-2*w + sqrt(1 - 4*w) + 1)
    """
    inverse_mean = _value_at_zero(expression(s_transform), z)
    if inverse_mean.is_zero:
        raise ParameterError("S(0) = 1/mean cannot be zero; check the S-transform")
    return _solve_reciprocal(expression(s_transform), z, w, 1 / inverse_mean)


def scaled_s_transform(s_transform: Scalar, factor: Scalar) -> sp.Expr:
    r"""S-transform of a multiple of a variable.

    .. math:: S_{a X}(z) = \frac{S_X(z)}{a}

    Parameters
    ----------
    s_transform : sympy.Expr
        The S-transform of :math:`X`.
    factor : sympy.Expr or number
        The factor :math:`a`, not zero.

    Raises
    ------
    UndefinedTransformError
        If the factor is zero.

    References
    ----------
    Voiculescu 1987.

    Examples
    --------
    >>> scaled_s_transform(1 / (1 + sp.Symbol("z")), 4)
    1/(4*(z + 1))
    """
    if expression(factor).is_zero:
        raise UndefinedTransformError("zero times a variable has no S-transform; scale by a != 0")
    return expression(s_transform) / expression(factor)


def scaled_r_transform(r_transform: Scalar, w: sp.Symbol, factor: Scalar) -> sp.Expr:
    r"""R-transform of a multiple of a variable.

    .. math:: R_{a X}(w) = a R_X(a w)

    Parameters
    ----------
    r_transform : sympy.Expr
        The R-transform of :math:`X`.
    w : sympy.Symbol
        Its variable.
    factor : sympy.Expr or number
        The factor :math:`a`.

    References
    ----------
    Mingo & Speicher 2017, section 2.4.

    Examples
    --------
    >>> w = sp.Symbol("w")
    >>> scaled_r_transform(w, w, 3)  # semicircle
    9*w
    """
    scale = expression(factor)
    return scale * _at(expression(r_transform), w, scale * w)


def shifted_r_transform(r_transform: Scalar, shift: Scalar) -> sp.Expr:
    r"""R-transform of a variable plus a constant.

    .. math:: R_{X + a}(w) = R_X(w) + a

    Parameters
    ----------
    r_transform : sympy.Expr
        The R-transform of :math:`X`.
    shift : sympy.Expr or number
        The constant :math:`a`.

    References
    ----------
    Mingo & Speicher 2017, section 2.4.

    Examples
    --------
    >>> shifted_r_transform(sp.Symbol("w"), 1)
    w + 1
    """
    return expression(r_transform) + expression(shift)


def shifted_s_transform(s_transform: Scalar, z: sp.Symbol, shift: Scalar) -> sp.Expr:
    r"""S-transform of a variable plus a constant, through its R-transform.

    .. math:: R_{X + a}(w) = R_X(w) + a

    Parameters
    ----------
    s_transform : sympy.Expr
        The S-transform of :math:`X`, algebraic and analytic at zero.
    z : sympy.Symbol
        Its variable, and that of the result.
    shift : sympy.Expr or number
        The constant :math:`a`.

    Raises
    ------
    UndefinedTransformError
        If the shifted variable has mean zero.
    HypothesisError
        If one of the two steps has no closed form of degree two or less.

    References
    ----------
    Nica & Speicher 2006, Lectures 12 and 18.

    Examples
    --------
    >>> z = sp.Symbol("z")
    >>> shifted_s_transform(sp.S(1), z, 1)  # the constant 2
    1/2
    """
    w = sp.Dummy("w")
    shifted = shifted_r_transform(r_transform_from_s_transform(s_transform, z, w), shift)
    return s_transform_from_r_transform(shifted, w, z)


def series_of_transform(transform: Scalar, variable: sp.Symbol, order: int) -> Series:
    r"""Taylor coefficients at zero of a transform in closed form.

    .. math:: f(z) = f_0 + f_1 z + \cdots + f_{\text{order} - 1} z^{\text{order} - 1} + \cdots

    Parameters
    ----------
    transform : sympy.Expr
        An expression analytic at zero.
    variable : sympy.Symbol
        Its variable.
    order : int
        How many coefficients, at least 0.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(f_0, \ldots, f_{\text{order} - 1})`; of an R-transform these are the free
        cumulants.

    Raises
    ------
    ParameterError
        If the order is negative.
    HypothesisError
        If the expression is not analytic at zero.

    Examples
    --------
    >>> z = sp.Symbol("z")
    >>> series_of_transform(1 / (2 * (1 + z)), z, 3)
    (1/2, -1/2, 1/2)
    """
    if order < 0:
        raise ParameterError(f"the number of coefficients must be at least 0, not {order}")
    if order == 0:
        return ()
    found = _taylor(expression(transform), variable, order)
    return found or _taylor_by_sympy(expression(transform), variable, order)


def _taylor(function: sp.Expr, variable: sp.Symbol, order: int) -> Series | None:
    """Expand sums, products and powers directly: much faster than a general-purpose series."""
    if not function.has(variable):
        return (function, *[sp.S.Zero] * (order - 1))
    if function == variable:
        return (sp.S.Zero, sp.S.One, *[sp.S.Zero] * (order - 2))[:order]
    if not isinstance(function, sp.Add | sp.Mul | sp.Pow) or _exponent(function).has(variable):
        return None
    parts = [_taylor(part, variable, order) for part in _operands(function)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if isinstance(function, sp.Add):
        return tuple(tidy(sp.Add(*column)) for column in zip(*known, strict=True))
    if isinstance(function, sp.Mul):
        return reduce(multiply_series, known)
    # Where the base vanishes the power is singular, or a removable singularity is at work.
    return None if known[0][0].is_zero else power_of_series(known[0], _exponent(function))


def _operands(function: sp.Expr) -> tuple[sp.Expr, ...]:
    operands = function.args[:1] if isinstance(function, sp.Pow) else function.args
    return tuple(operand for operand in operands if isinstance(operand, sp.Expr))


def _exponent(function: sp.Expr) -> sp.Expr:
    return function.exp if isinstance(function, sp.Pow) else sp.S.One


def _taylor_by_sympy(function: sp.Expr, variable: sp.Symbol, order: int) -> Series:
    truncated = sp.expand(sp.series(function, variable, 0, order).removeO())
    if not truncated.is_polynomial(variable):
        raise HypothesisError(f"{function} is not analytic at {variable} = 0; check the transform")
    polynomial = sp.Poly(truncated, variable)
    return tuple(polynomial.coeff_monomial(variable**k) for k in range(order))


def _at(function: sp.Expr, variable: sp.Symbol, value: sp.Expr) -> sp.Expr:
    return expression(function.subs(variable, value))


def _value_at_zero(function: sp.Expr, variable: sp.Symbol) -> sp.Expr:
    value = _at(function, variable, sp.S.Zero)
    if value is sp.nan or value.is_infinite:
        value = expression(sp.limit(function, variable, 0))
    if value is sp.nan or value.is_infinite:
        raise HypothesisError(f"{function} is not analytic at {variable} = 0; check the transform")
    return sp.simplify(value)


def _solve_reciprocal(
    function: sp.Expr, variable: sp.Symbol, target: sp.Symbol, start: sp.Expr
) -> sp.Expr:
    """Solve y f(target y) = 1 for y, with y = start where target is zero."""
    y = sp.Dummy("y")
    polynomial = _without_roots(y * _at(function, variable, target * y) - 1, y)
    factors = [sp.Poly(factor, y) for factor, _ in sp.factor_list(polynomial, y, target)[1]]
    # By the implicit function theorem the branch lies on the one factor through its start.
    through = [factor for factor in factors if _vanishes_at(factor, target, start)]
    if len(through) != 1 or through[0].degree() > 2:
        raise HypothesisError(
            "this transform has no closed form of degree two; use the series functions instead"
        )
    return _branch(through[0], target, start)


def _without_roots(equation: sp.Expr, unknown: sp.Symbol) -> sp.Expr:
    """Numerator of an equation with the roots that contain the unknown eliminated."""
    numerator = expression(sp.fraction(sp.together(equation))[0])
    degrees: dict[sp.Expr, int] = {}
    for power in numerator.atoms(sp.Pow):
        if power.base.has(unknown) and isinstance(power.exp, sp.Rational) and power.exp.q > 1:
            degrees[power.base] = sp.ilcm(degrees.get(power.base, 1), power.exp.q)
    for base, degree in degrees.items():
        root = sp.Dummy("root")
        powers = {part for part in numerator.atoms(sp.Pow) if part.base == base}
        replaced = numerator.xreplace({part: root ** (part.exp * degree) for part in powers})
        numerator = sp.resultant(
            sp.fraction(sp.together(replaced))[0],
            sp.fraction(sp.together(base - root**degree))[0],
            root,
        )
    if not numerator.is_polynomial(unknown):
        raise HypothesisError("the transform is not algebraic; use the series functions instead")
    return sp.expand(numerator)


def _vanishes_at(factor: sp.Poly, target: sp.Symbol, start: sp.Expr) -> bool:
    value = sp.simplify(factor.as_expr().subs({factor.gen: start, target: sp.S.Zero}))
    return factor.degree() > 0 and value.is_zero is True


def _branch(factor: sp.Poly, target: sp.Symbol, start: sp.Expr) -> sp.Expr:
    """Root of a polynomial of degree one or two that starts where it should."""
    *square, linear, constant = factor.all_coeffs()
    if not square:
        return sp.factor(-constant / linear)
    # At target = 0 the discriminant is the square of the slope there, whose sign picks the root.
    slope = sp.factor(_at(2 * square[0] * start + linear, target, sp.S.Zero))
    discriminant = (linear**2 - 4 * square[0] * constant) / slope**2
    collected, radicand = (
        sp.collect(sp.expand(part), target, sp.factor) for part in (linear / slope, discriminant)
    )
    return sp.factor(-2 * constant / slope) / (collected + sp.sqrt(radicand))
