"""Activation functions that sympy does not have, with stable numerical twins."""

from typing import Any

import sympy as sp

from rmt_jacobian.arrays import array_namespace

__all__ = ["sigmoid", "stable_sigmoid"]


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
    return xp.where(x >= 0, 1 / (1 + decay), decay / (1 + decay))
