r"""Sources as sums of products of what is fresh and what is remembered.

A source is read at the memory :math:`c'` after a step, and at gates of that step which did not
write it: the :math:`h' = o \tanh(c')` of an LSTM is the product of :math:`o`, which is independent
of :math:`c'`, and of :math:`\tanh(c')`.  Averages over what is fresh are then exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.mean_field.averages.factors import complemented, independent_products
from rmt_jacobian.mean_field.averages.fresh import FreshVariables

__all__ = [
    "WHOLE",
    "Comparison",
    "Output",
    "Shares",
    "memory_outputs",
    "shares_of",
    "source_distance",
    "source_product",
]


@dataclass(frozen=True)
class Output:
    """One term of a source: fresh * remembered."""

    fresh: sp.Expr
    remembered: sp.Expr


@cache
def memory_outputs(cell: Cell) -> tuple[tuple[Output, ...], ...] | None:
    """Return the terms of every source; None if one entangles memory and fresh variables.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> memory_outputs(lstm)[0]
    (Output(fresh=sigmoid(e_o), remembered=tanh(c)),)
    """
    memory = {cell.states[i]: cell.updates[i] for i in cell.memory}
    writing = {s for update in memory.values() for s in update.free_symbols} - set(memory)
    at = {}
    for state, update in zip(cell.states, cell.updates, strict=True):
        if state in memory:
            continue
        after = {symbol: sp.Dummy() for symbol in memory}
        seen = update.subs({memory[symbol]: after[symbol] for symbol in memory})
        if seen.free_symbols & (set(memory) | writing):
            return None  # it also depends on how the memory was written
        at[state] = seen.xreplace({dummy: symbol for symbol, dummy in after.items()})
    fresh = frozenset((*cell.gates, cell.input))
    found = []
    for source in cell.sources:
        sides = [at[state].free_symbols & fresh for state in at if state in source.free_symbols]
        if any(side & source.free_symbols for side in sides):
            return None  # gates of two steps under one name
        seen = complemented(sp.sympify(source.subs(at), strict=True))
        terms = []
        for factors in independent_products(seen, fresh | set(memory)):
            parts = [sp.S.One, sp.S.One]
            for factor in factors:
                if factor.free_symbols & fresh and factor.free_symbols & set(memory):
                    return None
                parts[bool(factor.free_symbols & set(memory))] *= factor
            terms.append(Output(*parts))
        found.append(tuple(terms))
    return tuple(found)


Shares = list[list[np.ndarray]]
"""E[f_a f_b] of what is fresh in the parts a and b of a source, in one network or in two."""
WHOLE: Shares = [[np.ones((1, 1))]]
"""Of a source that is taken as one part."""

Comparison = Callable[[list[np.ndarray], list[np.ndarray], Shares, Shares], np.ndarray]
"""From what is remembered in two networks, and the shares of one and of both."""


def shares_of(fresh: FreshVariables, parts: Sequence[Output]) -> Shares:
    """Return the averages of the products of what is fresh in the parts of a source."""
    return [[fresh.product(one.fresh, two.fresh) for two in parts] for one in parts]


def _form(g: list[np.ndarray], other: list[np.ndarray], shares: Shares) -> np.ndarray:
    terms = [
        share * a * b
        for a, row in zip(g, shares, strict=True)
        for b, share in zip(other, row, strict=True)
    ]
    return sum(terms[1:], start=terms[0])


def source_product(
    g: list[np.ndarray], other: list[np.ndarray], own: Shares, shared: Shares
) -> np.ndarray:
    """Return y y'."""
    del own
    return _form(g, other, shared)


def source_distance(
    g: list[np.ndarray], other: list[np.ndarray], own: Shares, shared: Shares
) -> np.ndarray:
    """Return (y - y')^2 / 2, whose noise vanishes with it."""
    return (_form(g, g, own) + _form(other, other, own)) / 2 - _form(g, other, shared)
