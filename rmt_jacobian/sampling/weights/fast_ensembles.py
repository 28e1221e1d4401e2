r"""Random matrices that multiply in O(N log N): stand-ins for Haar and Gaussian ones.

.. math:: O = P_1 D_1 C D_2 P_2, \qquad W = O_1 \, \mathrm{diag}(s) \, O_2

with random permutations P, random signs D and the orthonormal cosine transform C.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from rmt_jacobian.arrays import ArrayGenerator, array_namespace
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.sampling.weights.cosine import cosine_transform, inverse_cosine_transform

__all__ = [
    "FastGaussianMatrix",
    "FastOrthogonalMatrix",
    "draw_fast_gaussian",
    "draw_fast_orthogonal",
]

_IN_CACHE = 1 << 17  # numbers that are worked on at a time on the CPU


@dataclass(frozen=True)
class SignedPermutation:
    """Moves entries and multiplies by signs or weights: y_i = factors_i x_(source_i).

    Attributes
    ----------
    source
        From where each entry comes, a permutation of 0, ..., N - 1; 32-bit integers.
    factors
        Signs as 8-bit integers, or weights; shape (N,).

    Examples
    --------
    >>> swap = SignedPermutation(np.array([1, 0]), np.array([1, -1]))
    >>> swap.apply(np.array([2.0, 3.0])), swap.transposed.apply(np.array([2.0, 3.0]))
    (array([ 3., -2.]), array([-3.,  2.]))
    """

    source: Any
    factors: Any

    def apply(self, rows: Any) -> Any:
        """Act on the last axis."""
        return array_namespace(rows).take(rows, self.source, axis=-1) * self.factors

    @cached_property
    def transposed(self) -> "SignedPermutation":
        """The transposed matrix."""
        xp = array_namespace(self.source)
        if isinstance(self.source, np.ndarray):
            inverse = np.empty_like(self.source)
            inverse[self.source] = np.arange(self.source.size, dtype=self.source.dtype)
        else:  # assignment by index is not in the array standard
            inverse = xp.astype(xp.argsort(self.source), xp.int32)
        return SignedPermutation(inverse, xp.take(self.factors, inverse))

    def acting_on(self, X: Any, scale: float = 1.0) -> "SignedPermutation":
        """Return sigma times this matrix, with factors of the type of an array."""
        factors = array_namespace(X).astype(self.factors, X.dtype, copy=False)
        source = self.source
        if isinstance(source, np.ndarray):  # which NumPy would do once for every column
            source = source.astype(np.intp)
        return SignedPermutation(source, factors if scale == 1 else scale * factors)


@dataclass(frozen=True)
class FastOrthogonalMatrix:
    r"""A scaled orthogonal matrix that is applied in O(N log N), by one cosine transform.

    .. math:: W = \sigma P_1 D_1 C D_2 P_2

    With diagonal matrices that do not depend on it, W is asymptotically free as Haar W is.  Its
    entries are not Gaussian: they are of size at most :math:`\sigma \sqrt{2 / N}`.

    Attributes
    ----------
    left, right
        P_1 D_1 and D_2 P_2.
    scale
        sigma.

    References
    ----------
    :cite:t:`AndersonFarrell2014`.

    Examples
    --------
    >>> from rmt_jacobian.sampling import draw_weights
    >>> W = draw_weights("fast-orthogonal", 1000, 2.0, np.random.default_rng(0))
    >>> x = np.ones(1000)
    >>> bool(np.allclose(W.apply_transposed(W.apply(x)), 4 * x))
    True
    """

    left: SignedPermutation
    right: SignedPermutation
    scale: float

    def apply(self, X: Any) -> Any:
        """Return W X."""
        factors = self.right.acting_on(X), self.left.acting_on(X, self.scale)
        return _along_columns(cosine_transform, factors, X)

    def apply_transposed(self, X: Any) -> Any:
        """Return W^T X."""
        left, right = self.left.transposed, self.right.transposed
        factors = left.acting_on(X), right.acting_on(X, self.scale)
        return _along_columns(inverse_cosine_transform, factors, X)

    def matrix(self) -> Any:
        """Return W itself."""
        return _whole(self, self.left.source)

    def row_lengths(self) -> Any:
        """Return the length of every row, which is sigma."""
        xp = array_namespace(self.left.source)
        return xp.full(self.left.source.shape[0], self.scale, dtype=xp.float64)


@dataclass(frozen=True)
class FastGaussianMatrix:
    r"""A stand-in for a Gaussian matrix that is applied in O(N log N), by two cosine transforms.

    .. math:: W = \sigma P_1 D_1 C \, M \, C D_2 P_2

    M is a random permutation with signs, times the N quantiles of the quarter-circle law, so that
    W has the singular values of a Gaussian matrix without their fluctuation.  The signs and
    permutations of the two orthogonal factors that meet in the middle are one of each.

    The lengths of the rows are not independent: they fluctuate half as much as those of a Gaussian
    matrix and come in pairs whose squares add up to :math:`2 \sigma^2`.

    Attributes
    ----------
    left, middle, right
        P_1 D_1, M and D_2 P_2.
    scale
        sigma.

    References
    ----------
    :cite:t:`AndersonFarrell2014`.

    Examples
    --------
    >>> from rmt_jacobian.sampling import draw_weights
    >>> W = draw_weights("fast-gaussian", 256, 1.0, np.random.default_rng(0))
    >>> squares = np.linalg.svd(W.matrix(), compute_uv=False) ** 2
    >>> round(float(np.mean(squares)), 12), round(float(np.mean(squares**2)), 2)
    (1.0, 2.0)
    """

    left: SignedPermutation
    middle: SignedPermutation
    right: SignedPermutation
    scale: float

    def apply(self, X: Any) -> Any:
        """Return W X."""
        right, middle = self.right.acting_on(X), self.middle.acting_on(X)
        factors = right, middle, self.left.acting_on(X, self.scale)
        return _along_columns(cosine_transform, factors, X)

    def apply_transposed(self, X: Any) -> Any:
        """Return W^T X."""
        left, middle = self.left.transposed, self.middle.transposed
        right = self.right.transposed.acting_on(X, self.scale)
        factors = left.acting_on(X), middle.acting_on(X), right
        return _along_columns(inverse_cosine_transform, factors, X)

    def matrix(self) -> Any:
        """Return W itself."""
        return _whole(self, self.left.source)

    def row_lengths(self) -> Any:
        r"""Return the length of every row.

        Row k of :math:`C M` has the squared length

        .. math:: \sum_n C_{kn}^2 m_n^2
                  = \frac1N \sum_n m_n^2 \left(1 + \cos \frac{2 \pi k (2 n + 1)}{2 N}\right),
                  \quad k > 0 ,

        a cosine transform at the frequency 2 k, and beyond N minus the one at 2 N - 2 k.
        """
        xp, N = array_namespace(self.middle.factors), self.middle.factors.shape[0]
        squares = xp.astype(self.middle.factors, xp.float64) ** 2
        mean = float(xp.sum(squares)) / N
        transform = cosine_transform(squares) / math.sqrt(2 * N)
        k = xp.arange(N)
        below, beyond = 2 * k < N, 2 * k > N
        folded = xp.where(below, 2 * k, xp.where(beyond, 2 * N - 2 * k, 0 * k))
        sign = xp.astype(below, xp.float64) - xp.astype(beyond, xp.float64)
        waves = xp.where(k > 0, sign * xp.take(transform, folded), 0.0 * transform)
        return self.scale * xp.take(xp.sqrt(mean + waves), self.left.source)


def draw_fast_orthogonal(width: int, scale: float, rng: ArrayGenerator) -> FastOrthogonalMatrix:
    """Draw permutations and signs.

    Examples
    --------
    >>> from rmt_jacobian.arrays import array_generator
    >>> W = draw_fast_orthogonal(4, 3.0, array_generator(np.random.default_rng(0)))
    >>> bool(np.allclose(W.matrix() @ W.matrix().T, 9 * np.eye(4)))
    True
    """
    left, right = (_signed_permutation(width, rng) for _ in range(2))
    return FastOrthogonalMatrix(left, right, scale)


def draw_fast_gaussian(width: int, scale: float, rng: ArrayGenerator) -> FastGaussianMatrix:
    """Draw permutations and signs; the singular values are always the same.

    Examples
    --------
    >>> from rmt_jacobian.arrays import array_generator
    >>> W = draw_fast_gaussian(64, 3.0, array_generator(np.random.default_rng(0)))
    >>> round(float(np.mean(W.row_lengths() ** 2)), 12)
    9.0
    """
    xp = rng.xp
    left, right = (_signed_permutation(width, rng) for _ in range(2))
    values = xp.asarray(quarter_circle_values(width), dtype=rng.dtype, copy=True)  # kept read-only
    weights = xp.take(values, rng.permutation(width)) * xp.astype(rng.signs(width), rng.dtype)
    middle = SignedPermutation(rng.permutation(width), weights)
    return FastGaussianMatrix(left, middle, right, scale)


def _signed_permutation(width: int, rng: ArrayGenerator) -> SignedPermutation:
    return SignedPermutation(rng.permutation(width), rng.signs(width))


@lru_cache(maxsize=4)
def quarter_circle_values(count: int) -> np.ndarray:
    """Return quantiles of the quarter-circle law, scaled to a mean square of exactly 1.

    Examples
    --------
    >>> quarter_circle_values(1), quarter_circle_values(3).round(3)
    (array([1.]), array([0.271, 0.834, 1.494]))
    """
    values = QuarterCircle().ppf((np.arange(count) + 0.5) / count)
    values = np.asarray(values) / math.sqrt(np.mean(np.square(values)))
    values.flags.writeable = False
    return values


def _whole(matrix: FastOrthogonalMatrix | FastGaussianMatrix, like: Any) -> Any:
    xp = array_namespace(like)
    return matrix.apply(xp.eye(like.shape[0], dtype=xp.float64))


def _along_columns(transform: Any, factors: Sequence[SignedPermutation], X: Any) -> Any:
    """Apply factors, with a transform between each two, to the columns of X: (N,) or (N, m).

    Columns are contiguous in the result.  On the CPU so many are worked on at a time as fit into
    its cache.
    """

    def act(rows: Any) -> Any:
        rows = factors[0].apply(rows)
        for factor in factors[1:]:
            rows = factor.apply(transform(rows, overwrite=True))
        return rows

    if X.ndim == 1:
        return act(X)
    rows, at_once = X.T, max(1, _IN_CACHE // X.shape[0])
    if not isinstance(X, np.ndarray) or rows.shape[0] <= at_once:
        return act(rows).T
    result = np.empty(rows.shape, dtype=X.dtype)
    for start in range(0, rows.shape[0], at_once):
        # One row alone is passed on as a vector, for which NumPy and SciPy are faster.
        part = start if at_once == 1 else slice(start, start + at_once)
        result[part] = act(rows[part])
    return result.T
