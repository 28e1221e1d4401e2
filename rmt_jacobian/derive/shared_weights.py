r"""The mean squared singular value of T steps that share their weights, as an expression.

Along the path of a site a change is a sum over what it began with and changes of preactivations,

.. math::
    \delta s_t = \sum_j P_{t,j} \, \delta s_{0,j} + \sum_{k, u \le t} R_{t,k,u} \, \delta e_{k,u},
    \qquad E[\delta e_{k,u} \, \delta e_{k,v}] = \sigma_k^2 K_k(u, v),

whose coefficients are products of the diagonals of the steps, with
:math:`K_k(u, v) = \langle \delta y_{k,u} \, \delta y_{k,v} \rangle` of the same form. Fresh weights
keep :math:`u = v` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import sympy as sp

from rmt_jacobian.cells import Cell, cell_named
from rmt_jacobian.errors import ParameterError

__all__ = ["TiedMean", "average", "tied_mean"]

average = sp.Function("E")
"""The average over sites along their paths."""

_LONGEST = 4
_Row: TypeAlias = Mapping[tuple[str, int, int], sp.Expr]  # coefficients of ("s", j, 0), ("e", k, u)


@dataclass(frozen=True)
class TiedMean:
    """The mean squared singular value m_1(T) with shared weights.

    Attributes
    ----------
    cell, steps
        Of which, and T.
    expression
        m_1(T), in averages ``E(...)`` of products of diagonals at successive steps, 1 the first
        that occurs in them.
    fresh
        What is left of it with fresh weights at every step.
    symbols
        What the diagonals are, by their names without the step.
    """

    cell: Cell
    steps: int
    expression: sp.Expr
    fresh: sp.Expr
    symbols: Mapping[str, sp.Expr]

    @cached_property
    def extra(self) -> sp.Expr:
        """What shared weights add."""
        return sp.expand(self.expression - self.fresh)


def tied_mean(cell: Cell | str, steps: int) -> TiedMean:
    """Return m_1(T) of a cell whose weights are the same at all steps.

    Parameters
    ----------
    cell
        Any cell, by itself or by name.
    steps
        T, up to 4.

    Raises
    ------
    ParameterError
        If there are more steps.

    Notes
    -----
    Assumes bi-invariant W that are independent of each other, N -> infinity, and the steady state.

    Examples
    --------
    >>> tied_mean("minimalrnn", 2).extra
    2*sigma_w**2*E(A_1)*E(A_2*B_1*B_2)
    >>> tied_mean("vanilla", 4).extra  # without a memory there is no difference
    0
    """
    cell = cell_named(cell)
    if not 1 <= steps <= _LONGEST:
        raise ParameterError(
            f"expressions with shared weights are known for 1 to {_LONGEST} steps, not {steps}: "
            "stationary(..., dynamics='tied').growth(steps) has the numbers"
        )
    shared, fresh = _Expansion(cell, shared=True), _Expansion(cell, shared=False)
    return TiedMean(cell, steps, shared.mean(steps), fresh.mean(steps), shared.meanings)


class _Expansion:
    """Changes as sums, step by step."""

    def __init__(self, cell: Cell, *, shared: bool) -> None:
        self.cell, self.shared = cell, shared
        self.meanings: dict[str, sp.Expr] = {}
        several = len(cell.preactivations) > 1
        self.weights = [
            sp.Symbol(f"sigma_{each.name}" if several else "sigma_w", positive=True)
            for each in cell.preactivations
        ]
        self._known: dict[tuple[int, int, int], sp.Expr] = {}
        self._timed: dict[sp.Symbol, tuple[str, int]] = {}
        states = range(len(cell.states))
        self._states: list[list[_Row]] = [[{("s", i, 0): sp.S.One} for i in states]]

    def mean(self, steps: int) -> sp.Expr:
        """Return m_1 after a number of steps."""
        rows = self._state(steps)
        return sp.expand(sum(self._product(row, row) for row in rows) / len(rows))

    def _diagonal(self, letter: str, entry: sp.Expr, row: str, column: str, t: int) -> sp.Expr:
        """Return the symbol of a derivative at a step; a number as it is."""
        if not entry.free_symbols & set(self.cell.site_symbols):
            return entry
        name = "_".join([letter, *(part for part in (row, column) if part)])
        self.meanings[name] = entry
        return self._at(name, t)

    def _at(self, name: str, t: int) -> sp.Symbol:
        symbol = sp.Symbol(f"{name}_{t}", real=True)
        self._timed[symbol] = name, t
        return symbol

    def _labels(self) -> tuple[list[str], list[str]]:
        states, gates = self.cell.states, self.cell.preactivations
        return (
            [str(each) if len(states) > 1 else "" for each in states],
            [each.name if len(gates) > 1 else "" for each in gates],
        )

    def _state(self, t: int) -> list[_Row]:
        while len(self._states) <= t:
            self._states.append(self._moved(len(self._states)))
        return self._states[t]

    def _moved(self, t: int) -> list[_Row]:
        states, gates = self._labels()
        cell, found = self.cell, []
        for i, name in enumerate(states):
            row: dict[tuple[str, int, int], sp.Expr] = {}
            for j, other in enumerate(states):
                if (entry := cell.state_derivatives[i][j]) != 0:
                    slope = self._diagonal("A", entry, name, other, t)
                    _add(row, self._state(t - 1)[j], slope)
            for k, gate in enumerate(gates):
                if (entry := cell.gate_derivatives[i][k]) != 0:
                    _add(row, {("e", k, t): sp.S.One}, self._diagonal("B", entry, name, gate, t))
            found.append(row)
        return found

    def _source(self, k: int, t: int) -> _Row:
        states, gates = self._labels()
        row: dict[tuple[str, int, int], sp.Expr] = {}
        for i, name in enumerate(states):
            if (entry := self.cell.source_state_derivatives[k][i]) != 0:
                _add(row, self._state(t - 1)[i], self._diagonal("C", entry, gates[k], name, t))
        for m, gate in enumerate(gates):
            if (entry := self.cell.source_gate_derivatives[k][m]) != 0:
                slope = self._diagonal("D", entry, gates[k], gate, t)
                _add(row, {("e", m, t): sp.S.One}, slope)
        return row

    def _covariance(self, k: int, u: int, v: int) -> sp.Expr:
        """Return K_k(u, v)."""
        if u != v and not self.shared:
            return sp.S.Zero
        u, v = sorted((u, v))
        if (k, u, v) not in self._known:
            self._known[k, u, v] = self._product(self._source(k, u), self._source(k, v))
        return self._known[k, u, v]

    def _product(self, one: _Row, two: _Row) -> sp.Expr:
        """Return the average of the product of two changes."""
        total = sp.S.Zero
        for (kind, k, u), a in one.items():
            for (other, m, v), b in two.items():
                if (kind, k) != (other, m):
                    continue
                if kind == "s":
                    total += self._averaged(a * b)
                elif (K := self._covariance(k, u, v)) != 0:
                    total += self.weights[k] ** 2 * K * self._averaged(a * b)
        return sp.expand(total)

    def _averaged(self, expression: sp.Expr) -> sp.Expr:
        """Average a polynomial in diagonals, each product moved to begin at the first step."""
        total = sp.S.Zero
        for term in sp.Add.make_args(sp.expand(expression)):
            timed = {each: self._timed[each] for each in term.free_symbols if each in self._timed}
            number, product = term.as_independent(*timed)
            before = min((t for _, t in timed.values()), default=1) - 1
            moved = {each: self._at(name, t - before) for each, (name, t) in timed.items()}
            total += number * (average(product.xreplace(moved)) if timed else product)
        return total


def _add(row: dict[tuple[str, int, int], sp.Expr], other: _Row, slope: sp.Expr) -> None:
    for key, value in other.items():
        row[key] = row.get(key, sp.S.Zero) + slope * value
