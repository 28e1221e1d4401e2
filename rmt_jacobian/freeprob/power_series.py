r"""Arithmetic of truncated power series with sympy coefficients.

A series is the tuple of its coefficients, lowest order first.  The arithmetic is exact unless
floats are passed.
"""

from collections.abc import Iterable, Sequence
from typing import SupportsFloat, TypeAlias

import sympy as sp

from rmt_jacobian.errors import ParameterError

__all__ = [
    "Scalar",
    "Series",
    "expression",
    "expressions",
    "multiply_series",
    "power_of_series",
    "revert_series",
    "tidy",
]

Scalar: TypeAlias = sp.Expr | SupportsFloat
"""A sympy expression or a number."""

Series: TypeAlias = tuple[sp.Expr, ...]
"""Coefficients of a truncated power series, lowest order first."""


def expression(value: Scalar) -> sp.Expr:
    """Turn a number into a sympy expression, exactly where the number is exact."""
    converted = sp.sympify(value, strict=True)
    if not isinstance(converted, sp.Expr):
        raise ParameterError(f"{value!r} is not a number; pass a number or a sympy expression")
    return converted


def expressions(values: Iterable[Scalar]) -> Series:
    """Turn numbers into sympy expressions."""
    return tuple(expression(value) for value in values)


def tidy(value: sp.Expr) -> sp.Expr:
    """Expand a coefficient, which keeps symbolic ones short sums of monomials."""
    return value if value.is_Number else sp.expand(value)


def multiply_series(a: Sequence[Scalar], b: Sequence[Scalar]) -> Series:
    r"""Multiply two truncated power series.

    .. math:: (a b)_n = \sum_{k=0}^{n} a_k b_{n-k}

    Parameters
    ----------
    a, b : sequence of sympy.Expr or number
        Coefficients, constant term first; the result has the length of the shorter one.

    Examples
    --------
    >>> multiply_series((1, 1, 0), (1, -1, 1))
    (1, 0, 0)
    """
    left, right = expressions(a), expressions(b)
    order = min(len(left), len(right))
    return tuple(
        tidy(sp.Add(*(left[k] * right[n - k] for k in range(n + 1)))) for n in range(order)
    )


def power_of_series(a: Sequence[Scalar], exponent: Scalar) -> Series:
    r"""Raise a power series with non-zero constant term to any power, symbolic ones included.

    .. math::
        p_0 = a_0^T, \qquad
        p_n = \frac{1}{n a_0} \sum_{k=1}^{n} \bigl((T + 1) k - n\bigr) a_k \, p_{n-k}

    Parameters
    ----------
    a : sequence of sympy.Expr or number
        Coefficients, constant term first and not zero.
    exponent : sympy.Expr or number
        The power :math:`T`; with a symbol the coefficients are :math:`a_0^T` times polynomials
        in it.

    Raises
    ------
    ParameterError
        If the constant term is zero.

    References
    ----------
    Knuth 1997, "The Art of Computer Programming" vol. 2, section 4.7, eq. (9) (J. C. P. Miller).

    Examples
    --------
    >>> power_of_series((1, 1, 0), sp.Symbol("T"))
    (1, T, T**2/2 - T/2)
    """
    base, power = expressions(a), expression(exponent)
    if not base:
        return ()
    if base[0].is_zero:
        raise ParameterError(
            "a series without constant term has no such power; factor out its leading monomial"
        )
    # p_n / p_0 is computed first, so that the possibly symbolic p_0 stays out of the expansion.
    ratio = [tidy(coefficient / base[0]) for coefficient in base]
    result: list[sp.Expr] = [sp.S.One]
    for n in range(1, len(base)):
        terms = (((power + 1) * k - n) * ratio[k] * result[n - k] for k in range(1, n + 1))
        result.append(tidy(sp.Add(*terms) / n))
    leading = base[0] ** power
    return tuple(tidy(leading * coefficient) for coefficient in result)


def revert_series(coefficients: Sequence[Scalar]) -> Series:
    r"""Compositional inverse of a series without constant term.

    .. math::
        f(w) = \sum_{n \ge 1} f_n w^n, \qquad
        [z^n] f^{-1}(z) = \frac{1}{n} [w^{n-1}] \Bigl(\frac{f(w)}{w}\Bigr)^{-n}

    Parameters
    ----------
    coefficients : sequence of sympy.Expr or number
        :math:`(f_1, \ldots, f_n)`, with :math:`f_1 \ne 0`.

    Returns
    -------
    tuple of sympy.Expr
        The coefficients of :math:`z, \ldots, z^n` of the inverse.

    Raises
    ------
    ParameterError
        If :math:`f_1` is zero.

    References
    ----------
    Lagrange inversion: Stanley 1999, "Enumerative Combinatorics" vol. 2, Theorem 5.4.2.

    Examples
    --------
    >>> revert_series((1, -1, 0, 0))  # w - w^2: the Catalan numbers
    (1, 1, 2, 5)
    """
    base = expressions(coefficients)
    if base and base[0].is_zero:
        raise ParameterError(
            "a series without linear term has no inverse; its first coefficient must not be zero"
        )
    return tuple(tidy(power_of_series(base[:n], -n)[-1] / n) for n in range(1, len(base) + 1))
