"""Averages over the fresh variables of one step, in one network or in two that share their weights.

An expression is split into sums and products until every factor reads one variable, or few of them;
those are averaged by a product of one-dimensional rules.  Factors that entangle more variables are
averaged over independent low-discrepancy point sets, whose scatter tells how good they are.

Biases that are frozen shift the means of the fresh variables; every average is then one for each
value of them.
"""

import itertools
import math
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, reduce
from typing import Any

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, array_function, derivative
from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.mean_field.averages.bends import is_gentle
from rmt_jacobian.mean_field.averages.factors import (
    Combination,
    joint_products,
    merged_variables,
)
from rmt_jacobian.mean_field.averages.jumps import jumps_by
from rmt_jacobian.mean_field.averages.low_discrepancy import PointSets
from rmt_jacobian.mean_field.averages.quadrature import (
    joint_average,
    pair_slope_parts,
)
from rmt_jacobian.mean_field.averages.variable_averages import VariableAverages, VariableLaw

__all__ = ["FreshVariables"]

_MOST_TOGETHER = 3  # variables of a product of rules
_MOST_NODES = 4_000_000
_FEWEST = 8  # points of a set for each frozen bias


@dataclass(frozen=True, eq=False)
class FreshVariables:
    r"""Independent :math:`e_k \sim N(\mu_k, q_k)` and the input of one step.

    Attributes
    ----------
    cell, parameters
        Which variables, and their means.
    variances
        :math:`q_k`, one for each preactivation.
    correlations
        Of the preactivations in two networks that share W, V and b; None for one network, or two
        that see the same.
    input_correlation
        Of the inputs of the two.
    biases
        Added to the means, shape (preactivations, replicates or 1, biases); by default 0.
    points
        For what entangles many variables.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru, sigmoid
    >>> fresh = FreshVariables(gru, Parameters.of(gru), (1.0, 1.0, 4.0))
    >>> z, _, y = gru.gates
    >>> fresh.average(sigmoid(z) * (1 + y**2)).round(12)
    array([[2.5]])
    """

    cell: Cell
    parameters: Parameters
    variances: tuple[float, ...]
    correlations: tuple[float, ...] | None = None
    input_correlation: float = 1.0
    biases: np.ndarray | None = None
    points: PointSets = field(default_factory=PointSets)
    _known: dict[Any, np.ndarray] = field(default_factory=dict)

    @cached_property
    def _single(self) -> VariableAverages:
        return VariableAverages(self.cell, self.parameters)

    def average(self, expression: sp.Expr) -> np.ndarray:
        """Return the average of an expression in gates and input, shape (R or 1, biases)."""
        return self._products(joint_products((expression,), self._random, self._gaussian))

    def product(self, first: sp.Expr, second: sp.Expr) -> np.ndarray:
        """Return E[f(1) g(2)] of two expressions, shape (R or 1, biases)."""
        if self.correlations is None:
            return self.average(_times(first, second))
        return self._products(joint_products((first, second), self._random, self._gaussian))

    def without_biases_for(self, expressions: tuple[sp.Expr, ...]) -> "FreshVariables":
        """Return the same, without frozen biases where the expressions feel none of them."""
        if self.biases is None:
            return self
        read = {symbol for expression in expressions for symbol in expression.free_symbols}
        if any(np.any(self.biases[k]) for k, gate in enumerate(self.cell.gates) if gate in read):
            return self
        return replace(self, biases=None, _known={})

    def outer(
        self, first: tuple[sp.Expr, ...], second: tuple[sp.Expr, ...] | None = None
    ) -> np.ndarray:
        """Return E[f_i(1) g_j(2)], shape (R or 1, biases, i, j); by default g = f."""
        same, second = second is None or second == first, second or first
        found: list[list[Any]] = [[0.0] * len(second) for _ in first]
        for i, left in enumerate(first):
            for j, right in enumerate(second):
                if left == 0 or right == 0:
                    continue
                # Both networks have the same law.
                found[i][j] = found[j][i] if same and j < i else self.product(left, right)
        return stacked(found, self.shape)

    def outer_slopes(
        self, functions: tuple[sp.Expr, ...], derivatives: tuple[sp.Expr, ...], gate: sp.Symbol
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Return the slopes of E[f_i(1) f_j(2)] by the covariance of a preactivation in both.

        By Price's theorem :math:`E[f_i' f_j']`, where jumps of f are delta functions of f'.

        Parameters
        ----------
        functions, derivatives
            f_i, and f_i' by that preactivation almost everywhere.
        gate
            Which.

        Returns
        -------
        finite, met
            Shape (R or 1, biases, i, j): all that is finite, and the weight of the jumps that fully
            correlated networks meet together, which multiplies a delta function of 0.
        """
        count = len(functions)
        jumps = [jumps_by(f, gate) for f in functions]
        finite: list[list[Any]] = [[0.0] * count for _ in functions]
        met: list[list[Any]] = [[0.0] * count for _ in functions]
        for i, j in itertools.product(range(count), range(count)):
            if j < i:
                finite[i][j], met[i][j] = finite[j][i], met[j][i]
            elif jumps[i] or jumps[j]:
                finite[i][j], met[i][j] = self._slope(functions[i], functions[j], gate)
            elif derivatives[i] != 0 and derivatives[j] != 0:
                finite[i][j] = self.product(derivatives[i], derivatives[j])
        return stacked(finite, self.shape), stacked(met, self.shape)

    def _slope(self, first: sp.Expr, second: sp.Expr, gate: sp.Symbol) -> tuple[Any, Any]:
        """Return the parts of the slope of E[f(1) g(2)] by the covariance of a preactivation."""
        finite, met = np.zeros(self.shape), np.zeros(self.shape)
        for factors in joint_products((first, second), self._random, self._gaussian):
            own = [sides for sides in factors if all(gate in side.free_symbols for side in sides)]
            if not own:  # at most one of the networks reads it
                continue
            share = math.prod(self._factor(sides) for sides in factors if sides not in own)
            f, g = own[0]
            parts = self._slope_of_factor(f, g, gate)
            finite, met = finite + share * parts[0], met + share * parts[1]
        return finite, met

    def _slope_of_factor(self, f: sp.Expr, g: sp.Expr, gate: sp.Symbol) -> tuple[Any, Any]:
        """Do the same for factors whose variables do not come apart."""
        if not (jumps_by(f, gate) or jumps_by(g, gate)):
            return self._factor((derivative(f, gate), derivative(g, gate))), 0.0
        sides, merged = merged_variables((f, g), self._gaussian)
        symbols = tuple(sorted(_variables(sides), key=str))
        (place,) = [k for k, s in enumerate(symbols) if gate in dict(merged.get(s, ((s, 1),)))]
        scale = float(dict(merged.get(symbols[place], ((gate, 1),)))[gate]) ** 2
        laws = [self._law(symbol, merged) for symbol in symbols]
        own = laws[place]
        if len(symbols) == 1:
            means, places = np.unique(own.means, return_inverse=True)
            at = (own.variance, own.correlation)
            parts = [pair_slope_parts(*sides, symbols[0], float(mean), *at) for mean in means]
            finite, met = scale * np.array(parts)[places].T.reshape(2, *own.means.shape)
            return finite, met
        if own.variance == 0 or abs(own.correlation) == 1:
            return 0.0, float(f == g)  # infinite, whatever the weight
        functions = [array_function(symbols, side) for side in sides]
        return scale * self._of_many(laws, functions, slope_by=place), 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """(R or 1, biases)."""
        return (1, 1) if self.biases is None else self.biases.shape[1:]  # pyright: ignore

    @cached_property
    def _random(self) -> frozenset[sp.Symbol]:
        return frozenset((*self.cell.gates, self.cell.input))

    @cached_property
    def _gaussian(self) -> frozenset[sp.Symbol]:
        if self.parameters.input_kind == "gaussian":
            return self._random
        return frozenset(self.cell.gates)

    def _products(self, terms: tuple[tuple[tuple[sp.Expr, ...], ...], ...]) -> np.ndarray:
        total = np.zeros(self.shape)
        for factors in terms:
            total = total + math.prod(self._factor(factor) for factor in factors)
        return total

    def _factor(self, sides: tuple[sp.Expr, ...]) -> Any:
        """Return the average of f, or of f(1) g(2), whose variables do not come apart."""
        if not _variables(sides):
            return float(math.prod(sides))
        if sides not in self._known:
            self._known[sides] = self._quadrature(sides)
        return self._known[sides]

    def _quadrature(self, sides: tuple[sp.Expr, ...]) -> np.ndarray:
        sides, merged = merged_variables(sides, self._gaussian)
        symbols = tuple(sorted(_variables(sides), key=str))
        laws = [self._law(symbol, merged) for symbol in symbols]
        if len(symbols) == 1:
            return self._single.averages(symbols[0], laws[0], sides)
        fixed = all(law.means.size == 1 for law in laws)
        if len(sides) == 1 and len(symbols) <= _MOST_TOGETHER and fixed:
            known = self._of_few(sides[0], symbols, laws)
            if known is not None:
                return known
        return self._of_many(laws, [array_function(symbols, side) for side in sides])

    def _of_few(
        self, side: sp.Expr, symbols: tuple[sp.Symbol, ...], laws: list[VariableLaw]
    ) -> np.ndarray | None:
        """Average over a product of rules or over panels; None where it takes too many nodes."""
        if not is_gentle(side):
            at = {
                v: (float(w.means.flat[0]), self._single.variance(w))
                for v, w in zip(symbols, laws, strict=True)
            }
            try:
                return np.full((1, 1), joint_average(self._single.in_normal_variables(side), at))
            except (HypothesisError, ConvergenceError):
                return None
        rules = [self._single.rule(*both) for both in zip(symbols, laws, strict=True)]
        shape = tuple(rule.nodes.size for rule in rules)
        if math.prod(shape) > _MOST_NODES:
            return None
        axes = np.meshgrid(*(rule.nodes for rule in rules), indexing="ij", sparse=True)
        values = np.broadcast_to(array_function(symbols, side)(*axes), shape)
        return np.full((1, 1), _contracted(values, [rule.weights for rule in rules]))

    def _law(self, symbol: sp.Symbol, merged: dict[sp.Symbol, Combination]) -> VariableLaw:
        if symbol in merged:
            parts = [(self._law(v, merged), float(a)) for v, a in merged[symbol]]
            means = sum(a * law.means for law, a in parts)
            variance = sum(a * a * law.variance for law, a in parts)
            shared = sum(a * a * law.variance * law.correlation for law, a in parts)
            correlation = shared / variance if variance else 1.0
            return VariableLaw(np.asarray(means), variance, min(1.0, max(-1.0, correlation)))
        if symbol == self.cell.input:
            inputs = self.parameters.inputs
            latent = inputs.latent_correlation(self.input_correlation)
            if self.parameters.input_kind == "gaussian":
                return VariableLaw(np.zeros((1, 1)), inputs.variance, latent)
            return VariableLaw(np.zeros((1, 1)), 1.0, latent, is_input=True)
        k = self.cell.gates.index(symbol)
        means = np.full((1, 1), self.parameters.groups[k][1].bias_mean)
        if self.biases is not None and np.any(self.biases[k]):
            means = means + self.biases[k]
        correlation = 1.0 if self.correlations is None else self.correlations[k]
        return VariableLaw(means, self.variances[k], correlation)

    def _of_many(
        self, laws: list[VariableLaw], functions: list[Any], *, slope_by: int | None = None
    ) -> np.ndarray:
        r"""Average over the point sets; every frozen bias meets points of its own.

        The slope by a covariance is the average with the logarithmic derivative of the density,
        which sees jumps: with :math:`e_1 = \sqrt q a, e_2 = c e_1 + \sqrt{q (1 - c^2)} b`,

        .. math:: \partial E[f g] / \partial (q c)
                  = E\bigl[f g \, (c (1 - b^2) + \sqrt{1 - c^2} \, a b)\bigr] / (q (1 - c^2)) .
        """
        biases = max(law.means.shape[1] for law in laws)
        count = max(_FEWEST, 2 ** round(math.log2(self.points.count / biases)))
        z = self.points.normals(len(functions) * len(laws), count * biases)
        z = z.reshape(*z.shape[:2], biases, count)
        axes: list[list[np.ndarray]] = [[], []]
        for i, law in enumerate(laws):
            first = z[:, i]
            both = [first]
            if len(functions) == 2:
                c = law.correlation
                both.append(c * first + math.sqrt((1 - c) * (1 + c)) * z[:, len(laws) + i])
            for side, normal in zip(axes, both, strict=False):
                value = law.means[..., None] + math.sqrt(law.variance) * normal
                of = self.parameters.inputs.from_normal
                side.append(of(normal) if law.is_input else value)
        values = [function(*side) for function, side in zip(functions, axes, strict=False)]
        if slope_by is not None:
            law, a, b = laws[slope_by], z[:, slope_by], z[:, len(laws) + slope_by]
            rest = (1 - law.correlation) * (1 + law.correlation)
            score = law.correlation * (1 - b * b) + math.sqrt(rest) * a * b
            values.append(score / (law.variance * rest))
        shape = np.broadcast_shapes(*(axis.shape for side in axes for axis in side))
        return np.broadcast_to(math.prod(values), shape).mean(axis=-1)


def _variables(sides: tuple[sp.Expr, ...]) -> frozenset[Any]:
    return frozenset().union(*(side.free_symbols for side in sides))


def stacked(table: list[list[Any]], shape: tuple[int, int]) -> np.ndarray:
    """Return a table of averages as one array, shape (R or 1, biases, rows, columns)."""
    arrays = [[np.asarray(entry) for entry in row] for row in table]
    shape = np.broadcast_shapes(shape, *(a.shape for row in arrays for a in row if a.ndim))
    found = np.zeros((*shape, len(arrays), len(arrays[0]) if arrays else 0))
    for i, row in enumerate(arrays):
        for j, entry in enumerate(row):
            if entry.ndim or entry:
                found[..., i, j] = entry
    return found


def _contracted(values: np.ndarray, weights: list[np.ndarray]) -> float:
    return float(reduce(lambda array, each: np.tensordot(each, array, 1), weights, values))


@lru_cache(maxsize=4096)
def _times(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    return sp.Mul(first, second)
