"""Singular values of long products of Jacobians, each to high relative accuracy."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import Seed, array_namespace, spawn, to_numpy
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.networks.network import NetworkStep
from rmt_jacobian.sampling.products.graded import GradedRows, GradedTriangle

__all__ = ["LogSingularValues", "log_singular_values"]

_EPS = float(np.finfo(float).eps)
# Steps are multiplied before they are decomposed as long as a factor of this of the 1e16 is lost.
_GROUP_LOSS = 1e3
_LONGEST_GROUP = 16
_SCALE = 1e100  # and as long as the product is far from over- and underflow
# A value whose estimated relative error exceeds this is not resolved.
_RESOLVED = 0.1
# The difference of two results, as a measure of the error of their mean, may be small by chance.
_CAUTION = 4.0
# Values this many places away share the largest of their differences.
_NEIGHBOURS = 2


@dataclass(frozen=True)
class LogSingularValues:
    r"""Logarithms of the singular values of a product, with what is known of their errors.

    Attributes
    ----------
    values
        :math:`\log s_i`, decreasing, shape (dN,); minus infinity for exact zeros.
    errors
        Estimates of the absolute errors of ``values``, which are the relative errors of s; inf
        where a value is not resolved, and 0 for exact zeros.
    steps
        T, the number of factors.
    decompositions
        How many QR decompositions the product took.
    condition
        The condition number of the rows of the triangular factor when each is scaled to length 1.
    """

    values: np.ndarray
    errors: np.ndarray
    steps: int
    decompositions: int
    condition: float

    @property
    def resolved(self) -> np.ndarray:
        """Whether the error of a value is known to be small; exact zeros are resolved."""
        return np.isfinite(self.errors)

    @property
    def exponents(self) -> np.ndarray:
        r""":math:`\frac1T \log s_i`, which converge to the Lyapunov exponents."""
        return self.values / self.steps


def log_singular_values(
    factors: Iterable[NetworkStep | Any], *, seed: Seed = 0
) -> LogSingularValues:
    r"""Return the logarithms of all singular values of a product, however far they are apart.

    .. math:: \log s_i(J_T \cdots J_1), \qquad
        J_t Q_{t-1} = Q_t R_t, \qquad R_T \cdots R_1 = \mathrm{diag}(2^{e})\, X

    Singular values of the product as it stands are lost below 1e-16 of the largest, and the product
    itself soon over- or underflows.

    Parameters
    ----------
    factors
        :math:`J_1, J_2, \ldots`, the first to act first: steps of a network of any cell, as
        :func:`~rmt_jacobian.sampling.run_network` yields them, or square matrices.  They are gone
        through once, and a few are held at a time.
    seed
        Of the two random bases :math:`Q_0`.

    Notes
    -----
    *Algorithm.*  :math:`Q_0` is Haar.  Every product :math:`J_t Q_{t-1}` is decomposed by
    Householder reflections with its rows sorted by size, after several steps at a time where single
    ones lose few digits.  The triangular factors are multiplied with a power of two taken out of
    every row, which is exact.  The random :math:`Q_0` lets the decomposition reveal the ranks
    (:cite:t:`DemmelDumitriuHoltz2007`), so that what is left, X with rows of length 1, has a
    moderate condition number :math:`\kappa` however far the rows are apart.  One-sided Jacobi
    rotations of its rows finish.

    *Errors.*  With :math:`\epsilon = 2^{-53}`, and up to moderate powers of N:

    - The decomposition of step t is that of :math:`J_t + E_t` with
      :math:`|E_t|_{kj} \le \epsilon \|(J_t)_k\|`, row by row (:cite:t:`CoxHigham1998`, with mixed
      columns in the place of pivots), so that sites whose gates are nearly closed keep their
      digits.  Write a singular value as :math:`s = p^T J_t q`, where q is the image of its right
      vector under the factors before t, and p that of its left vector under the transposed factors
      after t.  It changes by :math:`p^T E_t q`.  So the relative error is
      :math:`\epsilon \sum_t \sum_k |p_k| \|(J_t)_k\| \|q\| / s`, which is the condition number of
      the problem: what rounding the factors themselves would do (:cite:t:`OliveiraStewart2000`).
    - :math:`2^{-e(t)} R_t 2^{e(t-1)}` times X has an error that amounts to a factor
      :math:`1 + O(\epsilon \kappa)` on the right of the product, hence to that relative error of
      every s.
    - The rotations add :math:`O(\epsilon \kappa)` (:cite:t:`DemmelVeselic1992`).

    Each is a relative error of s whatever its size, and grows between :math:`\sqrt T` and T.

    *Estimates.*  Everything is done twice, from two independent bases, so that rounding errors are
    independent; ``values`` are the means.  ``errors`` are the largest of four times the difference
    (of five neighbours the largest, since two results may agree by chance), and of
    :math:`2 \epsilon\, (a_i (\sum_t l_{it}^2)^{1/2} + (\sum_{j \le i} a_j^2)^{1/2} + |\log s_i|)`,
    with the digits lost in the i-th diagonal entry at step t,
    :math:`l_{it} = \sum_k |(Q_t)_{ki}| \|(J_t Q_{t-1})_k\| / |(R_t)_{ii}|`, and :math:`a_i` what
    nearly dependent rows of X lose, see
    :meth:`~rmt_jacobian.sampling.products.graded.GradedTriangle.slants`.  They
    are estimates, not bounds: of 4400 values of small networks one was off by 1.7 times its
    estimate, the median a hundred times closer.  Where an estimate exceeds 0.1, that value and
    all below it, whose places it may have taken, have an error of inf.  So it is with factors that
    are singular to rounding other than by rows or columns of zeros.

    *Zeros.*  Rows and columns of zeros, as of rectifiers, lower the rank exactly: the values that
    go with them are minus infinity.  So are those of entries that underflow.

    The cost is that of two products and two QR decompositions of size dN for each group of steps,
    for each basis; memory does not grow with T.

    Raises
    ------
    ParameterError
        If there is no factor, or factors are not square, of one size and finite.

    References
    ----------
    :cite:t:`Stewart1997` and :cite:t:`OliveiraStewart2000` on products whose singular values have
    high relative accuracy; :cite:t:`CoxHigham1998` on errors by rows.

    Examples
    --------
    >>> factors = [np.array([[1e-3, 1.0], [0.0, 1e3]])] * 200
    >>> found = log_singular_values(factors)
    >>> (found.values / (200 * math.log(1e3))).round(6)
    array([ 1., -1.])
    >>> bool(found.errors.max() < 1e-9)
    True
    """
    sweeps: list[_Sweep] = []
    steps, stride, waiting = 0, 1, []
    for factor in factors:
        size, xp = _size_and_namespace(factor)
        if not sweeps:
            sweeps = [_Sweep(size, rng, xp) for rng in spawn(seed, 2)]
        if size != sweeps[0].size:
            raise ParameterError(
                f"factors must have one size, but after {sweeps[0].size} comes {size}"
            )
        steps += 1
        waiting.append(factor)
        if len(waiting) >= stride:
            loss = max(sweep.multiply(waiting) for sweep in sweeps)
            stride, waiting = _next_stride(loss, len(waiting)), []
    if not sweeps:
        raise ParameterError("a product needs at least one factor")
    for sweep in sweeps:
        sweep.multiply(waiting)
    return _combined(sweeps, steps)


def _size_and_namespace(factor: Any) -> tuple[int, Any]:
    if isinstance(factor, NetworkStep):
        return len(factor.states) * factor.x.shape[0], array_namespace(factor.x)
    xp = array_namespace(factor)
    if factor.ndim != 2 or factor.shape[0] != factor.shape[1]:
        raise ParameterError(f"factors must be square matrices, not of shape {factor.shape}")
    if not bool(xp.all(xp.isfinite(factor))):
        raise ParameterError("factors must be finite; one of them has an entry that is not")
    return factor.shape[0], xp


def _next_stride(loss: float, steps: int) -> int:
    """Return how many steps may be multiplied, if they lose digits as the last ones did.

    Examples
    --------
    >>> _next_stride(10.0, 1), _next_stride(1e5, 1), _next_stride(1.0, 16)
    (2, 1, 16)
    """
    growth = math.log(max(loss, 1.001)) / max(1, steps)
    return max(1, min(2 * steps, _LONGEST_GROUP, int(math.log(_GROUP_LOSS) / growth)))


class _Sweep:
    """The product so far, in a random basis: J_t ... J_1 Q_0 = Q_t C_t."""

    def __init__(self, size: int, rng: np.random.Generator, xp: Any) -> None:
        self.size = size
        self.basis = xp.linalg.qr(xp.asarray(rng.standard_normal((size, size)))).Q
        self.rows = GradedRows.of(xp.eye(size, dtype=xp.float64))
        self.squared_losses = np.zeros(size)
        self.decompositions = 0

    def multiply(self, factors: list[Any]) -> float:
        """Multiply by factors, and return the largest loss of digits as a factor >= 1."""
        loss, taken, block = 1.0, [], self.basis
        for part in _parts(factors):
            if not self.basis.shape[1]:
                return loss
            block = _image(part, block)
            taken.append(part)
            if _must_stop(block):
                loss, taken, block = max(loss, self._decompose(block, taken)), [], self.basis
        return max(loss, self._decompose(block, taken)) if taken else loss

    def _decompose(self, block: Any, taken: list[Any]) -> float:
        Q, R, sizes = _row_sorted_qr(block)
        diagonal, R = _off_zero(R, sizes)
        if len(taken) > 1:  # the sizes of rows within the group are not known
            sizes = np.full_like(sizes, len(taken) * sizes.max(initial=0.0))
        losses = sizes / diagonal
        worst = float(losses.max(initial=1.0))
        if len(taken) > 1 and worst > _GROUP_LOSS**2:
            return max(self._decompose(_image(part, self.basis), [part]) for part in taken)
        self.basis, self.decompositions = Q, self.decompositions + 1
        kept = len(losses)
        with np.errstate(over="ignore"):
            self.squared_losses = self.squared_losses[:kept] + losses**2
        if kept:
            self.rows = self.rows.times_left(R)
        return worst

    def result(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the log singular values, what rounding does to them, and the condition of X."""
        kept = len(self.squared_losses)
        zeros = self.size - kept
        if not kept:
            return np.full(zeros, -np.inf), np.zeros(zeros), 1.0
        rows = GradedTriangle.of(self.rows)
        values, slants = rows.log_singular_values(), rows.slants()
        with np.errstate(over="ignore"):
            errors = _EPS * (
                slants * np.sqrt(self.squared_losses[rows.order])
                + np.sqrt(np.cumsum(slants**2))
                + np.abs(values)
            )
        return (
            np.pad(values, (0, zeros), constant_values=-np.inf),
            np.pad(errors, (0, zeros)),
            rows.condition,
        )


def _parts(factors: list[Any]) -> Iterator[Any]:
    """Yield the factors, each after the projection that its columns of zeros amount to."""
    for factor in factors:
        alive = _live_columns(factor)
        if not bool(array_namespace(alive).all(alive)):
            yield alive
        yield factor


def _live_columns(factor: Any) -> Any:
    """Return which columns of a factor have an entry other than 0."""
    if not isinstance(factor, NetworkStep):
        return array_namespace(factor).any(factor != 0, axis=0)
    xp = array_namespace(factor.x)
    columns = []
    for s in range(len(factor.states)):
        alive = xp.zeros_like(factor.x) != 0
        for table in (factor.derivatives.state, factor.derivatives.source_state):
            for (_, column), entry in table.items():
                if column == s:
                    alive = alive | (entry + xp.zeros_like(factor.x) != 0)
        columns.append(alive)
    return xp.concat(columns)


def _image(part: Any, block: Any) -> Any:
    """Return a factor, or a projection given by a mask, times a block of columns."""
    xp = array_namespace(block)
    if isinstance(part, NetworkStep):
        width = part.x.shape[0]
        pieces = [block[i * width : (i + 1) * width, :] for i in range(len(part.states))]
        return xp.concat([piece + xp.zeros_like(pieces[0]) for piece in part.times(pieces)])
    if part.ndim == 1:
        return xp.where(part[:, None], block, xp.zeros_like(block))
    return part @ block


def _must_stop(block: Any) -> bool:
    """Tell whether a product has rows of zeros, which later factors hide, or an extreme scale."""
    xp = array_namespace(block)
    rows = xp.max(xp.abs(block), axis=1)
    largest = float(xp.max(rows))
    return not (bool(xp.all(rows > 0)) and 1 / _SCALE < largest < _SCALE)


def _row_sorted_qr(block: Any) -> tuple[Any, Any, np.ndarray]:
    r"""Return Q and R of a block, and :math:`\sum_k |Q_{ki}| \|B_k\|` for every column i of Q.

    With the largest rows first the reflections respect the size of every row.  Rows of zeros are
    left out, so that R has as many rows as the block has rank if they alone lower it.
    """
    xp = array_namespace(block)
    largest = xp.max(xp.abs(block), axis=1)
    order = xp.argsort(-largest)
    alive = int(xp.sum(xp.astype(largest > 0, xp.int64)))
    sorted_rows = xp.take(block, order[:alive], axis=0)
    Q, R = xp.linalg.qr(sorted_rows)
    lengths = xp.sqrt(xp.sum(sorted_rows * sorted_rows, axis=1))
    sizes = to_numpy(lengths @ xp.abs(Q))
    zeros = xp.zeros((block.shape[0] - alive, R.shape[0]), dtype=block.dtype)
    return xp.take(xp.concat([Q, zeros]), xp.argsort(order), axis=0), R, sizes


def _off_zero(R: Any, sizes: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the diagonal of R and R, with entries below rounding raised to it.

    Where that happens the digits lost are more than there are, and the value will say so.
    """
    xp = array_namespace(R)
    diagonal = np.abs(to_numpy(xp.linalg.diagonal(R)))
    low = diagonal < _EPS**2 * sizes
    if not low.any():
        return diagonal, R
    raised = np.where(low, _EPS**2 * sizes, 0.0)
    added = np.zeros(R.shape)
    np.fill_diagonal(added, raised)
    return np.where(low, raised, diagonal), R + xp.asarray(added)


def _combined(sweeps: list[_Sweep], steps: int) -> LogSingularValues:
    results = [sweep.result() for sweep in sweeps]
    (first, first_errors, _), (second, second_errors, _) = results
    with np.errstate(invalid="ignore"):
        difference = np.where(first == second, 0.0, np.abs(first - second))
        values = np.where(first == second, first, (first + second) / 2)
    zero = np.isneginf(first) & np.isneginf(second)
    own = np.maximum(_CAUTION * difference, np.maximum(first_errors, second_errors))
    # A value that is lost may stand in the place of any below it.  nan is lost too.
    lost = np.cumsum(~(own <= _RESOLVED) & ~zero) > 0
    errors = np.maximum(own, _CAUTION * _largest_nearby(np.where(lost | zero, 0.0, difference)))
    errors = np.where(zero, 0.0, np.where(lost, np.inf, errors))
    return LogSingularValues(
        values, errors, steps, max(sweep.decompositions for sweep in sweeps),
        max(condition for _, _, condition in results),
    )  # fmt: skip


def _largest_nearby(values: np.ndarray) -> np.ndarray:
    """Return the largest of every value and its neighbours."""
    padded = np.pad(values, _NEIGHBOURS)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    return windows.max(axis=1)
