r"""The matrix of a site with given self-energies, its inverse and the angle of its determinant.

In the order forces :math:`\eta` on the sources, multipliers w of the ends of stretches, states v at
their starts it is

.. math::
    L = \begin{pmatrix} \Sigma_y^{-1} - M_{yy} & -M_{y\varphi} & -V_y \\
    \cdot & s\,1_m - M_{\varphi\varphi} & C - V_\varphi \\ \cdot & \cdot & s\,1_0 \end{pmatrix},
    \qquad M = \sum_k E_k \Sigma_{e_k} E_k^T ,

with C the joints :math:`\varphi_j = v_j`, s at the states before the first step and, times
:math:`(P^T P)^{-1}`, at the multipliers of the states after the last.  Its imaginary part is
positive semidefinite.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.shared.shooting import Shooting

__all__ = ["SiteResolvent"]

_BALANCINGS = 4  # of rows and columns
_LEAST = 1e-290


@dataclass(frozen=True, eq=False)
class SiteResolvent:
    r"""The matrices of some sites at one spectral point.

    Attributes
    ----------
    shooting
        The linear maps of the sites.
    s
        The spectral point.
    spreads
        :math:`\Sigma_{e_k}`, on the host, shape (K, T, T).
    costs, inverse_costs
        :math:`\Sigma_y` of all sources as a matrix with one block for each, and its inverse; on the
        host, shape (S T, S T).
    """

    shooting: Shooting
    s: complex
    spreads: np.ndarray
    costs: np.ndarray
    inverse_costs: np.ndarray

    @property
    def xp(self) -> Any:
        """The array namespace of the sites."""
        return array_namespace(self.shooting.nodes)

    @cached_property
    def covariances(self) -> Any:
        """M, shape (sites, S T + d m, S T + d m)."""
        xp, total = self.xp, None
        for gate, spread in zip(self.shooting.gates, self.spreads, strict=True):
            term = (gate @ xp.asarray(spread)) @ xp.matrix_transpose(gate)
            total = term if total is None else total + term
        return total

    @cached_property
    def matrix(self) -> Any:
        """L, shape (sites, n, n)."""
        xp, maps = self.xp, self.shooting
        n, outputs, sourced, d = maps.size, maps.outputs, maps.sourced, maps.states
        common = np.zeros((n, n), dtype=complex)
        common[:sourced, :sourced] = self.inverse_costs
        starts = np.arange(outputs, outputs + d)
        common[starts, starts] = self.s
        joined = np.arange(outputs + d, n)
        common[joined - outputs - d + sourced, joined] = 1.0
        common[joined, joined - outputs - d + sourced] = 1.0
        found = xp.empty((maps.nodes.shape[0], n, n), dtype=xp.complex128)
        found[:, :outputs, :outputs] = -self.covariances
        found[:, :outputs, outputs:] = -maps.nodes
        found[:, outputs:, :outputs] = -xp.matrix_transpose(maps.nodes)
        found[:, outputs:, outputs:] = 0.0
        last = slice(outputs - d, outputs)
        found[:, last, last] += self.s * (maps.ends @ xp.matrix_transpose(maps.ends))
        return found + xp.asarray(common)[None, :, :]

    @cached_property
    def balance(self) -> Any:
        """Factors for rows and columns after which none is large, shape (sites, n)."""
        xp = self.xp
        sizes = xp.abs(self.matrix)
        factors = xp.asarray(self._units)[None, :] + 0 * sizes[:, :, 0]
        for _ in range(_BALANCINGS):
            largest = xp.max(factors[:, :, None] * sizes * factors[:, None, :], axis=2)
            factors = factors / xp.sqrt(xp.where(largest > 0, largest, xp.ones_like(largest)))
        return factors

    @property
    def _units(self) -> np.ndarray:
        r"""The size of a state at every step, :math:`(\Sigma_e / \Sigma_y)^{1/4}`, or one over it.

        States of small singular values change by orders of magnitude from step to step, which
        balancing neighbours would find out only one by one.
        """
        maps, T = self.shooting, self.shooting.steps
        spread = np.max(np.abs(np.diagonal(self.spreads, axis1=1, axis2=2)), axis=0)
        cost = np.max(np.abs(np.diag(self.costs)).reshape(maps.sources, T), axis=0)
        log = (np.log(np.maximum(spread, _LEAST)) - np.log(np.maximum(cost, _LEAST))) / 4
        starts = np.array(maps.starts)
        here = np.append(log[0], (log[starts[1:] - 1] + log[starts[1:]]) / 2)
        ends = np.append(here[1:], log[-1])
        logs = [-np.tile(log, maps.sources), -np.repeat(ends, maps.states),
                np.repeat(here, maps.states)]  # fmt: skip
        return np.exp(np.concatenate(logs))

    @property
    def balanced(self) -> Any:
        """L with balanced rows and columns."""
        return self.balance[:, :, None] * self.matrix * self.balance[:, None, :]

    @cached_property
    def inverse(self) -> Any:
        """Its inverse Q, shape (sites, n, n)."""
        inner = self.xp.linalg.inv(self.balanced)
        return self.balance[:, :, None] * inner * self.balance[:, None, :]

    @cached_property
    def arms(self) -> Any:
        """Q from the ends of the chain, where s stands, to all; shape (sites, 2 d, n).

        First from the states before the first step, then from the multipliers of those after the
        last.
        """
        xp, maps, outputs = self.xp, self.shooting, self.shooting.outputs
        first = self.inverse[:, outputs : outputs + maps.states, :]
        last = self.inverse[:, outputs - maps.states : outputs, :]
        return xp.concat([first, xp.matrix_transpose(maps.ends) @ last], axis=1)

    def determinant(self) -> Any:
        r"""Return log det L on the branch of matrices with a positive imaginary part.

        That of a joint alone is :math:`i \pi`, which is taken off.  The pivots of an elimination
        without exchanges lie in the upper half plane as the matrix does; a multiplier and the state
        that it joins, on whose diagonal there is nothing at first, are eliminated together.

        Returns
        -------
        array of shape (sites,)
        """
        xp, maps, d = self.xp, self.shooting, self.shooting.states
        pairs = maps.outputs - maps.sourced - d
        joints = [(maps.sourced + j, maps.outputs + d + j) for j in range(pairs)]
        order = [
            *range(maps.sourced), *(at for joint in joints for at in joint),
            *range(maps.outputs, maps.outputs + d), *range(maps.outputs - d, maps.outputs),
        ]  # fmt: skip
        index = xp.asarray(np.array(order))
        left = xp.take(xp.take(self.balanced, index, axis=1), index, axis=2)
        total = -2 * xp.sum(xp.log(self.balance), axis=1) - 1j * math.pi * pairs
        while left.shape[1]:
            at = maps.size - left.shape[1]
            width = 2 if maps.sourced <= at < maps.sourced + 2 * pairs else 1
            pivot, rest = left[:, :width, :width], left[:, :width, width:]
            logarithm, solved = _eliminated(pivot, rest)
            total = total + logarithm
            left = left[:, width:, width:] - xp.matrix_transpose(rest) @ solved
        return total


def _eliminated(pivot: Any, rest: Any) -> tuple[Any, Any]:
    """Return log det of a pivot of size 1 or 2, on its branch, and its inverse times a matrix."""
    xp = array_namespace(pivot)
    if pivot.shape[1] == 1:
        return _log_above(pivot[:, 0, 0]), rest / pivot
    a, b, c = pivot[:, 0, 0], pivot[:, 0, 1], pivot[:, 1, 1]
    middle, root = (a + c) / 2, xp.sqrt(((a - c) / 2) ** 2 + b**2)
    product = a * c - b * b
    larger = xp.where(xp.abs(middle + root) > xp.abs(middle - root), middle + root, middle - root)
    logarithm = _log_above(larger) + _log_above(product / larger)
    adjugate = xp.stack([xp.stack([c, -b], axis=-1), xp.stack([-b, a], axis=-1)], axis=-2)
    return logarithm, (adjugate @ rest) / product[:, None, None]


def _log_above(x: Any) -> Any:
    """Return the logarithm of numbers in the closed upper half plane."""
    xp = array_namespace(x)
    height = xp.imag(x)
    height = xp.where(height > 0, height, xp.zeros_like(height))  # rounding, and -0.0
    return xp.log(xp.abs(x)) + 1j * xp.atan2(height, xp.real(x))
