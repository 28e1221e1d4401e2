r"""What a site does over T steps: linear maps of its states and preactivations.

The states at the start of each of m stretches of a few steps are variables of their own, v, which
a multiplier w joins to the stretch before.  Within a stretch everything follows from them and from
the preactivations e,

.. math::
    y = E_y\, e + V_y\, v, \qquad \varphi = E_\varphi\, e + V_\varphi\, v,

where y are the sources of all steps and :math:`\varphi_j` the states at the end of stretch j.  One
stretch of all steps would do in exact arithmetic; but a site that remembers far longer than the
singular value in question is long would then be told by differences of huge numbers, as in shooting
at a target far away.

States at the end of a stretch are measured less what they have in common: where one is nearly a
multiple of another, as the output of an LSTM is of its memory, the difference is a state.  With
:math:`v = P \xi`, P unit lower triangular at every site, a cost :math:`v^T v / s` on the last
states is :math:`\xi^T P^T P\, \xi / s`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.blocks.history import BlockHistory

__all__ = ["Shooting"]


@dataclass(frozen=True, eq=False)
class Shooting:
    r"""The maps of all sites.

    Attributes
    ----------
    gates
        :math:`(E_y, E_\varphi)` of every preactivation, shape (sites, S T + d m, T) each.
    nodes
        :math:`(V_y, V_\varphi)`, shape (sites, S T + d m, d m).
    ends
        :math:`P^{-1}` of the states after the last step, shape (sites, d, d).
    weights
        The shares of the sites, shape (sites,).
    starts
        The steps at which stretches start, from 0 on.
    steps, states, sources
        T, d and S.
    """

    gates: tuple[Any, ...]
    nodes: Any
    ends: Any
    weights: Any
    starts: tuple[int, ...]
    steps: int
    states: int
    sources: int

    @classmethod
    def of(cls, history: BlockHistory, stretch: int) -> "Shooting":
        """Multiply the steps of each stretch.

        Parameters
        ----------
        history
            The site matrices of every step.
        stretch
            How many steps a stretch has, the last one perhaps fewer.
        """
        return _Builder(history, stretch).shooting()

    @property
    def outputs(self) -> int:
        """How many sources and states at ends of stretches there are, S T + d m."""
        return self.nodes.shape[-2]

    @property
    def size(self) -> int:
        """The size of the matrix of a site."""
        return self.outputs + self.nodes.shape[-1]

    @property
    def sourced(self) -> int:
        """How many of the outputs are sources, S T."""
        return self.steps * self.sources

    @cached_property
    def all_gates(self) -> Any:
        """The maps of all preactivations side by side, shape (sites, S T + d m, K T)."""
        return array_namespace(self.nodes).concat(list(self.gates), axis=2)

    def part(self, sites: slice) -> "Shooting":
        """Return the maps of some of the sites."""
        return Shooting(
            tuple(gate[sites, ...] for gate in self.gates), self.nodes[sites, ...],
            self.ends[sites, ...], self.weights[sites], self.starts, self.steps, self.states,
            self.sources,
        )  # fmt: skip


class _Builder:
    """Rows of linear maps of (v, e), shape (sites, columns), step by step."""

    def __init__(self, history: BlockHistory, stretch: int) -> None:
        self.history, self.xp = history, array_namespace(history.weights)
        T, d, K = history.steps, history.states, history.gates
        self.starts = list(range(0, T, stretch))
        self.columns = d * len(self.starts) + K * T
        self.nothing = self.xp.zeros((history.count, self.columns), dtype=self.xp.float64)

    def unit(self, column: int) -> Any:
        """Return the row of one of the variables."""
        row = self.xp.zeros_like(self.nothing)
        row[:, column] = 1.0
        return row

    def state(self, j: int, i: int) -> Any:
        return self.unit(j * self.history.states + i)

    def gate(self, k: int, t: int) -> Any:
        first = self.history.states * len(self.starts)
        return self.unit(first + k * self.history.steps + t)

    def combined(self, matrix: Sequence[Sequence[Any]], rows: Sequence[Any]) -> list[Any]:
        """Return combinations of rows, with coefficients at the sites."""
        found = []
        for line in matrix:
            total = self.nothing
            for entry, row in zip(line, rows, strict=True):
                if entry is not None:
                    total = total + (entry[:, None] if hasattr(entry, "shape") else entry) * row
            found.append(total)
        return found

    def shooting(self) -> Shooting:
        """Take all steps."""
        history, xp = self.history, self.xp
        T, d, K, S = history.steps, history.states, history.gates, history.source_count
        sources: list[list[Any]] = [[] for _ in range(S)]
        ends: list[Any] = []
        v: list[Any] = []
        mixing: Mixing = [[1.0 * (i == j) for j in range(d)] for i in range(d)]
        for t, step in enumerate(history.diagonals):
            if t in self.starts:
                ends += v
                v = self.combined(mixing, [self.state(self.starts.index(t), i) for i in range(d)])
            state, gate, source_state, source_gate = step.matrices
            e = [self.gate(k, t) for k in range(K)]
            read = zip(self.combined(source_state, v), self.combined(source_gate, e), strict=True)
            for rows, (own, others) in zip(sources, read, strict=True):
                rows.append(own + others)
            moved = zip(self.combined(state, v), self.combined(gate, e), strict=True)
            v = [own + others for own, others in moved]
            if t + 1 in self.starts or t + 1 == T:
                v, mixing = _told_apart(v)
        rows = [*(row for source in sources for row in source), *ends, *v]
        maps = xp.astype(xp.stack(rows, axis=1), xp.complex128)
        first = d * len(self.starts)
        gates = tuple(maps[:, :, first + k * T : first + (k + 1) * T] for k in range(K))
        measure = xp.astype(history.weights, xp.complex128)
        last = self._end(mixing)
        return Shooting(gates, maps[:, :, :first], last, measure, tuple(self.starts), T, d, S)

    def _end(self, mixing: "Mixing") -> Any:
        """Return the inverse of P as an array."""
        xp, one = self.xp, self.xp.ones_like(self.history.weights)
        rows = [xp.stack([entry * one for entry in row], axis=-1) for row in mixing]
        return xp.astype(xp.linalg.inv(xp.stack(rows, axis=-2)), xp.complex128)


Mixing = list[list[Any]]  # P: arrays over sites, or numbers


def _told_apart(rows: Sequence[Any]) -> tuple[list[Any], Mixing]:
    """Return rows without what they have in common with those before, and P."""
    xp, d = array_namespace(rows[0]), len(rows)
    left, mixing = list(rows), [[1.0 * (i == j) for j in range(d)] for i in range(d)]
    for i in range(d):
        size = xp.sum(left[i] ** 2, axis=1)
        safe = xp.where(size > 0, size, xp.ones_like(size))
        for j in range(i + 1, d):
            slope = xp.sum(left[j] * left[i], axis=1) / safe
            left[j] = left[j] - slope[:, None] * left[i]
            mixing[j][i] = slope
    return left, mixing
