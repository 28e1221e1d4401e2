r"""Cells whose states are carried on by an affine map with fresh coefficients.

With fresh W and V a site is a random affine recursion as soon as

.. math:: s' = A(e, x) \, s + b(e, x), \qquad y_k = Y_k(e) \, s + Y_k^0(e),

because e and x are then independent of s.  Cells without memory (A = 0), delays (A nilpotent), the
minimalRNN and the GRU are all of this kind, with any number of states and preactivations, and every
second moment of theirs closes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.cells.specification import Table
from rmt_jacobian.mean_field.averages.factors import complemented
from rmt_jacobian.mean_field.averages.jumps import bends_by

__all__ = [
    "AffineForm",
    "affine_form",
    "affine_memory",
    "affine_part",
    "common_memory",
    "memory_slopes",
]


@dataclass(frozen=True)
class AffineForm:
    """The coefficients of an affine cell; a row (f_0, f_1, ...) stands for f_0 + sum f_i s_i.

    Attributes
    ----------
    update
        Of s', shape (states, 1 + states).
    sources
        Of y_k, shape (preactivations, 1 + states).
    gates
        Of ds' / de_l, one table of shape (states, 1 + states) for each preactivation.
    reads
        Of dy_k / de_l, shape (preactivations, preactivations) of rows.
    """

    update: Table
    sources: Table
    gates: tuple[Table, ...]
    reads: tuple[Table, ...]


@cache
def affine_form(cell: Cell) -> AffineForm | None:
    """Return the coefficients of a cell that is affine in all its states; None if it is not.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru, lstm
    >>> affine_form(gru).sources
    ((0, 1), (0, 1), (0, sigmoid(e_r)))
    >>> affine_form(lstm) is None  # h' = o tanh(c')
    True
    """
    update = _rows(cell.updates, cell.states)
    sources = _rows(cell.sources, cell.states)
    if update is None or sources is None:
        return None
    gates = [_rows([row[k] for row in cell.gate_derivatives], cell.states)
             for k in range(len(cell.gates))]  # fmt: skip
    reads = [_rows(row, cell.states) for row in cell.source_gate_derivatives]
    return AffineForm(update, sources, tuple(gates), tuple(reads))  # pyright: ignore


@cache
def affine_memory(cell: Cell) -> Table | None:
    """Return the coefficients of the memory where it is affine in itself, though not the rest.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> affine_memory(lstm)[0][1]
    sigmoid(e_f)
    """
    memory = tuple(cell.states[i] for i in cell.memory)
    return _rows([cell.updates[i] for i in cell.memory], memory) if memory else None


@cache
def common_memory(cell: Cell) -> Table | None:
    """Return the coefficients of the memory, or of its states that feed back, if these are affine.

    Other states pass on what they read, perhaps bent, but do not keep it: so changes are kept by
    what these keep, one number for all sites.

    Examples
    --------
    >>> import sympy as sp
    >>> from rmt_jacobian.cells import Preactivation, sigmoid
    >>> s, t, x, e = sp.symbols("s t x e", real=True)
    >>> u = sp.Symbol("u", real=True)
    >>> cell = Cell("cell", (s, t, u), x, (Preactivation("g", e, u),),
    ...             (sigmoid(e) * s + x, sp.tanh(s), t))
    >>> affine_memory(cell), common_memory(cell)
    (None, ((x, sigmoid(e)),))
    """
    whole = affine_memory(cell)
    if whole is not None:
        return whole
    back = [i for i in cell.memory if cell.states[i] in _read_later(cell, cell.states[i])]
    symbols = tuple(cell.states[i] for i in back)
    others = set(cell.states) - set(symbols)
    updates = [cell.updates[i] for i in back]
    if not back or any(update.free_symbols & others for update in updates):
        return None
    return _rows(updates, symbols)


def _read_later(cell: Cell, state: sp.Symbol) -> set[sp.Symbol]:
    """Return all states that a state depends on, through any number of steps."""
    reads = dict(zip(cell.states, cell.updates, strict=True))
    found: set[sp.Symbol] = set()
    waiting = [state]
    while waiting:
        new = (reads[waiting.pop()].free_symbols & set(cell.states)) - found
        found |= new
        waiting += new
    return found


@cache
def affine_part(cell: Cell) -> Table | None:
    """Return the coefficients of the largest part of the memory that is affine by itself.

    Examples
    --------
    >>> import sympy as sp
    >>> from rmt_jacobian.cells import Preactivation, sigmoid
    >>> s, t, x, e = sp.symbols("s t x e", real=True)
    >>> cell = Cell("cell", (s, t), x, (Preactivation("g", e, t),),
    ...             (sigmoid(e) * s + x, sp.tanh(s) + t / 2))
    >>> affine_memory(cell), affine_part(cell)
    (None, ((x, sigmoid(e)),))
    """
    part = list(cell.memory)
    while part:
        symbols = tuple(cell.states[i] for i in part)
        others = set(cell.states) - set(symbols)
        kept = [i for i in part if not cell.updates[i].free_symbols & others
                and _rows([cell.updates[i]], symbols) is not None]  # fmt: skip
        if kept == part:
            return _rows([cell.updates[i] for i in part], symbols)
        part = kept
    return None


@cache
def memory_slopes(cell: Cell) -> tuple[Table, ...] | None:
    """Return the coefficients of the memory's derivatives by each preactivation.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> memory_slopes(minimalrnn)[0][0][1]  # of h' = u h + (1 - u) x
    sigmoid(-e)*sigmoid(e)
    """
    memory = tuple(cell.states[i] for i in cell.memory)
    found = []
    for k in range(len(cell.gates)):
        table = _rows([cell.gate_derivatives[i][k] for i in cell.memory], memory)
        if table is None:
            return None
        found.append(table)
    return tuple(found)


def _rows(expressions: Sequence[sp.Expr], states: tuple[sp.Symbol, ...]) -> Table | None:
    """Return (rest, slopes) of each expression; None if one is not affine in the states."""
    rows = []
    for expression in expressions:
        exact = sp.sympify(expression, strict=True)
        slopes = [sp.gcd_terms(exact.diff(state)) for state in states]
        # A step of a state has the slope 0, as a constant has.
        if any(slope.has(*states) for slope in slopes) or bends_by(exact, states):
            return None
        rest = sp.sympify(exact.subs(dict.fromkeys(states, 0)), strict=True)
        rows.append(tuple(complemented(entry) for entry in (rest, *slopes)))
    return tuple(rows)
