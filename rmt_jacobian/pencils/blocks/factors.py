r"""Covariances of the variables of a site, as factors.

Small s makes some combinations of the states far more variable than others, and their covariance
must not be written down, or the others drown in rounding.  So :math:`P = L\, \mathrm{diag}(p) L^T`
with L unit lower triangular.  A quadratic cost D on :math:`y = y^T Z`, which turns

.. math::
    P \to P + \frac{D}{\delta} (P y)(P y)^T, \qquad \delta = 1 - D\, y^T P y ,

like an observation of y, updates the factors by the rule of Bierman; states after a step are
:math:`v = L \xi` with independent :math:`\xi`, found by orthogonalising their rows as Gram and
Schmidt do, with the weights p (Thornton).

Imaginary parts of p and D are negative, so that no denominator vanishes; the real numbers of a
travelling wave may come with any sign for which none does.  The entries of matrices are arrays over
(points, sites), numbers, or None for 0.

References
----------
G. J. Bierman, Factorization Methods for Discrete Sequential Estimation (1977), chapters V and VI.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.blocks.history import Matrix

__all__ = [
    "Factors",
    "Observation",
    "States",
    "added",
    "applied",
    "dot",
    "in_terms",
    "orthogonalised",
    "product",
    "reciprocal",
    "times",
    "unit",
]

_LEAST = 2.0**-1022  # of numbers that have all their digits


def times(a: Any, b: Any) -> Any:
    """Return a product; None is 0."""
    if a is None or b is None:
        return None
    if a.__class__ is float and a == 1:
        return b
    if b.__class__ is float and b == 1:
        return a
    return a * b


def added(a: Any, b: Any) -> Any:
    """Return a sum; None is 0."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Return a scalar product; written out, as most of the time on few sites goes into calls."""
    total = None
    for x, y in zip(a, b, strict=True):
        if x is None or y is None:
            continue
        if x.__class__ is float and x == 1:
            term = y
        elif y.__class__ is float and y == 1:
            term = x
        else:
            term = x * y
        total = term if total is None else total + term
    return total


def reciprocal(pivot: Any) -> Any:
    """Return 1/p, 0 where p vanishes: what does not vary says nothing of anything else.

    Numbers below the least normal one count as 0: they have lost their digits, and 1/p overflows.
    """
    xp = array_namespace(pivot)
    moves = xp.abs(pivot) >= _LEAST
    return xp.where(moves, 1 / xp.where(moves, pivot, xp.ones_like(pivot)), xp.zeros_like(pivot))


def applied(matrix: Sequence[Sequence[Any]], vector: Sequence[Any]) -> list[Any]:
    """Return a matrix times a vector."""
    return [dot(row, vector) for row in matrix]


def product(left: Matrix, right: Matrix) -> Matrix:
    """Return the product of two matrices."""
    columns = list(zip(*right, strict=True))
    return [[dot(row, column) for column in columns] for row in left]


def _less(a: Any, b: Any) -> Any:
    """Return a difference; None is 0."""
    if b is None:
        return a
    return -b if a is None else a - b


def unit(n: int) -> Matrix:
    """Return the unit matrix of size n."""
    return [[1.0 if i == j else None for j in range(n)] for i in range(n)]


@dataclass(frozen=True)
class Factors:
    r"""A covariance :math:`P = L\, \mathrm{diag}(p) L^T`.

    Attributes
    ----------
    pivots, factor
        p and L.
    """

    pivots: list[Any]
    factor: Matrix

    @classmethod
    def prior(cls, pivots: list[Any]) -> "Factors":
        """Return the covariance of independent variables."""
        return cls(pivots, unit(len(pivots)))

    def factored(self, y: Sequence[Any]) -> list[Any]:
        """Return L^T y."""
        return [dot(column, y) for column in zip(*self.factor, strict=True)]

    def scaled(self, f: Sequence[Any]) -> list[Any]:
        """Return p f."""
        return [times(p, x) for p, x in zip(self.pivots, f, strict=True)]

    def weighted(self, y: Sequence[Any]) -> list[Any]:
        """Return p L^T y."""
        return self.scaled(self.factored(y))

    def variance(self, y: Sequence[Any]) -> Any:
        """Return y^T P y."""
        f = self.factored(y)
        return dot(self.scaled(f), f)

    def observed(self, y: Sequence[Any], D: Any) -> "Observation":
        r"""Return the covariance with a cost D on y^T Z, and what led to it.

        With :math:`f = L^T y`, :math:`v_i^{(j)} = \sum_{k > j} L_{ik} p_k f_k` and
        :math:`\beta_j = 1 - D \sum_{i \geq j} p_i f_i^2`,

        .. math::
            p_j \to p_j \beta_{j+1} / \beta_j, \qquad L_{ij} \to \frac{1}{\beta_{j+1}} \Bigl(
            L_{ij} + D\, y_j v_i^{(j)}
            + D \sum_{m > j} y_m (L_{mj} v_i^{(j)} - L_{ij} v_m^{(j)}) \Bigr) \quad (i > j).

        The rule of Bierman, :math:`L_{ij} + D f_j v_i^{(j)} / \beta_{j+1}`, is the same, but it
        subtracts numbers that agree where a variable is seen sharply: the term m = i, which is 0
        here, is most of them.
        """
        n, f = range(len(y)), self.factored(y)
        weighted = self.scaled(f)
        if D is None:
            return Observation(self, weighted, dot(weighted, f), 1.0)
        pivots, factor = list(self.pivots), [list(row) for row in self.factor]
        variance, beta, inverse = None, 1.0, 1.0
        seen: list[Any] = [None] * len(y)  # D v
        for j in reversed(n):
            later = n[j + 1 :]
            for i in later:
                own, terms = self.factor[i][j], times(y[j], seen[i])
                for m in later:
                    if m != i and y[m] is not None:
                        turned = _less(times(self.factor[m][j], seen[i]), times(own, seen[m]))
                        terms = added(terms, times(y[m], turned))
                factor[i][j] = times(added(own, terms), inverse)
            share = times(weighted[j], f[j])
            if share is not None:
                variance = added(variance, share)
                before, beta = beta, 1 - D * variance
                inverse = 1 / beta
                pivots[j] = times(self.pivots[j], times(before, inverse))
                cost = times(D, weighted[j]) if j else None
                for i in n[j:]:
                    seen[i] = added(seen[i], times(self.factor[i][j], cost))
        return Observation(Factors(pivots, factor), weighted, variance, inverse)


@dataclass(frozen=True)
class Observation:
    r"""What a cost on y^T Z makes of a covariance.

    Attributes
    ----------
    factors
        The covariance with the cost.
    weighted
        p L^T y of that without it.
    variance
        y^T P y of that without it.
    inverse
        :math:`1 / \delta`.
    """

    factors: Factors
    weighted: list[Any]
    variance: Any
    inverse: Any


@dataclass(frozen=True)
class States:
    r"""The states between two steps in the cavity of what is to the left.

    Attributes
    ----------
    pivots, basis
        Variances of independent :math:`\xi`, and L in :math:`v = L \xi`.
    """

    pivots: list[Any]
    basis: Matrix

    @classmethod
    def independent(cls, variance: Any, count: int) -> "States":
        """Return the states before the first step."""
        return cls([variance] * count, unit(count))


def in_terms(states: Matrix, gates: Matrix, basis: Matrix, read: Sequence[int]) -> Matrix:
    """Return rows of v and e in terms of xi and the preactivations that are read."""
    columns = list(zip(*basis, strict=True))
    return [
        [*(dot(row, column) for column in columns), *(gate[k] for k in read)]
        for row, gate in zip(states, gates, strict=True)
    ]


def orthogonalised(
    factors: Factors, factored: Matrix, spreads: Sequence[Any], gates: Matrix, unread: Matrix,
    *, also: Matrix | None = None,
) -> tuple[States, tuple[Matrix, Matrix, Matrix]]:  # fmt: skip
    """Return states after a step as combinations of independent xi, by the rule of Thornton.

    Rows that are nearly multiples of each other leave little but rounding, which need not be
    orthogonal to anything; so everything is done twice, which is enough.

    Parameters
    ----------
    factors
        The covariance of Z.
    factored
        The rows of the states in terms of Z, times L.
    spreads, gates
        Variances of the preactivations that are not read, and the rows of the states in them.
    unread
        What these add to the covariances with the first state, in row 0.
    also
        Other rows, which are combined like those of the states.

    Returns
    -------
    tuple
        The states, and the rows ``also``, ``factored`` and ``gates`` of the xi.
    """
    d = len(factored)
    tables = [list(factored if also is None else also), list(factored), list(gates)]
    pivots, basis = [], unit(d)
    for i in range(d):
        own, mixed = tables[1], tables[2]
        weighted = factors.scaled(own[i])
        noise = [times(p, x) for p, x in zip(spreads, mixed[i], strict=True)]
        rest = dot(noise, mixed[i]) if i else unread[0][0]
        pivots.append(added(dot(weighted, own[i]), rest))
        for j in range(i + 1, d):
            for again in (False, True):
                both = dot(noise, mixed[j]) if i or again else unread[0][j]
                both = added(dot(weighted, own[j]), both)
                if both is None:
                    break
                slope = both * reciprocal(pivots[i])
                basis[j][i] = added(basis[j][i], slope)
                for table in tables:
                    table[j] = [
                        _less(y, times(slope, x)) for x, y in zip(table[i], table[j], strict=True)
                    ]
    return States(pivots, basis), (tables[0], tables[1], tables[2])
