r"""Moments of a T-step product for any cell: the Dyson equation of its chain as a power series.

With :math:`\epsilon = 1/s^2`, variances are 1/s times power series in epsilon and costs are s times
such series without a constant term.  So the sweeps of :mod:`.block_chain_sweep` start from the
variance 1 and end with the cost :math:`\epsilon`, on truncated series in place of numbers, and

.. math::
    \langle \mathrm{tr} (1/\epsilon - k_T)^{-1} \rangle / d = \sum_k m_k \epsilon^{k+1} .

A preactivation's variance follows from the states before its step at the same order, a source's
cost from the steps after it, so that a sweep to the right and one back fix one more order.
"""

from dataclasses import dataclass
from typing import Any

from rmt_jacobian.pencils.block_chain import BlockChain
from rmt_jacobian.pencils.block_chain_cavity import States, StepCavity
from rmt_jacobian.pencils.block_chain_sweep import (
    Sweep,
    gate_averages,
    source_average,
    step_cavity,
)
from rmt_jacobian.pencils.block_sites import Matrix

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

    def __sub__(self, other: Any) -> "Series":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Series":
        return -self + other

    def __mul__(self, other: Any) -> "Series":
        if not isinstance(other, Series):
            return Series(tuple(a * other for a in self.terms))
        pairs = range(len(self.terms))
        return Series(
            tuple(sum(self.terms[i] * other.terms[n - i] for i in range(n + 1)) for n in pairs)
        )

    def __truediv__(self, other: Any) -> "Series":
        if not isinstance(other, Series):
            return Series(tuple(a / other for a in self.terms))
        first, quotient = other.terms[0], []
        for n, term in enumerate(self.terms):
            rest = sum((other.terms[n - i] * q for i, q in enumerate(quotient)), 0.0)
            quotient.append((term - rest) / first)
        return Series(tuple(quotient))

    def __rtruediv__(self, other: Any) -> "Series":
        return Series((other, *(0 * a for a in self.terms[1:]))) / self

    def __matmul__(self, other: Any) -> "Series":
        return Series(tuple(a @ other for a in self.terms))

    def __getitem__(self, index: Any) -> "Series":
        return Series(tuple(a[index] for a in self.terms))

    __radd__, __rmul__ = __add__, __mul__


def block_moments(chain: BlockChain, order: int) -> list[float]:
    r"""Return :math:`m_0, \ldots, m_{order}` of :math:`J J^T`, J the T-step product.

    Parameters
    ----------
    chain
        T steps of any cell on weighted sites.
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
    >>> from rmt_jacobian.pencils.block_sites import BlockHistory
    >>> zero = np.zeros(1)
    >>> step = compile_cell(vanilla).derivatives([zero], [zero], zero)
    >>> chain = BlockChain.of(BlockHistory.of([step, step], vanilla), [GaussianWeights(1.0)])
    >>> [round(m, 12) for m in block_moments(chain, 4)]  # Fuss-Catalan
    [1.0, 1.0, 3.0, 12.0, 55.0]
    """
    return _Expansion(chain, order + 2).solve()


class _Expansion:
    """The self-energies of all blocks as series, one sweep after the other."""

    def __init__(self, chain: BlockChain, length: int) -> None:
        self.chain, self.sites, self.length = chain, chain.sites, length
        self.gain = [[float(g) for g in e.gain_series(length - 1)] for e in chain.ensembles]
        self.nothing = [0.0] * length
        self.sigma = [self.nothing] * chain.blocks
        self.averages = [self.nothing] * chain.blocks
        d = self.sites.states
        self.forces: list[Matrix] = [[[None] * d for _ in range(d)] for _ in range(chain.steps)]

    def solve(self) -> list[float]:
        found = self._numbers(0.0)
        for _ in range(self.length):
            sweep = self._right()
            self._back(sweep)
            found = self._numbers(sweep.end_average())
        return found[1:]

    def _right(self) -> Sweep:
        """Renew the variances of the preactivations."""
        sites, K = self.sites, self.sites.gates
        states = States.independent(self._constant(1.0), sites.states)
        start, steps = states.pivots[0], []
        for t in range(self.chain.steps):
            first, step = 2 * K * t, self._step(t, states)
            for _ in range(sites.levels):
                for k, source in enumerate(sites.sources):
                    g = self._numbers(source_average(sites, step, self.forces[t], source))
                    self._renew(first + K + k, first + k, k, g)
                step = self._step(t, states)
            steps.append(step)
            states = step.states
        end = self._constant(0.0)
        end = Series((end.terms[0], *(end.terms[0] + (n == 0) for n in range(self.length - 1))))
        return Sweep(sites, start, steps, *states.final_force(end))

    def _back(self, sweep: Sweep) -> None:
        """Renew the costs of the sources."""
        sites, K, d = self.sites, self.sites.gates, self.sites.states
        N = sweep.force
        for t in reversed(range(self.chain.steps)):
            first, step = 2 * K * t, sweep.steps[t]
            before = States.independent(sweep.start, d) if t == 0 else sweep.steps[t - 1].states
            self.forces[t] = N
            for _ in range(sites.levels):
                found = gate_averages(sites, t, step, step.looked_back(N), N)
                for k, g in enumerate(found):
                    self._renew(first + k, first + K + k, k, self._numbers(g))
                step = self._step(t, before)
            N = [row[:d] for row in step.looked_back(N)[:d]]

    def _renew(self, block: int, partner: int, k: int, g: list[float]) -> None:
        """Set the self-energy of a block to gamma(u) g, g being the average of its partner."""
        self.averages[partner] = g
        u = Series(tuple(self.sigma[block])) * Series(tuple(self.averages[block]))
        total = Series(tuple(self.nothing))
        for coefficient in reversed(self.gain[k]):
            total = total * u + coefficient
        self.sigma[block] = list((total * Series(tuple(g))).terms)

    def _step(self, t: int, states: States) -> StepCavity:
        xp = self.chain.namespace
        rows = xp.asarray(self.sigma, dtype=xp.complex128)
        sigma = Series(tuple(rows[None, :, n] for n in range(self.length)))
        return step_cavity(self.sites, t, states, sigma)

    def _constant(self, value: float) -> Series:
        xp = self.chain.namespace
        nothing = xp.zeros((1, self.sites.count), dtype=xp.complex128)
        return Series((nothing + value, *(nothing for _ in range(self.length - 1))))

    def _numbers(self, average: Any) -> list[float]:
        """Return the coefficients of an average, a series of arrays of one point."""
        if not isinstance(average, Series):
            return [float(average), *self.nothing[1:]]
        xp = self.chain.namespace
        return [
            float(xp.real(term + 0j)[0] if hasattr(term, "shape") else term)
            for term in average.terms
        ]
