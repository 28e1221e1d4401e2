r"""Two filters along a chain of any cell, one from either end, and what they know together.

The equation of a chain is the same read from left to right and from right to left: transposed, a
step has the states of :math:`J^T`, its sources are the preactivations, and what it adds to the
states comes from the sources.  So one filter passes the variance P of the states to the right, and
another the force :math:`\Lambda` that a shift of them meets to the left, both as factors
(:class:`.Factors`).  Where they meet, at a step, the forces count as further observations of the
variables of the one filter, and the variances as those of the other:

.. math::
    (P^{-1} - \Lambda)^{-1} \quad \text{and} \quad (\Lambda^{-1} - P)^{-1} .

The other way, :math:`P + P N P` with N the force in the whole chain, subtracts numbers that may
agree in all of their digits: after many steps with a long memory the later ones determine a source
to a small share of the variance that it has without them.

References
----------
D. C. Fraser and J. E. Potter, IEEE Trans. Automatic Control 14, 387 (1969).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.blocks.bundles import Bundle
from rmt_jacobian.pencils.blocks.factors import (
    Factors,
    States,
    added,
    applied,
    dot,
    in_terms,
    orthogonalised,
    product,
    reciprocal,
    times,
    unit,
)
from rmt_jacobian.pencils.blocks.history import BlockHistory, Matrix

__all__ = [
    "FilterStep",
    "TwoFilters",
    "average",
    "end_forces",
    "left_filter",
    "self_energies_at",
    "trace",
]


@dataclass(frozen=True)
class FilterStep:
    r"""One step of a filter.

    Z are the :math:`\xi` of the states before the step and the preactivations that a source reads.

    Attributes
    ----------
    bundles
        The sources.
    rows
        Each bundle in terms of Z.
    observations
        What variance each has before it is observed, and the cost on it, in order.
    factors
        Of the variance of Z after all observations.
    passed
        The rows F of the states after the step in terms of Z.
    partial
        The states before the step after those observations that no preactivation enters.
    states
        Those after the step.
    mixed, gates
        The rows of their xi in terms of Z, times L, and in the preactivations that are not read.
    """

    bundles: tuple[Bundle, ...]
    rows: Matrix
    observations: list[tuple[Any, Any]]
    factors: Factors
    passed: Matrix
    partial: States
    states: States
    mixed: Matrix
    gates: Matrix

    @classmethod
    def of(
        cls, history: BlockHistory, t: int, before: States, costs: Any, spreads: Any
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
            The self-energies at the sources, shape (points, sources).
        spreads
            Those at the preactivations, shape (points, gates).
        """
        step, read, d = history.diagonals[t], history.read, history.states
        bundles = history.bundles[t]
        whole = [bundle.row for bundle in bundles]
        rows = in_terms([row[:d] for row in whole], [row[d:] for row in whole], before.basis, read)
        own = [spreads[:, k : k + 1] for k in range(spreads.shape[1])]
        factors = Factors.prior([*before.pivots, *(own[k] for k in read)])
        observations: list[tuple[Any, Any]] = []
        partial = before
        reading = [bundle.sources[0] in history.reading for bundle in bundles]
        for j in sorted(range(len(bundles)), key=lambda j: reading[j]):
            cost = bundles[j].cost(costs)
            found = factors.observed(rows[j], cost)
            observations.append((found.variance, cost))
            factors = found.factors
            if not reading[j]:
                seen = [row[:d] for row in factors.factor[:d]]
                partial = States(factors.pivots[:d], product(before.basis, seen))
        passed = in_terms(step.state, step.gate, before.basis, read)
        unread = [[None if k in read else b for k, b in enumerate(row)] for row in step.gate]
        states, (_, mixed, gates) = orthogonalised(
            factors, [factors.factored(row) for row in passed], own, unread,
            history.unread_variance(t, spreads),
        )  # fmt: skip
        return cls(bundles, rows, observations, factors, passed, partial, states, mixed, gates)

    def informed(self, other: "FilterStep") -> tuple[Factors, list[Any], list[Matrix]]:
        """Return the variance of Z given also what the other filter knows, and how it knows it.

        Returns
        -------
        tuple
            The variance; the costs of the further observations; the functional that each observes,
            in terms of Z and of the states after the step.
        """
        factors, seen = self.factors, []
        transposed = list(zip(*self.passed, strict=True))
        for direction, cost in zip(zip(*other.partial.basis, strict=True), other.partial.pivots,
                                   strict=True):  # fmt: skip
            seen.append([applied(transposed, direction), list(direction)])
            factors = factors.observed(seen[-1][0], cost).factors
        return factors, other.partial.pivots, seen

    def of_sources(self, values: Sequence[Any]) -> list[Any]:
        """Return values that each source has a multiple of, from those of the bundles."""
        found = {
            k: times(share, value)
            for bundle, value in zip(self.bundles, values, strict=True)
            for k, share in zip(bundle.sources, bundle.shares, strict=True)
        }
        return [found[k] for k in sorted(found)]

    def seen_averages(self, other: "FilterStep") -> list[Any]:
        """Return the mean variances of the sources, given also what the other filter knows."""
        factors, found = self.informed(other)[0], {}
        for bundle, row in zip(self.bundles, self.rows, strict=True):
            variance = factors.variance(row)
            if variance is None:
                found |= dict.fromkeys(bundle.sources)
                continue
            each = bundle.averages(variance)
            found |= {k: each[:, j] for j, k in enumerate(bundle.sources)}
        return [found[k] for k in sorted(found)]

    def functionals(self, read: Sequence[int], spreads: Any) -> tuple[Matrix, Matrix]:
        r"""Return what the xi of the states after the step say of its sources and preactivations.

        The mean of a variable at given xi is a functional of them,
        :math:`\sum_k X_{ik} p_k f_k / p'_i` for one that is f in terms of the factors of Z.  That
        of a preactivation is divided by its self-energy, so that it is the answer to its shift.

        Returns
        -------
        tuple
            d entries for every source, and for every preactivation.
        """
        inverse = [None if p is None else reciprocal(p) for p in self.states.pivots]

        def after(y: Sequence[Any]) -> list[Any]:
            weighted = self.factors.weighted(y)
            return [times(q, dot(x, weighted)) for q, x in zip(inverse, self.mixed, strict=True)]

        columns = zip(*(after(row) for row in self.rows), strict=True)
        sources = [list(row) for row in zip(*map(self.of_sources, columns), strict=True)]
        gates: Matrix = []
        d, n = len(self.states.pivots), len(self.factors.pivots)
        for k in range(len(self.gates[0])):
            if k in read:
                own = unit(n)[d + read.index(k)]
                gates.append(
                    [times(reciprocal(spreads[:, k : k + 1]), entry) for entry in after(own)]
                )
            else:
                pairs = zip(inverse, self.gates, strict=True)
                gates.append([times(q, row[k]) for q, row in pairs])
        return sources, gates

    def transport(self) -> Matrix:
        """Return the matrix that takes functionals of the xi before the step to those after it."""
        d = len(self.states.pivots)
        rows: Matrix = []
        for p, x in zip(self.states.pivots, self.mixed, strict=True):
            if p is None:
                rows.append([None] * d)
                continue
            weighted = self.factors.scaled(x)
            inverse = reciprocal(p)
            rows.append([times(inverse, dot(weighted, line)) for line in self.factors.factor[:d]])
        return rows


@dataclass(frozen=True)
class TwoFilters:
    """The filters from the left and from the right at the sites of a history.

    Attributes
    ----------
    history
        The sites.
    ends
        The variance of the states before the first step and the cost on those after the last, shape
        (points, 1).
    left, right
        The steps of both, in the order of time.
    """

    history: BlockHistory
    ends: Any
    left: list[FilterStep]
    right: list[FilterStep]

    @classmethod
    def of(cls, history: BlockHistory, sigma: Any, ends: Any) -> "TwoFilters":
        """Filter from both ends, given the self-energies of all blocks, shape (points, blocks)."""
        right, states = [], States.independent(ends, history.states)
        for t in reversed(range(history.steps)):
            costs, spreads = self_energies_at(history, t, sigma)
            right.append(FilterStep.of(history.transposed, t, states, spreads, costs))
            states = right[-1].states
        return cls(history, ends, left_filter(history, sigma, ends), right[::-1])

    def averages(self) -> list[Any]:
        """Return g of every block: variances of the y and forces on the e, in the whole chain."""
        history, found = self.history, []
        for left, right in zip(self.left, self.right, strict=True):
            seen = left.seen_averages(right)
            found += [seen[j] for j in history.sources]
            found += right.seen_averages(left)
        return found

    def meeting(self, t: int) -> Matrix:
        r"""Return :math:`(P^{-1} - \Lambda)^{-1} \Lambda` before step t, or after the last one.

        The rows are in terms of the xi of the filter from the left, the columns of those of the
        other.
        """
        states, forces = self._states(t)
        known = Factors.prior(states.pivots)
        transposed, seen = list(zip(*states.basis, strict=True)), []
        for direction, cost in zip(zip(*forces.basis, strict=True), forces.pivots, strict=True):
            seen.append(applied(transposed, direction))
            known = known.observed(seen[-1], cost).factors
        columns = [
            [times(cost, entry) for entry in applied(known.factor, known.weighted(y))]
            for y, cost in zip(seen, forces.pivots, strict=True)
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def _states(self, t: int) -> tuple[States, States]:
        alone = States.independent(self.ends, self.history.states)
        left = self.left[t - 1].states if t > 0 else alone
        return left, self.right[t].states if t < self.history.steps else alone


def left_filter(history: BlockHistory, sigma: Any, start: Any) -> list[FilterStep]:
    """Return the steps of the filter from the left."""
    steps, states = [], States.independent(start, history.states)
    for t in range(history.steps):
        costs, spreads = self_energies_at(history, t, sigma)
        steps.append(FilterStep.of(history, t, states, costs, spreads))
        states = steps[-1].states
    return steps


def end_forces(last: States, end: Any) -> Factors:
    """Return the force on the states after the last step under a cost on each of them."""
    factors = Factors.prior([end] * len(last.pivots))
    for direction, cost in zip(zip(*last.basis, strict=True), last.pivots, strict=True):
        factors = factors.observed(list(direction), cost).factors
    return factors


def self_energies_at(history: BlockHistory, t: int, sigma: Any) -> tuple[Any, Any]:
    """Return the self-energies at the sources of step t, and at its preactivations."""
    column = 2 * history.gates * t
    row = column + history.gates
    costs = sigma[:, column:row] @ history.reader_matrix
    return costs, sigma[:, row : row + history.gates]


def average(entry: Any, history: BlockHistory) -> Any:
    """Return the weighted sum over sites, 0 for None."""
    if entry is None:
        return 0.0
    return (entry + 0 * history.weights) @ history.measure


def trace(factors: Factors) -> Any:
    """Return the trace of a covariance."""
    total = None
    for row in unit(len(factors.pivots)):
        total = added(total, factors.variance(row))
    return total
