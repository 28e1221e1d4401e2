r"""What is averaged over the sites of a ring, with its derivatives.

All that counts follows from one symmetric matrix of every site, regular on the real axis,

.. math::
    \begin{pmatrix} B p^2 B^T + \eta & D \\ D^T & -Y^T q^2 Y - \eta \end{pmatrix}^{-1}
    = \begin{pmatrix} X_{11} & X_{12} \\ X_{21} & -X_{22} \end{pmatrix},

with :math:`M = q Y D^{-1} B p`. For :math:`\eta = 0` they are

.. math::
    M^T M (1 + M^T M)^{-1} = p B^T X_{11} B p, \quad
    M M^T (1 + M M^T)^{-1} = q Y X_{22} Y^T q, \quad
    M (1 + M^T M)^{-1} = q Y X_{21} B p .
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.pencils.shared.ring_sites import RingSystem, fourier_basis

__all__ = ["RingSums", "ring_sums"]


@dataclass(frozen=True, eq=False)
class RingSums:
    r"""Sums over some sites, with :math:`R = (1 + M^T M)^{-1}`, :math:`C = (1 + M M^T)^{-1}`.

    Attributes
    ----------
    count
        How many sites.
    right, left
        The diagonals of R and of C, shape (K T,) and (S T,).
    right_squares, left_squares, across
        Squares of the entries of R, of C and of :math:`Z = M R`.
    above
        d T times the share of exponents above.
    """

    count: int
    right: np.ndarray
    left: np.ndarray
    right_squares: np.ndarray
    left_squares: np.ndarray
    across: np.ndarray
    above: float

    @classmethod
    def together(cls, parts: "Sequence[RingSums]") -> "RingSums":
        """Add the sums of several groups of sites."""

        def total(name: str) -> Any:
            return sum(getattr(part, name) for part in parts)

        return cls(
            total("count"), total("right"), total("left"), total("right_squares"),
            total("left_squares"), total("across"), total("above"),
        )  # fmt: skip


@np.errstate(all="ignore")  # far off a solution; whoever asks looks whether they are numbers
def ring_sums(
    system: RingSystem, spread: np.ndarray, cost: np.ndarray, eta: float
) -> RingSums:  # fmt: skip
    """Return the sums over sites.

    Parameters
    ----------
    system
        Their equations.
    spread, cost
        The self-energies p^2 and q^2 of every mode, shape (K, T) and (S, T).
    eta
        How far off the real axis.
    """
    xp, D = array_namespace(system.memory), system.memory
    basis, (sites, n, K, T) = xp.asarray(fourier_basis(spread.shape[1])[0]), system.drives.shape
    B = _Factors(system.drives, (0,) * n)
    Y = _Factors(xp.permute_dims(system.reads, (0, 2, 1, 3)), system.delays)
    A, S = B.gram(_circulants(spread)), Y.gram(_circulants(cost))
    little = eta * xp.eye(n * T, dtype=D.dtype)
    top = xp.concat([A + little, D], axis=2)
    below = xp.concat([xp.matrix_transpose(D), -S - little], axis=2)
    X = xp.linalg.inv(xp.concat([top, below], axis=1))
    X11, X21, X22 = X[:, : n * T, : n * T], X[:, n * T :, : n * T], -X[:, n * T :, n * T :]
    p, q = (xp.asarray(np.sqrt(each)) for each in (spread, cost))
    right = xp.eye(K * T, dtype=D.dtype) - _seen(X11, B, B, p, p, basis)
    left = xp.eye(q.shape[0] * T, dtype=D.dtype) - _seen(X22, Y, Y, q, q, basis)
    across = _seen(X21, Y, B, q, p, basis)
    v = system.states * T  # the change with lambda: of B by -B, of D by 1 - D, both for v alone
    drift = xp.sum((A * xp.matrix_transpose(X11))[:, :v, :])
    drift -= xp.sum(((xp.eye(n * T, dtype=D.dtype) - D) * xp.matrix_transpose(X21))[:, :v, :])

    def diagonal(matrices: Any) -> np.ndarray:
        return to_numpy(xp.sum(xp.linalg.diagonal(matrices), axis=0))

    def squares(matrices: Any) -> np.ndarray:
        return to_numpy(xp.sum(matrices * matrices, axis=0))

    return RingSums(sites, diagonal(right), diagonal(left), squares(right), squares(left),
                    squares(across), float(drift))  # fmt: skip


def _circulants(spectra: np.ndarray) -> np.ndarray:
    """Return the matrices in time of spectra, shape (kinds, T, T)."""
    basis, _ = fourier_basis(spectra.shape[1])
    return np.asarray(basis.T @ (spectra[:, :, None] * basis))


@dataclass(frozen=True, eq=False)
class _Factors:
    """B or Y transposed: from kinds of preactivations or sources to the variables of a site.

    Attributes
    ----------
    values
        Shape (sites, n, kinds, T).
    delays
        How many steps later than a variable what reads it is.
    """

    values: Any
    delays: tuple[int, ...]

    def gram(self, circulants: np.ndarray) -> Any:
        """Return what independent processes make of the variables, shape (sites, n T, n T)."""
        xp, (sites, n, kinds, T) = array_namespace(self.values), self.values.shape
        f, rows = self.values, []
        for i in range(n):
            row = []
            for j in range(n):
                C = xp.roll(xp.asarray(circulants), self.delays[i] - self.delays[j], axis=2)
                row.append(sum(f[:, i, k, :, None] * C[k, ...] * f[:, j, k, None, :]
                               for k in range(kinds)))  # fmt: skip
            rows.append(xp.stack(row, axis=2))
        return xp.reshape(xp.stack(rows, axis=1), (sites, n * T, n * T))


def _seen(X: Any, left: _Factors, right: _Factors, p: Any, q: Any, basis: Any) -> Any:
    """Return what a matrix of the variables is between preactivations or sources, in modes."""
    xp, (sites, n, rows, T) = array_namespace(X), left.values.shape
    X, turned = xp.reshape(X, (sites, n, T, n, T)), xp.matrix_transpose(basis)

    def between(k: int, m: int) -> Any:
        total: Any = 0.0
        for i in range(n):
            for j in range(n):
                each = left.values[:, i, k, :, None] * X[:, i, :, j, :]
                each = each * right.values[:, j, m, None, :]
                total = total + xp.roll(each, (left.delays[i], right.delays[j]), axis=(1, 2))
        return p[k, :, None] * (basis @ total @ turned) * q[m, None, :]

    columns = range(right.values.shape[2])
    return xp.concat(
        [xp.concat([between(k, m) for m in columns], axis=2) for k in range(rows)], axis=1
    )
