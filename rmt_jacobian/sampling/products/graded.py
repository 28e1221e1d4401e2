"""Matrices whose rows span more orders of magnitude than floating-point numbers do."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.errors import ConvergenceError

__all__ = ["GradedRows", "GradedTriangle"]

_EPS = float(np.finfo(float).eps)
_SWEEPS = 40
_LARGEST_POWER = 1000.0  # 2^-1000 of a row is nothing beside the row that it is added to


@dataclass(frozen=True)
class GradedRows:
    r"""A matrix with its scale taken out of every row, as whole powers of two.

    .. math:: C = \mathrm{diag}(2^{e_i})\, X, \qquad \tfrac12 \le \max_j |X_{ij}| < 1

    Powers of two are exact: no rounding is added by the scaling, however far the rows are apart.

    Attributes
    ----------
    exponents
        :math:`e_i`, whole numbers as floats, shape (k,).
    rows
        X, shape (k, n).
    """

    exponents: Any
    rows: Any

    @classmethod
    def of(cls, matrix: Any) -> "GradedRows":
        """Return a matrix in this form; none of its rows may vanish.

        Examples
        --------
        >>> GradedRows.of(np.array([[4.0, 0.0], [0.0, 0.25]])).exponents
        array([ 3., -1.])
        """
        xp = array_namespace(matrix)
        return _rescaled(xp.zeros_like(matrix[:, 0]), matrix)

    def times_left(self, R: Any) -> "GradedRows":
        r"""Return R C for an upper triangular or trapezoidal R, shape (m, k), m <= k.

        .. math:: (R C)_i = 2^{e_i} \sum_{j \ge i} R_{ij}\, 2^{e_j - e_i} X_j

        The error of every row is of the order of rounding relative to
        :math:`\sum_j |R_{ij}| 2^{e_j} |X_j|`.

        Examples
        --------
        >>> C = GradedRows.of(np.eye(2))
        >>> for _ in range(3000):
        ...     C = C.times_left(np.diag([4.0, 0.25]))
        >>> C.exponents, C.rows.max(axis=1)
        (array([ 6001., -5999.]), array([0.5, 0.5]))
        """
        xp = array_namespace(R, self.rows)
        e = self.exponents
        powers = e[None, :] - e[: R.shape[0], None]
        # Below the diagonal, where R vanishes, the powers would overflow.
        powers = xp.clip(xp.triu(powers), -_LARGEST_POWER, _LARGEST_POWER)
        scaled = R * xp.pow(xp.full_like(powers, 2.0), powers)
        return _rescaled(e[: R.shape[0]], scaled @ self.rows)


def _rescaled(exponents: Any, matrix: Any) -> GradedRows:
    """Move the power of two of every row to its exponent."""
    xp = array_namespace(matrix)
    shift = xp.floor(xp.log2(xp.max(xp.abs(matrix), axis=1))) + 1.0
    # In two halves: one factor would leave the range where rows are near the ends of it.
    half = xp.floor(-shift / 2)
    two = xp.full_like(half, 2.0)
    rows = matrix * xp.pow(two, half)[:, None] * xp.pow(two, -shift - half)[:, None]
    return GradedRows(exponents + shift, rows)


@dataclass(frozen=True)
class GradedTriangle:
    r"""Rows of length 1 times :math:`e^{l_i}`, longest first, made lower triangular from the right.

    .. math:: \mathrm{diag}(e^l)\, X = P^T\, \mathrm{diag}(e^{l}) L\, Z^T

    Attributes
    ----------
    order
        Which row of X every row of L was: the permutation P.
    triangle
        L, lower triangular with rows of length 1, shape (k, k).
    logs
        l, decreasing, shape (k,).
    """

    order: np.ndarray
    triangle: np.ndarray
    logs: np.ndarray

    @classmethod
    def of(cls, graded: GradedRows) -> "GradedTriangle":
        """Sort and triangularise, on the host."""
        rows, exponents = to_numpy(graded.rows), to_numpy(graded.exponents)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        logs = exponents * math.log(2.0) + np.log(lengths)
        order = np.argsort(-logs, kind="stable")
        L = np.tril(np.linalg.qr((rows[order] / lengths[order, None]).T).R.T)
        # Rows that are dependent to rounding are told apart by less than rounding.
        least = _EPS**2
        short = np.abs(L.diagonal()) < least
        L[short, short] = least
        return cls(order, L, logs[order])

    @property
    def condition(self) -> float:
        r"""The condition number of L, which is that of X with rows of length 1."""
        values = np.linalg.svd(self.triangle, compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 0 else math.inf

    def slants(self) -> np.ndarray:
        """Return the lengths of the rows of the inverse of L.

        The i-th is 1 where the i-th row is orthogonal to the longer ones, and large where it is
        nearly a combination of them.
        """
        inverse = solve_triangular(self.triangle, np.eye(len(self.logs)), lower=True)
        return np.sqrt(np.einsum("ij,ij->i", inverse, inverse))

    def log_singular_values(self) -> np.ndarray:
        r"""Return the logarithms of the singular values, decreasing.

        .. math:: \mathrm{diag}(e^{l})\, L = K\, \mathrm{diag}(L_{jj}\, e^{l_j}), \qquad
                  K_{ij} = \frac{L_{ij}}{L_{jj}}\, e^{l_i - l_j}

        The columns of K are nearly orthogonal where lengths are far apart.  One-sided Jacobi
        rotations of them finish, with lengths held as logarithms.

        Notes
        -----
        The absolute error of every logarithm is of the order of rounding times the condition number
        of L, however far the l are apart.

        Raises
        ------
        ConvergenceError
            If the rotations do not settle.

        References
        ----------
        :cite:t:`DemmelVeselic1992`, on one-sided rotations of graded rows.

        Examples
        --------
        >>> rows = GradedRows(np.array([-1000.0, 1000.0]), np.array([[1.0, 0.0], [0.6, 0.8]]))
        >>> found = GradedTriangle.of(rows).log_singular_values()
        >>> (found - np.log([2.0, 0.8 / 2]) - 999 * np.log([2.0, 0.5])).round(9) + 0.0
        array([0., 0.])
        """
        diagonal = np.abs(self.triangle.diagonal())
        ratios = np.exp(np.minimum(self.logs[:, None] - self.logs, 0.0))
        K = self.triangle / diagonal * ratios
        lengths = np.sqrt(np.einsum("ij,ij->j", K, K))
        return _jacobi((K / lengths).T, np.stack([self.logs, np.log(diagonal * lengths)]))


def _jacobi(rows: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Rotate rows x, of length 1 times exp(l), until they are orthogonal; return l, decreasing.

    Every l is a sum of two numbers, the second of them small: adding the logarithm of each rotation
    to a large one would round thousands of times.
    """
    k, n = rows.shape
    if k == 1:
        return logs.sum(axis=0)
    if k % 2:  # one more row, of nothing, in a direction of its own
        rows = np.pad(rows, ((0, 1), (0, 1)))
        rows[-1, -1] = 1.0
        logs = np.pad(logs, ((0, 0), (0, 1)), constant_values=((0.0, 0.0), (0.0, -np.inf)))
        logs[1, -1] = 0.0
        logs[0, -1] = -np.inf
    tolerance = _EPS * math.sqrt(n)
    pairs = (rows[::2], rows[1::2], logs[:, ::2], logs[:, 1::2])
    worst = math.inf
    for _ in range(_SWEEPS):
        worst = 0.0
        for _ in range(len(rows) - 1):  # the rounds of a tournament: disjoint pairs, each once
            pairs, cosine = _rotated(*pairs, tolerance)
            pairs = _next_round(*pairs)
            worst = max(worst, cosine)
        if worst <= tolerance:
            found = np.concatenate([pairs[2], pairs[3]], axis=1).sum(axis=0)
            return np.sort(found)[::-1][:k]
    raise ConvergenceError(
        f"one-sided Jacobi rotations left a cosine of {worst:.1e} after {_SWEEPS} sweeps"
    )


_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _next_round(first: np.ndarray, second: np.ndarray, l1: np.ndarray, l2: np.ndarray) -> _Pairs:
    """Move everyone but the first player on by one seat, around the table."""
    if len(first) == 1:
        return first, second, l1, l2
    return (
        np.concatenate([first[:1], second[:1], first[1:-1]]),
        np.concatenate([second[1:], first[-1:]]),
        np.concatenate([l1[:, :1], l2[:, :1], l1[:, 1:-1]], axis=1),
        np.concatenate([l2[:, 1:], l1[:, -1:]], axis=1),
    )


def _rotated(
    first: np.ndarray, second: np.ndarray, l1: np.ndarray, l2: np.ndarray, tolerance: float
) -> tuple[_Pairs, float]:
    """Make the rows of each pair orthogonal; return also the largest cosine there was.

    With the longer row as unit and r the ratio of lengths, the tangent of the angle is r w, with
    w = 2 c / (1 - r^2 + sqrt((1 - r^2)^2 + 4 c^2 r^2)).  The shorter row needs w alone, so that r
    may underflow.
    """
    gaps = (l2 - l1).sum(axis=0)
    cosine = np.einsum("ij,ij->i", first, second)
    largest = float(np.abs(cosine).max())
    cosine = np.where(np.abs(cosine) > tolerance, cosine, 0.0)
    if not cosine.any():
        return (first, second, l1, l2), largest
    r = np.exp(-np.abs(gaps))
    rest = 1 - r * r
    root = rest + np.sqrt(rest * rest + (2 * cosine * r) ** 2)
    w = 2 * cosine / np.where(root > 0, root, 1.0)
    longer, shorter = w * r * r, -w
    swap = gaps > 0
    first, second = (
        first + np.where(swap, shorter, longer)[:, None] * second,
        second + np.where(swap, longer, shorter)[:, None] * first,
    )
    shrink = 1 / np.sqrt(1 + (w * r) ** 2)
    first, l1 = _of_unit_length(first, l1, shrink)
    second, l2 = _of_unit_length(second, l2, shrink)
    return (first, second, l1, l2), largest


def _of_unit_length(
    rows: np.ndarray, logs: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return rows / lengths[:, None], np.stack([logs[0], logs[1] + np.log(lengths * factor)])
