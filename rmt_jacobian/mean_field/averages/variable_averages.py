"""Averages over one fresh variable, or over a pair of two networks, at many means.

Functions that turn slowly are averaged on the graded nodes of a rule, those that bend, jump or are
steep on panels.  Where the means are many, as with frozen biases of many sites, most of them are
interpolated.
"""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.gaussian import BivariateRule, NormalRule, bivariate_rule, normal_rule
from rmt_jacobian.gaussian_many import ManyAverages, PairOfFunctions, averages_at
from rmt_jacobian.gaussian_pairs import GaussianFunction
from rmt_jacobian.gaussian_panels import REACH
from rmt_jacobian.interpolation import interpolated
from rmt_jacobian.mean_field.averages.bends import is_gentle
from rmt_jacobian.mean_field.averages.quadrature import (
    expression_average,
    gaussian_function,
    pair_expression_average,
)
from rmt_jacobian.mean_field.averages.waves import waves_in

__all__ = ["VariableAverages", "VariableLaw"]

_SEVERAL, _EXACT = 8, 1e-11  # means that are taken together, and the errors that they may have
_EXACT_PAIR = 1e-9  # of two networks, where f, g and the density are all steep
_NEGLIGIBLE = 1e-26  # error of a moment beside the largest, of which the root loses no digit
_MANY, _BETWEEN = 256, 1e-12  # means beyond which averages are interpolated, and how well


@dataclass(frozen=True)
class VariableLaw:
    """The law of one variable: Gaussian of given means, one for each frozen bias, or the input.

    Attributes
    ----------
    means
        Shape (R or 1, biases).
    variance, correlation
        Of the variable, or of the Gaussian one behind the input; and of two networks.
    is_input
        Whether it is an input that is no Gaussian variable.
    """

    means: np.ndarray
    variance: float
    correlation: float
    is_input: bool = False


@dataclass(frozen=True, eq=False)
class VariableAverages:
    """Averages over single variables of a cell, whose rules are kept.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn, sigmoid
    >>> (e,) = minimalrnn.gates
    >>> law = VariableLaw(np.zeros((1, 1)), 4.0, 1.0)
    >>> VariableAverages(minimalrnn, Parameters.of(minimalrnn)).averages(e, law, (sigmoid(e),))
    array([[0.5]])
    """

    cell: Cell
    parameters: Parameters
    _rules: dict[Any, Any] = field(default_factory=dict)

    def in_normal_variables(self, side: sp.Expr) -> sp.Expr:
        """Write an input that is the tanh of a Gaussian variable as such."""
        if self.parameters.input_kind == "gaussian":
            return side
        return side.xreplace({self.cell.input: sp.tanh(self.cell.input)})

    def variance(self, law: VariableLaw) -> float:
        """Return the variance of the variable, or of the Gaussian one behind the input."""
        return self.parameters.inputs.gain**2 if law.is_input else law.variance

    def rule(self, symbol: sp.Symbol, law: VariableLaw, mean: float | None = None) -> NormalRule:
        """Return nodes and weights at one mean, by default the first."""
        mean = float(law.means.flat[0]) if mean is None else mean
        key = (symbol, mean, law.variance)
        if key not in self._rules:
            rule = normal_rule(mean, law.variance)
            if law.is_input:
                rule = NormalRule(self.parameters.inputs.from_normal(rule.nodes), rule.weights)
            self._rules[key] = rule
        return self._rules[key]

    def _pair(self, symbol: sp.Symbol, law: VariableLaw, mean: float) -> BivariateRule:
        key = (symbol, mean, law.variance, law.correlation)
        if key not in self._rules:
            rule = bivariate_rule(mean, law.variance, law.correlation)
            if law.is_input:
                of = self.parameters.inputs.from_normal
                rule = BivariateRule(of(rule.first), of(rule.second), rule.weights)
            self._rules[key] = rule
        return self._rules[key]

    def averages(
        self, symbol: sp.Symbol, law: VariableLaw, sides: tuple[sp.Expr, ...]
    ) -> np.ndarray:
        """Return the averages of f, or of f(1) g(2), at all means: shape (R or 1, biases)."""
        means, places = np.unique(law.means, return_inverse=True)
        if not all(side.free_symbols for side in sides):  # each network has the same law
            sides = (sp.Mul(*sides),)
        if all(map(is_gentle, sides)):
            averages = partial(self._on_nodes, symbol, law, sides)
        else:
            sides = self._on_one_variable(law, sides)
            known = _of_waves(symbol, sides, means, self.variance(law), law.correlation)
            if known is not None:
                return known[places].reshape(law.means.shape)
            pair = self._pair_of_functions(symbol, law, sides, means)
            averages = partial(self._on_panels, symbol, law, sides, pair)
        many = len(means) > _MANY and law.variance > 0
        if many:
            values = interpolated(averages, means, tolerance=_BETWEEN)
        else:
            values, _ = averages(means)
        return values[places].reshape(law.means.shape)

    def _on_nodes(
        self, symbol: sp.Symbol, law: VariableLaw, sides: tuple[sp.Expr, ...], means: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Average over one variable, or one pair of them, of each mean: all nodes at once.

        Returns
        -------
        tuple
            The averages, and those of the absolute value.
        """
        functions = [array_function((symbol,), side) for side in sides]
        if len(functions) == 1:
            rules = [self.rule(symbol, law, mean) for mean in means.tolist()]
            values = _together(functions[0], [rule.nodes for rule in rules])
            return _sums([rule.weights for rule in rules], values)
        pairs = [self._pair(symbol, law, mean) for mean in means.tolist()]
        values = _together(functions[1], [pair.second for pair in pairs])
        own = _together(functions[0], [pair.first for pair in pairs])
        along = [len(row) for pair in pairs for row in pair.second]
        return _sums([pair.weights for pair in pairs], values * np.repeat(own, along))

    def _on_one_variable(self, law: VariableLaw, sides: tuple[sp.Expr, ...]) -> tuple[sp.Expr, ...]:
        """Write functions of normal variables, and one function of networks that are one."""
        sides = tuple(self.in_normal_variables(side) for side in sides)
        return (sp.Mul(*sides),) if len(sides) == 2 and law.correlation == 1 else sides

    def _on_panels(
        self,
        symbol: sp.Symbol,
        law: VariableLaw,
        sides: tuple[sp.Expr, ...],
        pair: PairOfFunctions | None,
        means: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Average functions that bend, jump or are steep; also return about E|f|."""
        variance, c = self.variance(law), law.correlation
        found, known = np.zeros(len(means)), np.zeros(len(means), dtype=bool)
        sizes = np.zeros(len(means))
        if len(means) >= _SEVERAL and variance > 0 and (pair or len(sides) == 1):
            if pair:
                many = pair.averages(means)
                enough = np.maximum(_EXACT_PAIR * many.sizes, _NEGLIGIBLE * pair.largest)
            else:
                many = self._of_many_means(symbol, sides[0], means, variance)
                enough = _EXACT * many.sizes
            found, known = many.values, many.errors <= enough
            sizes = np.where(np.isfinite(many.sizes), many.sizes, 0.0)
        for i in np.flatnonzero(~known).tolist():
            mean = float(means[i])
            if len(sides) == 1:
                found[i] = expression_average(sides[0], symbol, mean, variance)
            else:
                found[i] = pair_expression_average(*sides, symbol, mean, variance, c)
        return found, sizes

    def _pair_of_functions(
        self, symbol: sp.Symbol, law: VariableLaw, sides: tuple[sp.Expr, ...], means: np.ndarray
    ) -> PairOfFunctions | None:
        """Return both functions where averages over two networks are asked for at many means."""
        variance, c = self.variance(law), law.correlation
        if len(sides) == 1 or abs(c) == 1 or not variance or len(means) < _SEVERAL:
            return None
        one, two = (self._seen_from_all(symbol, side, means, variance) for side in sides)
        ends = float(means.min()), float(means.max())
        bends, std = (one.bends, two.bends), math.sqrt(variance)
        return PairOfFunctions(one.function, two.function, bends, ends, std, c)

    def _of_many_means(
        self, symbol: sp.Symbol, side: sp.Expr, means: np.ndarray, variance: float
    ) -> ManyAverages:
        """Return averages at all means together, however large their errors are."""
        known = self._seen_from_all(symbol, side, means, variance)
        return averages_at(known.function, means, math.sqrt(variance), known.bends)

    @staticmethod
    def _seen_from_all(
        symbol: sp.Symbol, side: sp.Expr, means: np.ndarray, variance: float
    ) -> GaussianFunction:
        """Return a function whose bends are sought where any of the means reaches."""
        middle, reach = (float(means.min()) + float(means.max())) / 2, float(np.ptp(means)) / 2
        return gaussian_function(side, symbol, middle, (math.sqrt(variance) + reach / REACH) ** 2)


def _together(function: Any, nodes: list[np.ndarray]) -> np.ndarray:
    """Return a function at the nodes of many rules, one after the other."""
    at = np.concatenate([each.ravel() for each in nodes])
    return np.broadcast_to(function(at), at.shape)


def _sums(weights: list[np.ndarray], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted sums of values at the nodes of many rules, and of absolute values."""
    sizes = np.array([each.size for each in weights])
    weighted = values * np.concatenate([each.ravel() for each in weights])
    first = np.cumsum(sizes) - sizes
    return np.add.reduceat(weighted, first), np.add.reduceat(np.abs(weighted), first)


def _of_waves(
    symbol: sp.Symbol, sides: tuple[sp.Expr, ...], means: np.ndarray, variance: float, c: float
) -> np.ndarray | None:
    """Return averages of sines and cosines of a wide variable; None of anything else."""
    waves = [found for side in sides if (found := waves_in(side, symbol))]
    if len(waves) < len(sides) or not all(each.serve(means, variance) for each in waves):
        return None
    if len(waves) == 1:
        return waves[0].averages(means, variance)
    return waves[0].pair_averages(waves[1], means, variance, c)
