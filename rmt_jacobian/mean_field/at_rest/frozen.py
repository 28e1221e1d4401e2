r"""Averages over a site at rest: independent preactivations and the input, by quadrature.

An average is split into products of factors that share no variable, and each factor is averaged by
a product of one-dimensional rules.  Slow sites need more care.  What a site accumulates, as the
cell state :math:`c = i \tanh(e_y) / (1 - f)` of an LSTM, changes sign within a distance of 1 - f
around e_y = 0, however small that is; with :math:`e_y = \pm e^s` the integrand is smooth in s at
every f, so that the trapezoidal rule keeps its exponential convergence.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, reduce

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.gaussian import NormalRule, normal_rule
from rmt_jacobian.mean_field.at_rest.site_at_rest import BEYOND_ONE
from rmt_jacobian.mean_field.averages.bends import is_gentle, is_smooth
from rmt_jacobian.mean_field.averages.factors import independent_products
from rmt_jacobian.mean_field.averages.quadrature import joint_average

__all__ = ["FrozenVariables"]

_MOST_TOGETHER = 4  # variables that one factor may read
_MOST_NODES = 40_000_000
_REACH = 13.0  # standard deviations
# exp(-e^(2 s) / 2 q) decays for |Im s| < pi/4: the error is exp(-2 pi (pi/4) / 0.2) = 2e-11.
_LOG_SPACING = 0.2
# Spacing around the edge of the spectrum, and where the Gaussian itself is the narrower.
_EDGE_SPACING, _RESOLUTION, _NEWTON_STEPS = 0.1, 0.4, 6
_NEGLIGIBLE = 37.0  # e^-37 is below rounding
# Preactivations of saturated gates; e^(2 * 340) is still a number.
_SATURATED = 340.0


@dataclass(frozen=True)
class FrozenVariables:
    r"""Independent :math:`e_k \sim N(\mu_k, q_k)` and the input, all constant in time.

    Attributes
    ----------
    cell, parameters
        Which variables, and their means.
    variances
        :math:`q_k`, one for each preactivation.
    values
        Of further symbols in the expressions.
    thinned
        Whether every other node is left out: 2^-d of the work for d variables, and about half of
        the digits.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru, sigmoid
    >>> frozen = FrozenVariables(gru, Parameters.of(gru), (1.0, 1.0, 4.0))
    >>> z, _, y = gru.gates
    >>> round(frozen.average(sigmoid(z) * (1 + y**2)), 12)
    2.5
    """

    cell: Cell
    parameters: Parameters
    variances: tuple[float, ...]
    values: Mapping[sp.Symbol, float] = field(default_factory=dict)
    thinned: bool = False

    def average(self, expression: sp.Expr) -> float:
        """Return the average of an expression in the preactivations and the input.

        Raises
        ------
        HypothesisError
            If more variables than can be integrated over are entangled in one factor.
        """
        random = frozenset((*self.cell.gates, self.cell.input))
        total = 0.0
        for factors in independent_products(sp.sympify(expression, strict=True), random):
            total += math.prod(self._factor(factor) for factor in factors)
        return total

    def _factor(self, factor: sp.Expr) -> float:
        symbols = tuple(sorted(factor.free_symbols, key=str))
        if not symbols:
            return float(factor)
        slow, graded = _slow_and_graded(factor, symbols)
        if not is_gentle(factor, denominators=True) and not (slow and is_smooth(factor)):
            return self._on_panels(factor, symbols)
        rules = [self._rule(each, factor, each in graded) for each in symbols]
        self._check(factor, rules)
        nodes = [
            np.clip(rule.nodes, -_SATURATED, _SATURATED) if each in slow else rule.nodes
            for each, rule in zip(symbols, rules, strict=True)
        ]
        axes = np.meshgrid(*nodes, indexing="ij", sparse=True)
        shape = tuple(rule.nodes.size for rule in rules)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            values = np.broadcast_to(array_function(symbols, factor)(*axes), shape)
        return float(
            reduce(lambda array, rule: np.tensordot(rule.weights, array, 1), rules, values)
        )

    def _on_panels(self, factor: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> float:
        """Average a factor with kinks, jumps or steep places."""
        laws = {each: (self.values[each], 0.0) if each in self.values else self._law(each)
                for each in symbols}  # fmt: skip
        inputs = self.parameters.inputs
        if self.cell.input in symbols and inputs.kind == "tanh":
            factor = factor.subs(self.cell.input, sp.tanh(self.cell.input))
        try:
            return joint_average(factor, laws)
        except (HypothesisError, ConvergenceError) as error:
            raise HypothesisError(
                f"{self.cell.name}: {error}; average over FixedPoint.sites instead"
            ) from error

    def _law(self, symbol: sp.Symbol) -> tuple[float, float]:
        """Return mean and variance of a preactivation, or of the variable behind the input."""
        if symbol == self.cell.input:
            return 0.0, self.parameters.inputs.gain**2
        k = self.cell.gates.index(symbol)
        return self.parameters.groups[k][1].bias_mean, self.variances[k]

    def _check(self, factor: sp.Expr, rules: list[NormalRule]) -> None:
        spread = sum(rule.nodes.size > 1 for rule in rules)
        if spread > _MOST_TOGETHER or np.prod([float(r.nodes.size) for r in rules]) > _MOST_NODES:
            raise HypothesisError(
                f"{self.cell.name}: {spread} variables are entangled in an average, more than can "
                f"be integrated over ({factor}): average over FixedPoint.sites instead"
            )

    def _rule(self, symbol: sp.Symbol, factor: sp.Expr, graded: bool) -> NormalRule:
        if symbol in self.values:
            return NormalRule(np.array([self.values[symbol]]), np.ones(1))
        if symbol == self.cell.input:
            standard = normal_rule(0.0, 1.0)
            nodes = self.parameters.inputs.from_normal(standard.nodes)
            return self._thinned(NormalRule(nodes, standard.weights))
        mean, variance = self._law(symbol)
        if graded and variance > 0:
            return self._thinned(_graded_rule(mean, variance, self._depth(factor)))
        if edge := self._edge(symbol, factor):
            return self._thinned(_edge_rule(mean, variance, edge))
        return self._thinned(normal_rule(mean, variance))

    def _edge(self, symbol: sp.Symbol, factor: sp.Expr) -> float:
        """Return the preactivation beyond which a slow gate is closer to 1 than lambda is."""
        beyond = abs(self.values.get(BEYOND_ONE, 0.0))
        slow, _ = _slow_and_graded(factor, tuple(factor.free_symbols))
        if symbol in slow and BEYOND_ONE in factor.free_symbols and 0 < beyond < 1:
            return -math.log(beyond)
        return 0.0

    def _depth(self, factor: sp.Expr) -> float:
        """Return how far below e^-37 a sign change matters, in logarithms.

        What multiplies it is bounded but for 1 / (delta + sigma(-e))^2, which is at most delta^-2
        and at most e^2 at the largest preactivation e.
        """
        if BEYOND_ONE not in factor.free_symbols:
            return 0.0
        beyond = min(1.0, abs(self.values.get(BEYOND_ONE, 0.0)))
        slow, _ = _slow_and_graded(factor, tuple(factor.free_symbols))
        reach = [0.0]
        for k, gate in enumerate(self.cell.gates):
            if gate in slow:
                mean = abs(self.parameters.groups[k][1].bias_mean)
                reach.append(mean + _REACH * math.sqrt(self.variances[k]))
        slowest = min(max(reach), _SATURATED)
        return min(slowest, -2 * math.log(beyond)) if beyond > 0 else slowest

    def _thinned(self, rule: NormalRule) -> NormalRule:
        if not self.thinned or rule.nodes.size == 1:
            return rule
        weights = rule.weights[::2]
        return NormalRule(rule.nodes[::2], weights / weights.sum())


def _edge_rule(mean: float, variance: float, edge: float) -> NormalRule:
    r"""Return the trapezoidal rule in t(e) = asinh(e) + asinh(e - edge) + asinh(e + edge).

    Its spacing is fine around 0 and around both edges, where 1 / (delta + sigma(-e)) has its poles,
    and grows in between, as that of :func:`.normal_rule` does around 0.
    """
    std = math.sqrt(variance)
    low, high = mean - _REACH * std, mean + _REACH * std
    if std == 0 or not (low < edge < high or low < -edge < high):
        return normal_rule(mean, variance)

    def t_of(e: np.ndarray) -> np.ndarray:
        return np.arcsinh(e) + np.arcsinh(e - edge) + np.arcsinh(e + edge)

    def slope(e: np.ndarray) -> np.ndarray:
        return sum(1 / np.hypot(1, e - centre) for centre in (0.0, edge, -edge))  # pyright: ignore

    ends = t_of(np.array([low, high]))
    spacing = min(_EDGE_SPACING, _RESOLUTION * std / math.hypot(1, mean))
    t = np.linspace(ends[0], ends[1], 2 * math.ceil((ends[1] - ends[0]) / spacing / 2) + 1)
    table = np.unique(np.concatenate([low + 0 * t, high + 0 * t] + [
        np.clip(centre + np.sinh(np.linspace(-20, 20, 2001)), low, high)
        for centre in (0.0, edge, -edge)
    ]))  # fmt: skip
    nodes = np.interp(t, t_of(table), table)
    for _ in range(_NEWTON_STEPS):
        nodes = np.clip(nodes - (t_of(nodes) - t) / slope(nodes), low, high)
    weights = np.exp(-0.5 * ((nodes - mean) / std) ** 2) / slope(nodes)
    return NormalRule(nodes, weights / weights.sum())


def _graded_rule(mean: float, variance: float, depth: float) -> NormalRule:
    """Return the trapezoidal rule in s for e = +- exp(s), from exp(-37 - depth) upwards."""
    std = np.sqrt(variance)
    high = np.log(abs(mean) + _REACH * std)
    low = min(np.log(std), 0.0) - _NEGLIGIBLE - depth
    count = 2 * int(np.ceil((high - low) / _LOG_SPACING / 2)) + 1
    s = np.linspace(low, high, count)
    size = np.exp(s)
    nodes = np.concatenate([size, -size])
    weights = np.exp(-0.5 * ((nodes - mean) / std) ** 2) * np.concatenate([size, size])
    return NormalRule(nodes, weights / weights.sum())


@cache
def _slow_and_graded(
    factor: sp.Expr, symbols: tuple[sp.Symbol, ...]
) -> tuple[frozenset[sp.Symbol], frozenset[sp.Symbol]]:
    """Return the variables of denominators, and those that vanish where the others do not."""
    poles = [node.base for node in factor.atoms(sp.Pow) if node.exp.could_extract_minus_sign()]
    slow = frozenset(symbol for pole in poles for symbol in pole.free_symbols)
    if not slow:
        return slow, frozenset()
    ratios = [
        numerator
        for node in sp.preorder_traversal(factor)
        for numerator, denominator in [sp.fraction(node)]
        if denominator.free_symbols & slow
    ]
    graded = frozenset(
        symbol
        for symbol in symbols
        if symbol not in slow and any(ratio.subs(symbol, 0) == 0 for ratio in ratios)
    )
    return slow, graded
