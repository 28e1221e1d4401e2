"""A sweep through the steps of a chain of any cell, to the right and back, at some of its sites."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.block_chain_cavity import (
    States,
    StepCavity,
    added,
)
from rmt_jacobian.pencils.block_sites import BlockHistory, Matrix

__all__ = ["Sweep", "average", "columns", "step_cavity"]


def columns(history: BlockHistory, t: int) -> tuple[int, int]:
    """Return where the sources and the preactivations of a step begin among the blocks."""
    first = 2 * history.gates * t
    return first, first + history.gates


def _at_sites(values: Any, index: int, history: BlockHistory) -> Any:
    return values[:, index : index + 1] + 0 * history.weights


def step_cavity(history: BlockHistory, t: int, before: States, sigma: Any) -> StepCavity:
    """Pass states through step t, given the self-energies of its blocks."""
    column, row = columns(history, t)
    costs: list[Any] = [None] * history.source_count
    for gate, source in enumerate(history.sources):
        costs[source] = added(costs[source], _at_sites(sigma, column + gate, history))
    spreads = [_at_sites(sigma, row + gate, history) for gate in range(history.gates)]
    unread = history.unread_variance(t, sigma[:, row : row + history.gates])
    return StepCavity.of(history.diagonals[t], history.read, before, costs, spreads, unread)


def average(entry: Any, history: BlockHistory) -> Any:
    """Return the weighted sum over sites, 0 for None."""
    if entry is None:
        return 0.0
    return (entry + 0 * history.weights) @ history.measure


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

    @property
    def last(self) -> States:
        """The states after the last step."""
        return self.steps[-1].states
