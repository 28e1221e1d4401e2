"""What is averaged over the sites of a ring, with its derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.pencils.shared.ring_sites import Transfers

__all__ = ["RingSums", "ring_drift", "ring_sums"]


@dataclass(frozen=True, eq=False)
class RingSums:
    r"""Sums over some sites, with :math:`R = (1 + M^T M)^{-1}`, :math:`C = (1 + M M^T)^{-1}`.

    Attributes
    ----------
    count
        How many sites.
    rests
        The diagonals of R and of C, shape (2, K T).
    right, left, across
        Squares of the entries of R, of C and of :math:`Z = M R`, shape (K T, K T).
    passed
        :math:`\operatorname{tr} Z^T q \mathcal T' p`, with the derivative of what sites do.
    """

    count: int
    rests: np.ndarray
    right: np.ndarray
    left: np.ndarray
    across: np.ndarray
    passed: float

    @classmethod
    def together(cls, parts: "Sequence[RingSums]") -> "RingSums":
        """Add the sums of several groups of sites."""

        def total(name: str) -> Any:
            return sum(getattr(part, name) for part in parts)

        return cls(total("count"), total("rests"), total("right"), total("left"), total("across"),
                   total("passed"))  # fmt: skip


def _scaled(matrices: Any, p: np.ndarray, q: np.ndarray) -> Any:
    xp = array_namespace(matrices)
    return xp.asarray(q)[:, None] * matrices * xp.asarray(p)


def ring_sums(sites: Transfers, p: np.ndarray, q: np.ndarray) -> RingSums:
    """Return the sums over sites.

    Parameters
    ----------
    sites
        What they do.
    p, q
        The roots of the self-energies of every mode, shape (K T,).
    """
    M = _scaled(sites.matrices, p, q)
    xp, transpose = array_namespace(M), array_namespace(M).matrix_transpose
    one = xp.eye(len(p), dtype=M.dtype)
    right = xp.linalg.inv(one + transpose(M) @ M)
    Z = M @ right
    left = one - Z @ transpose(M)
    rests = xp.stack([xp.linalg.diagonal(xp.sum(each, axis=0)) for each in (right, left)])
    squares = (to_numpy(xp.sum(each * each, axis=0)) for each in (right, left, Z))
    return RingSums(
        M.shape[0],
        to_numpy(rests),
        next(squares),
        next(squares),
        next(squares),
        float(xp.sum(Z * _scaled(sites.slopes, p, q))),
    )


def ring_drift(sites: Transfers, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    r"""Return the derivatives of the diagonals of R and C in lambda at fixed p and q, (2, K T)."""
    M, slope = _scaled(sites.matrices, p, q), _scaled(sites.slopes, p, q)
    xp, transpose = array_namespace(M), array_namespace(M).matrix_transpose
    right = xp.linalg.inv(xp.eye(len(p), dtype=M.dtype) + transpose(M) @ M)
    Z = M @ right
    moved = slope - Z @ (transpose(M) @ slope)  # C M'
    columns = xp.sum((slope @ right) * Z, axis=(0, 1))
    rows = xp.sum(moved * Z, axis=(0, 2))
    return -2 * to_numpy(xp.stack([columns, rows]))
