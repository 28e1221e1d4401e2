"""Activation functions that sympy does not have, with stable numerical twins."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache, reduce
from typing import Any, TypeAlias

import scipy.special
import sympy as sp

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.errors import ParameterError, SpecificationError

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "activation_name",
    "activation_named",
    "array_erf",
    "hard_tanh",
    "in_pieces",
    "indicator",
    "relu",
    "sigmoid",
    "spelled",
    "stable_sigmoid",
    "where_positive",
]


class sigmoid(sp.Function):  # noqa: N801  (sympy functions are named like functions)
    r"""The logistic function, :math:`\sigma(x) = 1 / (1 + e^{-x})`.

    Its derivative is written in terms of itself, sigma' = sigma (1 - sigma), so that gated
    Jacobians stay polynomial in the gates.

    Examples
    --------
    >>> import sympy as sp
    >>> x = sp.Symbol("x")
    >>> sigmoid(x).diff(x)
    (1 - sigmoid(x))*sigmoid(x)
    >>> sigmoid(0)
    1/2
    """

    nargs = 1

    @classmethod
    def eval(cls, x: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the values that are known exactly."""
        if x is sp.S.Infinity:
            return sp.S.One
        if x is sp.S.NegativeInfinity:
            return sp.S.Zero
        return sp.Rational(1, 2) if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return sigma (1 - sigma)."""
        return self * (1 - self)  # pyright: ignore[reportReturnType, reportOperatorIssue]

    def _eval_rewrite_as_exp(self, x: sp.Expr, **kwargs: Any) -> sp.Expr:
        return 1 / (1 + sp.exp(-x))

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.exp)._eval_evalf(prec)  # pyright: ignore[reportAttributeAccessIssue]

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real


class _Piecewise(sp.Function):
    """A function that is made of straight pieces; nothing is known about it symbolically."""

    nargs = 1

    @classmethod
    def eval(cls, x: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the values at numbers."""
        return cls._at_number(x) if x.is_number and x.is_extended_real else None

    @classmethod
    def _at_number(cls, x: Any) -> Any:
        raise NotImplementedError

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real


class indicator(_Piecewise):  # noqa: N801
    """1 where the argument is positive, 0 elsewhere; its derivative is 0 almost everywhere.

    Examples
    --------
    >>> indicator(sp.Rational(1, 2)), indicator(-1)
    (1, 0)
    """

    @classmethod
    def _at_number(cls, x: Any) -> Any:
        return sp.S.One if x > 0 else sp.S.Zero

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return 0, the derivative almost everywhere."""
        return sp.S.Zero


class relu(_Piecewise):  # noqa: N801
    """max(x, 0).

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> relu(x).diff(x), relu(3), relu(-3)
    (indicator(x), 3, 0)
    """

    @classmethod
    def _at_number(cls, x: Any) -> Any:
        return sp.Max(x, 0)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return 1 for positive arguments and 0 for others."""
        return indicator(self.args[0])  # pyright: ignore[reportReturnType]


class hard_tanh(_Piecewise):  # noqa: N801
    """The identity on [-1, 1], constant beyond.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> hard_tanh(x).diff(x), hard_tanh(2)
    (indicator(1 - Abs(x)), 1)
    """

    @classmethod
    def _at_number(cls, x: Any) -> Any:
        return sp.Max(sp.Min(x, 1), -1)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return 1 in (-1, 1) and 0 elsewhere."""
        return indicator(1 - sp.Abs(self.args[0]))  # pyright: ignore


class where_positive(sp.Function):  # noqa: N801
    """The second argument where the first is positive, the third elsewhere.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> where_positive(x, x, 2 * x).diff(x)
    where_positive(x, 1, 2)
    >>> where_positive(-1, x, 2 * x)
    2*x
    """

    nargs = 3

    @classmethod
    def eval(cls, condition: Any, inside: Any, outside: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the piece that is meant, where that is known."""
        if inside == outside:
            return inside
        if condition.is_number and condition.is_extended_real:
            return inside if condition > 0 else outside
        return None

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        """Return the derivative almost everywhere."""
        condition, inside, outside = self.args
        return where_positive(condition, inside.diff(s), outside.diff(s))  # pyright: ignore

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(piece.is_extended_real for piece in self.args[1:]) else None


@cache
def in_pieces(expression: sp.Expr) -> sp.Expr:
    """Write the kinks and jumps of sympy's functions in those of this module.

    Their derivatives are then those almost everywhere, without delta functions, and they evaluate
    on arrays.  Values at the jumps themselves are not kept.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> in_pieces(sp.Max(x, 2)), in_pieces(sp.Abs(x)), in_pieces(sp.Heaviside(x - 1))
    (relu(x - 2) + 2, relu(-x) + relu(x), indicator(x - 1))
    >>> in_pieces(sp.Piecewise((x, x > 0), (sp.exp(x) - 1, True)))
    where_positive(x, x, exp(x) - 1)
    """
    if not expression.args:
        return expression
    if isinstance(expression, sp.Piecewise):
        result = sp.S.NaN
        for piece, condition in reversed(expression.args):  # pyright: ignore
            result = _where(condition, in_pieces(piece), result)
        return result
    args = [in_pieces(argument) for argument in expression.args]  # pyright: ignore
    match expression:
        case sp.Max():
            return reduce(lambda a, b: b + relu(a - b), sorted(args, key=lambda a: a.is_number))
        case sp.Min():
            return reduce(lambda a, b: b - relu(b - a), sorted(args, key=lambda a: a.is_number))
        case sp.Heaviside():
            return indicator(args[0])  # pyright: ignore[reportReturnType]
        case sp.sign():
            return indicator(args[0]) - indicator(-args[0])  # pyright: ignore
        case sp.Abs():
            return relu(args[0]) + relu(-args[0])  # pyright: ignore
    return expression if tuple(args) == expression.args else expression.func(*args)


def _where(condition: Any, inside: Any, outside: Any) -> Any:
    """Return the pieces of an expression by a condition, in terms of signs."""
    match condition:
        case sp.logic.boolalg.BooleanTrue():
            return inside
        case sp.logic.boolalg.BooleanFalse() | sp.Eq():
            return outside
        case sp.Gt() | sp.Ge():
            return where_positive(in_pieces(condition.lhs - condition.rhs), inside, outside)
        case sp.Lt() | sp.Le():
            return where_positive(in_pieces(condition.rhs - condition.lhs), inside, outside)
        case sp.Ne():
            return inside
        case sp.And():
            return reduce(lambda piece, part: _where(part, piece, outside), condition.args, inside)
        case sp.Or():
            return reduce(lambda rest, part: _where(part, inside, rest), condition.args, outside)
        case sp.Not():
            return _where(condition.args[0], outside, inside)
    raise SpecificationError(
        f"a piecewise function with the condition {condition} is not known: use comparisons, And, "
        "Or and Not"
    )


Activation: TypeAlias = Callable[[Any], Any]
"""From an expression to an expression, both sympy."""

ACTIVATIONS: dict[str, Activation] = {
    "tanh": sp.tanh,
    "sigmoid": sigmoid,
    "hard-tanh": hard_tanh,
    "erf": sp.erf,
    "relu": relu,
    "identity": lambda x: x,
}


_OTHER_SPELLINGS = {
    "linear": "identity",
    "hardtanh": "hard-tanh",
    "logistic": "sigmoid",
    "rectifier": "relu",
}


def spelled(what: str, name: str, known: Mapping[str, Any], others: Mapping[str, str]) -> str:
    """Return a name in the spelling of this package, whatever its case and hyphens.

    Raises
    ------
    ParameterError
        If there is nothing of that name.

    Examples
    --------
    >>> spelled("activation", "Hard_Tanh", ACTIVATIONS, {})
    'hard-tanh'
    >>> spelled("activation", "linaer", ACTIVATIONS, {"linear": "identity"})
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: unknown activation 'linaer': did you mean linear?
    """
    plain = str(name).strip().lower().replace("_", "-").replace(" ", "-")
    found = others.get(plain, plain)
    if found not in known:
        close = get_close_matches(plain, [*known, *others], n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise ParameterError(f"unknown {what} {name!r}: {hint}")
    return found


def activation_name(name: str) -> str:
    """Return the name of an activation as it is spelled here.

    Examples
    --------
    >>> activation_name("linear"), activation_name("hard_tanh")
    ('identity', 'hard-tanh')
    """
    return spelled("activation", name, ACTIVATIONS, _OTHER_SPELLINGS)


@named_arguments
def activation_named(activation: str | Activation) -> Activation:
    """Return an activation by its name; a function is returned as it is.

    Raises
    ------
    ParameterError
        If there is none of that name.

    Examples
    --------
    >>> activation_named("relu")(sp.Symbol("x"))
    relu(x)
    """
    if callable(activation):
        return activation
    return ACTIVATIONS[activation_name(activation)]


def stable_sigmoid(x: Any) -> Any:
    """Evaluate the logistic function on an array without overflow, in any namespace.

    Examples
    --------
    >>> import numpy as np
    >>> stable_sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    xp = array_namespace(x)
    decay = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.ones_like(decay), decay) / (1 + decay)


def array_erf(x: Any) -> Any:
    """Evaluate the error function on an array; the array API has none.

    Examples
    --------
    >>> import numpy as np
    >>> array_erf(np.zeros(2))
    array([0., 0.])
    """
    xp = array_namespace(x)
    if "cupy" in xp.__name__:
        import cupyx.scipy.special  # pyright: ignore[reportMissingImports]

        return cupyx.scipy.special.erf(x)
    return xp.asarray(scipy.special.erf(to_numpy(x)), dtype=x.dtype)
