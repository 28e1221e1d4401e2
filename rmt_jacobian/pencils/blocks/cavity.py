r"""One step of a travelling wave at a site: a Gaussian that is passed on, and looked back upon.

In the cavity of all that is to the right, the states v and preactivations e of a step behave like
Gaussian variables Z with a covariance P (:mod:`~rmt_jacobian.pencils.blocks.factors`), and a
self-energy D at a source :math:`y = y^T Z` like a quadratic cost on it, which turns

.. math::
    P \to E P, \qquad E = 1 + \frac{D}{\delta} (P y) y^T, \qquad \delta = 1 - D\, y^T P y .

T, the product of the E, is the response of Z to a shift of Z, and
:math:`M = \sum \frac{D}{\delta} (T^T y)(T^T y)^T` the force that a shift of Z meets.  With
:math:`F = (A, B)` the states after the step are F Z.  Going back, the force N that a shift of them
meets in the whole chain gives :math:`M + (F T)^T N (F T)` for a shift of Z.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.blocks.factors import (
    Factors,
    Observation,
    States,
    added,
    applied,
    dot,
    in_terms,
    orthogonalised,
    product,
    times,
    unit,
)
from rmt_jacobian.pencils.blocks.history import Matrix, StepDiagonals

__all__ = ["StepCavity", "quadratic"]


def quadratic(form: Matrix, x: Sequence[Any]) -> Any:
    """Return x^T N x for a symmetric N."""
    total = None
    for i, a in enumerate(x):
        total = added(total, times(form[i][i], times(a, a)))
        for j in range(i):
            total = added(total, times(form[i][j], times(2.0, times(a, x[j]))))
    return total


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

    def looked_back(self, N: Matrix) -> Matrix:
        """Return the force that a shift of Z meets, from the one that a shift of xi meets."""
        pulled, force = _squared(self.through, N), self.cavity.force
        n = range(len(force))
        return [[added(force[i][j], pulled[i][j]) for j in n] for i in n]
