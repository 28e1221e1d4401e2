"""Averages over the fresh variables of one step, by quadrature: gates and input are independent.

An expression is split into sums and products until every factor reads one variable, or few of them;
those are averaged by a product of one-dimensional rules.
"""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.gaussian import (
    NormalRule,
    bivariate_rule,
    normal_rule,
    piecewise_bivariate_rule,
    piecewise_rule,
)
from rmt_jacobian.mean_field.factors import independent_products, is_smooth

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
        symbols = tuple(sorted(expression.free_symbols, key=str))
        if not symbols:
            return float(expression)
        if len(symbols) > _MOST_TOGETHER:
            return None
        rules = [self._rule(symbol, is_smooth(expression)) for symbol in symbols]
        axes = np.meshgrid(*(rule.nodes for rule in rules), indexing="ij")
        weights = reduce(np.multiply.outer, (rule.weights for rule in rules))
        values = array_function(symbols, expression)(*axes) + 0 * axes[0]
        return float(np.sum(weights * values))

    def _rule(self, symbol: sp.Symbol, smooth: bool) -> NormalRule:
        rule = normal_rule if smooth else piecewise_rule
        if symbol == self.cell.input:
            inputs = self.parameters.inputs
            standard = rule(0.0, 1.0)
            return NormalRule(inputs.from_normal(standard.nodes), standard.weights)
        k = self.cell.gates.index(symbol)
        return rule(self.parameters.groups[k][1].bias_mean, self.variances[k])


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
        make = bivariate_rule if is_smooth(one * two) else piecewise_bivariate_rule
        if symbol == self.cell.input:
            inputs = self.parameters.inputs
            rule = make(0.0, 1.0, inputs.latent_correlation(self.input_correlation))
            nodes = inputs.from_normal(rule.first), inputs.from_normal(rule.second)
        else:
            k = self.cell.gates.index(symbol)
            mean = self.parameters.groups[k][1].bias_mean
            rule = make(mean, self.variances[k], self.correlations[k])
            nodes = rule.first, rule.second
        left = array_function((symbol,), one)(nodes[0])  # pyright: ignore[reportArgumentType]
        right = array_function((symbol,), two)(nodes[1])  # pyright: ignore[reportArgumentType]
        return rule.average(left * right)


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
