"""Where an expression bends: the kinks, jumps and steep places of the functions it is made of.

A function turns where its argument passes 0, or +-1 for hard_tanh, within a distance that is one
over the slope of the argument.  Arguments that are affine give these places exactly; others are
searched for changes of sign.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, array_function, derivative
from rmt_jacobian.cells.activations import (
    hard_tanh,
    in_pieces,
    indicator,
    relu,
    sigmoid,
    where_positive,
)
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.gaussian_panels import Bends

__all__ = [
    "HARD",
    "bends_along",
    "bends_in",
    "drawn_deviation",
    "is_gentle",
    "is_smooth",
    "nested_bends",
    "slope_of",
    "values_of",
]

HARD = (relu, indicator, hard_tanh, where_positive, sp.Abs, sp.sign)
"""Functions with kinks and jumps."""
_SATURATING = (sp.tanh, sigmoid, sp.erf)
_SOFT = (*_SATURATING, sp.exp, sp.cosh, sp.sinh, sp.sin, sp.cos)
_REACH, _POINTS = 37.0, 5_400  # standard deviations that are searched, and places tried
_NEAR, _FINER = 4.0, 4  # standard deviations that means share, and steps of those in an octave
_FAR = 2.0**52  # steps, beyond which a mean is a multiple of them to rounding
_BISECTIONS, _BESIDE = 200, 1e-20
_TRACE, _LEAST = 1e-15, 1e-100  # of a variable that has died out
_STEEPEST, _FURTHEST = 1.0, 1.0  # of an argument p e + r that evenly graded nodes resolve


@dataclass(frozen=True)
class _Turn:
    """A place where a function turns: where its argument is at a level, or has an extremum."""

    argument: sp.Expr
    level: int
    hard: bool
    crest: bool = False  # an extremum
    pole: bool = False  # and the argument stands in a denominator


@cache
def is_smooth(expression: sp.Expr) -> bool:
    """Whether an expression has no kinks or jumps, as the gates with straight pieces have."""
    return not in_pieces(expression).has(*HARD)


def drawn_deviation(cell: Cell, variance: float, mean: float) -> float:
    """Return the standard deviation of drawn preactivations.

    What dies out does so on both sides of its mean, and both are seen where a kink is there: cells
    with kinks keep a trace where the variance is 0.

    Examples
    --------
    >>> from rmt_jacobian.cells import cell_named
    >>> kinked, smooth = cell_named("vanilla:relu"), cell_named("vanilla")
    >>> drawn_deviation(kinked, 0.0, 0.0), drawn_deviation(kinked, 0.0, 1.0)
    (1e-100, 1e-15)
    >>> drawn_deviation(kinked, 4.0, 1.0), drawn_deviation(smooth, 0.0, 0.0)
    (2.0, 0.0)
    """
    if variance > 0 or all(is_smooth(each) for each in (*cell.updates, *cell.sources)):
        return math.sqrt(variance)
    return max(_TRACE * abs(mean), _LEAST)


@cache
def is_gentle(expression: sp.Expr, *, denominators: bool = False) -> bool:
    """Whether an expression turns as slowly as tanh(e) and sigmoid(e) do, and only near e = 0.

    Such functions are integrated by the graded nodes of :func:`.normal_rule`.

    Parameters
    ----------
    expression
        Of any variables.
    denominators
        Whether to leave the zeros of denominators to the caller.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> is_gentle(e * sp.tanh(e) ** 2), is_gentle(sp.tanh(50 * e)), is_gentle(relu(e))
    (True, False, False)
    """
    for node in sp.preorder_traversal(expression):
        if isinstance(node, sp.Pow):
            base, exponent = node.args
            whole = bool(exponent.is_integer)
            over_cosh = isinstance(base, sp.cosh) and exponent.is_negative
            if not whole or not (exponent.is_positive or over_cosh or denominators):
                return False
        elif isinstance(node, sp.Function):
            below_one = isinstance(node, sp.cosh)
            if not isinstance(node, _SATURATING) and not below_one:
                return False
            if not _is_unit(node.args[0]):
                return False
        elif not (node.is_Symbol or node.is_number or node.is_Add or node.is_Mul):
            return False
    return not _has_growing_cosh(expression)


def _has_growing_cosh(expression: sp.Expr) -> bool:
    """Whether cosh stands elsewhere than in a denominator."""
    hidden = expression.replace(
        lambda node: (
            isinstance(node, sp.Pow)
            and isinstance(node.args[0], sp.cosh)
            and bool(node.args[1].is_negative)
        ),
        lambda node: sp.Dummy(),
    )
    return hidden.has(sp.cosh)


def _is_unit(argument: sp.Expr) -> bool:
    """Whether an argument is p e + r with small p and r."""
    if len(argument.free_symbols) != 1:
        return False
    (symbol,) = argument.free_symbols
    slope = argument.diff(symbol)
    if not slope.is_number or abs(float(slope)) > _STEEPEST:
        return False
    return abs(float(argument.subs(symbol, 0))) <= _FURTHEST


@cache
def _turns(expression: sp.Expr) -> tuple[_Turn, ...]:
    """Return the turns of all functions in an expression."""
    found: dict[_Turn, None] = {}
    for node in sp.preorder_traversal(expression):
        if isinstance(node, HARD):
            levels = (-1, 1) if isinstance(node, hard_tanh) else (0,)
            found.update({_Turn(node.args[0], level, True): None for level in levels})
        elif isinstance(node, _SOFT):
            found[_Turn(node.args[0], 0, False)] = None
            if not _is_affine(node.args[0]):
                found[_Turn(node.args[0], 0, False, crest=True)] = None
        elif isinstance(node, sp.log):
            found[_Turn(node.args[0], 0, True)] = None
        elif isinstance(node, sp.Pow):
            base, exponent = node.args
            if exponent.is_integer and exponent.is_positive:
                continue
            if base.free_symbols and not isinstance(base, sp.cosh):
                found[_Turn(base, 0, True)] = None
                if exponent.is_negative:
                    found[_Turn(base, 0, False, crest=True, pole=True)] = None
            if exponent.free_symbols:
                found[_Turn(exponent, 0, False)] = None
    return tuple(turn for turn in found if turn.argument.free_symbols)


def _is_affine(argument: sp.Expr) -> bool:
    return all(argument.diff(symbol).is_number for symbol in argument.free_symbols)


def bends_in(expression: sp.Expr, symbol: sp.Symbol, mean: float, variance: float) -> Bends:
    """Return where an expression in one variable e ~ N(mean, variance) bends.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> bends_in(hard_tanh(2 * e + 1), e, 0.0, 1.0).positions
    array([-1.,  0.])
    >>> bends_in(relu(sp.tanh(e) - sp.Rational(1, 2)), e, 0.0, 1.0).positions.round(12)
    array([0.54930614, 0.        ])
    """
    return _bends_of_range(expression, symbol, *_range_of(mean, variance))


def bends_along(expression: sp.Expr, symbol: sp.Symbol, mean: float, variance: float) -> Bends:
    """Return the bends in one of several variables, of functions that read no other.

    Examples
    --------
    >>> a, b = sp.symbols("a b", real=True)
    >>> bends_along(relu(a - 1) * sp.tanh(a * b), a, 0.0, 1.0).positions
    array([1.])
    """
    places: list[tuple[float, float]] = []
    for turn in _turns(in_pieces(expression)):
        if turn.argument.free_symbols == {symbol}:
            places += _places(turn, symbol, mean, variance)
    return Bends.at(places)


def _range_of(mean: float, variance: float) -> tuple[float, float]:
    """Return a law whose range holds that of the given one, the same for laws that are near.

    Where an expression bends does not hang on the law; only what is searched does.
    """
    if variance == 0:
        return mean, 0.0
    std = 2.0 ** (math.ceil(math.log2(math.sqrt(variance)) * _FINER) / _FINER)
    near = _NEAR * std
    place = near * round(mean / near) if abs(mean / near) < _FAR else mean
    return place, (std * (1 + _NEAR / 2 / _REACH)) ** 2


@lru_cache(maxsize=4096)
def _bends_of_range(expression: sp.Expr, symbol: sp.Symbol, mean: float, variance: float) -> Bends:
    places: list[tuple[float, float]] = []
    for turn in _turns(in_pieces(expression)):
        places += _places(turn, symbol, mean, variance)
    return Bends.at(places)


def _places(
    turn: _Turn, symbol: sp.Symbol, mean: float, variance: float
) -> list[tuple[float, float]]:
    """Return positions and scales of a turn whose argument reads one variable."""
    slope = slope_of(turn.argument, symbol)
    if slope.is_number and not turn.crest:
        p = float(slope)
        position = (turn.level - float(turn.argument.subs(symbol, 0))) / p if p else np.inf
        return [(position, np.inf if turn.hard else 1 / abs(p))] if np.isfinite(position) else []
    level, target = (0, slope) if turn.crest else (turn.level, turn.argument)
    roots = _roots(target, level, symbol, mean, variance)
    if turn.hard or not roots.size:
        return [(float(root), np.inf) for root in roots]
    rate = np.abs(values_of(slope_of(target, symbol), symbol, roots))
    with np.errstate(all="ignore"):
        if turn.pole:
            rate = rate / np.abs(values_of(turn.argument, symbol, roots))
        scales = 1 / (np.sqrt(rate) if turn.crest else rate)
    return [(float(r), float(s)) for r, s in zip(roots, scales, strict=True) if s > 0]


@cache
def slope_of(expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """Return the derivative almost everywhere."""
    return derivative(in_pieces(expression), symbol)


def values_of(expression: sp.Expr, symbol: sp.Symbol, points: np.ndarray) -> np.ndarray:
    """Return an expression in one variable at points, finite or not."""
    with np.errstate(all="ignore"):
        values = array_function((symbol,), expression)(points)
    return np.broadcast_to(values, points.shape)


def _roots(
    expression: sp.Expr, level: float, symbol: sp.Symbol, mean: float, variance: float
) -> np.ndarray:
    """Return the places where an expression in one variable passes a level, by bisection."""
    std = np.sqrt(variance)
    if std == 0 or not expression.free_symbols:
        return np.zeros(0)
    grid = [mean + std * np.linspace(-_REACH, _REACH, _POINTS + 1)]
    own = bends_in(expression, symbol, mean, variance)
    for position, scale in zip(own.positions, own.scales, strict=True):
        unit = min(scale, std)
        steps = np.geomspace(1e-3 * unit, 2 * _REACH * std, 200)
        grid += [position - steps, position + steps]
    points = np.unique(np.concatenate(grid))
    sides = values_of(expression, symbol, points) > level
    turns = np.flatnonzero(sides[1:] != sides[:-1])
    low, high, side = points[turns], points[turns + 1], sides[turns]
    least = _BESIDE * std  # else a root at 0 is halved to the smallest number there is
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if not turns.size or np.all((middle == low) | (middle == high) | (high - low < least)):
            break
        same = (values_of(expression, symbol, middle) > level) == side
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return high


def nested_bends(
    expression: sp.Expr, variables: Mapping[sp.Symbol, tuple[float, float]]
) -> list[Callable[..., Bends]]:
    """Return where an expression bends in each variable, given those before it.

    Seen from an outer variable, what turns in an inner one is smoothed by the spread of that.

    Parameters
    ----------
    expression
        Of the variables.
    variables
        Their means and variances, from the outermost to the innermost.

    Raises
    ------
    HypothesisError
        If a function mixes variables and is not linear in the innermost of them.

    Examples
    --------
    >>> a, b = sp.symbols("a b", real=True)
    >>> outer, inner = nested_bends(relu(a + 2 * b), {a: (0.0, 1.0), b: (0.0, 1.0)})
    >>> inner(np.array([0.0, 1.0])).positions.ravel()
    array([ 0. , -0.5])
    >>> outer().scales
    array([[2.]])
    """
    order = tuple(variables)
    alone: list[list[tuple[float, float]]] = [[] for _ in order]
    mixed: list[list[_MixedTurn]] = [[] for _ in order]
    for turn in _turns(in_pieces(expression)):
        read = [k for k, symbol in enumerate(order) if symbol in turn.argument.free_symbols]
        if len(read) == 1:
            symbol = order[read[0]]
            alone[read[0]] += _places(turn, symbol, *variables[symbol])
        elif turn.crest:
            continue
        for k in read if len(read) > 1 else ():
            found = _MixedTurn(turn, order, k, tuple(variables.values()), k == read[-1])
            if found.is_linear:
                mixed[k].append(found)
            elif k == read[-1]:
                raise HypothesisError(f"{turn.argument} is not linear in {order[k]}")
    return [_conditional(*both) for both in zip(alone, mixed, strict=True)]


@dataclass(frozen=True)
class _MixedTurn:
    """A turn seen from the k-th variable, at given outer and at average inner ones."""

    turn: _Turn
    order: tuple[sp.Symbol, ...]
    k: int
    laws: tuple[tuple[float, float], ...]
    is_last: bool

    @property
    def is_linear(self) -> bool:
        slope = slope_of(self.turn.argument, self.order[self.k])
        return not slope.has(self.order[self.k])

    def bend(self, outer: tuple[np.ndarray, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and scales, shape (count,)."""
        inner = [np.full(count, mean) for mean, _ in self.laws[self.k + 1 :]]
        point = (*outer, np.zeros(count), *inner)

        def at(expression: sp.Expr) -> np.ndarray:
            return np.broadcast_to(array_function(self.order, expression)(*point), (count,))

        slope = at(slope_of(self.turn.argument, self.order[self.k]))
        softness = np.full(count, 0.0 if self.turn.hard else 1.0)
        for symbol, (_, variance) in zip(self.order, self.laws, strict=True):
            if symbol in self.order[self.k + 1 :]:
                change = at(slope_of(self.turn.argument, symbol)) * np.sqrt(variance)
                softness = np.hypot(softness, change)
        # Where a gate is closed the turn is out of reach, or the function flat.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            position = (self.turn.level - at(self.turn.argument)) / slope
            scale = softness / np.abs(slope)
        if self.turn.hard and self.is_last:
            scale = np.full(count, np.inf)
        return np.where(np.isfinite(position), position, np.inf), scale


def _conditional(alone: list[tuple[float, float]], mixed: list[_MixedTurn]) -> Callable[..., Bends]:
    """Return the bends as a function of the outer variables."""
    fixed = Bends.at(alone)

    def bends(*outer: np.ndarray) -> Bends:
        count = len(outer[0]) if outer else 1
        columns = [turn.bend(outer, count) for turn in mixed]
        positions, scales = (
            np.concatenate(
                [np.broadcast_to(known, (count, known.size)), *(c[i][:, None] for c in columns)],
                axis=1,
            )
            for i, known in enumerate((fixed.positions, fixed.scales))
        )
        return Bends(positions, scales)

    return bends
