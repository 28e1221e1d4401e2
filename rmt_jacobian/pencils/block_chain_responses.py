r"""Derivatives of the averages of a chain of any cell: squared Green functions.

The slots of a step are its different sources y and its preactivations e.  For a slot b at a later
step let :math:`m_b = G_{b, w_t}` be its answer to a shift of the states after step t, and for a
slot a of step t let l_a be what it makes of these states in the cavity of all that is to the right:
F P y for a source and a column of F T or B for a preactivation; both in terms of the :math:`\xi`
of :mod:`.block_chain_cavity`.  Then

.. math::
    G_{ab} = l_a^T m_b, \qquad m_b \to \Lambda^T m_b, \quad \Lambda = F T_{\cdot v}

with each step to the left, and :math:`G_{ab} = G^0_{ab} + l_a^T N l_b` for two slots of the same
step, :math:`G^0` that of the cavity.  Squares of the scalar products are averaged as products of
matrices: :math:`(l^T m)^2` is a scalar product of the products of their entries.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.block_chain_cavity import StepCavity, applied
from rmt_jacobian.pencils.block_chain_sweep import Sweep
from rmt_jacobian.pencils.block_sites import BlockHistory, Matrix
from rmt_jacobian.pencils.chain import Responses

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
        self.history, self.s = history, s
        self.xp = xp = array_namespace(s)
        self.start = 1 / s[:, None] + 0 * history.weights
        self.nothing = xp.zeros_like(self.start)
        self.sweep = Sweep.of(history, sigma, self.start, self.start)
        self.slots = history.source_count + history.gates
        self.total = self.slots * history.steps
        points, d = s.shape[0], history.states
        shape = (points, self.total + d, history.count)
        # The entries of m_b, each for all slots; the last d are the ends w_T.
        self.answers = [xp.empty(shape, dtype=xp.complex128) for _ in range(d)]
        self.averages = xp.zeros((points, self.total), dtype=xp.complex128)
        self.matrix = xp.zeros((points, self.total, self.total), dtype=xp.complex128)
        self.end = xp.zeros((points, self.total), dtype=xp.complex128)
        self.pairs = list(combinations_with_replacement(range(d), 2))

    def run(self) -> list[Any]:
        """Return g, the upper triangle of <G_ab^2>, <G_{a,w_T}^2>, <G_{a,v_0}^2>, G and dG/ds.

        The last is the explicit derivative of the Cauchy transform.
        """
        xp, d, p = self.xp, self.history.states, self.history.measure
        # In terms of xi, v = L xi: the answers of the ends to shifts of xi, and to forces on v.
        columns = list(zip(*self.sweep.last.inverse_basis, strict=True))
        last = [self._applied(self.sweep.force, column) for column in columns]
        for i in range(d):
            for j in range(d):
                self.answers[i][:, self.total + j, :] = last[j][i]
        forces = [self._filled(e) for row in last for e in self._applied(columns, row)]
        for t, step, N, force in self.sweep.back():
            self._step(t, step, N, force)
        # At the start a force on v_0 shifts it by 1/s.
        first = [answers * self.start[:, None, :] for answers in self.answers]
        squares = sum(array * array for array in first) @ p
        ends = sum((force * force) @ p for force in forces)
        drift = -(ends + xp.sum(squares[:, self.total :], axis=1)) / d
        cauchy = sum(force @ p for force in forces[:: d + 1]) / d
        left = squares[:, : self.total]
        return [self.averages, self.matrix, self.end, left, cauchy, drift]

    def _applied(self, matrix: Sequence[Sequence[Any]], x: Sequence[Any]) -> list[Any]:
        return [self._filled(entry) for entry in applied(matrix, x)]

    def _filled(self, entry: Any) -> Any:
        return self.nothing if entry is None else entry + self.nothing

    def _step(self, t: int, step: StepCavity, N: Matrix, force: Matrix) -> None:
        xp, history, p = self.xp, self.history, self.history.measure
        here = slice(self.slots * t, self.slots * (t + 1))
        after = slice(self.slots * (t + 1), self.total + history.states)
        lead = self._leads(step)
        pulled = [self._combined([N[i][j] for j in range(len(N))], lead) for i in range(len(N))]
        own, states = self._cavity(step)
        for i in range(len(N)):
            own = own + lead[i][:, :, None, :] * pulled[i][:, None, :, :]
        self.averages[:, here] = xp.stack([own[:, a, a, :] @ p for a in range(self.slots)], axis=1)
        self.matrix[:, here, here] = xp.triu((own * own) @ p)
        later = self._squares(lead, [answers[:, after, :] for answers in self.answers])
        self.matrix[:, here, after.start : self.total] = later[:, :, : -history.states]
        self.end[:, here] = xp.sum(later[:, :, -history.states :], axis=2)
        self._pass(step, states, pulled, here, after)

    def _leads(self, step: StepCavity) -> list[Any]:
        """Return the entries of l, each for all slots of a step: (points, slots, sites)."""
        history, leads = self.history, []
        for i in range(history.states):
            entries = [step.leads[j][i] for j in range(history.source_count)]
            for gate in range(history.gates):
                if gate in history.read:
                    entries.append(step.through[i][history.states + history.read.index(gate)])
                else:
                    entries.append(step.gates[i][gate])
            leads.append(self.xp.stack([self._filled(e) for e in entries], axis=1))
        return leads

    def _cavity(self, step: StepCavity) -> tuple[Any, list[Any]]:
        """Return G^0 of the slots, and their answers to a shift of the states before the step."""
        history, force = self.history, step.cavity.force
        d, sources = history.states, history.source_count
        entries: Matrix = [[None] * self.slots for _ in range(self.slots)]
        states: Matrix = [[None] * self.slots for _ in range(d)]
        at = {gate: d + k for k, gate in enumerate(history.read)}
        for a in range(sources):
            response = step.source_response(a)
            for b in range(a + 1):
                entries[a][b] = entries[b][a] = step.source_variance(a, b)
            for gate, x in at.items():
                entries[a][sources + gate] = entries[sources + gate][a] = response[x]
            for i in range(d):
                states[i][a] = response[i]
        for gate, x in at.items():
            for other, y in at.items():
                entries[sources + gate][sources + other] = force[x][y]
            for i in range(d):
                states[i][sources + gate] = force[x][i]
        rows = [self.xp.stack([self._filled(e) for e in row], axis=1) for row in entries]
        whole = self.xp.stack(rows, axis=1)
        return whole, [self.xp.stack([self._filled(e) for e in row], axis=1) for row in states]

    def _combined(self, row: list[Any], arrays: Any) -> Any:
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

    def _pass(
        self, step: StepCavity, states: list[Any], pulled: list[Any], here: slice, after: slice
    ) -> None:
        """Take the answers to the states before the step."""
        d, answers = self.history.states, self.answers
        columns = [[step.through[i][j] for i in range(d)] for j in range(d)]
        later = [answers[i][:, after, :] for i in range(d)]
        passed = [self._combined(column, later) for column in columns]
        for j in range(d):
            answers[j][:, after, :] = passed[j]
            answers[j][:, here, :] = states[j] + self._combined(columns[j], pulled)
