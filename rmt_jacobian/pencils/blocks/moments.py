r"""Moments of a T-step product for any cell: the Dyson equation of its chain as a power series.

With :math:`\epsilon = 1/s^2`, variances are 1/s times power series in epsilon and costs are s times
such series without a constant term.  So a sweep to the right starts from states of variance 1 and
ends with the cost :math:`\epsilon` on each of them, and

.. math::
    \langle \mathrm{tr} (1/\epsilon - k_T)^{-1} \rangle / d = \sum_k m_k \epsilon^{k+1} .

At a site, a step passes the covariance P of :math:`Z`, its states and the preactivations that a
source reads, through an observation of every source :math:`y^T Z` with its cost D,

.. math::
    P \to P + c\, (P y)(P y)^T, \qquad c = \frac{D}{1 - D\, y^T P y}, \qquad
    M \to M + c\, (T^T y)(T^T y)^T, \qquad T \to T + c\, (P y)(T^T y)^T,

where T and M are the response and the force that a shift of Z meets, and on to the states
:math:`F Z`.  The constant term of every denominator is 1, so that nothing is divided by a variance,
which vanishes where states are multiples of each other: the factors of
:mod:`~rmt_jacobian.pencils.blocks.factors`, made for small s, would be 0/0 there.

A preactivation's variance follows from the states before its step at the same order, a source's
cost from the steps after it, so that a sweep to the right and one back fix one more order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.factors import added, times
from rmt_jacobian.pencils.blocks.history import Matrix

__all__ = ["Series", "block_moments"]


@dataclass(frozen=True, eq=False)
class Series:
    """A truncated power series whose coefficients are arrays or numbers.

    Examples
    --------
    >>> geometric = 1 / (1 - Series((0.0, 1.0, 0.0)))
    >>> geometric.terms, (geometric * geometric).terms
    ((1.0, 1.0, 1.0), (1.0, 2.0, 3.0))
    """

    terms: tuple[Any, ...]

    __array_ufunc__ = None  # NumPy arrays leave products with a series to the series

    def __add__(self, other: Any) -> "Series":
        if isinstance(other, Series):
            return Series(tuple(a + b for a, b in zip(self.terms, other.terms, strict=True)))
        return Series((self.terms[0] + other, *self.terms[1:]))

    def __neg__(self) -> "Series":
        return Series(tuple(-a for a in self.terms))

    def __rsub__(self, other: Any) -> "Series":
        return -self + other

    def __mul__(self, other: Any) -> "Series":
        if not isinstance(other, Series):
            return Series(tuple(a * other for a in self.terms))
        pairs = range(len(self.terms))
        return Series(
            tuple(sum(self.terms[i] * other.terms[n - i] for i in range(n + 1)) for n in pairs)
        )

    def __truediv__(self, other: "Series") -> "Series":
        first, quotient = other.terms[0], []
        for n, term in enumerate(self.terms):
            rest = sum((other.terms[n - i] * q for i, q in enumerate(quotient)), 0.0)
            quotient.append((term - rest) / first)
        return Series(tuple(quotient))

    def __rtruediv__(self, other: Any) -> "Series":
        return Series((other, *(0 * a for a in self.terms[1:]))) / self

    __radd__, __rmul__ = __add__, __mul__


def block_moments(chain: BlockChain, order: int) -> list[float]:
    r"""Return :math:`m_0, \ldots, m_{order}` of :math:`J J^T`, J the T-step product.

    Parameters
    ----------
    chain
        T steps of any cell on weighted sites; a cell without any W is a product of its sites.
    order
        The highest moment, at least 0.

    Notes
    -----
    Costs O(T sites order^3).  Assumes what :class:`.BlockChain` does.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import compile_cell, vanilla
    >>> from rmt_jacobian.pencils import GaussianWeights
    >>> from rmt_jacobian.pencils.blocks.history import BlockHistory
    >>> zero = np.zeros(1)
    >>> step = compile_cell(vanilla).derivatives([zero], [zero], zero)
    >>> chain = BlockChain.of(BlockHistory.of([step, step], vanilla), [GaussianWeights(1.0)])
    >>> [round(m, 12) for m in block_moments(chain, 4)]  # Fuss-Catalan
    [1.0, 1.0, 3.0, 12.0, 55.0]
    """
    return _Expansion(chain, order + 2).solve()


@dataclass(frozen=True)
class _Cavity:
    """Variables Z in the cavity of what is to the right: P, T and M; None is 0."""

    covariance: Matrix
    response: Matrix
    force: Matrix

    def observed(self, y: Sequence[Any], D: Series) -> "_Cavity":
        """Return the cavity with a cost D on y^T Z."""
        spread, variance = _applied(self.covariance, y), _quadratic(self.covariance, y)
        seen = [_dot(column, y) for column in zip(*self.response, strict=True)]
        cost = D if variance is None else D / (1 - D * variance)
        return _Cavity(
            _plus(self.covariance, cost, spread, spread),
            _plus(self.response, cost, spread, seen),
            _plus(self.force, cost, seen, seen),
        )


@dataclass(frozen=True)
class _Step:
    """One step of the sweep to the right.

    Attributes
    ----------
    cavity
        Of Z after all observations.
    sources
        The rows y.
    through
        F T, what a shift of Z makes of the states after the step.
    leads
        F P y, the covariances of these states with every source.
    states
        Their covariance.
    """

    cavity: _Cavity
    sources: Matrix
    through: Matrix
    leads: Matrix
    states: Matrix


class _Expansion:
    """The self-energies of all blocks as series, one sweep after the other."""

    def __init__(self, chain: BlockChain, length: int) -> None:
        self.chain, self.sites, self.length = chain, chain.sites, length
        self.gain = [[float(g) for g in e.gain_series(length - 1)] for e in chain.ensembles]
        self.nothing = Series((0.0,) * length)
        self.sigma = [self.nothing] * chain.blocks
        self.averages = [self.nothing] * chain.blocks
        self.forces = [_diagonal([None] * self.sites.states)] * chain.steps

    def solve(self) -> list[float]:
        """Return the moments."""
        found = self.nothing
        for _ in range(self.length):
            found = self._back(*self._right())
        return list(found.terms[1:])

    def _right(self) -> tuple[list[_Step], Matrix]:
        """Renew the variances of the preactivations; return the steps and the final force."""
        sites, K, d = self.sites, self.sites.gates, self.sites.states
        states, steps = self._start(), []
        for t in range(self.chain.steps):
            first, step = 2 * K * t, self._step(t, states)
            for _ in range(sites.levels if K else 0):
                for k, source in enumerate(sites.sources):
                    g = self._source_average(step, self.forces[t], source)
                    self._renew(first + K + k, first + k, k, g)
                step = self._step(t, states)
            steps.append(step)
            states = step.states
        cost = Series((0.0, 1.0, *self.nothing.terms[2:]))
        end = _Cavity(states, _diagonal([1.0] * d), _diagonal([None] * d))
        for row in _diagonal([1.0] * d):
            end = end.observed(row, cost)
        return steps, end.force

    def _back(self, steps: list[_Step], N: Matrix) -> Series:
        """Renew the costs of the sources; return the average force on the last states."""
        sites, K, d = self.sites, self.sites.gates, self.sites.states
        found = self._average(_total(N[i][i] for i in range(d))) * (1 / d)
        for t in reversed(range(self.chain.steps)):
            first, step = 2 * K * t, steps[t]
            before = steps[t - 1].states if t else self._start()
            self.forces[t] = N
            for _ in range(sites.levels if K else 0):
                force = _looked_back(step, N)
                for k in range(K):
                    g = self._gate_average(t, k, force, N)
                    self._renew(first + k, first + K + k, k, g)
                step = self._step(t, before)
            N = [row[:d] for row in _looked_back(step, N)[:d]]
        return found

    def _renew(self, block: int, partner: int, k: int, g: Series) -> None:
        """Set the self-energy of a block to gamma(u) g, g being the average of its partner."""
        self.averages[partner] = g
        u = self.sigma[block] * self.averages[block]
        total = self.nothing
        for coefficient in reversed(self.gain[k]):
            total = total * u + coefficient
        self.sigma[block] = total * g

    def _start(self) -> Matrix:
        """Return the covariance of the states before the first step."""
        one = Series((1.0, *self.nothing.terms[1:]))
        return _diagonal([one] * self.sites.states)

    def _step(self, t: int, before: Matrix) -> _Step:
        """Pass states through step t, given the self-energies of its blocks."""
        sites, K = self.sites, self.sites.gates
        step, read = sites.diagonals[t], sites.read
        costs, spreads = (self.sigma[2 * K * t + shift :][:K] for shift in (0, K))
        d, n = sites.states, sites.states + len(read)
        prior = _diagonal([*[None] * d, *(spreads[k] for k in read)])
        for i in range(d):
            prior[i][:d] = before[i]
        cavity = _Cavity(prior, _diagonal([1.0] * n), _diagonal([None] * n))
        sources = _rows(step.source_state, step.source_gate, read)
        for j, y in enumerate(sources):
            own = (cost for cost, source in zip(costs, sites.sources, strict=True) if source == j)
            cavity = cavity.observed(y, _total(own))
        F = _rows(step.state, step.gate, read)
        spread = [_applied(cavity.covariance, row) for row in F]
        states: Matrix = [[None] * d for _ in range(d)]
        for i in range(d):
            for j in range(i + 1):
                noise = (
                    _times(spreads[k], _times(step.gate[i][k], step.gate[j][k]))
                    for k in sites.unread
                )
                states[i][j] = states[j][i] = _added(_dot(spread[i], F[j]), _total(noise))
        columns = list(zip(*cavity.response, strict=True))
        through = [[_dot(row, column) for column in columns] for row in F]
        leads = [[_dot(line, y) for line in spread] for y in sources]
        return _Step(cavity, sources, through, leads, states)

    def _source_average(self, step: _Step, N: Matrix, source: int) -> Series:
        """Return the average variance of a source in the whole chain."""
        alone = _quadratic(step.cavity.covariance, step.sources[source])
        return self._average(_added(alone, _quadratic(N, step.leads[source])))

    def _gate_average(self, t: int, gate: int, force: Matrix, N: Matrix) -> Series:
        """Return the average force on a preactivation of step t in the whole chain."""
        if gate in self.sites.read:
            at = self.sites.states + self.sites.read.index(gate)
            return self._average(force[at][at])
        return self._average(_quadratic(N, [row[gate] for row in self.sites.diagonals[t].gate]))

    def _average(self, entry: Series | None) -> Series:
        """Return the weighted sum over sites."""
        if entry is None:
            return self.nothing
        weights = self.sites.weights
        return Series(tuple(float((term + 0 * weights) @ weights) for term in entry.terms))


def _looked_back(step: _Step, N: Matrix) -> Matrix:
    """Return the force that a shift of Z meets, from the one that a shift of the states meets."""
    columns = list(zip(*step.through, strict=True))
    pulled, n = [_applied(N, column) for column in columns], range(len(columns))
    own = step.cavity.force
    return [[_added(own[i][j], _dot(columns[i], pulled[j])) for j in n] for i in n]


def _rows(states: Matrix, gates: Matrix, read: Sequence[int]) -> Matrix:
    """Return rows in terms of the states and the preactivations that are read."""
    pairs = zip(states, gates, strict=True)
    return [[*row, *(gate[k] for k in read)] for row, gate in pairs]


def _plus(matrix: Matrix, cost: Series, left: list[Any], right: list[Any]) -> Matrix:
    """Return a matrix plus c x y^T."""
    scaled = [_times(cost, x) for x in left]
    return [
        [_added(entry, _times(x, y)) for entry, y in zip(row, right, strict=True)]
        for row, x in zip(matrix, scaled, strict=True)
    ]


def _diagonal(entries: Sequence[Any]) -> Matrix:
    n = range(len(entries))
    return [[entries[i] if i == j else None for j in n] for i in n]


def _dot(x: Sequence[Any], y: Sequence[Any]) -> Any:
    return _total(_times(a, b) for a, b in zip(x, y, strict=True))


def _total(entries: Iterable[Any]) -> Any:
    total = None
    for entry in entries:
        total = _added(total, entry)
    return total


# A series comes first in its sums and products: arrays of NumPy leave them to it, others do not.
def _times(a: Any, b: Any) -> Any:
    return times(b, a) if isinstance(b, Series) else times(a, b)


def _added(a: Any, b: Any) -> Any:
    return added(b, a) if isinstance(b, Series) else added(a, b)


def _applied(matrix: Sequence[Sequence[Any]], vector: Sequence[Any]) -> list[Any]:
    return [_dot(row, vector) for row in matrix]


def _quadratic(form: Matrix, x: Sequence[Any]) -> Any:
    """Return x^T N x for a symmetric N."""
    total = None
    for i, a in enumerate(x):
        total = _added(total, _times(form[i][i], _times(a, a)))
        for j in range(i):
            total = _added(total, _times(form[i][j], _times(2.0, _times(a, x[j]))))
    return total
