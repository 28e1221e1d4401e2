"""Averages over the fresh variables of one step, by quadrature: gates and input are independent.

An expression is split into sums and products until every factor reads one variable, or few of them;
those are averaged by a product of one-dimensional rules.
"""

import math
from dataclasses import dataclass

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.mean_field.factors import independent_products
from rmt_jacobian.mean_field.quadrature import joint_average, pair_expression_average

__all__ = ["FreshPairs", "FreshVariables"]

_MOST_TOGETHER = 3  # variables that one factor may read


@dataclass(frozen=True)
class FreshVariables:
    r"""Independent :math:`e_k \sim N(\mu_k, q_k)` and the input of one step.

    Attributes
    ----------
    cell, parameters
        Which variables, and their means.
    variances
        :math:`q_k`, one for each preactivation.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru, sigmoid
    >>> fresh = FreshVariables(gru, Parameters.of(gru), (1.0, 1.0, 4.0))
    >>> z, _, y = gru.gates
    >>> round(fresh.average(sigmoid(z) * (1 + y**2)), 12)
    2.5
    """

    cell: Cell
    parameters: Parameters
    variances: tuple[float, ...]

    def average(self, expression: sp.Expr) -> float | None:
        """Return the average of an expression in gates and input; None if it is too entangled."""
        random, total = frozenset((*self.cell.gates, self.cell.input)), 0.0
        for factors in independent_products(sp.sympify(expression, strict=True), random):
            averages = [self._factor(factor) for factor in factors]
            known = [average for average in averages if average is not None]
            if len(known) < len(averages):
                return None
            total += math.prod(known)
        return total

    def averages(self, expressions: list[sp.Expr]) -> np.ndarray | None:
        """Return the averages of several expressions; None if any is too entangled."""
        values = [self.average(expression) for expression in expressions]
        known = [value for value in values if value is not None]
        return np.array(known) if len(known) == len(values) else None

    def _factor(self, expression: sp.Expr) -> float | None:
        symbols = expression.free_symbols
        if len(symbols) > _MOST_TOGETHER:
            return None
        laws = {
            symbol: _law(self.cell, self.parameters, self.variances, symbol) for symbol in symbols
        }
        try:
            return joint_average(_in_normal_variables(expression, self.parameters, self.cell), laws)
        except HypothesisError:
            return None
        except ConvergenceError:
            if len(symbols) == 1:
                raise
            return None


def _law(
    cell: Cell, parameters: Parameters, variances: tuple[float, ...], symbol: sp.Basic
) -> tuple[float, float]:
    """Return mean and variance of a preactivation, or of the variable behind the input."""
    if symbol == cell.input:
        return 0.0, parameters.inputs.gain**2
    k = cell.gates.index(symbol)
    return parameters.groups[k][1].bias_mean, variances[k]


def _in_normal_variables(expression: sp.Expr, parameters: Parameters, cell: Cell) -> sp.Expr:
    """Write an input that is the tanh of a Gaussian variable as such."""
    if parameters.inputs.kind == "gaussian":
        return expression
    return expression.subs(cell.input, sp.tanh(cell.input))


@dataclass(frozen=True)
class FreshPairs:
    r"""The fresh variables of one step in two networks that share W, V and b.

    Attributes
    ----------
    cell, parameters, variances
        As in :class:`FreshVariables`; both networks have the same law.
    correlations
        Of the preactivations, one for each.
    input_correlation
        Of the inputs.
    """

    cell: Cell
    parameters: Parameters
    variances: tuple[float, ...]
    correlations: tuple[float, ...]
    input_correlation: float

    def average(self, first: sp.Expr, second: sp.Expr) -> float | None:
        """Return E[f(1) g(2)] of two expressions; None if they are too entangled."""
        random, total = frozenset((*self.cell.gates, self.cell.input)), 0.0
        for left in _separate_terms(first, random):
            for right in _separate_terms(second, random):
                product = 1.0
                for symbol in {*left, *right}:
                    one, two = left.get(symbol, sp.S.One), right.get(symbol, sp.S.One)
                    if len(symbol) > 1:
                        return None
                    product *= self._pair(symbol, one, two)
                total += product
        return total

    def averages(self, pairs: list[tuple[sp.Expr, sp.Expr]]) -> np.ndarray | None:
        """Return the averages of several products; None if any is too entangled."""
        values = [self.average(*pair) for pair in pairs]
        known = [value for value in values if value is not None]
        return np.array(known) if len(known) == len(values) else None

    def _pair(self, symbols: frozenset[sp.Basic], one: sp.Expr, two: sp.Expr) -> float:
        if not symbols:
            return float(one * two)
        (symbol,) = symbols
        law = _law(self.cell, self.parameters, self.variances, symbol)
        if symbol == self.cell.input:
            correlation = self.parameters.inputs.latent_correlation(self.input_correlation)
        else:
            correlation = self.correlations[self.cell.gates.index(symbol)]
        left, right = (_in_normal_variables(f, self.parameters, self.cell) for f in (one, two))
        return pair_expression_average(left, right, symbol, *law, correlation)


def _separate_terms(
    expression: sp.Expr, random: frozenset[sp.Symbol]
) -> list[dict[frozenset[sp.Basic], sp.Expr]]:
    """Write an expression as a sum of products, each a factor by the variables it reads."""
    terms = []
    for factors in independent_products(sp.sympify(expression, strict=True), random):
        parts: dict[frozenset[sp.Basic], sp.Expr] = {}
        for factor in factors:
            key = frozenset(factor.free_symbols & random)
            parts[key] = sp.Mul(parts.get(key, sp.S.One), factor)
        terms.append(parts)
    return terms
