r"""Functions of states without memory, as states of their own.

A state without memory is a function of what is drawn anew, :math:`s' = f(e, x)`, and so is any
function g of it, :math:`u' = g(f(e, x))`.  Where sources and updates read such states through
functions, as :math:`y = \tanh(s)` does, u stands for g(s); if the cell is then affine in all its
states, its moments close.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, derivative
from rmt_jacobian.mean_field.memory.affine import affine_form

__all__ = ["LiftedCell", "lifted_cell"]

_MOST = 12  # states in all; equations for their second moments grow with the sixth power


@dataclass(frozen=True)
class LiftedCell:
    """A cell that is affine in its states, the last of which are functions of the first.

    Attributes
    ----------
    cell
        The cell with all states.
    states
        How many of them are those of the cell it was made of.
    functions
        What the others stand for.
    """

    cell: Cell
    states: int
    functions: tuple[sp.Expr, ...] = ()

    @cached_property
    def slopes(self) -> "LiftedCell | None":
        """The same with the slopes of the functions as its last states, by each of the first."""
        own = self.cell.states[: self.states]
        return _lifted(self.cell, tuple(derivative(g, s) for s in own for g in self.functions))

    def starting_change(self, second: np.ndarray) -> np.ndarray:
        r"""Return E[L L^T], where a change of the own states is L times as large in all states.

        .. math:: L = \begin{pmatrix} 1 \\ \partial g / \partial s \end{pmatrix}

        Parameters
        ----------
        second
            E[(1, s)(1, s)^T] of :attr:`slopes`, shape (..., 1 + states, 1 + states).
        """
        d, n = self.states, len(self.functions)
        found = np.zeros((*second.shape[:-2], d + n, d + n))
        found[..., :d, :d] = np.eye(d)
        first = second.shape[-1] - d * n
        for i in range(d):
            at = slice(first + i * n, first + (i + 1) * n)
            found[..., d:, i], found[..., i, d:] = second[..., at, 0], second[..., 0, at]
            found[..., d:, d:] += second[..., at, at]
        return found


@cache
def lifted_cell(cell: Cell) -> LiftedCell | None:
    """Return a cell that is affine in its states; None where functions of memory forbid it.

    Examples
    --------
    >>> from rmt_jacobian.cells import Preactivation, lstm, minimalrnn
    >>> s, e, x = sp.symbols("s e x")
    >>> bounded = Cell("bounded", (s,), x, (Preactivation("g", e, sp.tanh(s)),), (sp.sin(e),))
    >>> lifted_cell(bounded).cell.updates
    (sin(e), tanh(sin(e)))
    >>> lifted_cell(minimalrnn).functions, lifted_cell(lstm)
    ((), None)
    """
    if affine_form(cell) is not None:
        return LiftedCell(cell, len(cell.states))
    return _lifted(cell)


def _lifted(cell: Cell, wanted: tuple[sp.Expr, ...] = ()) -> LiftedCell | None:
    """Lift a cell, and give each of the wanted functions a state of its own, last."""
    lift = _Lift(_without_memory(cell))
    after = dict(zip(cell.states, cell.updates, strict=True))
    updates = [lift.seen(update) for update in cell.updates]
    readers = [replace(each, source=lift.seen(each.source)) for each in cell.preactivations]
    last = [lift.seen(sp.sympify(g, strict=True).xreplace(after)) for g in wanted]
    further: list[sp.Expr] = []
    while len(further) < len(lift.known) <= _MOST:
        further.append(lift.seen(list(lift.known)[len(further)].xreplace(after)))
    states = [*cell.states, *lift.known.values()]
    states += [sp.Dummy(f"v_{k}", real=True) for k in range(len(wanted))]
    if len(states) > _MOST:
        return None
    found = replace(
        cell, states=tuple(states), updates=(*updates, *further, *last),
        preactivations=tuple(readers),
    )  # fmt: skip
    if affine_form(found) is None:
        return None
    return LiftedCell(found, len(cell.states), tuple(lift.known))


def _without_memory(cell: Cell) -> frozenset[sp.Symbol]:
    """Return the states that are functions of what was drawn in the last steps."""
    states = set(cell.states)
    forgetful: set[sp.Symbol] = set()
    for _ in cell.states:
        pairs = zip(cell.states, cell.updates, strict=True)
        forgetful |= {s for s, update in pairs if update.free_symbols & states <= forgetful}
    return frozenset(forgetful)


class _Lift:
    """Functions of states without memory, and the symbols that stand for them."""

    def __init__(self, forgetful: frozenset[sp.Symbol]) -> None:
        self.forgetful = forgetful
        self.known: dict[sp.Expr, sp.Symbol] = {}

    def seen(self, expression: sp.Expr) -> sp.Expr:
        """Write such functions in an expression as symbols."""
        symbols = expression.free_symbols
        if not symbols & self.forgetful or _is_affine(expression, symbols):
            return expression
        if symbols <= self.forgetful:
            return self.known.setdefault(expression, sp.Dummy(f"u_{len(self.known)}", real=True))
        if isinstance(expression, sp.Mul):
            own = [each for each in expression.args if each.free_symbols <= self.forgetful]
            rest = [each for each in expression.args if each not in own]
            return sp.Mul(self.seen(sp.Mul(*own)), *map(self.seen, rest))
        return expression.func(*map(self.seen, expression.args))


def _is_affine(expression: sp.Expr, symbols: set[sp.Symbol]) -> bool:
    return all(expression.diff(symbol).is_number for symbol in symbols)
