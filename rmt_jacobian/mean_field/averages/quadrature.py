"""Averages of expressions over Gaussian variables; the rule follows from the expression.

What is made of tanh(e), sigmoid(e) and powers is integrated by the graded nodes of
:mod:`rmt_jacobian.gaussian`, all else by panels that end where the expression bends and are halved
until they are good enough (:mod:`rmt_jacobian.gaussian_panels`), and for two correlated variables
by Hermite series where those converge (:mod:`rmt_jacobian.gaussian_pairs`).
"""

import math
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from itertools import permutations
from typing import NamedTuple, TypeAlias

import numpy as np
import sympy as sp

from rmt_jacobian.cells import array_function
from rmt_jacobian.cells.activations import in_pieces
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.gaussian import bivariate_rule, normal_rule
from rmt_jacobian.gaussian_nested import Level, nested_average
from rmt_jacobian.gaussian_pairs import GaussianFunction, pair_average
from rmt_jacobian.gaussian_panels import PROMISE, panel_average
from rmt_jacobian.gaussian_products import MOST_NODES, Axis, product_average
from rmt_jacobian.mean_field.averages.bends import (
    HARD,
    bends_along,
    bends_in,
    is_gentle,
    is_smooth,
    nested_bends,
    slope_of,
)
from rmt_jacobian.mean_field.averages.factors import with_all_digits
from rmt_jacobian.mean_field.averages.jumps import jumps_of
from rmt_jacobian.mean_field.averages.kinked_sums import along_one_sum
from rmt_jacobian.mean_field.averages.waves import waves_in

__all__ = [
    "Laws",
    "SlopeParts",
    "expression_average",
    "gaussian_function",
    "infinite_where_met",
    "joint_average",
    "pair_expression_average",
    "pair_expression_slope",
    "pair_slope_parts",
]

Laws: TypeAlias = Mapping[sp.Symbol, tuple[float, float]]
"""Independent Gaussian variables and their means and variances."""

_REMEMBERED = 4096  # averages
_MOST_BESIDE_KINKS = 4_000_000  # nodes, beyond which nested panels or points are as good
_CANCELLED = 1e-10  # relative, of sums that vanish

# Several expressions are averaged over one law.
_normal_rule = lru_cache(maxsize=16)(normal_rule)
_bivariate_rule = lru_cache(maxsize=4)(bivariate_rule)


@lru_cache(maxsize=_REMEMBERED)
def expression_average(
    expression: sp.Expr, symbol: sp.Symbol, mean: float, variance: float, order: int = 0
) -> float:
    r"""Return :math:`E[f(e) z^n]` for an expression in :math:`e = \mu + \sqrt q z`.

    Parameters
    ----------
    expression, symbol
        f and e.
    mean, variance
        mu and q.
    order
        n.

    Raises
    ------
    ConvergenceError
        If the average is infinite, or not known to nine digits of E|f|.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> round(expression_average(sp.Max(e, sp.Rational(3, 10)), e, 0.0, 1.0), 9)
    0.566761242
    """
    function = array_function((symbol,), with_all_digits(expression))
    std = math.sqrt(variance)

    def values(nodes: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = np.broadcast_to(function(nodes), nodes.shape)
        return found * ((nodes - mean) / std) ** order if order else found

    if std == 0:
        return _at_a_point(values, mean)
    if is_gentle(expression):
        rule = _normal_rule(mean, variance)
        return rule.average(values(rule.nodes))
    if not order and (waves := waves_in(expression, symbol)) and waves.serve(mean, variance):
        return float(waves.averages(mean, variance))
    return panel_average(values, mean, variance, bends_in(expression, symbol, mean, variance)).value


@lru_cache(maxsize=_REMEMBERED)
def pair_expression_average(
    one: sp.Expr, two: sp.Expr, symbol: sp.Symbol, mean: float, variance: float, correlation: float
) -> float:
    """Return E[f(e_1) g(e_2)] for two Gaussian variables of equal law.

    Parameters
    ----------
    one, two, symbol
        f and g as expressions in the same symbol.
    mean, variance, correlation
        Of the two variables.

    Raises
    ------
    ConvergenceError
        If the average is infinite, or not known to nine digits.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> step = sp.Heaviside(e)
    >>> round(pair_expression_average(step, step, e, 0.0, 4.0, 0.5), 9)
    0.333333333
    """
    if not -1 <= correlation <= 1:
        raise ParameterError(f"correlation must lie in [-1, 1], not {correlation}")
    for constant, other in ((one, two), (two, one)):
        if not constant.free_symbols:
            return float(constant) * expression_average(other, symbol, mean, variance)
    f, g = (_quiet(array_function((symbol,), part)) for part in (one, two))
    if variance == 0:
        return _at_a_point(lambda e: f(e) * g(e), mean)
    if is_gentle(one) and is_gentle(two):
        rule = _bivariate_rule(mean, variance, correlation)
        return rule.average(f(rule.first) * g(rule.second))
    first, second = (waves_in(each, symbol) for each in (one, two))
    if first and second and first.serve(mean, variance) and second.serve(mean, variance):
        return float(first.pair_averages(second, mean, variance, correlation))
    left, right = (gaussian_function(part, symbol, mean, variance) for part in (one, two))
    return pair_average(left, right, correlation).value


@lru_cache(maxsize=_REMEMBERED)
def gaussian_function(
    expression: sp.Expr, symbol: sp.Symbol, mean: float, variance: float
) -> GaussianFunction:
    """Return an expression in one variable e ~ N(mean, variance) with its bends."""
    function = _quiet(array_function((symbol,), with_all_digits(expression)))
    return GaussianFunction(function, mean, variance, bends_in(expression, symbol, mean, variance))


@lru_cache(maxsize=_REMEMBERED)
def pair_expression_slope(
    one: sp.Expr, two: sp.Expr, symbol: sp.Symbol, mean: float, variance: float, correlation: float
) -> float:
    r"""Return the derivative of E[f(e_1) g(e_2)] by the covariance of e_1 and e_2.

    By Price's theorem it is :math:`E[f'(e_1) g'(e_2)]`, where the jumps of f and g enter as delta
    functions: with f' and g' the derivatives elsewhere and :math:`J_k, K_l` the jumps,

    .. math:: E[f' g'] + \sum_k J_k \, p(k) \, E[g'(e_2) | e_1 = k]
              + \sum_l K_l \, p(l) \, E[f'(e_1) | e_2 = l] + \sum_{kl} J_k K_l \, p(k, l) .

    Parameters
    ----------
    one, two, symbol, mean, variance, correlation
        As in :func:`pair_expression_average`.

    Returns
    -------
    float
        Infinite where both jump at the same place of fully correlated variables.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> step = sp.Heaviside(e)  # P(e_1, e_2 > 0) = 1/4 + asin(c) / (2 pi)
    >>> slope = pair_expression_slope(step, step, e, 0.0, 1.0, 0.6)
    >>> round(slope * 2 * math.pi, 12)
    1.25
    """
    return pair_slope_parts(one, two, symbol, mean, variance, correlation).value


class SlopeParts(NamedTuple):
    """A slope by a covariance, and what of it is infinite.

    Attributes
    ----------
    finite
        All but the jumps that both variables meet together.
    met
        The weight of those, where the variables are fully correlated: it multiplies a delta
        function of 0.
    """

    finite: float
    met: float

    @property
    def value(self) -> float:
        """The slope."""
        return math.copysign(math.inf, self.met) if self.met else self.finite


@lru_cache(maxsize=_REMEMBERED)
def pair_slope_parts(
    one: sp.Expr, two: sp.Expr, symbol: sp.Symbol, mean: float, variance: float, correlation: float
) -> SlopeParts:
    """Return :func:`pair_expression_slope` before its parts are added.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> step = sp.Heaviside(e)
    >>> found = pair_slope_parts(step, 1 - step, e, 0.0, 1.0, 1.0)
    >>> found.finite, round(found.met, 12) == -round(1 / math.sqrt(2 * math.pi), 12)
    (0.0, True)
    """
    slopes = slope_of(one, symbol), slope_of(two, symbol)
    total, met = pair_expression_average(*slopes, symbol, mean, variance, correlation), 0.0
    jumps = [jumps_of(part, symbol, mean, variance) for part in (one, two)]
    if not (jumps[0] or jumps[1]):
        return SlopeParts(total, 0.0)
    if variance == 0:  # a variable that sits on a jump
        sizes = [sum(size for place, size in part if _is_close(place, mean)) for part in jumps]
        return SlopeParts(total, sizes[0] * sizes[1])
    own_variance = variance * (1 - correlation) * (1 + correlation)

    def density(e: float, centre: float, spread: float) -> float:
        return math.exp(-((e - centre) ** 2) / (2 * spread)) / math.sqrt(2 * math.pi * spread)

    for mine, other in ((0, 1), (1, 0)):
        for place, size in jumps[mine]:
            centre = mean + correlation * (place - mean)
            weight = size * density(place, mean, variance)
            total += weight * expression_average(slopes[other], symbol, centre, own_variance)
            if mine == 1:
                continue
            for there, step in jumps[other]:
                if own_variance > 0:
                    total += weight * step * density(there, centre, own_variance)
                elif _is_close(there, centre):
                    met += weight * step
    return SlopeParts(total, met)


def infinite_where_met(
    finite: np.ndarray | float, met: np.ndarray | float, size: np.ndarray | float
) -> np.ndarray:
    """Return sums of slopes from the sums of their parts.

    Parameters
    ----------
    finite, met
        Sums of the parts.
    size
        Of the terms of ``met``, by which it is seen whether they cancel.
    """
    some = np.abs(met) > _CANCELLED * np.asarray(size)
    return np.where(some, np.copysign(np.inf, met), finite)


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)


def joint_average(expression: sp.Expr, laws: Laws) -> float:
    """Return the average of an expression over independent Gaussian variables.

    Raises
    ------
    HypothesisError
        If a function mixes the variables in a way that its bends are not known.
    ConvergenceError
        If the average is infinite, or takes too many nodes.

    Examples
    --------
    >>> a, b = sp.symbols("a b", real=True)
    >>> laws = {a: (0.0, 1.0), b: (0.0, 3.0)}
    >>> round(joint_average(sp.Max(a + b, 0) ** 2, laws), 12)
    2.0
    """
    symbols = tuple(sorted(expression.free_symbols, key=str))
    if not symbols:
        return float(expression)
    if len(symbols) == 1:
        return expression_average(expression, symbols[0], *laws[symbols[0]])
    if combined := _of_one_sum(expression, symbols):
        alone, u, weights, shift = combined
        mean = shift + sum(p * laws[each][0] for p, each in zip(weights, symbols, strict=True))
        variance = sum(p * p * laws[each][1] for p, each in zip(weights, symbols, strict=True))
        return expression_average(alone, u, mean, variance)
    if axes := _axes(expression, symbols, laws):
        smooth = is_smooth(expression)
        most = MOST_NODES if smooth else _MOST_BESIDE_KINKS
        found = product_average(array_function(symbols, expression), axes, most_nodes=most)
        if found is None and smooth:
            raise HypothesisError(
                f"{len(symbols)} variables are entangled in an average, more than can be "
                "integrated over"
            )
        if found and (is_gentle(expression) or found.error <= PROMISE * found.size):
            return found.value
    elif turned := along_one_sum(expression, laws):
        return joint_average(*turned)
    return _nested(expression, symbols, laws)


def _axes(expression: sp.Expr, symbols: tuple[sp.Symbol, ...], laws: Laws) -> list[Axis] | None:
    """Return the variables with their bends; None where a kink or a jump mixes them."""
    hard = [each.args[0].free_symbols for each in in_pieces(expression).atoms(*HARD)]
    if any(len(read & set(symbols)) > 1 for read in hard):
        return None
    kinked = set().union(*hard)
    axes = []
    for symbol in symbols:
        mean, variance = map(float, laws[symbol])
        bends = bends_along(expression, symbol, mean, variance) if symbol in kinked else None
        axes.append(Axis(mean, variance, bends))
    return axes


@cache
def _of_one_sum(
    expression: sp.Expr, symbols: tuple[sp.Symbol, ...]
) -> tuple[sp.Expr, sp.Symbol, tuple[float, ...], float] | None:
    """Return f, u, p_k and r of an expression f(u) with u = sum_k p_k e_k + r, or None."""
    u = sp.Dummy("u", real=True)
    for argument in {node.args[0] for node in expression.atoms(sp.Function)}:
        slopes = [argument.diff(symbol) for symbol in symbols]
        if not all(slope.is_number and slope != 0 for slope in slopes):
            continue
        last = symbols[-1]
        alone = expression.subs(last, last + (u - argument) / slopes[-1])
        alone = alone.replace(
            lambda node: isinstance(node, sp.Function),
            lambda node: node.func(*(sp.expand(each) for each in node.args)),
        )
        if alone.free_symbols <= {u}:
            shift = float(argument.subs(dict.fromkeys(symbols, 0)))
            return alone, u, tuple(float(slope) for slope in slopes), shift
    return None


def _nested(expression: sp.Expr, symbols: tuple[sp.Symbol, ...], laws: Laws) -> float:
    """Return the average in the first order of the variables that the bends allow."""
    for order in permutations(symbols):
        try:
            bends = nested_bends(expression, {symbol: laws[symbol] for symbol in order})
        except HypothesisError:
            continue
        levels = [
            Level(_constant(*laws[symbol]), places)
            for symbol, places in zip(order, bends, strict=True)
        ]
        return nested_average(_quiet(array_function(order, expression)), levels).value
    raise HypothesisError(f"the kinks of {expression} mix variables other than linearly")


def _at_a_point(values: Callable[[np.ndarray], np.ndarray], mean: float) -> float:
    """Return the average for a vanishing variance: the mean of both sides of a kink or a jump."""
    return float(np.mean(values(np.nextafter(mean, [-math.inf, math.inf]))))


def _constant(mean: float, variance: float) -> Callable[..., tuple[float, float]]:
    return lambda *outer: (mean, math.sqrt(variance))


def _quiet(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the function without warnings: values that are not finite are refused later."""

    def silent(*arrays: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return function(*arrays) + 0 * arrays[0]

    return silent
