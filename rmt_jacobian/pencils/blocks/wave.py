r"""The travelling wave of a long product of Jacobians of any cell.

With several states, preactivations and sources the wave of
:mod:`~rmt_jacobian.lyapunov.exponents` has one share y_k for every W_k.  Between the singular
values, which lie further and further apart, :math:`u_k = -y_k` at every step, and all that is
passed on changes by a constant factor a step,

.. math::
    \Sigma_{e_k, t} = -i \mu^t a_k, \qquad \Sigma_{y_k, t} = -i \mu^{-t} b_k, \qquad
    a_k b_k = y_k \gamma_k(-y_k), \qquad \mu = e^{2 \lambda} .

At a site this is a linear-quadratic problem with real numbers: Gaussian states v, whose covariance
:math:`P_t = \mu^t \kappa_t` grows by e_k of variance :math:`\mu^t a_k`, observed through the
sources with costs :math:`\mu^{-t} b_k`.  One recursion to the right gives the stationary
:math:`\kappa`, one back the force :math:`\mu^{-t} \rho_t` that a shift of v meets in the whole
chain (:mod:`~rmt_jacobian.pencils.blocks.cavity`).  Then

.. math::
    y_k = a_k E[\text{force on } e_k] = b_k E[\text{variance of } y_k], \qquad
    x = \frac1d E[\mathrm{tr}\, \kappa \rho],

of which the first 2 K hold one relation: what the e_k bring in, the sources take out, as the
share x does not change from step to step.  The scale of a is free, so that :math:`a_1 = 1`, and the
unknowns are the other a_k, the y_k and :math:`\mu`.  The part of the equations that cannot be
solved, :math:`\epsilon`, is 0 in a stationary wave; it tells how stationary the given sites are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit, logit

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.blocks.cavity import StepCavity, quadratic
from rmt_jacobian.pencils.blocks.factors import States
from rmt_jacobian.pencils.blocks.history import BlockHistory, Matrix
from rmt_jacobian.pencils.ensembles import BiInvariant

__all__ = ["BlockWave", "LongBlockChain"]

_SWEEPS, _EXACT, _STRIDE = 60, 1e-6, 1.0  # of Newton's method
_APART = 1e-4  # of differences that stand for derivatives
_FAINT, _POWERS = 1e-9, 24  # where the equations are linear, and iterations to solve them there
_PILOTS = 128  # sites on which derivatives are taken
_STATIONARY = 0.1  # the largest epsilon of a wave


@dataclass(frozen=True, eq=False)
class BlockWave:
    """A solution at one quantile.

    Attributes
    ----------
    unknowns
        log a_2, ..., log a_K, the logits of y_1, ..., y_K, log mu and epsilon.
    influence
        What every site adds to log mu, to first order, up to a constant; shape (sites,).
    matrix
        The derivatives of the equations in the unknowns, measured on a few sites.
    """

    unknowns: np.ndarray
    influence: np.ndarray
    matrix: np.ndarray

    @property
    def exponent(self) -> float:
        """(1/2) log mu."""
        return float(self.unknowns[-2]) / 2

    @property
    def error(self) -> float:
        """The standard error of the exponent, from the finite number of sites."""
        return float(self.influence.std(ddof=1)) / 2 / self.influence.size**0.5


@dataclass(frozen=True, eq=False)
class LongBlockChain:
    """The travelling wave of the chain of any cell on given sites.

    Parameters
    ----------
    sites
        Independent stationary histories of sites of equal weights; averages run over their middle.
    ensembles
        The law of every W, in the order of ``sites.names``; none of them 0.
    memory
        Steps at either end that only serve to forget the start.
    """

    sites: BlockHistory
    ensembles: tuple[BiInvariant, ...]
    memory: int

    @property
    def gates(self) -> int:
        """K."""
        return self.sites.gates

    @cached_property
    def pilot(self) -> "LongBlockChain":
        """The chain on a few of the sites."""
        part = self.sites.portions(_PILOTS)[0]
        even = part.weighted(part.weights / part.weights.sum())
        return LongBlockChain(even, self.ensembles, self.memory)

    def shares(self, a: np.ndarray, b: np.ndarray, mu: float) -> np.ndarray:
        """Return the shares on the e_k, on the y_k, and x at every site, shape (2 K + 1, sites)."""
        with np.errstate(all="ignore"):  # what is not finite is refused in the residual
            return self._shares(a, b, mu)

    def _shares(self, a: np.ndarray, b: np.ndarray, mu: float) -> np.ndarray:
        last = self.sites.steps - self.memory
        cavities, states = [], States.independent(np.ones(self.sites.count), self.sites.states)
        for step, unread in zip(self.sites.diagonals, self._unread(a), strict=True):
            before = States([p / mu for p in states.pivots], states.basis)
            costs = [-float(b[rows].sum()) for rows in self._readers]
            cavities.append(
                StepCavity.of(step, self.sites.read, before, costs, list(map(float, a)), unread)
            )
            states = cavities[-1].states
        total = np.zeros((2 * self.gates + 1, self.sites.count))
        d = self.sites.states
        N: Matrix = [[None] * d for _ in range(d)]
        for t in reversed(range(self.memory, self.sites.steps)):
            step = cavities[t]
            force = step.looked_back(N)
            if t < last:
                total += self._seen(step, N, force, a, b)
            N = [[None if f is None else f / mu for f in row[:d]] for row in force[:d]]
        return total / (last - self.memory)

    def _seen(
        self, step: StepCavity, N: Matrix, force: Matrix, a: np.ndarray, b: np.ndarray
    ) -> np.ndarray:
        history, found = self.sites, np.zeros((2 * self.gates + 1, self.sites.count))
        for k in range(self.gates):
            if k in history.read:
                at = history.states + history.read.index(k)
                met = force[at][at]
            else:
                met = quadratic(N, [row[k] for row in step.gates])
            found[k] = 0.0 if met is None else -a[k] * met
        for source, rows in enumerate(self._readers):
            variance = step.source_variance(source, source)
            beyond = quadratic(N, step.leads[source])
            whole = sum((term for term in (variance, beyond) if term is not None), 0.0)
            for k in rows:
                found[self.gates + k] = b[k] * whole
        for i, pivot in enumerate(step.states.pivots):
            if N[i][i] is not None:
                found[-1] -= pivot * N[i][i] / history.states
        return found

    @cached_property
    def _readers(self) -> list[list[int]]:
        """The preactivations of every source."""
        sources = self.sites.sources
        return [[k for k in range(self.gates) if sources[k] == j]
                for j in range(self.sites.source_count)]  # fmt: skip

    @cached_property
    def _pairs(self) -> list[list[list[Any]]]:
        """B_1k B_jk of the preactivations that no source reads, for every step and every j."""

        def product(one: Any, other: Any, k: int) -> Any:
            return None if one is None or other is None or k in self.sites.read else one * other

        return [
            [
                [
                    product(one, other, k)
                    for k, (one, other) in enumerate(zip(g[0], row, strict=True))
                ]
                for row in g
            ]
            for g in (step.gate for step in self.sites.diagonals)
        ]

    def _unread(self, a: np.ndarray) -> list[Matrix]:
        def total(products: Sequence[Any]) -> Any:
            terms = [std * p for std, p in zip(a, products, strict=True) if p is not None]
            return sum(terms[1:], terms[0]) if terms else None

        return [[[total(products) for products in pairs]] for pairs in self._pairs]

    def alive(self, log_mu: float) -> list[int]:
        """Return the preactivations that changes reach and that reach later states."""
        K = self.gates
        means = self.shares(np.ones(K), np.full(K, _FAINT), float(np.exp(log_mu))).mean(axis=1)
        return [k for k in range(K) if means[k] > 0 and means[K + k] > 0]

    def start(self, x: float, log_mu: float) -> np.ndarray:
        """Return the unknowns at a small quantile, from the linear equations at x = 0."""
        K, gain = self.gates, np.array([e.variance for e in self.ensembles])
        a, b = gain / gain[0], np.full(K, _FAINT)
        for _ in range(_POWERS):
            means = self.pilot.shares(a, b, float(np.exp(log_mu))).mean(axis=1)
            a, b = gain * means[K:-1] / b, gain * means[:K] / a
            a, b = a / a[0], b * (_FAINT * K / b.sum())
        means = self.pilot.shares(a, b, float(np.exp(log_mu))).mean(axis=1)
        y = np.minimum(0.9, a * b / gain * (x / means[-1]))
        return np.concatenate([np.log(a[1:]), logit(y), [log_mu, 0.0]])

    def _parts(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        K = self.gates
        a = np.exp(np.concatenate([[0.0], unknowns[: K - 1]]))
        y = expit(unknowns[K - 1 : -2])
        gain = [float(e.gain(np.array(-share))) for e, share in zip(self.ensembles, y, strict=True)]
        return a, y * gain / a, float(np.exp(unknowns[-2]))

    def residual(self, unknowns: np.ndarray, x: float) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much the logits of the shares fail, and what every site adds to that.

        Raises
        ------
        ConvergenceError
            If a share is not between 0 and 1.
        """
        y, epsilon = unknowns[self.gates - 1 : -2], unknowns[-1]
        shares = self.shares(*self._parts(unknowns))
        means = shares.mean(axis=1)
        if not np.all((means > 0) & (means < 1)):
            raise _no_wave(x)
        wanted = np.concatenate([y - epsilon, y + epsilon, [logit(x)]])
        return logit(means) - wanted, shares / (means * (1 - means))[:, None]

    def matrix(self, unknowns: np.ndarray, x: float) -> np.ndarray:
        """Return the derivatives of the residual, on a few sites."""
        base = self.pilot.residual(unknowns, x)[0]
        moves = _APART * np.eye(unknowns.size)
        return np.stack(
            [(self.pilot.residual(unknowns + move, x)[0] - base) / _APART for move in moves], axis=1
        )

    def wave(self, x: float, start: np.ndarray, matrix: np.ndarray | None = None) -> BlockWave:
        r"""Solve for the wave at quantile x in (0, 1).

        Newton's method with the derivatives on a few sites, improved by the rule of Broyden.

        Parameters
        ----------
        x
            The quantile from the top.
        start
            A first guess of the unknowns.
        matrix
            A first guess of the derivatives; measured by default.

        Raises
        ------
        ConvergenceError
            If it does not end, or the sites are not stationary.
        """
        unknowns = np.array(start, dtype=float)
        matrix = self.matrix(unknowns, x) if matrix is None else matrix
        residual, influence = self.residual(unknowns, x)
        for _ in range(_SWEEPS):
            step = -np.linalg.solve(matrix, residual)
            step /= max(1.0, float(np.abs(step).max()) / _STRIDE)
            unknowns = unknowns + step
            residual, influence = self.residual(unknowns, x)
            if float(np.abs(step).max()) < _EXACT:
                break
            matrix = matrix + np.outer(residual, step) / (step @ step)
        else:
            raise _no_wave(x)
        if abs(unknowns[-1]) > _STATIONARY:
            raise _no_wave(x)
        matrix = self.matrix(unknowns, x)
        return BlockWave(unknowns, -np.linalg.solve(matrix, influence)[-2], matrix)


def _no_wave(x: float) -> ConvergenceError:
    return ConvergenceError(
        f"no exponent was found at quantile {x:.3g}: sites may block the product there; "
        "sample it instead"
    )
