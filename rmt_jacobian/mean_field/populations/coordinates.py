"""Coordinates in which populations of sites are kept even: those that averages hang on.

Point sets are most even in their first coordinates, and in pairs of those: where a cell reads
:math:`e_2 + e_3` alone, an average over both is one over a single coordinate along their sum.
Sites are put in the order of memories that come back to sources.
"""

from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell

__all__ = ["along_sums", "gate_sums", "lasting_memory"]

_DEPENDENT = 1e-9  # length of what is left of a unit vector that lies in the span of others


@cache
def gate_sums(cell: Cell) -> tuple[tuple[float, ...], ...]:
    """Return the coefficients of sums of preactivations that are read in no other way.

    Each is returned once, up to a factor; what is also read by itself should rather stay even by
    itself.

    Examples
    --------
    >>> import sympy as sp
    >>> from rmt_jacobian.cells import Preactivation
    >>> s, x, e, f = sp.symbols("s x e f", real=True)
    >>> read = (Preactivation("g", e, s), Preactivation("h", f, s))
    >>> gate_sums(Cell("sum", (s,), x, read, (sp.sin(e - f) + sp.tanh(2 * f - 2 * e),)))
    ((1.0, -1.0),)
    """
    found: set[tuple[float, ...]] = set()
    alone: set[int] = set()
    waiting: list[sp.Basic] = [*cell.updates, *cell.sources]
    while waiting:
        node = waiting.pop()
        if node in cell.gates:
            alone.add(cell.gates.index(node))
            continue
        row = [_coefficient(node, gate) for gate in cell.gates]
        if np.count_nonzero(row) > 1:
            first = next(c for c in row if c)
            found.add(tuple(c / first for c in row))
            waiting += [part for part in node.args
                        if not any((part / gate).is_number for gate in cell.gates)]  # fmt: skip
        else:
            waiting += node.args
    rows = [row for row in sorted(found) if not any(row[k] for k in alone)]
    return tuple(row for row in rows if _is_apart(row, rows))


def _is_apart(row: tuple[float, ...], rows: list[tuple[float, ...]]) -> bool:
    """Whether no other sum reads the same preactivations."""
    others = [other for other in rows if other != row]
    return not any(a and b for other in others for a, b in zip(row, other, strict=True))


def _coefficient(node: sp.Basic, gate: sp.Symbol) -> float:
    """Return the number that a preactivation is multiplied by in a sum, 0 for a function of it."""
    if not isinstance(node, sp.Add):
        return 0.0
    factor = node.coeff(gate)
    return float(factor) if factor.is_number and factor.is_finite else 0.0


def along_sums(directions: np.ndarray, scales: np.ndarray) -> np.ndarray:
    r"""Return an orthogonal matrix Q whose first columns span the sums of :math:`\sigma_k z_k`.

    Parameters
    ----------
    directions
        Coefficients of the sums, shape (sums, K).
    scales
        The deviations :math:`\sigma_k`, shape (K,).

    Returns
    -------
    np.ndarray
        Shape (K, K): z = Q u, where the sums hang on the first of the independent u alone.
    """
    K, columns = len(scales), []
    for candidate in (*(directions * scales), *np.eye(K)):
        length = float(np.linalg.norm(candidate))
        if length == 0 or len(columns) == K:
            continue
        rest = candidate / length
        for _ in range(2):  # twice is enough for rounding
            rest = rest - sum((column * (column @ rest) for column in columns), np.zeros(K))
        left = float(np.linalg.norm(rest))
        if left > _DEPENDENT:
            columns.append(rest / left)
    return np.stack(columns, axis=1)


@cache
def lasting_memory(cell: Cell) -> tuple[int, ...]:
    """Return the memory states on which what networks do hangs: others are only written.

    Examples
    --------
    A delay of a state that no source reads is no memory:

    >>> import sympy as sp
    >>> from rmt_jacobian.cells import Preactivation
    >>> s, t, x, e = sp.symbols("s t x e", real=True)
    >>> lasting_memory(Cell("trace", (s, t), x, (Preactivation("g", e, s),), (
    ...     s / 2 + sp.tanh(e), t / 2 + s)))
    (0,)
    """
    states = dict(zip(cell.states, cell.updates, strict=True))
    sources = dict(zip(cell.gates, cell.sources, strict=True))
    mattering, reached = set(), set(cell.gates)
    while mattering != reached & set(sources):  # first all do, then those that come back to some
        mattering = reached & set(sources)
        reached = _reached({sources[gate] for gate in mattering}, states)
    read = {symbol for each in reached & set(states) for symbol in states[each].free_symbols}
    return tuple(i for i in cell.memory if cell.states[i] in read)


def _reached(sources: set[sp.Expr], states: dict[sp.Symbol, sp.Expr]) -> set[sp.Basic]:
    """Return all symbols that some sources hang on."""
    found: set[sp.Basic] = set()
    waiting = {symbol for source in sources for symbol in source.free_symbols}
    while waiting:
        symbol = waiting.pop()
        if symbol not in found:
            found.add(symbol)
            waiting |= states[symbol].free_symbols if symbol in states else set()
    return found
