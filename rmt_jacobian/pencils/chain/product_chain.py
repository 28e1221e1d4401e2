r"""The pencil of a T-step product, a tridiagonal matrix at every site, and its Dyson equation.

The singular values s of :math:`J_T \cdots J_1`, :math:`J_t = A_t + B_t W_t`, are the points where
the Hermitian chain of blocks :math:`v_0, w_1, v_1, w_2, \ldots, w_T` is singular:

.. math::
    s \text{ at } v_0 \text{ and } w_T, \qquad
    v_{t-1} \stackrel{-A_t - B_t W_t}{\longleftrightarrow} w_t
    \stackrel{1}{\longleftrightarrow} v_t .

Each :math:`W_t` enters through the self-energies of the two blocks that it couples.  At a site,

.. math::
    G_i = \bigl(L_{0,i}(s) - \mathrm{diag}(\Sigma_{v_0}, B_{1,i}^2 \Sigma_{w_1}, \Sigma_{v_1},
    \ldots)\bigr)^{-1},

and the averages :math:`g_v = \langle G_{vv} \rangle`, :math:`g_w = \langle B^2 G_{ww} \rangle` give
back :math:`\Sigma_{w_t} = \gamma(u_t) g_{v_{t-1}}` and
:math:`\Sigma_{v_{t-1}} = \gamma(u_t) g_{w_t}`, with
:math:`u_t = \Sigma_{w_t} g_{w_t} = \Sigma_{v_{t-1}} g_{v_{t-1}}`.

A site is solved by its cavities.  Let :math:`k_t` be what :math:`G_{v_t v_t}` would be without
:math:`\Sigma_{v_t}` and all that is to the right, and :math:`r_t` the mirror image for
:math:`w_t`.  Then :math:`k_0 = r_T = 1/s`,

.. math::
    k_t = \frac{A_t^2 k_{t-1}}{1 - k_{t-1} \Sigma_{v_{t-1}}} + B_t^2 \Sigma_{w_t}, \qquad
    r_{t-1} = \frac{A_t^2 r_t}{1 - r_t B_t^2 \Sigma_{w_t}} + \Sigma_{v_{t-1}},

.. math::
    G_{v_t v_t} = k_t q_t, \qquad G_{w_t w_t} = r_t q_t, \qquad q_t = \frac{1}{1 - k_t r_t} .

All of these lie in the closed lower half plane where the self-energies do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from array_api_compat import is_numpy_array

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.chain.history import SiteHistory
from rmt_jacobian.pencils.ensembles import BiInvariant

__all__ = ["ProductChain", "Responses", "log_passing", "on_its_side"]

# Steps times sites that are worked on at a time: small enough for the cache, large enough for the
# loop over steps not to matter.  Derivatives hold an array of as many numbers for every block.
_SWEEP, _ROWS = 262_144, 65_536
_FLAT, _TINY = 1e-12, 1e-300  # imaginary parts that are rounding, and what stands for them


@dataclass(frozen=True)
class Responses:
    """Averages of a chain with their derivatives.

    Attributes
    ----------
    averages
        g, shape (points, 2T).
    matrix
        dg_a / dSigma_b, symmetric, shape (points, 2T, 2T).
    drift
        dg / ds, shape (points, 2T).
    cauchy, cauchy_row, cauchy_drift
        G(s) of the symmetrised singular values with its derivatives in the self-energies and in s;
        shapes (points,), (points, 2T) and (points,).
    """

    averages: Any
    matrix: Any
    drift: Any
    cauchy: Any
    cauchy_row: Any
    cauchy_drift: Any


@dataclass(frozen=True)
class ProductChain:
    r"""The chain of a T-step product on given sites.

    Blocks are counted 0, ..., 2T - 1; block 2t - 2 is :math:`v_{t-1}` and block 2t - 1 is
    :math:`w_t`.  Arrays of one entry for each block have shape (points, 2T).

    Parameters
    ----------
    sites
        The site diagonals of every step.
    ensemble
        The law of every :math:`W_t`; they are independent of each other and of the sites.

    Notes
    -----
    Assumes fresh bi-invariant W at every step, free from all diagonals, N -> infinity for W alone.
    """

    sites: SiteHistory
    ensemble: BiInvariant

    easy: ClassVar[int] = 6
    straight: ClassVar[bool] = False

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
        """The number of blocks, 2T."""
        return 2 * self.sites.steps

    @property
    def namespace(self) -> Any:
        """The array namespace of the sites."""
        return array_namespace(self.sites.direct)

    @property
    def lost(self) -> float:
        """The share of singular values that are 0."""
        return self.sites.lost

    @property
    def deterministic(self) -> bool:
        """Whether W is 0."""
        return self.ensemble.variance == 0

    @property
    def reach(self) -> float:
        """A bound on the singular values, loose; a number up to 1e100."""
        xp, reach = self.namespace, 1.0
        for A2, B2 in zip(self.sites.direct_squares, self.sites.gate_squares, strict=True):
            greatest = math.sqrt(float(xp.max(A2 + 4 * self.ensemble.variance * B2)))
            reach = min(1e100, reach * max(1.0, greatest))
        return reach

    def cauchy(self, s: Any, sigma: Any, averages: Any) -> Any:
        """Return G(s) of the symmetrised singular values, that of block v_0; shape (points,)."""
        return averages[:, 0]

    def parts(self, size: int) -> "list[ProductChain]":
        """Return the chain on portions of the sites, as many numbers each; on a GPU in one."""
        on_host = is_numpy_array(self.sites.direct)
        sites = max(64, size // self.steps) if on_host else self.sites.count
        return self._cut(min(sites, self.sites.count))

    def _cut(self, sites: int) -> "list[ProductChain]":
        if sites not in self._portions:
            cut = self.sites.portions(sites)
            self._portions[sites] = [ProductChain(portion, self.ensemble) for portion in cut]
        return self._portions[sites]

    @cached_property
    def _portions(self) -> "dict[int, list[ProductChain]]":
        return {}

    def leading(self, s: Any) -> Any:
        """Return the self-energies to leading order in 1/s, shape (points, 2T)."""
        xp = array_namespace(s)
        A2, B2, p = self.sites.direct_squares, self.sites.gate_squares, self.sites.weights
        variance, sigma = self.ensemble.variance, [0.0] * self.blocks
        k = xp.ones_like(p)
        for t in range(self.steps):
            sigma[2 * t + 1] = variance * float(xp.sum(p * k))
            k = A2[t] * k + B2[t] * sigma[2 * t + 1]
        r = xp.ones_like(p)
        for t in reversed(range(self.steps)):
            sigma[2 * t] = variance * float(xp.sum(p * B2[t] * r))
            r = A2[t] * r + sigma[2 * t]
        return xp.asarray(sigma, dtype=s.dtype)[None, :] / s[:, None]

    def averages(self, s: Any, sigma: Any) -> Any:
        """Return g of every block, by one sweep to the right and one back.

        Parameters
        ----------
        s
            Spectral points in the closed upper half plane, not 0; shape (points,).
        sigma
            Self-energies in the closed lower half plane, shape (points, 2T).
        """
        averages: list[Any] = [None] * self.blocks
        for part in self.parts(_SWEEP):
            k, _ = part._rightward(s, sigma)
            for t, r in part._leftward(s, sigma):
                q = 1 / (1 - k[t] * r)
                if t < self.steps:
                    averages[2 * t] = _plus(averages[2 * t], (k[t] * q) @ part._measure(2 * t))
                if t > 0:
                    w = 2 * t - 1
                    averages[w] = _plus(averages[w], (r * q) @ part._measure(w))
        return array_namespace(s).stack(averages, axis=1)

    def responses(self, s: Any, sigma: Any) -> Responses:
        r"""Return the averages and their derivatives.

        .. math::
            \frac{\partial g_a}{\partial \Sigma_b} = \langle c_a c_b G_{ab}^2 \rangle, \qquad
            \frac{\partial g_a}{\partial s} = -\langle c_a (G_{a,v_0}^2 + G_{a,w_T}^2) \rangle

        with c = 1 at v and B^2 at w.  Off the diagonal, for all blocks b to the right of v_t,

        .. math::
            G_{w_t b} = \frac{G_{v_t b}}{k_t}, \quad G_{w_t v_t} = q_t, \quad
            G_{w_t b}^2 = \frac{A_{t+1}^2}{(1 - k_t \Sigma_{v_t})^2} G_{w_{t+1} b}^2 ,

        so that a row follows from the next one.
        """
        xp = array_namespace(s)
        blocks = self.blocks
        averages: list[Any] = [None] * blocks
        rows: list[Any] = [None] * blocks
        ends: list[Any] = [None] * blocks
        for part in self.parts(_ROWS):
            for block, average, row, end in part._rows(s, sigma):
                averages[block] = _plus(averages[block], average)
                rows[block] = _plus(rows[block], row)
                ends[block] = _plus(ends[block], end)
        upper = xp.stack([_padded(row, blocks) for row in rows], axis=1)
        whole = upper + xp.matrix_transpose(xp.triu(upper, k=1))
        # c of v_0 is 1, so that its row holds the plain squares of the first column.
        drift = -whole[:, 0, :] - xp.stack(ends, axis=1)
        g = xp.stack(averages, axis=1)
        return Responses(g, whole, drift, g[:, 0], whole[:, 0, :], drift[:, 0])

    def _rows(self, s: Any, sigma: Any) -> Iterator[tuple[int, Any, Any, Any]]:
        """Yield a block a and the averages of c_a times G_aa, c_b G_ab^2 for b >= a, G_{a,w_T}^2.

        The last block comes first; one buffer holds c_b G_{w_t b}^2 at every site on the way.
        """
        xp = array_namespace(s)
        k, passing = self._rightward(s, sigma)
        row = xp.empty((s.shape[0], self.blocks, self.sites.count), dtype=sigma.dtype)
        end = xp.zeros_like(k[0])
        for t, r in self._leftward(s, sigma):
            q = 1 / (1 - k[t] * r)
            if t < self.steps:
                v, measure = 2 * t, self._measure(2 * t)
                squared_passing = passing[t] * passing[t] * self.sites.direct_squares[t]
                row[:, v + 1 :, :] *= squared_passing[:, None, :]
                end = squared_passing * end
                weighted, G = k[t] * k[t] * measure, k[t] * q
                beyond = (row[:, v + 1 :, :] @ weighted[:, :, None])[:, :, 0]
                first = ((G * G) @ measure)[:, None]
                last = xp.sum(weighted * end, axis=1)
                yield v, G @ measure, xp.concat([first, beyond], axis=1), last
                row[:, v, :] = q * q
            if t > 0:
                w, G = 2 * t - 1, r * q
                row[:, w, :] = G * G * self.sites.gate_squares[t - 1]
                end = G * G if t == self.steps else end
                measure = self._measure(w)
                yield w, G @ measure, row[:, w:, :] @ measure, end @ measure

    def _rightward(self, s: Any, sigma: Any) -> tuple[list[Any], list[Any]]:
        """Return k_t for t = 0, ..., T and 1 / (1 - k_t Sigma_{v_t}) for t < T, at the sites."""
        A2, B2 = self.sites.direct_squares, self.sites.gate_squares
        k, passing = [1 / s[:, None] + 0 * A2[0]], []
        for t in range(self.steps):
            passing.append(1 / (1 - k[-1] * sigma[:, 2 * t, None]))
            k.append(A2[t] * (k[-1] * passing[-1]) + B2[t] * sigma[:, 2 * t + 1, None])
        return k, passing

    def _leftward(self, s: Any, sigma: Any) -> Iterator[tuple[int, Any]]:
        """Yield (t, r_t) for t = T, ..., 0, at the sites."""
        A2, B2 = self.sites.direct_squares, self.sites.gate_squares
        r = 1 / s[:, None] + 0 * A2[0]
        yield self.steps, r
        for t in reversed(range(self.steps)):
            passed = r / (1 - r * (B2[t] * sigma[:, 2 * t + 1, None]))
            r = A2[t] * passed + sigma[:, 2 * t, None]
            yield t, r

    def _measure(self, block: int) -> Any:
        return self.sites.measures[block]

    def couplings(self, sigma: Any, g: Any) -> Any:
        """Return u of every step, the mean of its two expressions; shape (points, T)."""
        products = sigma * g
        return (products[:, 0::2] + products[:, 1::2]) / 2

    def self_energies(self, sigma: Any, g: Any) -> Any:
        """Return the self-energies that the averages give back."""
        return _doubled(self.ensemble.gain(self.couplings(sigma, g))) * _swapped(g)

    @property
    def partners(self) -> tuple[int, ...]:
        """The block that W couples to each."""
        return tuple(block ^ 1 for block in range(self.blocks))

    def coupled(self, sigma: Any, g: Any) -> Any:
        """Return u of the W of every block."""
        return _doubled(self.couplings(sigma, g))

    def mapped(self, method: str, *values: Any) -> Any:
        """Apply a method of the ensemble of every block, shape (points, blocks)."""
        return getattr(self.ensemble, method)(*values)

    def potential(self, s: Any, sigma: Any, g: Any) -> Any:
        r"""Return the logarithmic potential of the chain.

        .. math::
            F(s) = \tau \log(s^2 - J J^T) = 2 \log s + \Bigl\langle \sum_{t<T}
            \log(1 - k_t \Sigma_{v_t}) + \log(1 - k_T / s) \Bigr\rangle + \sum_t p(u_t)
            + \tfrac12 u_t \log \frac{\Sigma_{w_t} \Sigma_{v_{t-1}}}
            {\gamma(u_t)^2 g_{w_t} g_{v_{t-1}}}

        The last term is 0 at a solution and makes F stationary there: with the averages that belong
        to the self-energies, the error of F is quadratic in theirs.  On the axis
        :math:`\mathrm{Im} F(s) / \pi` is the share of singular values above s.
        """
        xp = array_namespace(s)
        last = xp.stack([1 / s], axis=1)
        total = 2 * xp.log(s)
        u = on_its_side(self.couplings(sigma, g), sigma[:, 1::2])
        total = total + xp.sum(self.ensemble.potential(u), axis=1)
        total = total + xp.sum(u * self._mismatch(sigma, g), axis=1)
        for part in self.parts(_SWEEP):
            k, _ = part._rightward(s, sigma)
            for t in range(self.steps + 1):
                other = sigma[:, 2 * t, None] if t < self.steps else last
                total = total + log_passing(k[t], other) @ part._measure(0)
        return total

    def _mismatch(self, sigma: Any, g: Any) -> Any:
        """Return the mean logarithm of the self-energies over what they give back, per step."""
        xp = array_namespace(sigma)
        image = self.self_energies(sigma, g)
        moves = (sigma != 0) & (image != 0)
        one = xp.ones_like(sigma)
        logs = xp.log(xp.where(moves, sigma, one) / xp.where(moves, image, one))
        return (logs[:, 0::2] + logs[:, 1::2]) / 2


def log_passing(k: Any, other: Any) -> Any:
    """Return log(1 - k o) for k and o in the lower half plane, on the principal branch.

    The product k o is never a positive number inside; on the border it is, and comes from below the
    axis if k is positive and from above it if k is negative.  Rounding must not take k out of the
    half plane, or a site counts on the wrong side.
    """
    xp = array_namespace(k)
    depth = xp.imag(k)
    k = xp.real(k) + 1j * xp.where(depth < 0, depth, xp.zeros_like(depth))
    passing = 1 - k * other
    height = xp.imag(passing)
    side = xp.where(xp.real(k) < 0, -xp.ones_like(height), xp.ones_like(height))
    angle = xp.where(
        height == 0, side * xp.acos(xp.sign(xp.real(passing))), xp.atan2(height, xp.real(passing))
    )
    return xp.log(xp.abs(passing)) + 1j * angle


def on_its_side(u: Any, sigma: Any) -> Any:
    r"""Return u with the sign that its imaginary part has in the limit from above.

    For Haar W, :math:`1 + u = \zeta / (\zeta - \sigma_w^2)` with :math:`\zeta` a product of two
    numbers above the axis that have the signs of the self-energies: on the cut of the logarithm u
    comes from below if these are positive and from above if they are negative.
    """
    xp = array_namespace(u)
    tiny = xp.full_like(xp.real(sigma), _TINY)
    height = xp.where(xp.real(sigma) < 0, tiny, -tiny)
    flat = xp.abs(xp.imag(u)) <= _FLAT * xp.abs(1 + u)
    return xp.where(flat, xp.real(u) + 1j * height, u)


def _plus(total: Any, term: Any) -> Any:
    return term if total is None else total + term


def _padded(row: Any, length: int) -> Any:
    """Put zeros before a row that lacks its first entries."""
    xp = array_namespace(row)
    missing = xp.zeros((row.shape[0], length - row.shape[1]), dtype=row.dtype)
    return xp.concat([missing, row], axis=1)


def _doubled(values: Any) -> Any:
    """Repeat the value of every step for both of its blocks."""
    return array_namespace(values).repeat(values, 2, axis=1)


def _swapped(values: Any) -> Any:
    """Exchange the two blocks of every step along axis 1."""
    xp = array_namespace(values)
    return xp.reshape(xp.stack([values[:, 1::2, ...], values[:, 0::2, ...]], axis=2), values.shape)
