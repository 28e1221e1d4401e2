r"""Derivatives of the averages of a chain of any cell: squared Green functions.

The slots of a step are its different sources y and its preactivations e.  For a slot a of step t
let c_a be the functional of the states after the step that the filter from the left makes of it
(:meth:`.FilterStep.functionals`), and for a slot b of a later step :math:`\gamma_b` that of the
forces on these states that the filter from the right makes of it.  Then

.. math::
    G_{ab} = c_a^T (P^{-1} - \Lambda)^{-1} \Lambda\, \gamma_b ,

in which only :math:`\gamma_b` changes with each step to the left; it starts at its own step without
any arithmetic, so that the derivatives are as good as their order of magnitude allows.  Squares of
the scalar products are averaged as products of matrices: :math:`(l^T m)^2` is a scalar product of
the products of their entries.
"""

from itertools import combinations_with_replacement
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.blocks.factors import Factors, dot, reciprocal, times, unit
from rmt_jacobian.pencils.blocks.filters import (
    FilterStep,
    TwoFilters,
    end_forces,
    self_energies_at,
)
from rmt_jacobian.pencils.blocks.history import BlockHistory, Matrix
from rmt_jacobian.pencils.chain.product_chain import Responses

__all__ = ["block_responses"]


def block_responses(parts: list[BlockHistory], s: Any, sigma: Any) -> Responses:
    r"""Return the averages of all blocks and their derivatives.

    .. math::
        \frac{\partial g_a}{\partial \Sigma_b} = \langle G_{ab}^2 \rangle, \qquad
        \frac{\partial g_a}{\partial s} = -\langle \lVert G_{a,v_0} \rVert^2
        + \lVert G_{a,w_T} \rVert^2 \rangle

    Parameters
    ----------
    parts
        The sites, in portions.
    s
        Spectral points, shape (points,).
    sigma
        Self-energies, shape (points, blocks).
    """
    xp, history = array_namespace(s), parts[0]
    totals = None
    for part in parts:
        found = _Rows(part, s, sigma).run()
        totals = found if totals is None else [a + b for a, b in zip(totals, found, strict=True)]
    assert totals is not None
    averages, matrix, end, left, cauchy, cauchy_drift = totals
    slots = history.source_count + history.gates
    index = []
    for t in range(history.steps):
        index += [slots * t + source for source in history.sources]
        index += [slots * t + history.source_count + gate for gate in range(history.gates)]
    index = xp.asarray(index)
    whole = matrix + xp.matrix_transpose(xp.triu(matrix, k=1))
    whole = xp.take(xp.take(whole, index, axis=1), index, axis=2)
    averages, end, left = (xp.take(array, index, axis=1) for array in (averages, end, left))
    d = history.states
    return Responses(averages, whole, -left - end, cauchy, end / d, cauchy_drift)


class _Rows:
    """The slots of all steps of one portion of the sites, from the last step to the first."""

    def __init__(self, history: BlockHistory, s: Any, sigma: Any) -> None:
        self.history, self.s, self.sigma = history, s, sigma
        self.xp = xp = array_namespace(s)
        self.filters = TwoFilters.of(history, sigma, 1 / s[:, None])
        self.slots = history.source_count + history.gates
        self.total = self.slots * history.steps
        points, d = s.shape[0], history.states
        self.nothing = xp.zeros((points, history.count), dtype=xp.complex128)
        shape = (points, self.total + d, history.count)
        # The entries of gamma_b, each for all slots; the last d are the forces after the last step.
        self.answers = [xp.zeros(shape, dtype=xp.complex128) for _ in range(d)]
        self.averages = xp.zeros((points, self.total), dtype=xp.complex128)
        self.matrix = xp.zeros((points, self.total, self.total), dtype=xp.complex128)
        self.end = xp.zeros((points, self.total), dtype=xp.complex128)
        self.pairs = list(combinations_with_replacement(range(d), 2))

    def run(self) -> list[Any]:
        """Return g, the upper triangle of <G_ab^2>, <G_{a,w_T}^2>, <G_{a,v_0}^2>, G and dG/ds.

        The last is the explicit derivative of the Cauchy transform.
        """
        xp, d, p = self.xp, self.history.states, self.history.measure
        for i in range(d):
            self.answers[i][:, self.total + i, :] = 1.0
        for t in reversed(range(self.history.steps)):
            self._step(t)
        # The states before the first step stand to the left of all.
        first = [self._combined(row, self.answers) for row in self.filters.meeting(0)]
        squares = sum(array * array for array in first) @ p
        forces = self._forces()
        ends = sum((force * force) @ p for row in forces for force in row)
        drift = -(ends + xp.sum(squares[:, self.total :], axis=1)) / d
        cauchy = sum(forces[i][i] @ p for i in range(d)) / d
        left = squares[:, : self.total]
        return [self.averages, self.matrix, self.end, left, cauchy, drift]

    def _forces(self) -> Matrix:
        """Return what shifts of the states after the last step meet."""
        factors = end_forces(self.filters.left[-1].states, self.filters.ends)
        rows = [factors.factored(row) for row in unit(self.history.states)]
        return [[self._filled(dot(factors.scaled(a), b)) for b in rows] for a in rows]

    def _filled(self, entry: Any) -> Any:
        return self.nothing if entry is None else entry + self.nothing

    def _step(self, t: int) -> None:
        xp, history, p = self.xp, self.history, self.history.measure
        here = slice(self.slots * t, self.slots * (t + 1))
        after = slice(self.slots * (t + 1), self.total + history.states)
        left, right = self.filters.left[t], self.filters.right[t]
        costs, spreads = self_energies_at(history, t, self.sigma)
        own = self._own(t, left, right, spreads)
        self.averages[:, here] = xp.stack([own[:, a, a, :] @ p for a in range(self.slots)], axis=1)
        self.matrix[:, here, here] = xp.triu((own * own) @ p)
        sources, gates = left.functionals(history.read, spreads)
        known = self._stacked([*sources, *gates])
        meeting = list(zip(*self.filters.meeting(t + 1), strict=True))
        lead = [self._combined(column, known) for column in meeting]
        later = self._squares(lead, [answers[:, after, :] for answers in self.answers])
        self.matrix[:, here, after.start : self.total] = later[:, :, : -history.states]
        self.end[:, here] = xp.sum(later[:, :, -history.states :], axis=2)
        self._pass(right, costs, here, after)

    def _stacked(self, vectors: Matrix) -> list[Any]:
        """Return the entries of vectors, each for all of them: (points, slots, sites)."""
        columns = zip(*vectors, strict=True)
        return [self.xp.stack([self._filled(e) for e in column], axis=1) for column in columns]

    def _own(self, t: int, left: FilterStep, right: FilterStep, spreads: Any) -> Any:
        """Return G of the slots of one step, shape (points, slots, slots, sites)."""
        history, sources = self.history, self.history.source_count
        entries: Matrix = [[None] * self.slots for _ in range(self.slots)]
        seen, costs, observed = left.informed(right)
        weighted = [seen.weighted(row) for row in left.rows]
        n, d = len(seen.pivots), history.states
        for a, row in enumerate(_between(seen, left)):
            entries[a][: len(row)] = row
        met = [seen.factored(functional) for functional, _ in observed]
        answers = [[times(q, dot(w, y)) for q, y in zip(costs, met, strict=True)] for w in weighted]
        for gate in range(history.gates):
            if gate in history.read:
                shift = seen.factored(unit(n)[d + history.read.index(gate)])
                inverse = reciprocal(spreads[:, gate : gate + 1])
                column = [times(inverse, dot(w, shift)) for w in weighted]
            else:
                reached = [row[gate] for row in history.diagonals[t].gate]
                known = [dot(states, reached) for _, states in observed]
                column = [dot(answer, known) for answer in answers]
            entries[sources + gate][:sources] = left.of_sources(column)
        for a, row in enumerate(_between(right.informed(left)[0], right)):
            entries[sources + a][sources : sources + len(row)] = row
        for a in range(self.slots):
            for b in range(a):
                entries[b][a] = entries[a][b]
        rows = [self.xp.stack([self._filled(e) for e in row], axis=1) for row in entries]
        return self.xp.stack(rows, axis=1)

    def _combined(self, row: Any, arrays: Any) -> Any:
        """Return the sum of entries of a matrix times arrays over slots."""
        total = None
        for entry, array in zip(row, arrays, strict=True):
            if entry is not None:
                term = self._filled(entry)[:, None, :] * array
                total = term if total is None else total + term
        return 0 * arrays[0] if total is None else total

    def _squares(self, lead: list[Any], answers: Any) -> Any:
        """Return the averages of (l^T m)^2, shape (points, slots, answers)."""
        xp, total = self.xp, 0.0
        for i, j in self.pairs:
            left = lead[i] * lead[j] * (self.history.measure * (1 if i == j else 2))
            total = total + left @ xp.matrix_transpose(answers[i] * answers[j])
        return total

    def _pass(self, right: FilterStep, costs: Any, here: slice, after: slice) -> None:
        """Take the functionals to the forces on the states before the step."""
        answers = self.answers
        gates, sources = right.functionals(self.history.transposed.read, costs)
        own = self._stacked([*sources, *gates])
        later = [each[:, after, :] for each in answers]
        passed = [self._combined(row, later) for row in right.transport()]
        for i, array in enumerate(passed):
            answers[i][:, after, :] = array
            answers[i][:, here, :] = own[i]


def _between(factors: Factors, step: FilterStep) -> Matrix:
    """Return the covariances of the sources of a step under those of Z."""
    weighted = [factors.weighted(row) for row in step.rows]
    factored = [factors.factored(row) for row in step.rows]
    rows = [step.of_sources([dot(w, f) for f in factored]) for w in weighted]
    columns = [step.of_sources(list(column)) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]
