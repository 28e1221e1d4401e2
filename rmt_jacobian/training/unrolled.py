r"""Many networks of one cell, unrolled side by side, with gradients by hand.

.. math:: e_k = W_k y_k + V_k x + b_k, \qquad s' = f(s, e, x)

Automatic differentiation records some twenty operations for every step of every network, and the
calls cost more than their arithmetic at the widths of experiments.  Here all networks stand along
one axis; the diagonals of the Jacobian, which the cell knows as symbols, are evaluated for many
steps at once; one step back is one product with each W; and the gradients of W are one product over
all steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from rmt_jacobian.cells import Cell
from rmt_jacobian.cells.specification import Table, derivative
from rmt_jacobian.torch.written import torch_function

__all__ = ["Equations", "equations_of", "unrolled"]

_TOGETHER = 1 << 22  # numbers of one diagonal that are evaluated at once, to stay in the cache

Entries = dict[tuple[int, int], Any]


@dataclass(frozen=True, eq=False)
class Diagonals:
    """The diagonals of the Jacobians of some steps, tensors or numbers, by row and column.

    Attributes
    ----------
    state, gate, own
        df/ds, df/de and df/dx.
    source_state, source_gate
        dy/ds and dy/de.
    """

    state: Entries
    gate: Entries
    own: Entries
    source_state: Entries
    source_gate: Entries


@dataclass(frozen=True, eq=False)
class Equations:
    """A cell as code of PyTorch; see :func:`equations_of`.

    Attributes
    ----------
    cell
        Which.
    sources
        y_k as a function of the states and the preactivations before it; None where there is no W.
    update
        The new states as a function of all that a site holds.
    slopes
        All diagonals that are not 0 everywhere, as one function of the same.
    places
        The table, row and column of each.
    """

    cell: Cell
    sources: tuple[Callable[..., Any] | None, ...]
    update: Callable[..., Any]
    slopes: Callable[..., Any]
    places: tuple[tuple[str, int, int], ...]

    @property
    def reading(self) -> tuple[int, ...]:
        """The preactivations that have a W."""
        return tuple(k for k, source in enumerate(self.sources) if source is not None)

    def diagonals(self, states: Sequence[Tensor], gates: Sequence[Tensor], x: Any) -> Diagonals:
        """Return the diagonals at given sites, of any shape."""
        found: dict[str, Entries] = {name: {} for name in Diagonals.__dataclass_fields__}
        values = self.slopes(*states, *gates, x)
        for (table, i, j), value in zip(self.places, values, strict=True):
            found[table][i, j] = value
        return Diagonals(**found)


@cache
def equations_of(cell: Cell) -> Equations:
    """Return a cell as code of PyTorch.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> equations_of(minimalrnn).reading
    (0,)
    """
    sources = tuple(
        torch_function((*cell.states, *cell.gates[:k]), each.source) if each.reads_state else None
        for k, each in enumerate(cell.preactivations)
    )
    own: Table = tuple((derivative(update, cell.input),) for update in cell.updates)
    tables: dict[str, Table] = {
        "state": cell.state_derivatives,
        "gate": cell.gate_derivatives,
        "own": own,
        "source_state": cell.source_state_derivatives,
        "source_gate": cell.source_gate_derivatives,
    }
    places, entries = [], []
    for name, table in tables.items():
        for i, row in enumerate(table):
            for j, entry in enumerate(row):
                if entry != 0:
                    places.append((name, i, j))
                    entries.append(entry)
    return Equations(
        cell,
        sources,
        torch_function(cell.site_symbols, sp.Tuple(*cell.updates)),
        torch_function(cell.site_symbols, sp.Tuple(*entries)),
        tuple(places),
    )


def unrolled(
    equations: Equations,
    states: Sequence[Tensor],
    drives: Sequence[Tensor],
    weights: Sequence[Tensor],
    own: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Return all states at all steps of P networks side by side.

    Parameters
    ----------
    equations
        Of the cell.
    states
        Where the networks start, each of shape (P, batch, N).
    drives
        V x + b of every preactivation, shape (T, P, batch, N).
    weights
        W of every preactivation that has one, shape (P, N, N), or (T, P, N, N) where every step has
        its own.
    own
        The inputs of the sites themselves, shape (T, P, batch, N), of a cell that reads them.

    Returns
    -------
    tuple of Tensor
        The states after each step, shape (T, P, batch, N).

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> state, drive, W = torch.zeros(2, 3, 4), torch.ones(5, 2, 3, 4), torch.zeros(2, 4, 4)
    >>> (path,) = unrolled(equations_of(vanilla), [state], [drive], [W])
    >>> path.shape, round(float(path[-1, 0, 0, 0]), 4)
    (torch.Size([5, 2, 3, 4]), 0.7616)
    """
    return _Unrolled.apply(equations, own, *states, *drives, *weights)


class _Unrolled(torch.autograd.Function):
    """The steps, and the way back through them."""

    @staticmethod
    def forward(ctx: Any, equations: Equations, own: Tensor | None, *tensors: Tensor) -> Any:
        d, K = len(equations.cell.states), len(equations.sources)
        states, drives, weights = tensors[:d], tensors[d : d + K], tensors[d + K :]
        paths, gates = _forward(equations, states, drives, weights, own)
        saved_own = () if own is None else (own,)
        ctx.equations, ctx.reads_own = equations, own is not None
        ctx.save_for_backward(*paths, *gates, *weights, *saved_own)
        ctx.set_materialize_grads(False)
        return tuple(path[1:] for path in paths)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor | None) -> Any:
        equations: Equations = ctx.equations
        d, K, saved = len(equations.cell.states), len(equations.sources), ctx.saved_tensors
        count = d + K + len(equations.reading)
        own = saved[count] if ctx.reads_own else None
        way = _WayBack(equations, saved[:d], saved[d : d + K], saved[d + K : count], own)
        way.run(incoming)
        return None, way.to_own, *way.adjoints, *way.to_drives, *way.to_weights


def _forward(
    equations: Equations,
    states: Sequence[Tensor],
    drives: Sequence[Tensor],
    weights: Sequence[Tensor],
    own: Tensor | None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the states before and after all steps, and all preactivations."""
    T, (P, batch, N) = drives[0].shape[0], states[0].shape
    paths = [each.new_empty(T + 1, P, batch, N) for each in states]
    gates = [each.new_empty(T, P, batch, N) if k in equations.reading else each
             for k, each in enumerate(drives)]  # fmt: skip
    # A product with a transposed matrix is slower than one with a matrix that is turned once.
    turned = [W.mT if W.ndim == 4 else W.mT.contiguous() for W in weights]
    for path, each in zip(paths, states, strict=True):
        path[0] = each
    here = [path[0] for path in paths]
    for t in range(T):
        at: list[Tensor] = []
        for k, source in enumerate(equations.sources):
            if source is not None:
                W = turned[equations.reading.index(k)]
                y = like(source(*here, *at), here[0])
                torch.baddbmm(drives[k][t], y, W[t] if W.ndim == 4 else W, out=gates[k][t])
            at.append(gates[k][t])
        new = equations.update(*here, *at, 0.0 if own is None else own[t])
        for path, value in zip(paths, new, strict=True):
            path[t + 1] = value
        here = [path[t + 1] for path in paths]
    return paths, gates


class _WayBack:
    """The adjoints, from the last step to the first."""

    def __init__(
        self,
        equations: Equations,
        paths: Sequence[Tensor],
        gates: Sequence[Tensor],
        weights: Sequence[Tensor],
        own: Tensor | None,
    ) -> None:
        self.equations, self.paths, self.gates = equations, paths, gates
        self.weights, self.own = weights, own
        self.adjoints: list[Tensor] = [torch.zeros_like(path[0]) for path in paths]
        self.to_drives = [torch.empty_like(gate) for gate in gates]
        self.to_weights = [torch.zeros_like(W) for W in weights]
        self.to_own = None if own is None else torch.empty_like(own)

    def run(self, incoming: Sequence[Tensor | None]) -> None:
        """Go back through all steps."""
        T, *shape = self.gates[0].shape
        block = max(1, _TOGETHER // (shape[0] * shape[1] * shape[2]))
        for last in range(T, 0, -block):
            self._block(max(0, last - block), last, incoming)

    def _block(self, first: int, last: int, incoming: Sequence[Tensor | None]) -> None:
        """Go back through some steps, whose diagonals are evaluated together."""
        before = [path[first:last] for path in self.paths]
        gates = [gate[first:last] for gate in self.gates]
        own = 0.0 if self.own is None else self.own[first:last]
        slopes = self.equations.diagonals(before, gates, own)
        for t in reversed(range(last - first)):
            for adjoint, given in zip(self.adjoints, incoming, strict=True):
                if given is not None:
                    adjoint += given[first + t]
            if self.to_own is not None:
                self.to_own[first + t] = _dot(self.adjoints, slopes.own, 0, t)
            self.adjoints = self._step(slopes, first + t, t)
        self._learn(before, gates, first, last)

    def _step(self, slopes: Diagonals, t: int, local: int) -> list[Tensor]:
        """Return the adjoints of the states before a step."""
        K, reading = len(self.gates), self.equations.reading
        found = [_dot(self.adjoints, slopes.state, j, local) for j in range(len(self.paths))]
        of_gates = [_dot(self.adjoints, slopes.gate, k, local) for k in range(K)]
        for k in reversed(range(K)):
            self.to_drives[k][t] = of_gates[k]
            if k not in reading:
                continue
            W = self.weights[reading.index(k)]
            of_source = torch.bmm(self.to_drives[k][t], W[t] if W.ndim == 4 else W)
            for (row, m), slope in slopes.source_gate.items():
                if row == k:
                    of_gates[m] = of_gates[m] + of_source * _at(slope, local)
            for (row, j), slope in slopes.source_state.items():
                if row == k:
                    found[j] = found[j] + _times(of_source, _at(slope, local))
        return [like(each, self.adjoints[0]) for each in found]

    def _learn(
        self, before: Sequence[Tensor], gates: Sequence[Tensor], first: int, last: int
    ) -> None:
        """Add what some steps say of every W."""
        for k, total in zip(self.equations.reading, self.to_weights, strict=True):
            source = self.equations.sources[k]
            assert source is not None
            y = like(source(*before, *gates[:k]), before[0])
            error = self.to_drives[k][first:last]
            if total.ndim == 4:
                total[first:last] = error.mT @ y
            else:
                total += _side_by_side(error).mT @ _side_by_side(y)


def _side_by_side(array: Tensor) -> Tensor:
    """Return shape (P, T batch, N) of shape (T, P, batch, N)."""
    return array.transpose(0, 1).flatten(1, 2)


def _dot(adjoints: Sequence[Tensor], entries: Entries, column: int, t: int) -> Any:
    """Return the sum of adjoints times the entries of a column, 0 where there are none."""
    total: Any = 0.0
    for i, adjoint in enumerate(adjoints):
        if (i, column) in entries:
            total = total + _times(adjoint, _at(entries[i, column], t))
    return total


def _at(value: Any, t: int) -> Any:
    return value[t] if isinstance(value, Tensor) else float(value)


def _times(array: Tensor, factor: Any) -> Tensor:
    return array if type(factor) is float and factor == 1 else array * factor


def like(value: Any, state: Tensor) -> Tensor:
    """Return a tensor of a state's shape, also of an expression that is a number."""
    if isinstance(value, Tensor) and value.shape == state.shape:
        return value
    return torch.zeros_like(state) + value
