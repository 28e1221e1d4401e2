r"""The chain of a T-step product of Jacobians of any cell, and its Dyson equation.

With several states, preactivations :math:`dE_k = W_k\, dY_k` and sources
:math:`dY = Y_s\, dV + Y_e\, dE`, the blocks of the chain are the columns y_k and the rows e_k of
every W_k at every step.  Each couples a self-energy with an average,

.. math::
    \Sigma_{e_k} = \gamma_k(u_k)\, g_{y_k}, \qquad \Sigma_{y_k} = \gamma_k(u_k)\, g_{e_k}, \qquad
    u_k = \Sigma_{e_k} g_{e_k} = \Sigma_{y_k} g_{y_k},

and at a site :math:`\Sigma_{e_k}` acts like the variance of a Gaussian variable e_k,
:math:`\Sigma_{y_k}` like a quadratic cost on y_k, and 1/s like both, on the states before the first
step and after the last.  So the averages of a site are those of a linear-quadratic problem, solved
by a filter from either end (:mod:`~rmt_jacobian.pencils.blocks.filters`).  The Cauchy transform of
the symmetrised singular values is :math:`\langle \mathrm{tr} (s - k_T)^{-1} \rangle / d`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from array_api_compat import is_numpy_array

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils.blocks.factors import Factors
from rmt_jacobian.pencils.blocks.filters import (
    TwoFilters,
    average,
    end_forces,
    left_filter,
    trace,
)
from rmt_jacobian.pencils.blocks.history import BlockHistory, Matrix
from rmt_jacobian.pencils.blocks.responses import block_responses
from rmt_jacobian.pencils.chain.product_chain import Responses, log_passing, on_its_side
from rmt_jacobian.pencils.ensembles import BiInvariant

__all__ = ["BlockChain"]

# Points times sites that are worked on at a time: few enough for the cache, many enough for calls
# not to matter.  Derivatives hold arrays of as many numbers for every slot of every step.
_SWEEP, _HELD = 8_192, 409_600
_FEWEST = 64  # sites


@dataclass(frozen=True, eq=False)
class BlockChain:
    r"""The chain of a T-step product of Jacobians of any cell, on given sites.

    Of the 2 K T blocks, step t has the 2 K from 2 K (t - 1) on: first the columns y_1, ..., y_K of
    the K matrices W, then their rows e_1, ..., e_K.  Arrays of one entry for each block have shape
    (points, 2 K T).

    Parameters
    ----------
    sites
        The site matrices of every step.
    ensembles
        The law of every W_k, K of them; all are independent of each other, from step to step, and
        of the sites.

    Notes
    -----
    Assumes fresh bi-invariant W at every step, free from all diagonals, N -> infinity for W alone.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import compile_cell, vanilla
    >>> from rmt_jacobian.pencils import GaussianWeights, solve_chain
    >>> zero = np.zeros(1)
    >>> step = compile_cell(vanilla).derivatives([zero], [zero], zero)  # J = W
    >>> chain = BlockChain.of(BlockHistory.of([step], vanilla), [GaussianWeights(1.0)])
    >>> found = solve_chain(chain, np.array([1.0 + 0j]))
    >>> complex(found.cauchy[0].round(10))  # quarter circle, (s - sqrt(s^2 - 4)) / 2
    (0.5-0.8660254038j)
    """

    sites: BlockHistory
    ensembles: tuple[BiInvariant, ...]

    easy: ClassVar[int] = 6
    straight: ClassVar[bool] = False

    @classmethod
    def of(
        cls, sites: BlockHistory, ensembles: Sequence[BiInvariant] | Mapping[str, BiInvariant]
    ) -> "BlockChain":
        """Return the chain without the preactivations whose W is 0 or that pass nothing on.

        Parameters
        ----------
        sites
            The site matrices of every step.
        ensembles
            The law of every W, in the order of ``sites.names`` or by these names.

        Raises
        ------
        ParameterError
            If an ensemble is missing.
        """
        if isinstance(ensembles, Mapping):
            if missing := [name for name in sites.names if name not in ensembles]:
                raise ParameterError(f"no ensemble for {', '.join(missing)}: give one for each W")
            ensembles = [ensembles[name] for name in sites.names]
        if len(ensembles) != sites.gates:
            raise ParameterError(
                f"the cell has {sites.gates} preactivations with a W, but {len(ensembles)} "
                "ensembles were given"
            )
        whole = cls(sites, tuple(ensembles))
        leading, K = _leading(whole), sites.gates

        def passes(k: int) -> bool:
            starts = range(k, whole.blocks, 2 * K)
            return any(leading[y] != 0 and leading[y + K] != 0 for y in starts)

        idle = [k for k in range(K) if not passes(k)]
        kept = tuple(ensemble for k, ensemble in enumerate(ensembles) if k not in idle)
        return cls(sites.without(idle), kept) if idle else whole

    @property
    def namespace(self) -> Any:
        """The array namespace of the sites."""
        return array_namespace(self.sites.weights)

    @property
    def steps(self) -> int:
        """T."""
        return self.sites.steps

    @property
    def size(self) -> int:
        """T times the number of sites."""
        return self.sites.steps * self.sites.count

    @property
    def blocks(self) -> int:
        """The number of blocks, 2 K T."""
        return 2 * self.sites.gates * self.sites.steps

    @property
    def lost(self) -> float:
        """The share of singular values that are 0."""
        return self.sites.lost

    @property
    def deterministic(self) -> bool:
        """Whether no W is left."""
        return not self.ensembles

    @property
    def reach(self) -> float:
        """A bound on the singular values, loose; a number up to 1e100."""
        xp, reach = self.namespace, 1.0
        for step in self.sites.diagonals:
            gain = [2 * self.ensembles[k].variance ** 0.5 for k in range(self.sites.gates)]
            state, gate, source_state, source_gate = (_norms(xp, m) for m in step.matrices)
            e = [0.0] * self.sites.gates  # bounds on |e_k| where |v| = 1
            for k, source in enumerate(self.sites.sources):
                own = sum(value**2 for value in source_state[source]) ** 0.5
                e[k] = gain[k] * (own + sum(source_gate[source][j] * e[j] for j in range(k)))
            rows = [
                sum(value**2 for value in direct) ** 0.5
                + sum(b * bound for b, bound in zip(gates, e, strict=True))
                for direct, gates in zip(state, gate, strict=True)
            ]
            reach = min(1e100, reach * max(1.0, sum(row**2 for row in rows) ** 0.5))
        return reach

    def parts(self, sites: int) -> "list[BlockHistory]":
        """Return portions of about as many sites, with complex diagonals; on a GPU all in one."""
        count = self.sites.count
        if not is_numpy_array(self.sites.weights):
            return self._cut(count)
        # Even portions, in powers of two: few different cuts are kept.
        shares = 2 ** max(0, round(math.log2(count / max(_FEWEST, sites))))
        return self._cut(math.ceil(count / shares))

    def _cut(self, sites: int) -> "list[BlockHistory]":
        if sites not in self._portions:
            self._portions[sites] = self.sites.complex.portions(sites)
        return self._portions[sites]

    @cached_property
    def _portions(self) -> "dict[int, list[BlockHistory]]":
        return {}

    def leading(self, s: Any) -> Any:
        """Return the self-energies to leading order in 1/s, shape (points, 2 K T)."""
        xp = self.namespace
        return xp.asarray(_leading(self), dtype=s.dtype)[None, :] / s[:, None]

    def averages(self, s: Any, sigma: Any) -> Any:
        """Return g of every block, by a filter from either end.

        Parameters
        ----------
        s
            Spectral points in the closed upper half plane, not 0; shape (points,).
        sigma
            Self-energies in the closed lower half plane, shape (points, 2 K T).
        """
        xp, found, zero = self.namespace, [], 0 * s
        for part in self.parts(_SWEEP // s.shape[0]):
            each = TwoFilters.of(part, sigma, 1 / s[:, None]).averages()
            found.append(xp.stack([zero if g is None else g for g in each], axis=1))
        return sum(found[1:], found[0])

    def cauchy(self, s: Any, sigma: Any, averages: Any) -> Any:
        """Return G(s) of the symmetrised singular values, shape (points,)."""
        total = 0 * s
        for part in self.parts(_SWEEP // s.shape[0]):
            end = 1 / s[:, None]
            forces = end_forces(left_filter(part, sigma, end)[-1].states, end)
            total = total + average(trace(forces), part) / part.states
        return total

    def responses(self, s: Any, sigma: Any) -> Responses:
        r"""Return the averages and their derivatives, from :func:`.block_responses`."""
        slots = self.steps * (self.sites.source_count + self.sites.gates)
        return block_responses(self.parts(_HELD // (slots * s.shape[0])), s, sigma)

    def _paired(self, values: Any) -> tuple[Any, Any]:
        """Split an array along its blocks into those y and those e, (points, T, K, ...)."""
        xp = array_namespace(values)
        shape = (values.shape[0], self.steps, 2, self.sites.gates, *values.shape[2:])
        split = xp.reshape(values, shape)
        return split[:, :, 0, ...], split[:, :, 1, ...]

    def _joined(self, y: Any, e: Any) -> Any:
        xp = array_namespace(y)
        both = xp.stack([y, e], axis=2)
        return xp.reshape(both, (both.shape[0], self.blocks, *both.shape[4:]))

    def _mapped(self, method: str, *values: Any) -> Any:
        """Apply a method of every ensemble to what is its own, shape (points, T, K)."""
        xp = array_namespace(*values)
        found = [
            getattr(e, method)(*(each[:, :, k] for each in values))
            for k, e in enumerate(self.ensembles)
        ]
        return xp.stack(found, axis=2)

    def couplings(self, sigma: Any, g: Any) -> Any:
        """Return u of every W, the mean of its two expressions; shape (points, T, K)."""
        y, e = self._paired(sigma * g)
        return (y + e) / 2

    def self_energies(self, sigma: Any, g: Any) -> Any:
        """Return the self-energies that the averages give back."""
        gain = self._mapped("gain", self.couplings(sigma, g))
        y, e = self._paired(g)
        return self._joined(gain * e, gain * y)

    @property
    def partners(self) -> tuple[int, ...]:
        """The block that W couples to each."""
        K = self.sites.gates
        return tuple(2 * K * t + (k + K) % (2 * K) for t in range(self.steps) for k in range(2 * K))

    def coupled(self, sigma: Any, g: Any) -> Any:
        """Return u of the W of every block."""
        u = self.couplings(sigma, g)
        return self._joined(u, u)

    def mapped(self, method: str, *values: Any) -> Any:
        """Apply a method of the ensemble of every block, shape (points, blocks)."""
        y, e = zip(*(self._paired(each) for each in values), strict=True)
        return self._joined(self._mapped(method, *y), self._mapped(method, *e))

    def potential(self, s: Any, sigma: Any, g: Any) -> Any:
        r"""Return the logarithmic potential of the chain.

        .. math::
            F(s) = \tau \log(s^2 - J J^T) = 2 \log s + \frac1d \Bigl\langle \sum_t \sum_y
            \log(1 - D_y c_y) + \sum_i \log(1 - c_i / s) \Bigr\rangle
            + \frac1d \sum_{t,k} p_k(u_k) + \tfrac12 u_k \log \frac{\Sigma_{e_k} \Sigma_{y_k}}
            {\gamma_k(u_k)^2 g_{e_k} g_{y_k}}

        with the variances c that the sources, and last the states, have when they are observed one
        after the other: c and D are in the lower half plane, so that every logarithm is on its
        principal branch.  The last term makes F stationary at a solution, as in
        :meth:`.ProductChain.potential`.
        """
        xp = array_namespace(s)
        u, (_, rows) = self.couplings(sigma, g), self._paired(sigma)
        terms = self._mapped("potential", on_its_side(u, rows)) + u * self._mismatch(sigma, g)
        total = xp.sum(terms, axis=(1, 2))
        for part in self.parts(_SWEEP // s.shape[0]):
            for variance, cost in _observations(part, sigma, 1 / s[:, None]):
                if variance is not None:
                    total = total + log_passing(variance + 0 * part.weights, cost) @ part.measure
        return 2 * xp.log(s) + total / self.sites.states

    def _mismatch(self, sigma: Any, g: Any) -> Any:
        """Return the mean logarithm of the self-energies over what they give back, for every W."""
        xp = array_namespace(sigma)
        image = self.self_energies(sigma, g)
        moves = (sigma != 0) & (image != 0)
        one = xp.ones_like(sigma)
        y, e = self._paired(xp.log(xp.where(moves, sigma, one) / xp.where(moves, image, one)))
        return (y + e) / 2


def _observations(history: BlockHistory, sigma: Any, end: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the variance of every source and last state when it is observed, and its cost."""
    steps = left_filter(history, sigma, end)
    for step in steps:
        yield from step.observations
    known = Factors.prior(steps[-1].states.pivots)
    for row in steps[-1].states.basis:
        found = known.observed(row, end)
        known = found.factors
        yield found.variance, end


def _norms(xp: Any, matrix: Matrix) -> list[list[float]]:
    """Return the largest modulus of every entry."""

    def norm(entry: Any) -> float:
        if entry is None:
            return 0.0
        return float(xp.max(xp.abs(entry))) if hasattr(entry, "shape") else abs(entry)

    return [[norm(entry) for entry in row] for row in matrix]


def _leading(chain: BlockChain) -> list[float]:
    """Return s Sigma at large s: variances from the left, costs from the right."""
    sites, xp = chain.sites, chain.namespace
    p, d, K = sites.weights, sites.states, sites.gates
    variance = [ensemble.variance for ensemble in chain.ensembles]
    found = [0.0] * chain.blocks
    one, zero = xp.ones_like(p), xp.zeros_like(p)

    def entry(value: Any) -> Any:
        return zero if value is None else value

    k = [[one if i == j else zero for j in range(d)] for i in range(d)]
    for t, step in enumerate(sites.diagonals):
        A, B, Ys, Ye = ([[entry(e) for e in row] for row in m] for m in step.matrices)
        spread: list[float] = []
        for gate, j in enumerate(sites.sources):
            total = sum(Ys[j][a] * Ys[j][b] * k[a][b] for a in range(d) for b in range(d))
            total = total + sum(Ye[j][m] ** 2 * spread[m] for m in range(gate))
            spread.append(variance[gate] * float(xp.sum(p * total)))
            found[2 * K * t + K + gate] = spread[-1]
        k = [
            [
                sum(A[i][a] * A[j][b] * k[a][b] for a in range(d) for b in range(d))
                + sum(B[i][m] * B[j][m] * spread[m] for m in range(K))
                for j in range(d)
            ]
            for i in range(d)
        ]
    r = [[one if i == j else zero for j in range(d)] for i in range(d)]
    for t in reversed(range(sites.steps)):
        A, B, Ys, Ye = ([[entry(e) for e in row] for row in m] for m in sites.diagonals[t].matrices)
        costs = [0.0] * sites.source_count
        for gate in reversed(range(K)):
            total = sum(B[a][gate] * B[b][gate] * r[a][b] for a in range(d) for b in range(d))
            total = total + sum(Ye[j][gate] ** 2 * cost for j, cost in enumerate(costs))
            found[2 * K * t + gate] = variance[gate] * float(xp.sum(p * total))
            costs[sites.sources[gate]] += found[2 * K * t + gate]
        r = [
            [
                sum(A[a][i] * A[b][j] * r[a][b] for a in range(d) for b in range(d))
                + sum(Ys[m][i] * Ys[m][j] * cost for m, cost in enumerate(costs))
                for j in range(d)
            ]
            for i in range(d)
        ]
    return found
