r"""The linear response of an affine site: how a small change of a network grows.

With :math:`D = E[\delta s_1 \delta s_2^T]`, the coefficients of one step fresh and b the frozen
biases of a site,

.. math::
    D'(b) = E[A_1 D(b) A_2^T] + \sum_l v_l E[B_1^l (B_2^l)^T], \qquad
    v_k = \sigma_k^2 \Bigl( \sum_l E[Y_{e,1}^{kl} Y_{e,2}^{kl}] v_l
    + E_b \, E[Y_{s,1}^k D(b) (Y_{s,2}^k)^T] \Bigr) .

The growth rate in the end is the largest of the isolated eigenvalues of this map and of what the
most retentive sites keep by themselves, the edge of its continuous spectrum.  Where B or Y jump and
the networks are fully correlated, averages of products are infinite; so is then the growth rate, if
what comes out of the jump comes back to it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rmt_jacobian.solvers import Solution, bracketed_root

__all__ = ["AffineResponses"]

_EPSILON, _TRIED = 1e-15, 4  # relative, of entries; and how often they are moved
_INSIDE = 1e-9
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class AffineResponses:
    r"""Averages of products of derivatives in two networks; R point sets, or 1.

    Attributes
    ----------
    reads
        Of dy_k / de_l over sites, shape (R, preactivations, preactivations).
    sources
        Of dy_k / ds for each frozen bias, shape (R, biases, preactivations, states^2).
    carry
        Of ds' / ds, shape (R, biases, states^2, states^2).
    gates
        Of ds' / de_l, shape (R, biases, states^2, preactivations).
    scale
        sigma_k^2, shape (preactivations,).
    shares
        Of the frozen biases, shape (biases,).
    edge
        The most that a site keeps, over all values of its biases; None where none is frozen.
    """

    reads: np.ndarray
    sources: np.ndarray
    carry: np.ndarray
    gates: np.ndarray
    scale: np.ndarray
    shares: np.ndarray
    edge: float | None = None

    @cached_property
    def kept(self) -> float:
        """The spectral radius of what a site keeps by itself."""
        if self.edge is not None:
            return self.edge
        return float(np.max(np.abs(np.linalg.eigvals(self.carry.mean(axis=0)))))

    @cached_property
    def _through(self) -> np.ndarray:
        """V for unit D, shape (R, biases, preactivations, states^2)."""
        reads = self.scale[:, None] * self.reads
        direct = np.eye(len(self.scale)) - reads
        return np.linalg.solve(direct[:, None], self.scale[:, None] * self.sources)

    def growth_rates(self) -> np.ndarray:
        """Return the growth rate by each of the point sets, shape (R,)."""
        return np.array([self._rate(r).unwrap() for r in range(len(self.reads))])

    @cached_property
    def _returns(self) -> bool:
        """Whether an infinite response comes back to where it started."""
        n, K = self.carry.shape[-1], len(self.scale)
        weight = np.zeros((n + K, n + K))
        weight[:n, :n] = _largest(self.carry)
        weight[:n, n:] = _largest(self.gates)
        weight[n:, :n] = self.scale[:, None] * _largest(self.sources)
        weight[n:, n:] = np.where(self.scale[:, None] > 0, _largest(self.reads), 0.0)
        weight[:, n:] = np.where(self.scale > 0, weight[:, n:], 0.0)
        reached = (weight > 0) | np.eye(n + K, dtype=bool)
        for _ in range(n + K):
            reached = reached @ reached
        return bool(np.any(np.isinf(weight) & reached.T))

    @cached_property
    def _finite(self) -> "AffineResponses":
        """The same without infinite responses, which only pass."""
        reads, gates = (np.where(np.isinf(each), 0.0, each) for each in (self.reads, self.gates))
        return replace(self, reads=reads, gates=gates)

    def _rate(self, r: int) -> Solution[float]:
        if np.any(np.isinf(self.gates)) or np.any(np.isinf(self.reads)):
            return Solution(np.inf, True, 0.0, 1) if self._returns else self._finite._rate(r)
        if self.edge is None:
            values = np.linalg.eigvals(self._step(r))
            leading = values[np.argmax(np.abs(values))]
            # A negative pair of the same modulus: what is positive leads.
            real = np.abs(np.imag(values)) <= _ROUNDING * np.abs(leading)
            equal = np.abs(values) >= (1 - _ROUNDING) * np.abs(leading)
            if np.any(real & equal):
                leading = np.max(np.real(values[real & equal]))
            # What turns as it falls, a pair of complex values, falls by their modulus a step.
            turns = abs(np.imag(leading)) > _ROUNDING * abs(leading)
            return Solution(float(abs(leading) if turns else np.real(leading)), True, 0.0, 1)
        low = max(self.edge * (1 + _INSIDE), 1e-12)
        if self._excess(low, r) <= 0:
            return Solution(self.edge, True, 0.0, 1)
        high = 2 * low
        while self._excess(high, r) > 0 and high < 1e60:
            high *= 2
        return bracketed_root(lambda rate: self._excess(rate, r), low, high)

    def _step(self, r: int) -> np.ndarray:
        """Return the map of D by one step, where biases do not matter."""
        return self.carry[r, 0] + self.gates[r, 0] @ self._through[r, 0]

    def rounding(self) -> float:
        """Return how far rounding may have moved the growth rates.

        Much, where several states forget alike: eigenvalues that coincide move like a root of it.
        """
        step = self._step(0)
        if self.edge is not None or not np.all(np.isfinite(step)):
            return 0.0
        rng, sizes = np.random.default_rng(0), []
        for scatter in (0.0, *[_EPSILON] * _TRIED):
            moved = step * (1 + scatter * rng.standard_normal(step.shape))
            sizes.append(float(np.max(np.abs(np.linalg.eigvals(moved)))))
        return max(abs(size - sizes[0]) for size in sizes)

    def _excess(self, rate: float, r: int) -> float:
        values = np.linalg.eigvals(self._matrix(rate, r))
        real = np.real(values[np.abs(np.imag(values)) <= _ROUNDING * (1e-300 + np.abs(values))])
        return float(np.max(real, initial=-np.inf)) - 1

    def _matrix(self, rate: float, r: int) -> np.ndarray:
        m = self.carry.shape[-1]
        resolvent = np.linalg.solve(rate * np.eye(m) - self.carry[r], self.gates[r])
        return self.scale[:, None] * (
            self.reads[r] + np.tensordot(self.shares, self.sources[r] @ resolvent, 1)
        )

    def log_mean_squares(
        self, steps: int, start: np.ndarray | None = None, states: int | None = None
    ) -> np.ndarray:
        r"""Return log m_1, the mean squared singular value, of 0, ..., T steps: (R, T + 1).

        Parameters
        ----------
        steps
            T.
        start
            D before the first step, shape (R or 1, biases, states, states); by default 1.
        states
            How many of the states, the first ones, count; by default all.
        """
        R, B, n = self.carry.shape[:3]
        m = round(np.sqrt(n))
        d = states or m
        D = np.eye(m) if start is None else start.reshape(*start.shape[:2], m, m)
        D = np.broadcast_to(D.reshape(*D.shape[:-2], n), (R, B, n))
        found = [np.zeros(R)]
        for _ in range(steps):
            v = np.einsum("b,rbkn,rbn->rk", self.shares, self._through, D)
            D = np.einsum("rbij,rbj->rbi", self.carry, D) + np.einsum("rbik,rk->rbi", self.gates, v)
            own = D.reshape(R, B, m, m)[..., :d, :d]
            trace = own.trace(axis1=-2, axis2=-1) @ self.shares / d
            with np.errstate(divide="ignore"):
                found.append(found[-1] + np.log(np.abs(trace)))
            D = D / np.where(trace == 0, 1.0, trace)[:, None, None]
        return np.stack(found, axis=1)


def _largest(table: np.ndarray) -> np.ndarray:
    """Return the largest modulus of each entry over point sets and biases."""
    return np.abs(table).max(axis=tuple(range(table.ndim - 2)))
