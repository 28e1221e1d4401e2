"""Where expressions jump, and which variables decide between their pieces."""

import itertools
from collections.abc import Iterable
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.cells.activations import in_pieces
from rmt_jacobian.mean_field.averages.bends import HARD, bends_in, is_smooth, values_of

__all__ = ["bends_by", "has_jumps", "jumps_by", "jumps_of", "parted_by_jumps"]

_NEAR, _ROUNDING = 1e-6, 1e-12  # of a jump
_ELSEWHERE = (0.0, 0.618, -1.272, 2.058)  # of the other variables, where a jump is looked for


def jumps_of(
    expression: sp.Expr, symbol: sp.Symbol, mean: float, variance: float
) -> list[tuple[float, float]]:
    """Return places and sizes of the jumps of an expression in one variable e ~ N(mean, variance).

    Examples
    --------
    >>> from rmt_jacobian.cells.activations import indicator, relu
    >>> e = sp.Symbol("e", real=True)
    >>> jumps_of(relu(e - 1), e, 0.0, 1.0), jumps_of(3 * indicator(e - 1), e, 0.0, 1.0)
    ([], [(1.0, 3.0)])
    """
    if is_smooth(expression):
        return []
    at = np.unique(bends_in(expression, symbol, mean, variance).positions)
    steps = _NEAR * (1 + np.abs(at))
    wide, narrow, narrowest = (
        values_of(expression, symbol, at + step) - values_of(expression, symbol, at - step)
        for step in (steps, steps / 2, steps / 100)
    )
    # The difference across a kink shrinks with the step, that across a jump does not.
    kept = (np.abs(narrowest) > np.abs(wide) / 2) & (np.abs(narrowest) > _ROUNDING)
    sizes = 2 * narrow - wide  # without what is linear in the step
    return [(float(place), float(size)) for place, size in zip(at[kept], sizes[kept], strict=True)]


def bends_by(expression: sp.Expr, symbols: Iterable[sp.Symbol]) -> bool:
    """Whether one of the symbols decides between the pieces of an expression.

    Examples
    --------
    >>> from rmt_jacobian.cells.activations import indicator
    >>> a, b = sp.symbols("a b", real=True)
    >>> bends_by(a * indicator(b), (a,)), bends_by(a * indicator(b), (b,))
    (False, True)
    """
    decide = [node.args[0] for node in in_pieces(expression).atoms(*HARD)]
    return any(argument.has(*symbols) for argument in decide)


@cache
def has_jumps(expression: sp.Expr) -> bool:
    """Whether an expression jumps where any of its variables changes."""
    return any(jumps_by(expression, symbol) for symbol in expression.free_symbols)


@cache
def jumps_by(expression: sp.Expr, symbol: sp.Symbol) -> bool:
    """Whether an expression of any variables jumps where one of them changes.

    Examples
    --------
    >>> from rmt_jacobian.cells.activations import indicator, relu
    >>> a, b = sp.symbols("a b", real=True)
    >>> jumps_by(b * indicator(a), a), jumps_by(b * indicator(a), b), jumps_by(b * relu(a), a)
    (True, False, False)
    """
    if not bends_by(expression, (symbol,)):
        return False
    others = sorted(expression.free_symbols - {symbol}, key=str)
    for turn in range(len(_ELSEWHERE)):
        at = {o: _ELSEWHERE[(turn + k) % len(_ELSEWHERE)] for k, o in enumerate(others)}
        if jumps_of(sp.sympify(expression.subs(at), strict=True), symbol, 0.0, 1.0):
            return True
    return False


def parted_by_jumps(cell: Cell, parameters: Parameters) -> str:
    """Name the variables whose changes meet a jump and come back to them; nothing if none do.

    Examples
    --------
    >>> import sympy as sp
    >>> from rmt_jacobian.cells import lstm, lstm_cell
    >>> p, hard = Parameters.of(lstm, input_std=0), lstm_cell(gate=sp.Heaviside)
    >>> parted_by_jumps(lstm, p), parted_by_jumps(hard, p)
    ('', 'e_f, e_i, e_o')
    """
    nodes = [*cell.states, *cell.gates]
    known = list(zip(cell.states, cell.updates, strict=True))
    for gate, source, (_, group) in zip(cell.gates, cell.sources, parameters.groups, strict=True):
        known += [(gate, source)] if group.weight_std > 0 else []
    reaches, jumps = (np.zeros((len(nodes), len(nodes)), dtype=bool) for _ in range(2))
    for (after, expression), before in itertools.product(known, nodes):
        place = nodes.index(after), nodes.index(before)
        reaches[place] = before in expression.free_symbols
        jumps[place] = reaches[place] and jumps_by(expression, before)
    back = reaches | np.eye(len(nodes), dtype=bool)
    for _ in nodes:
        back = back @ back
    met = np.any(jumps & back.T, axis=0)
    return ", ".join(sorted(str(node) for node, each in zip(nodes, met, strict=True) if each))
