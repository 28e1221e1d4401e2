r"""Averages of a chain of any cell by two filters, one from either end.

The equation of a chain is the same read from left to right and from right to left: transposed, a
step has the states of :math:`J^T`, its sources are the preactivations, and what it adds to the
states comes from the sources.  So one filter passes the variance P of the states to the right, and
another the force :math:`\Lambda` that a shift of them meets to the left, both as factors
(:class:`.Factors`).  Where they meet, at a step, the forces count as further observations of the
variables of the one filter, and the variances as those of the other:

.. math::
    (P^{-1} - \Lambda)^{-1} \quad \text{and} \quad (\Lambda^{-1} - P)^{-1} .

The other way, :math:`P + P N P` with N the force in the whole chain, subtracts numbers that may
agree in most of their digits: after many steps with a long memory the later ones determine a source
to a small share of the variance that it has without them.

References
----------
D. C. Fraser and J. E. Potter, IEEE Trans. Automatic Control 14, 387 (1969).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.block_chain_cavity import (
    Factors,
    States,
    applied,
    in_terms,
    orthogonalised,
    product,
)
from rmt_jacobian.pencils.block_chain_sweep import average, columns
from rmt_jacobian.pencils.block_sites import BlockHistory, Matrix

__all__ = ["FilterStep", "TwoFilters", "end_average"]


@dataclass(frozen=True)
class FilterStep:
    """One step of a filter.

    Attributes
    ----------
    rows
        The sources in terms of Z, the xi of the states and the preactivations that are read.
    factors
        Of the variance of Z after all observations.
    passed
        The rows F of the states after the step, without the preactivations that are not read.
    partial
        The states before the step after those observations that no preactivation enters.
    states
        Those after the step.
    """

    rows: Matrix
    factors: Factors
    passed: Matrix
    partial: States
    states: States

    @classmethod
    def of(
        cls, history: BlockHistory, t: int, before: States, costs: Sequence[Any], spreads: Any,
        reading: Sequence[int],
    ) -> "FilterStep":  # fmt: skip
        """Pass states through step t.

        Parameters
        ----------
        history
            The sites.
        t
            The step.
        before
            The states before it.
        costs
            The self-energy at each source, shape (points, 1).
        spreads
            Those at the preactivations, shape (points, gates).
        reading
            The sources that read a preactivation.
        """
        step, read, d = history.diagonals[t], history.read, history.states
        rows = in_terms(step.source_state, step.source_gate, before.basis, read)
        own = [spreads[:, k : k + 1] for k in range(spreads.shape[1])]
        factors = Factors.prior([*before.pivots, *(own[k] for k in read)])
        for j, cost in enumerate(costs):
            if j not in reading:
                factors = factors.observed(rows[j], cost).factors
        seen = [row[:d] for row in factors.factor[:d]]
        partial = States(factors.pivots[:d], product(before.basis, seen))
        for j in reading:
            factors = factors.observed(rows[j], costs[j]).factors
        passed = in_terms(step.state, step.gate, before.basis, read)
        gates = [[None if k in read else b for k, b in enumerate(row)] for row in step.gate]
        unread = history.unread_variance(t, spreads)
        factored = [factors.factored(row) for row in passed]
        states, _ = orthogonalised(factors, factored, own, gates, unread)
        return cls(rows, factors, passed, partial, states)

    def variances(self, other: "FilterStep") -> list[Any]:
        """Return the variances of the sources, given also what the other filter knows."""
        factors = self.factors
        directions = zip(*other.partial.basis, strict=True)
        transposed = list(zip(*self.passed, strict=True))
        for direction, cost in zip(directions, other.partial.pivots, strict=True):
            factors = factors.observed(applied(transposed, direction), cost).factors
        return [factors.variance(row) for row in self.rows]


@dataclass(frozen=True)
class TwoFilters:
    """The filters from the left and from the right at the sites of a history.

    Attributes
    ----------
    history
        The sites.
    left, right
        The steps of both, in the order of time.
    """

    history: BlockHistory
    left: list[FilterStep]
    right: list[FilterStep]

    @classmethod
    def of(cls, history: BlockHistory, sigma: Any, start: Any, end: Any) -> "TwoFilters":
        """Filter from a variance before the first step and a cost after the last."""
        right, states = [], States.independent(end, history.states)
        for t in reversed(range(history.steps)):
            costs, spreads = _blocks(history, t, sigma)
            each = [spreads[:, k : k + 1] for k in range(history.gates)]
            right.append(FilterStep.of(history.transposed, t, states, each, costs, history.read))
            states = right[-1].states
        return cls(history, _left(history, sigma, start), right[::-1])

    def averages(self) -> list[Any]:
        """Return g of every block."""
        return list(self._averages())

    def _averages(self) -> Iterator[Any]:
        history = self.history
        for left, right in zip(self.left, self.right, strict=True):
            seen = [average(v, history) for v in left.variances(right)]
            yield from (seen[j] for j in history.sources)
            yield from (average(v, history) for v in right.variances(left))


def _left(history: BlockHistory, sigma: Any, start: Any) -> list[FilterStep]:
    """Filter from the left."""
    steps, states = [], States.independent(start, history.states)
    for t in range(history.steps):
        costs, spreads = _blocks(history, t, sigma)
        each = [costs[:, j : j + 1] for j in range(history.source_count)]
        steps.append(FilterStep.of(history, t, states, each, spreads, history.transposed.read))
        states = steps[-1].states
    return steps


def end_average(history: BlockHistory, sigma: Any, end: Any) -> Any:
    """Return the average force on the states after the last step, per state.

    Parameters
    ----------
    history
        The sites.
    sigma
        Self-energies of all blocks, shape (points, blocks).
    end
        The variance of every state before the first step and the cost on it after the last, shape
        (points, 1).
    """
    states, d = _left(history, sigma, end)[-1].states, history.states
    factors = Factors.prior([end] * d)
    for direction, cost in zip(zip(*states.basis, strict=True), states.pivots, strict=True):
        factors = factors.observed(list(direction), cost).factors
    unit = [[1.0 if i == j else None for j in range(d)] for i in range(d)]
    return sum(average(factors.variance(row), history) for row in unit) / d


def _blocks(history: BlockHistory, t: int, sigma: Any) -> tuple[Any, Any]:
    """Return the self-energies at the sources of step t, and at its preactivations."""
    column, row = columns(history, t)
    costs = sigma[:, column : column + history.gates] @ history.reader_matrix
    return costs, sigma[:, row : row + history.gates]
