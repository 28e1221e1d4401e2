"""A small change of a network, followed along populations of sites.

It is followed by derivatives almost everywhere, which do not see jumps.
"""

import itertools
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, StepDerivatives
from rmt_jacobian.mean_field.bends import jumps_by
from rmt_jacobian.mean_field.population_walk import REPLICATES, Walk

__all__ = ["Change", "parted_by_jumps"]


def parted_by_jumps(cell: Cell, parameters: Parameters) -> str:
    """Name the variables whose changes meet a jump and come back to them; nothing if none do.

    Examples
    --------
    >>> import sympy as sp
    >>> from rmt_jacobian.cells import lstm, lstm_cell
    >>> p, hard = Parameters.of(lstm), lstm_cell(gate=sp.Heaviside)
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


class Change:
    """E[ds_1 ds_2^T] given the path of a site, of size 1 on average, and its size.

    Attributes
    ----------
    log_size, sign
        Of the trace over the states, by population: shape (R,).
    through_weights
        The largest share of it that a step of the last run has let through W.
    """

    def __init__(self, walk: Walk, *, alone: bool = False) -> None:
        self.walk, d = walk, len(walk.model.cell.states)
        walk.carried = {(i, i): np.ones((REPLICATES, walk.count)) for i in range(d)}
        stds = [group.weight_std for _, group in walk.model.parameters.groups]
        self.scale = [0.0 if alone else std**2 for std in stds]
        self.log_size, self.sign = np.zeros(REPLICATES), np.ones(REPLICATES)
        self.states, self.through_weights = d, 0.0

    def run(self, steps: int) -> None:
        """Take some steps; the change is kept at size 1, its logarithm counted."""
        self.through_weights = 0.0
        for _ in range(steps):
            self.walk.draw()
            self._step(self.walk.derivatives())
            self.walk.update()
            self._normalise()

    def _step(self, tables: list[StepDerivatives]) -> None:
        one, two, D = tables[0], tables[-1], self.walk.carried
        v: list[Any] = []
        for k, scale in enumerate(self.scale):
            total: Any = 0.0
            if scale:
                for (i, j), value in D.items():
                    left = one.source_state.get((k, i))
                    right = two.source_state.get((k, j))
                    if left is not None and right is not None:
                        total = total + left * right * value
                for q in range(k):
                    left, right = one.source_gate.get((k, q)), two.source_gate.get((k, q))
                    if left is not None and right is not None:
                        total = total + left * right * v[q]
            v.append(scale * np.mean(total + np.zeros((1, 1)), axis=-1, keepdims=True))
        new: dict[Any, Any] = {}
        for (k, l), value in D.items():
            for (i, k_), left in one.state.items():
                for (j, l_), right in two.state.items():
                    if (k_, l_) == (k, l):
                        new[i, j] = new.get((i, j), 0.0) + left * right * value
        kept = self._trace(new)
        for (i, l), left in one.gate.items():
            for (j, l_), right in two.gate.items():
                if l_ == l:
                    new[i, j] = new.get((i, j), 0.0) + left * right * v[l]
        self.walk.carried = {
            key: np.broadcast_to(value, (REPLICATES, self.walk.count)) for key, value in new.items()
        }
        whole = self._trace(self.walk.carried)
        share = np.abs(whole - kept) / np.maximum(np.abs(whole), 1e-300)
        self.through_weights = max(self.through_weights, float(np.max(share)))

    def _trace(self, change: dict[Any, Any]) -> np.ndarray:
        """Return the average over sites and states, shape (R,)."""
        parts = (change[i, i] for i in range(self.states) if (i, i) in change)
        total = sum(parts, start=np.zeros((REPLICATES, self.walk.count)))
        return total.mean(axis=-1) / self.states

    def _normalise(self) -> None:
        D = self.walk.carried
        trace = self._trace(D)
        size = np.abs(trace)
        with np.errstate(divide="ignore"):
            self.log_size = self.log_size + np.log(size)
        self.sign = np.sign(trace)
        safe = np.where(size > 0, np.where(self.sign < 0, -size, size), 1.0)[:, None]
        self.walk.carried = {key: value / safe for key, value in D.items()}
