r"""What sites make of the preactivations around a ring of T steps that share their weights.

With :math:`z = e^{-\lambda}` and times on a ring, a change of the states obeys

.. math::
    v_t = z \, (A_t v_{t-1} + B_t e_t), \qquad y_t = Y_{s,t} v_{t-1} + Y_{e,t} e_t,

at every site by itself, :math:`v = z \, (1 - z A P)^{-1} B e` with P the shift by one step, so
that all it does is a matrix :math:`y = \mathcal T e`.  Statistics are the same at all times; in the
basis of Fourier (cosines and sines, so that it is real) their matrices are diagonal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.blocks.diagonals import Matrix
from rmt_jacobian.pencils.blocks.history import BlockHistory

__all__ = ["RingSites", "Transfers", "fourier_basis"]


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
class Transfers:
    r"""What sites do at one :math:`\lambda`, in the basis of Fourier.

    Attributes
    ----------
    matrices, slopes
        :math:`\mathcal T` and its derivative in lambda, shape (sites, K T, K T).
    kept
        The mean of :math:`\operatorname{tr} (1 - z A P)^{-1}`, a dimension.
    """

    matrices: Any
    slopes: Any
    kept: float


@dataclass(frozen=True, eq=False)
class RingSites:
    """The diagonals of the Jacobians of sites around a ring, equal weights.

    Attributes
    ----------
    state, gate, source_state, source_gate
        A, B, Y_s and Y_e at every step, shape (sites, T, rows, columns); one source for each W.
    """

    state: Any
    gate: Any
    source_state: Any
    source_gate: Any

    @classmethod
    def of(cls, history: BlockHistory) -> "RingSites":
        """Take the matrices of a history, whose last step is followed by the first."""
        steps = [step.matrices for step in history.diagonals]
        nothing = 0 * history.weights

        def stacked(which: int, rows: Sequence[int]) -> Any:
            xp = array_namespace(nothing)
            each = [_dense([step[which][row] for row in rows], nothing) for step in steps]
            return xp.stack(each, axis=1)

        states = range(history.states)
        return cls(stacked(0, states), stacked(1, states), stacked(2, history.sources),
                   stacked(3, history.sources))  # fmt: skip

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

    def part(self, sites: slice) -> "RingSites":
        """Return some of the sites."""
        return RingSites(self.state[sites, ...], self.gate[sites, ...],
                         self.source_state[sites, ...], self.source_gate[sites, ...])  # fmt: skip

    @cached_property
    def _basis(self) -> Any:
        """From preactivations step by step to the modes of one after another."""
        basis, _ = fourier_basis(self.steps)
        K, T = self.gates, self.steps
        found = np.einsum("rt,kl->krtl", basis, np.eye(K)).reshape(K * T, T * K)
        return array_namespace(self.state).asarray(found)

    def transfers(self, scale: float) -> Transfers:
        r"""Return what the sites do.

        Parameters
        ----------
        scale
            :math:`z = e^{-\lambda}`.
        """
        xp, T, d = array_namespace(self.state), self.steps, self.states
        one = xp.eye(T * d, dtype=self.state.dtype)
        back = xp.linalg.inv(one - scale * _shifted(self.state))
        moved = scale * (back @ _diagonal(self.gate))
        read, basis = _shifted(self.source_state), self._basis
        across = basis @ (read @ moved + _diagonal(self.source_gate)) @ xp.matrix_transpose(basis)
        slopes = basis @ (read @ (back @ moved)) @ xp.matrix_transpose(basis)
        kept = float(xp.sum(back * one)) / (self.count * T * d)
        return Transfers(across, -slopes, kept)


def _dense(rows: Matrix, nothing: Any) -> Any:
    xp = array_namespace(nothing)
    filled = [[nothing if e is None else e + nothing for e in row] for row in rows]
    return xp.stack([xp.stack(row, axis=-1) for row in filled], axis=-2)


def _diagonal(blocks: Any) -> Any:
    """Return matrices that act at every step by itself, shape (sites, T rows, T columns)."""
    xp = array_namespace(blocks)
    sites, T, rows, columns = blocks.shape
    at = xp.eye(T, dtype=blocks.dtype)[None, :, None, :, None]
    return xp.reshape(blocks[:, :, :, None, :] * at, (sites, T * rows, T * columns))


def _shifted(blocks: Any) -> Any:
    """Return matrices that act on what was there a step before."""
    xp = array_namespace(blocks)
    sites, T, rows, columns = blocks.shape
    before = xp.roll(xp.eye(T, dtype=blocks.dtype), -1, axis=1)[None, :, None, :, None]
    return xp.reshape(blocks[:, :, :, None, :] * before, (sites, T * rows, T * columns))
