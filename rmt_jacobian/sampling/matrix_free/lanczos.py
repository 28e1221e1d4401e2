r"""Lanczos recurrences of several vectors at once, on any arrays.

From a vector v the recurrence builds orthonormal :math:`q_1, q_2, \ldots` of the Krylov spaces of a
symmetric matrix M,

.. math:: \beta_j q_{j+1} = M q_j - \alpha_j q_j - \beta_{j-1} q_{j-1}, \qquad q_1 = v / |v|,

and the tridiagonal matrix of the coefficients is all that quadrature needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError

__all__ = ["Tridiagonal", "lanczos_recurrences"]

_CANCELLED = 0.5  # of its length: what is left of a vector is then made orthogonal once more
_AT_ONCE = 1 << 21  # numbers of a basis that are allocated at a time
_EXHAUSTED = 64  # rounding errors of the matrix: a residual below them is none


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    r"""The coefficients of one Lanczos recurrence.

    Attributes
    ----------
    diagonal
        :math:`\alpha_1, \ldots, \alpha_k`, shape (k,).
    off_diagonal
        :math:`\beta_1, \ldots, \beta_k`, shape (k,); the last is the length of the residual, and 0
        where the Krylov space is exhausted.
    squared_length
        :math:`|v|^2`.
    """

    diagonal: np.ndarray
    off_diagonal: np.ndarray
    squared_length: float

    @property
    def steps(self) -> int:
        """K."""
        return len(self.diagonal)

    @property
    def exhausted(self) -> bool:
        """Whether the Krylov space of v is spanned whole, so that its measure has k points."""
        return bool(self.off_diagonal[-1] == 0)

    def first(self, steps: int) -> "Tridiagonal":
        """Return the coefficients of a shorter recurrence."""
        return Tridiagonal(self.diagonal[:steps], self.off_diagonal[:steps], self.squared_length)


def lanczos_recurrences(
    apply: Callable[[Any], Any],
    start: Any,
    steps: int,
    *,
    reorthogonalize: bool = True,
    report: Callable[[], object] = lambda: None,
) -> list[Tridiagonal]:
    """Run the Lanczos recurrence of every column of a block.

    Parameters
    ----------
    apply
        A symmetric matrix: takes and returns arrays of the shape of ``start``.
    start
        Vectors that are not 0, shape (n,) or (n, m).
    steps
        k, the most steps of each recurrence; fewer are made where its Krylov space is exhausted.
    reorthogonalize
        Whether every new vector is made orthogonal to all before it, which keeps k vectors in
        memory and costs O(n k^2).  Without it nodes that have converged come again, with the weight
        of one shared among them; sums over nodes stay right, bounds are no longer strict.
    report
        Called after every step, for a progress bar.

    Returns
    -------
    list of Tridiagonal
        One for each column, on the host.

    Raises
    ------
    ParameterError
        If ``steps`` is below 1, or a vector is 0 or not finite.

    References
    ----------
    :cite:t:`GolubMeurant2010`, chapter 4; :cite:t:`Parlett1998`, section 6.9, for the second pass.

    Examples
    --------
    >>> M = np.diag([1.0, 2.0, 4.0])
    >>> (found,) = lanczos_recurrences(lambda v: M @ v, np.ones(3), 5)
    >>> found.steps, found.exhausted, round(float(found.diagonal.sum()), 12)
    (3, True, 7.0)
    """
    check_counts({"Lanczos steps": steps})
    lengths = _lengths(start)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ParameterError("Lanczos needs vectors that are finite and not 0: draw others")
    xp = array_namespace(start)
    rounding = _EXHAUSTED * float(xp.finfo(start.dtype).eps)
    q, last, beta = _scaled(start, 1 / lengths), 0 * start, 0 * lengths
    most = min(steps, start.shape[0])
    basis = _Basis(q, most) if reorthogonalize else None
    alphas, betas = [], []
    scale, alive = 0 * lengths, lengths > 0
    for step in range(most):
        w = apply(q)
        if step:
            w = w - _scaled(last, beta)
        alpha = _dots(q, w)
        w = w - _scaled(q, alpha)
        if basis is not None:
            w = basis.orthogonal(w)
        last, beta = q, _lengths(w)
        scale = np.maximum(scale, np.hypot(alpha, beta))
        alive = alive & (beta > rounding * scale) & (step + 1 < start.shape[0])
        beta = np.where(alive, beta, 0.0)
        alphas.append(alpha)
        betas.append(beta)
        report()
        if not alive.any():
            break
        q = _scaled(w, np.divide(1.0, beta, out=np.zeros_like(beta), where=alive))
        if basis is not None and step + 1 < most:
            basis.append(q)
    return _tridiagonals(np.array(alphas), np.array(betas), lengths)


def _tridiagonals(alphas: np.ndarray, betas: np.ndarray, lengths: np.ndarray) -> list[Tridiagonal]:
    found = []
    for alpha, beta, length in zip(alphas.T, betas.T, lengths, strict=True):
        (ends,) = np.nonzero(beta == 0)
        steps = ends[0] + 1 if ends.size else len(beta)
        beta = beta[:steps].copy()
        found.append(Tridiagonal(alpha[:steps].copy(), beta, float(length**2)))
    return found


class _Basis:
    """The vectors of every column so far, as rows of a few matrices for each."""

    def __init__(self, first: Any, most: int) -> None:
        columns = 1 if first.ndim == 1 else first.shape[1]
        self._most, self._count = most, 0
        self._height = max(1, min(most, _AT_ONCE // first.shape[0]))
        self._parts: list[list[Any]] = [[] for _ in range(columns)]
        self.append(first)

    def append(self, q: Any) -> None:
        row = self._count % self._height
        for parts, column in zip(self._parts, _columns(q), strict=True):
            if row == 0:
                xp, device = array_namespace(column), getattr(column, "device", None)
                height = min(self._height, self._most - self._count)
                shape = (height, column.shape[0])
                parts.append(xp.empty(shape, dtype=column.dtype, device=device))
            parts[-1][row, :] = column
        self._count += 1

    def orthogonal(self, w: Any) -> Any:
        """Subtract from vectors their components along the basis, again where little is left."""
        columns = _columns(w)
        for j, parts in enumerate(self._parts):
            for _ in range(2):
                before, left = _lengths(columns[j]), self._count
                for part in parts:
                    known = part[: min(left, self._height), :]
                    left -= self._height
                    columns[j] = columns[j] - (known @ columns[j]) @ known
                if (_lengths(columns[j]) > _CANCELLED * before).all():
                    break
        return columns[0] if w.ndim == 1 else array_namespace(w).stack(columns, axis=1)


def _columns(block: Any) -> list[Any]:
    return [block] if block.ndim == 1 else [block[:, j] for j in range(block.shape[1])]


def _dots(a: Any, b: Any) -> np.ndarray:
    """Return the inner products of columns, on the host; shape (m,)."""
    if a.ndim == 1:
        return np.array([float(a @ b)])
    return np.asarray(to_numpy(array_namespace(a).sum(a * b, axis=0)), dtype=float)


def _lengths(a: Any) -> np.ndarray:
    return np.sqrt(_dots(a, a))


def _scaled(block: Any, factors: np.ndarray) -> Any:
    """Return the columns of a block times one number each."""
    if block.ndim == 1:
        return block * float(factors[0])
    xp = array_namespace(block)
    device = getattr(block, "device", None)
    return block * xp.asarray(factors, dtype=block.dtype, device=device)[None, :]
