"""A site at rest: states and Jacobian as expressions in preactivations that stay as they are."""

from dataclasses import dataclass
from functools import cache, cached_property

import sympy as sp

from rmt_jacobian.cells import Cell, sigmoid
from rmt_jacobian.cells.specification import Table
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.averages.factors import complemented

__all__ = ["BEYOND_ONE", "StationarySite", "stationary_site"]

BEYOND_ONE = sp.Symbol("delta", real=True)
r""":math:`\lambda - 1`: near a slow mode it keeps the digits that lambda would lose."""


@dataclass(frozen=True)
class StationarySite:
    r"""The solution of s = f(s, e, x) at one site, and what the Jacobian is made of there.

    Attributes
    ----------
    cell
        The cell.
    states
        s as expressions in the preactivations and the input.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru, lstm
    >>> stationary_site(gru).states  # the update gate drops out
    (tanh(e_y),)
    >>> stationary_site(lstm).states[1]
    tanh(e_y)*sigmoid(e_i)/sigmoid(-e_f)
    """

    cell: Cell
    states: tuple[sp.Expr, ...]

    @cached_property
    def sources(self) -> tuple[sp.Expr, ...]:
        """y_k at rest."""
        return tuple(self.at_rest(source) for source in self.cell.sources)

    def at_rest(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression in the cell's symbols with the states at rest."""
        return complemented(self._exact(expression))

    def _exact(self, expression: sp.Expr) -> sp.Expr:
        at = dict(zip(self.cell.states, self.states, strict=True))
        plain = sp.sympify(expression, strict=True).xreplace(at)
        return _cancelled(plain.xreplace(self._complements))

    @cached_property
    def _complements(self) -> dict[sp.Expr, sp.Expr]:
        """Rewrite the gates of the memory as 1 - sigma(-e): what is forgotten is a denominator."""
        cell = self.cell
        gates = {
            gate
            for i in cell.memory
            for j in cell.memory
            for gate in cell.state_derivatives[i][j].atoms(sigmoid)
        }
        kept = sp.Dummy()
        sums = {gate: sum(cell.state_derivatives[i][i] for i in cell.memory) for gate in gates}
        return {
            gate: 1 - sigmoid(-gate.args[0])
            for gate, total in sums.items()
            # A gate that forgets already stands for what is lost.
            if not sp.sympify(total, strict=True)
            .xreplace({gate: kept})
            .diff(kept)
            .could_extract_minus_sign()
        }

    @cached_property
    def memory_derivatives(self) -> sp.Matrix:
        """A = df/ds at rest, shape (states, states)."""
        return self._matrix(self.cell.state_derivatives)

    @cached_property
    def transfer(self) -> Table:
        r"""H, by which changes of the preactivations drive those of the sources at lambda.

        .. math:: H(\lambda) = Y_s (\lambda - A)^{-1} B + Y_e, \qquad \lambda = 1 + \delta

        with :data:`BEYOND_ONE` for delta; shape (preactivations, preactivations).
        """
        cell, count = self.cell, len(self.cell.states)
        inside = (1 + BEYOND_ONE) * sp.eye(count) - self.memory_derivatives
        change = self._matrix(cell.source_state_derivatives) * inside.LUsolve(
            self._matrix(cell.gate_derivatives)
        )
        whole = change + self._matrix(cell.source_gate_derivatives)
        return tuple(
            tuple(complemented(sp.factor(_cancelled(entry))) for entry in whole.row(k))
            for k in range(len(cell.gates))
        )

    def _matrix(self, table: Table) -> sp.Matrix:
        return sp.Matrix([[self._exact(entry) for entry in row] for row in table])


@cache
def stationary_site(cell: Cell) -> StationarySite:
    r"""Solve s = A s + b for the memory of a site, whose updates must be affine in it.

    Parameters
    ----------
    cell
        The cell; what its updates read of the states (:attr:`.Cell.memory`) is its memory.

    Raises
    ------
    HypothesisError
        If an update of the memory is not affine in the memory, or a site keeps it for ever.
    """
    symbols = [cell.states[i] for i in cell.memory]
    slopes = sp.zeros(len(symbols), len(symbols))
    for i, row in enumerate(cell.memory):
        for j, column in enumerate(cell.memory):
            slopes[i, j] = cell.state_derivatives[row][column]
    if any(slopes.has(symbol) for symbol in symbols):
        raise HypothesisError(
            f"{cell.name}: the update of {', '.join(map(str, symbols))} is not affine in what it "
            "remembers, so that its fixed points have no closed form: run the network instead"
        )
    rests = [cell.updates[i].xreplace(dict.fromkeys(symbols, sp.S.Zero)) for i in cell.memory]
    solved = _solved(cell, sp.eye(len(symbols)) - slopes, rests) if symbols else []
    memory = dict(zip(symbols, solved, strict=True))
    states = [
        memory.get(state, _cancelled(update.xreplace(memory)))
        for state, update in zip(cell.states, cell.updates, strict=True)
    ]
    return StationarySite(cell, tuple(complemented(state) for state in states))


def _solved(cell: Cell, matrix: sp.Matrix, right: list[sp.Expr]) -> list[sp.Expr]:
    if sp.cancel(matrix.det()) == 0:
        raise HypothesisError(
            f"{cell.name}: a site keeps its memory whatever its gates say, so that its fixed "
            "points are not determined by the preactivations: let it forget"
        )
    return [_cancelled(value) for value in matrix.LUsolve(sp.Matrix(right))]


def _cancelled(expression: sp.Expr) -> sp.Expr:
    """Cancel common factors, inside the arguments of functions first."""
    inner = expression.replace(
        lambda node: isinstance(node, sp.Function),
        lambda node: node.func(*(sp.cancel(argument) for argument in node.args)),
    )
    return sp.cancel(inner)


def _exact(value: object) -> sp.Expr:
    """Return a number as an expression, and an expression as it is."""
    return sp.sympify(value, strict=True)
