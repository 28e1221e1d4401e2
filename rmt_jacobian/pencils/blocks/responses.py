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
the products of their entries.  An entry that no later slot has, as that of a state that only a
source passes on, takes no time.
"""

from itertools import combinations_with_replacement
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.blocks.bundles import Bundle
from rmt_jacobian.pencils.blocks.factors import dot, reciprocal, times, unit
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
        # From the slot where an entry ends on, it is 0, whatever its array holds.
        self.answers = [xp.zeros(shape, dtype=xp.complex128) for _ in range(d)]
        self.ends = [self.total + d] * d
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
        squares = xp.zeros((self.s.shape[0], self.total + d), dtype=xp.complex128)
        for row in self.filters.meeting(0):
            first, stop = self._passed(row, 0)
            if first is not None:
                squares[:, :stop] += (first * first) @ p
        forces = self._forces()
        outer = sum((force * force) @ p for row in forces for force in row)
        drift = -(outer + xp.sum(squares[:, self.total :], axis=1)) / d
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
        xp, history = self.xp, self.history
        here = slice(self.slots * t, self.slots * (t + 1))
        left, right = self.filters.left[t], self.filters.right[t]
        costs, spreads = self_energies_at(history, t, self.sigma)
        self._own(t, left, right, spreads)
        sources, gates = left.functionals(history.read, spreads)
        known = self._stacked([*sources, *gates])
        meeting = list(zip(*self.filters.meeting(t + 1), strict=True))
        lead = [self._combined(column, known) for column in meeting]
        later = self._squares(lead, here.stop)
        self.matrix[:, here, here.stop :] = later[:, :, : -history.states]
        self.end[:, here] = xp.sum(later[:, :, -history.states :], axis=2)
        self._pass(right, costs, here)

    def _stacked(self, vectors: Matrix) -> list[Any]:
        """Return the entries of vectors, each for all of them: (points, slots, sites), or None."""
        columns = list(zip(*vectors, strict=True))
        return [
            None
            if all(entry is None for entry in column)
            else self.xp.stack([self._filled(e) for e in column], axis=1)
            for column in columns
        ]

    def _own(self, t: int, left: FilterStep, right: FilterStep, spreads: Any) -> None:
        """Average G of the slots of one step, and its squares."""
        history, d = self.history, self.history.states
        seen, costs, observed = left.informed(right)
        weighted = [seen.weighted(row) for row in left.rows]
        factored = [seen.factored(row) for row in left.rows]
        met = [seen.factored(functional) for functional, _ in observed]
        answers = [[times(q, dot(w, y)) for q, y in zip(costs, met, strict=True)] for w in weighted]
        unknown = unit(len(seen.pivots))
        self._average(
            t, left.bundles, left.bundles, [[dot(w, f) for f in factored] for w in weighted]
        )
        across: Matrix = [[] for _ in weighted]
        for bundle in right.bundles:
            gate = bundle.sources[0]
            if gate in history.read:
                shift = seen.factored(unknown[d + history.read.index(gate)])
                inverse = reciprocal(spreads[:, gate : gate + 1])
                column = [times(inverse, dot(w, shift)) for w in weighted]
            else:
                known = [dot(states, bundle.row[:d]) for _, states in observed]
                column = [dot(answer, known) for answer in answers]
            for row, entry in zip(across, column, strict=True):
                row.append(entry)
        self._average(t, left.bundles, right.bundles, across)
        felt = right.informed(left)[0]
        weighted = [felt.weighted(row) for row in right.rows]
        factored = [felt.factored(row) for row in right.rows]
        within = [[dot(w, f) for f in factored] for w in weighted]
        self._average(t, right.bundles, right.bundles, within)

    def _average(
        self, t: int, rows: tuple[Bundle, ...], columns: tuple[Bundle, ...], entries: Matrix
    ) -> None:
        """Put averages of what is between bundles of sources, or of them and preactivations."""
        first, sources = self.slots * t, self.history.source_count
        same = rows is columns
        down = first + (sources if same and rows is self.filters.right[t].bundles else 0)
        across = down if same else first + sources
        for i, one in enumerate(rows):
            for j, other in enumerate(columns):
                entry = entries[i][j]
                if entry is None or (same and j < i):
                    continue
                squares = one.squares_with(other, entry)
                for a, source in enumerate(one.sources):
                    for b, reader in enumerate(other.sources):
                        slots = sorted((down + source, across + reader))
                        self.matrix[:, slots[0], slots[1]] = squares[:, a, b]
                if same and i == j:
                    for a, average in enumerate(one.sources):
                        self.averages[:, down + average] = one.averages(entry)[:, a]

    def _combined(self, row: Any, arrays: list[Any]) -> Any:
        """Return the sum of entries of a matrix times arrays over slots; None is 0."""
        total = None
        for entry, array in zip(row, arrays, strict=True):
            if entry is not None and array is not None:
                term = _over_slots(entry) * array
                total = term if total is None else total + term
        return total

    def _squares(self, lead: list[Any], start: int) -> Any:
        """Return the averages of (l^T m)^2 for the slots from one on, (points, slots, answers)."""
        xp, answers = self.xp, self.answers
        shape = (self.s.shape[0], self.slots, self.total + self.history.states - start)
        total = xp.zeros(shape, dtype=xp.complex128)
        for i, j in self.pairs:
            stop = min(self.ends[i], self.ends[j])
            if lead[i] is None or lead[j] is None or stop <= start:
                continue
            left = lead[i] * lead[j] * (self.history.measure * (1 if i == j else 2))
            later = answers[i][:, start:stop, :] * answers[j][:, start:stop, :]
            total[:, :, : stop - start] += left @ xp.matrix_transpose(later)
        return total

    def _passed(self, row: Any, start: int) -> tuple[Any, int]:
        """Return entries of a matrix times answers from a slot on, and where that ends."""
        terms = [(self.ends[i], i, entry) for i, entry in enumerate(row) if entry is not None]
        total, last = None, start
        for stop, i, entry in sorted(terms, key=lambda term: -term[0]):
            if stop <= start:
                continue
            term = _over_slots(entry) * self.answers[i][:, start:stop, :]
            if total is None:
                total, last = term, stop
            else:
                total[:, : stop - start, :] += term
        return total, last

    def _pass(self, right: FilterStep, costs: Any, here: slice) -> None:
        """Take the functionals to the forces on the states before the step."""
        gates, sources = right.functionals(self.history.transposed.read, costs)
        own = self._stacked([*sources, *gates])
        passed = [self._passed(row, here.stop) for row in right.transport()]
        for i, (array, stop) in enumerate(passed):
            if array is not None:
                self.answers[i][:, here.stop : stop, :] = array
            if own[i] is not None or array is not None:
                self.answers[i][:, here, :] = 0.0 if own[i] is None else own[i]
                self.ends[i] = stop
            else:
                self.ends[i] = here.start


def _over_slots(entry: Any) -> Any:
    """Return an entry at (points, sites) or (sites,) so that it multiplies arrays over slots."""
    return entry[:, None, :] if getattr(entry, "ndim", 0) == 2 else entry
