r"""Second moments of small changes of an affine memory, which are known at all later steps.

With fresh coefficients of :math:`c' = A c + b` a change of the memory goes on as

.. math:: E[\delta c_1' \delta c_2'^T] = E[A_1 \, E[\delta c_1 \delta c_2^T] A_2^T],

whatever else hangs on the same sites.  What populations miss of it corrects their averages.
"""

from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.mean_field.memory.affine import affine_memory, memory_slopes
from rmt_jacobian.mean_field.memory.affine_moments import (
    change_by_gates,
    kronecker,
    stationary_second,
)

__all__ = ["MemoryResponse"]


@dataclass(frozen=True, eq=False)
class MemoryResponse:
    """Averages of products of derivatives of an affine memory of m states in two networks.

    Attributes
    ----------
    carry
        Of ds' / ds, shape (m^2, m^2).
    gates
        Of ds' / de_l, almost everywhere, shape (m^2, preactivations).
    """

    carry: np.ndarray
    gates: np.ndarray

    @classmethod
    def of(cls, cell: Cell, fresh: FreshVariables) -> "MemoryResponse | None":
        """Return the averages; None where the memory is not affine, or they are not exact.

        Parameters
        ----------
        cell, fresh
            The cell, and its fresh variables in one network or in two.
        """
        update, tables = affine_memory(cell), memory_slopes(cell)
        if update is None or tables is None or tuple(fresh.shape) != (1, 1):
            return None
        second = stationary_second(update, fresh)
        slopes = tuple(entry for row in update for entry in row[1:])
        carry = kronecker(fresh.outer(slopes), len(update))
        gates = [change_by_gates(fresh, table, second) for table in tables]
        if any(each.shape[:2] != (1, 1) for each in (carry, *gates)):
            return None
        return cls(carry[0, 0], np.stack([each[0, 0] for each in gates], axis=-1))

    def begun(self) -> np.ndarray:
        """Return the moments of a unit change of the states, and of each preactivation.

        Returns
        -------
        np.ndarray
            Shape (1 + preactivations, m, m).
        """
        m = round(len(self.carry) ** 0.5)
        return np.concatenate([np.eye(m)[None], self.gates.T.reshape(-1, m, m)])

    def carried(self, moments: np.ndarray) -> np.ndarray:
        """Return the moments a step later, shape (..., m, m)."""
        flat = moments.reshape(*moments.shape[:-2], -1)
        return (flat @ self.carry.T).reshape(moments.shape)
