r"""One step of a chain at a site: a Gaussian that is passed on, observed, and looked back upon.

In the cavity of all that is to the right, the states v and preactivations e of a step behave like
Gaussian variables Z with a (complex) covariance P, and a self-energy D at a source
:math:`y = y^T Z` like a quadratic cost on it, which turns

.. math::
    P \to E P, \qquad E = 1 + \frac{D}{\delta} (P y) y^T, \qquad \delta = 1 - D\, y^T P y .

T, the product of the E, is the response of Z to a shift of Z, and
:math:`M = \sum \frac{D}{\delta} (T^T y)(T^T y)^T` the force that a shift of Z meets.  With
:math:`F = (A, B)` the states after the step are F Z.  Going back, the force N that a shift of them
meets in the whole chain gives :math:`M + (F T)^T N (F T)` for a shift of Z.

Small s makes some combinations of the states far more variable than others, and their covariance
must not be written down, or the others drown in rounding.  So :math:`P = L\, \mathrm{diag}(p) L^T`
with L unit lower triangular, which an observation updates by the rule of Bierman, and
:math:`v_t = L_t \xi_t` with independent :math:`\xi_t`, found by orthogonalising the rows of F as
Gram and Schmidt do, with the weights p (Thornton).  All else is in terms of :math:`\xi`.

Imaginary parts of p, D and N are negative, so that no denominator vanishes.  The entries of
matrices are arrays over (points, sites), numbers, or None for 0; all that is done with them are
sums, products and reciprocals, so that they may be power series as well.

References
----------
G. J. Bierman, Factorization Methods for Discrete Sequential Estimation (1977), chapters V and VI.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.block_sites import Matrix, StepDiagonals

__all__ = [
    "Cavity",
    "Factors",
    "Observation",
    "States",
    "StepCavity",
    "added",
    "applied",
    "dot",
    "in_terms",
    "orthogonalised",
    "product",
    "quadratic",
    "reciprocal",
    "times",
    "unit",
]


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
    """Return 1/p, 0 where p vanishes: what does not vary says nothing of anything else."""
    xp = array_namespace(pivot)
    moves = pivot != 0
    return xp.where(moves, 1 / xp.where(moves, pivot, xp.ones_like(pivot)), xp.zeros_like(pivot))


def applied(matrix: Sequence[Sequence[Any]], vector: Sequence[Any]) -> list[Any]:
    """Return a matrix times a vector."""
    return [dot(row, vector) for row in matrix]


def product(left: Matrix, right: Matrix) -> Matrix:
    """Return the product of two matrices."""
    columns = list(zip(*right, strict=True))
    return [[dot(row, column) for column in columns] for row in left]


def quadratic(form: Matrix, x: Sequence[Any]) -> Any:
    """Return x^T N x for a symmetric N."""
    total = None
    for i, a in enumerate(x):
        total = added(total, times(form[i][i], times(a, a)))
        for j in range(i):
            total = added(total, times(form[i][j], times(2.0, times(a, x[j]))))
    return total


def _less(a: Any, b: Any) -> Any:
    """Return a difference; None is 0."""
    if b is None:
        return a
    return -b if a is None else a - b


def unit(n: int) -> Matrix:
    """Return the unit matrix of size n."""
    return [[1.0 if i == j else None for j in range(n)] for i in range(n)]


def _squared(through: Matrix, form: Matrix) -> Matrix:
    """Return L^T N L for a symmetric N."""
    columns = list(zip(*through, strict=True))
    pulled = [applied(form, column) for column in columns]
    result: Matrix = [[None] * len(columns) for _ in columns]
    for i, column in enumerate(columns):
        for j in range(i + 1):
            result[i][j] = result[j][i] = dot(column, pulled[j])
    return result


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

        With :math:`f = L^T y` and :math:`\beta_j = 1 - D \sum_{i \geq j} p_i f_i^2`,

        .. math::
            p_j \to p_j \beta_{j+1} / \beta_j, \qquad L \to L \tilde L, \qquad
            \tilde L_{ij} = D p_i f_i f_j / \beta_{j+1} \quad (i > j).
        """
        n, f = range(len(y)), self.factored(y)
        weighted = self.scaled(f)
        pivots, variance, beta, inverse = list(self.pivots), None, 1.0, 1.0
        change = unit(len(y))
        for j in reversed(n):
            share = times(weighted[j], f[j])
            if f[j] is not None:
                for i in n[j + 1 :]:
                    change[i][j] = times(times(D, inverse), times(weighted[i], f[j]))
            if share is not None:
                variance = added(variance, share)
                before, beta = beta, 1 - D * variance
                inverse = 1 / beta
                pivots[j] = times(self.pivots[j], times(before, inverse))
        return Observation(
            Factors(pivots, product(self.factor, change)), weighted, variance, inverse
        )


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
class Cavity:
    """Variables Z with independent priors, after some observations.

    Attributes
    ----------
    factors
        Their covariance.
    response, force
        T and M.
    """

    factors: Factors
    response: Matrix
    force: Matrix

    @classmethod
    def prior(cls, pivots: list[Any]) -> "Cavity":
        """Return independent variables that have not been observed."""
        n = len(pivots)
        return cls(Factors.prior(pivots), unit(n), [[None] * n for _ in range(n)])

    def observed(self, y: Sequence[Any], D: Any) -> tuple["Cavity", Any]:
        r"""Return the cavity with a cost D on y^T Z, and the variance that y^T Z had before."""
        n, found = range(len(y)), self.factors.observed(y, D)
        cost = times(D, found.inverse)
        seen = [dot(column, y) for column in zip(*self.response, strict=True)]
        force = [
            [added(self.force[i][j], times(cost, times(seen[i], seen[j]))) for j in n] for i in n
        ]
        response = product(self._passed(y, found, D, cost), self.response)
        return Cavity(found.factors, response, force), found.variance

    def _passed(self, y: Sequence[Any], found: Observation, D: Any, cost: Any) -> Matrix:
        """Return E, its diagonal written so that it does not cancel where D is large."""
        spread, n = applied(self.factors.factor, found.weighted), range(len(y))
        shares = [times(a, b) for a, b in zip(spread, y, strict=True)]
        E = unit(len(y))
        for i in n:
            for j in n:
                if i != j:
                    E[i][j] = times(cost, times(spread[i], y[j]))
            if shares[i] is not None:
                rest = None
                for k in n:
                    rest = added(rest, shares[k] if k != i else None)
                E[i][i] = found.inverse if rest is None else found.inverse * (1 - D * rest)
        return E


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

    def final_force(self, end: Any) -> tuple[Matrix, list[Any]]:
        """Return the force on shifts of xi under a cost on every state, and variances.

        They are those that the states have when their costs are counted one after the other.
        """
        cavity, variances = Cavity.prior(self.pivots), []
        for row in self.basis:
            cavity, variance = cavity.observed(row, end)
            variances.append(variance)
        return cavity.force, variances

    @property
    def inverse_basis(self) -> Matrix:
        """The inverse of L."""
        d = len(self.pivots)
        inverse = unit(d)
        for i in range(d):
            for j in range(i):
                for k in range(j, i):
                    term = times(self.basis[i][k], inverse[k][j])
                    inverse[i][j] = _less(inverse[i][j], term)
        return inverse


@dataclass(frozen=True)
class StepCavity:
    r"""One step in the cavity of all that is to the right of it.

    Z are the :math:`\xi` of the states before the step and the preactivations that a source reads.

    Attributes
    ----------
    cavity
        Of Z, after the observations of all sources.
    sources
        The rows y of the sources in terms of Z.
    variances
        y^T P y before each observation, in order.
    states
        After the step.
    through
        What a shift of Z makes of their xi, shape (d, Z).
    leads
        The covariances with their xi, d for every source.
    gates
        What the preactivations make of their xi, shape (d, K).
    """

    cavity: Cavity
    sources: Matrix
    variances: list[Any]
    states: States
    through: Matrix
    leads: Matrix
    gates: Matrix

    @classmethod
    def of(
        cls, step: StepDiagonals, read: Sequence[int], before: States, costs: Sequence[Any],
        spreads: Sequence[Any], unread: Matrix,
    ) -> "StepCavity":  # fmt: skip
        """Pass states through a step.

        Parameters
        ----------
        step
            The site matrices.
        read
            The preactivations that a source reads.
        before
            The states before the step.
        costs
            The self-energy at each of the different sources.
        spreads
            The self-energies at all preactivations.
        unread
            What those that no source reads add to the covariance of the states after the step.
        """
        cavity, variances = Cavity.prior([*before.pivots, *(spreads[k] for k in read)]), []
        rows = in_terms(step.source_state, step.source_gate, before.basis, read)
        for y, cost in zip(rows, costs, strict=True):
            cavity, variance = cavity.observed(y, cost)
            variances.append(variance)
        factors = cavity.factors
        F = in_terms(step.state, step.gate, before.basis, read)
        factored = [factors.factored(row) for row in F]
        gates = [[None if k in read else b for k, b in enumerate(row)] for row in step.gate]
        states, (F, factored, gates) = orthogonalised(
            factors, factored, spreads, gates, unread, also=F
        )
        leads = [applied(factored, factors.weighted(y)) for y in rows]
        through = product(F, cavity.response)
        return cls(cavity, rows, variances, states, through, leads, gates)

    def source_variance(self, i: int, j: int) -> Any:
        """Return the covariance of two sources after all observations."""
        factors = self.cavity.factors
        return dot(factors.weighted(self.sources[i]), factors.factored(self.sources[j]))

    def source_response(self, i: int) -> list[Any]:
        """Return what shifts of Z make of a source."""
        columns = zip(*self.cavity.response, strict=True)
        return [dot(self.sources[i], column) for column in columns]

    def looked_back(self, N: Matrix) -> Matrix:
        """Return the force that a shift of Z meets, from the one that a shift of xi meets."""
        pulled, force = _squared(self.through, N), self.cavity.force
        n = range(len(force))
        return [[added(force[i][j], pulled[i][j]) for j in n] for i in n]


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
