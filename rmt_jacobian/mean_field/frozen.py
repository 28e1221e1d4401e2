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
from rmt_jacobian.cells.activations import hard_tanh, indicator, relu
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.gaussian import NormalRule, normal_rule, piecewise_rule

__all__ = ["FrozenVariables"]

_MOST_TOGETHER = 4  # variables that one factor may read
_MOST_NODES = 40_000_000
_REACH = 13.0  # standard deviations
# exp(-e^(2 s) / 2 q) decays for |Im s| < pi/4: the error is exp(-2 pi (pi/4) / 0.2) = 2e-11.
_LOG_SPACING = 0.2
_NEGLIGIBLE = 37.0  # e^-37 is below rounding
# Preactivations of saturated gates; squares of sums over e^300 steps are still numbers.
_SATURATED = 300.0


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
        for factors in _plan(sp.sympify(expression, strict=True), random):
            total += math.prod(self._factor(factor) for factor in factors)
        return total

    def _factor(self, factor: sp.Expr) -> float:
        symbols = tuple(sorted(factor.free_symbols, key=str))
        if not symbols:
            return float(factor)
        slow, graded = _slow_and_graded(factor, symbols)
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
        smooth = not factor.has(relu, hard_tanh, indicator, sp.Abs, sp.sign)
        if symbol == self.cell.input:
            standard = (normal_rule if smooth else piecewise_rule)(0.0, 1.0)
            nodes = self.parameters.inputs.from_normal(standard.nodes)
            return self._thinned(NormalRule(nodes, standard.weights))
        k = self.cell.gates.index(symbol)
        mean, variance = self.parameters.groups[k][1].bias_mean, self.variances[k]
        if not smooth:
            return piecewise_rule(mean, variance)
        if graded and variance > 0:
            return self._thinned(_graded_rule(mean, variance, self._slowest(factor)))
        return self._thinned(normal_rule(mean, variance))

    def _slowest(self, factor: sp.Expr) -> float:
        """Return the largest preactivation that stands in a denominator."""
        slow, _ = _slow_and_graded(factor, tuple(factor.free_symbols))
        reach = [0.0]
        for k, gate in enumerate(self.cell.gates):
            if gate in slow:
                mean = abs(self.parameters.groups[k][1].bias_mean)
                reach.append(mean + _REACH * float(np.sqrt(self.variances[k])))
        return min(max(reach), _SATURATED)

    def _thinned(self, rule: NormalRule) -> NormalRule:
        if not self.thinned or rule.nodes.size == 1:
            return rule
        weights = rule.weights[::2]
        return NormalRule(rule.nodes[::2], weights / weights.sum())


def _graded_rule(mean: float, variance: float, slowest: float) -> NormalRule:
    """Return the trapezoidal rule in s for e = +- exp(s), from exp(-slowest) upwards."""
    std = np.sqrt(variance)
    high = np.log(abs(mean) + _REACH * std)
    # Thirteen standard deviations of forgetting are paid for by their own weight: what is left
    # of them below e^-37 is seen only from gates of e^slowest steps.
    low = min(np.log(std), 0.0) - _NEGLIGIBLE - slowest
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


@cache
def _plan(expression: sp.Expr, random: frozenset[sp.Symbol]) -> tuple[tuple[sp.Expr, ...], ...]:
    """Write an expression as a sum of products of factors that share no random variable."""
    if isinstance(expression, sp.Add):
        return tuple(product for term in expression.args for product in _plan(term, random))
    factors = _apart(expression, random)
    if len(factors) > 1:
        plans = [_plan(factor, random) for factor in factors]
        return tuple(reduce(lambda a, b: tuple(x + y for x in a for y in b), plans))
    if len(expression.free_symbols & random) > 1:
        expanded = sp.expand(expression, deep=False)
        if isinstance(expanded, sp.Add) and _is_simpler(expanded, expression, random):
            return _plan(expanded, random)
    return ((expression,),)


def _apart(expression: sp.Expr, random: frozenset[sp.Symbol]) -> list[sp.Expr]:
    """Group the factors of a product so that no two groups share a random variable."""
    groups: list[tuple[frozenset[sp.Basic], sp.Expr]] = []
    for factor in sp.Mul.make_args(expression):
        symbols, product, apart = factor.free_symbols & random, factor, []
        for others, other in groups:
            if symbols & others or symbols == others:
                symbols, product = symbols | others, product * other
            else:
                apart.append((others, other))
        groups = [*apart, (frozenset(symbols), product)]
    return [product for _, product in groups]


def _is_simpler(expanded: sp.Expr, whole: sp.Expr, random: frozenset[sp.Symbol]) -> bool:
    """Whether some term reads fewer variables together."""
    count = len(whole.free_symbols & random)
    return any(
        max(len(part.free_symbols & random) for part in _apart(term, random)) < count
        for term in sp.Add.make_args(expanded)
    )
