"""A sweep through the steps of a chain of any cell, to the right and back, at some of its sites."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.block_chain_cavity import (
    States,
    StepCavity,
    added,
    quadratic,
    times,
)
from rmt_jacobian.pencils.block_sites import BlockHistory, Matrix

__all__ = ["Sweep", "average", "gate_averages", "source_average", "step_cavity"]


def _columns(history: BlockHistory, t: int) -> tuple[int, int]:
    """Return where the sources and the preactivations of a step begin among the blocks."""
    first = 2 * history.gates * t
    return first, first + history.gates


def _at_sites(values: Any, index: int, history: BlockHistory) -> Any:
    return values[:, index : index + 1] + 0 * history.weights


def step_cavity(history: BlockHistory, t: int, before: States, sigma: Any) -> StepCavity:
    """Pass states through step t, given the self-energies of its blocks."""
    column, row = _columns(history, t)
    costs: list[Any] = [None] * history.source_count
    for gate, source in enumerate(history.sources):
        costs[source] = added(costs[source], _at_sites(sigma, column + gate, history))
    spreads = [_at_sites(sigma, row + gate, history) for gate in range(history.gates)]
    spread = sigma[:, row : row + history.gates]
    unread: Matrix = [
        [None if product is None else spread @ product for product in line]
        for line in history.gate_products[t]
    ]
    return StepCavity.of(history.diagonals[t], history.read, before, costs, spreads, unread)


def average(entry: Any, history: BlockHistory) -> Any:
    """Return the weighted sum over sites, 0 for None."""
    if entry is None:
        return 0.0
    return (entry + 0 * history.weights) @ history.measure


def source_average(history: BlockHistory, step: StepCavity, N: Matrix, source: int) -> Any:
    """Return the average variance of a source in the whole chain."""
    seen = added(step.source_variance(source, source), quadratic(N, step.leads[source]))
    return average(seen, history)


def gate_averages(
    history: BlockHistory, t: int, step: StepCavity, force: Matrix, N: Matrix
) -> list[Any]:
    """Return the average forces on the preactivations of step t in the whole chain.

    Parameters
    ----------
    history
        The sites.
    t
        The step.
    step
        Its cavity.
    force
        On its variables Z, from :meth:`.StepCavity.looked_back`.
    N
        On the xi of the states after it.
    """
    measure = history.gate_measures[t]
    first = None if measure is None or N[0][0] is None else N[0][0] @ measure
    found = []
    for gate in range(history.gates):
        if gate in history.read:
            at = history.states + history.read.index(gate)
            found.append(average(force[at][at], history))
            continue
        own = 0.0 if first is None else first[:, gate]
        column = [row[gate] for row in step.gates]
        rest = None
        for i in range(1, history.states):
            rest = added(rest, times(N[i][i], times(column[i], column[i])))
            for j in range(i):
                rest = added(rest, times(times(2.0, N[i][j]), times(column[i], column[j])))
        found.append(own + average(rest, history))
    return found


@dataclass(frozen=True)
class Sweep:
    """The cavities of all steps, from the left.

    Attributes
    ----------
    history
        The sites.
    start
        The variance of the states before the first step.
    steps
        The cavity of every step.
    force
        What a shift of the xi of the states after the last step meets.
    variances
        Of these states, before the cost on each of them in turn.
    """

    history: BlockHistory
    start: Any
    steps: list[StepCavity]
    force: Matrix
    variances: list[Any]

    @classmethod
    def of(cls, history: BlockHistory, sigma: Any, start: Any, end: Any) -> "Sweep":
        """Sweep to the right from a variance to a cost, given the self-energies of all blocks."""
        states, steps = States.independent(start, history.states), []
        for t in range(history.steps):
            steps.append(step_cavity(history, t, states, sigma))
            states = steps[-1].states
        return cls(history, start, steps, *states.final_force(end))

    def back(self) -> Iterator[tuple[int, StepCavity, Matrix, Matrix]]:
        """Yield t, its cavity, the force on the xi of the states after it and that on its Z."""
        N, d = self.force, self.history.states
        for t in reversed(range(self.history.steps)):
            step = self.steps[t]
            force = step.looked_back(N)
            yield t, step, N, force
            N = [row[:d] for row in force[:d]]

    def averages(self) -> list[Any]:
        """Return g of every block."""
        history, found = self.history, []
        for t, step, N, force in self.back():
            seen = [source_average(history, step, N, j) for j in range(history.source_count)]
            found.append([seen[j] for j in history.sources])
            found[-1] += gate_averages(history, t, step, force, N)
        return [g for blocks in reversed(found) for g in blocks]

    @property
    def last(self) -> States:
        """The states after the last step."""
        return self.steps[-1].states

    def end_average(self) -> Any:
        """Return the average force on the states after the last step, per state."""
        columns = zip(*self.last.inverse_basis, strict=True)
        total = sum(average(quadratic(self.force, x), self.history) for x in columns)
        return total / self.history.states
