r"""What sites make of the preactivations around a ring of T steps that share their weights.

With :math:`z = e^{-\lambda}` and times on a ring, a change of the states obeys at every site

.. math::
    v_t = z \, (A_t v_{t-1} + B_t e_t), \qquad y_t = Y_{s,t} v_{t-1} + Y_{e,t} e_t .

Preactivations that a source reads are variables w of their own beside v, so that with D, B and Y
for both it is :math:`D v = B e`, :math:`y = Y v`, and a site does :math:`y = Y D^{-1} B \, e`. That
matrix is not formed: where a memory keeps about :math:`e^\lambda`, D has no inverse. Statistics are
the same at all times; in the basis of Fourier (cosines and sines, real) they are diagonal.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.blocks.diagonals import Matrix
from rmt_jacobian.pencils.blocks.history import BlockHistory

__all__ = ["RingSites", "RingSystem", "fourier_basis"]

_NOTHING = 1e-8  # of the largest derivative


def fourier_basis(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the orthonormal cosines and sines on a ring, shape (T, T), and their frequencies.

    Examples
    --------
    >>> basis, frequencies = fourier_basis(4)
    >>> frequencies
    array([0, 1, 1, 2])
    >>> bool(np.allclose(basis @ basis.T, np.eye(4)))
    True
    """
    frequencies = (np.arange(steps) + 1) // 2
    phases = 2 * np.pi * frequencies[:, None] * np.arange(steps) / steps
    odd = (np.arange(steps) % 2 == 0) & (frequencies > 0)
    rows = np.where(odd[:, None], np.sin(phases), np.cos(phases))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), frequencies


@dataclass(frozen=True, eq=False)
class RingSystem:
    r"""The equations of sites at one :math:`\lambda`; n variables (v, w) at every step.

    Attributes
    ----------
    memory
        D, shape (sites, n T, n T), step by step of one variable after another.
    drives
        B, shape (sites, n, K, T).
    reads
        Y by the step of the variable, shape (sites, S, n, T).
    delays
        How many steps later each variable is read, 1 for v and 0 for w.
    states
        d, the first of the n.
    """

    memory: Any
    drives: Any
    reads: Any
    delays: tuple[int, ...]
    states: int


@dataclass(frozen=True, eq=False)
class RingSites:
    """The diagonals of the Jacobians of sites around a ring, equal weights.

    Attributes
    ----------
    state, gate, source_state, source_gate
        A, B, Y_s and Y_e at every step, shape (sites, T, rows, columns).
    read
        Which of the S sources every W multiplies.
    """

    state: Any
    gate: Any
    source_state: Any
    source_gate: Any
    read: tuple[int, ...]

    @classmethod
    def of(cls, history: BlockHistory) -> "RingSites":
        """Take the matrices of a history, whose last step is followed by the first."""
        steps = [step.matrices for step in history.diagonals]
        nothing = 0 * history.weights

        def stacked(which: int) -> Any:
            return array_namespace(nothing).stack(
                [_dense(step[which], nothing) for step in steps], axis=1
            )

        return cls(stacked(0), stacked(1), stacked(2), stacked(3), history.sources)

    @property
    def count(self) -> int:
        """The number of sites."""
        return self.state.shape[0]

    @property
    def steps(self) -> int:
        """The length of the ring, T."""
        return self.state.shape[1]

    @property
    def states(self) -> int:
        """How many states a site has, d."""
        return self.state.shape[2]

    @property
    def gates(self) -> int:
        """How many W there are, K."""
        return self.gate.shape[3]

    @property
    def sources(self) -> int:
        """How many different sources there are, S."""
        return self.source_state.shape[2]

    @cached_property
    def chained(self) -> tuple[int, ...]:
        """The preactivations that a source reads."""
        xp = array_namespace(self.state)
        return tuple(k for k in range(self.gates) if bool(xp.any(self.source_gate[..., k] != 0)))

    @property
    def silent(self) -> list[int]:
        """The W that change nothing, to rounding, as that of a gate whose two sides are equal."""
        xp = array_namespace(self.state)
        into, out = (self.gate, self.source_gate), (self.source_state, self.source_gate)
        columns = [xp.max(xp.abs(each), axis=(0, 1, 2)) for each in into]
        rows = [xp.max(xp.abs(each), axis=(0, 1, 3)) for each in out]
        acts, reads = (xp.maximum(*sizes) for sizes in (columns, rows))
        return [k for k in range(self.gates)
                if float(acts[k]) <= _NOTHING * float(xp.max(acts))
                or float(reads[self.read[k]]) <= _NOTHING * float(xp.max(reads))]  # fmt: skip

    def part(self, sites: slice) -> "RingSites":
        """Return some of the sites."""
        return RingSites(self.state[sites, ...], self.gate[sites, ...],
                         self.source_state[sites, ...], self.source_gate[sites, ...],
                         self.read)  # fmt: skip

    def system(self, scale: float) -> RingSystem:
        r"""Return the equations of the sites.

        Parameters
        ----------
        scale
            :math:`z = e^{-\lambda}`.
        """
        xp, chained = array_namespace(self.state), list(self.chained)
        T, d, K, n = self.steps, self.states, self.gates, self.states + len(self.chained)
        own = np.zeros((len(chained), K))
        own[np.arange(len(chained)), chained] = 1.0
        copies = xp.broadcast_to(
            xp.asarray(own)[None, :, :, None], (self.count, len(chained), K, T)
        )
        drives = xp.concat([scale * xp.permute_dims(self.gate, (0, 2, 3, 1)), copies], axis=1)
        later = xp.roll(xp.permute_dims(self.source_state, (0, 2, 3, 1)), -1, axis=3)
        beside = [xp.permute_dims(self.source_gate[..., k], (0, 2, 1)) for k in chained]
        reads = xp.concat([later, *(each[:, :, None, :] for each in beside)], axis=2)
        before = xp.roll(xp.eye(T, dtype=self.state.dtype), -1, axis=1)
        moved = xp.permute_dims(self.state, (0, 2, 1, 3))[..., None] * before[:, None, :]
        memory = xp.zeros((self.count, n, T, n, T), dtype=self.state.dtype)
        memory[:, :d, :, :d, :] = -scale * moved
        memory = xp.reshape(memory, (self.count, n * T, n * T))
        memory = memory + xp.eye(n * T, dtype=self.state.dtype)
        return RingSystem(memory, drives, reads, (1,) * d + (0,) * len(chained), d)


def _dense(rows: Matrix, nothing: Any) -> Any:
    xp = array_namespace(nothing)
    filled = [[nothing if e is None else e + nothing for e in row] for row in rows]
    return xp.stack([xp.stack(row, axis=-1) for row in filled], axis=-2)
