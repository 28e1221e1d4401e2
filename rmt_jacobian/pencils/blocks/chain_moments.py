r"""Moments of a T-step product to any order: the Dyson equation of its chain as a power series.

With :math:`\epsilon = 1/s^2` every quantity of the chain is 1/s times a power series in epsilon,
and the cavities, written without that factor, start from :math:`k_0 = r_T = 1`:

.. math::
    k_t = \frac{A_t^2 k_{t-1}}{1 - \epsilon k_{t-1} \Sigma_{v_{t-1}}} + B_t^2 \Sigma_{w_t}, \qquad
    r_{t-1} = \frac{A_t^2 r_t}{1 - \epsilon r_t B_t^2 \Sigma_{w_t}} + \Sigma_{v_{t-1}},

.. math::
    g_{v_t} = \Bigl\langle \frac{k_t}{1 - \epsilon k_t r_t} \Bigr\rangle, \qquad
    g_{w_t} = \Bigl\langle \frac{B_t^2 r_t}{1 - \epsilon k_t r_t} \Bigr\rangle, \qquad
    u_t = \epsilon \, \Sigma_{w_t} g_{w_t} .

Then :math:`g_{v_0} = \sum_k m_k \epsilon^k`.  At order 0, :math:`k_t` is the diagonal of
:math:`J_t \cdots J_1 (\cdots)^T`.  A sweep to the right and one back fix one more order.

The potential of the chain, :math:`2 \log s - \sum_k m_k \epsilon^k / k`, is stationary in the
self-energies.  So the derivative of the moments in the weight of a site is its own term there,

.. math::
    \sum_k \frac{\partial m_k}{\partial p_i} \frac{\epsilon^k}{k} =
    - \sum_{t<T} \log(1 - \epsilon k_t \Sigma_{v_t}) - \log(1 - \epsilon k_T) .
"""

from functools import singledispatch
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.moments import block_moments
from rmt_jacobian.pencils.chain.product_chain import ProductChain
from rmt_jacobian.pencils.chain.protocol import Chain

__all__ = ["chain_moments", "moment_influences"]


@singledispatch
def chain_moments(chain: Chain, order: int) -> list[float]:
    r"""Return :math:`m_0, \ldots, m_{order}` of :math:`J J^T`, J the T-step product.

    Parameters
    ----------
    chain
        T steps on weighted sites.
    order
        The highest moment.

    Raises
    ------
    ParameterError
        If the order is negative.

    Notes
    -----
    Costs O(T sites order^3).  Assumes what :class:`.ProductChain` and :class:`.BlockChain` do.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory
    >>> sites = SiteHistory.of(np.zeros((2, 1)), np.ones((2, 1)))
    >>> chain = ProductChain(sites, GaussianWeights(1.0))
    >>> chain_moments(chain, 4)  # Fuss-Catalan
    [1.0, 1.0, 3.0, 12.0, 55.0]
    """
    if order < 0:
        raise ParameterError(f"the order of a moment must be an integer >= 0, not {order}")
    if isinstance(chain, BlockChain):
        return block_moments(chain, order)
    if isinstance(chain, ProductChain):
        return _Series(chain, order + 1).solve()
    raise ParameterError(f"no power series for a {type(chain).__name__}: give a ProductChain")


def moment_influences(chain: ProductChain, order: int) -> tuple[list[float], list[Any], list[Any]]:
    """Return the moments, and their derivatives in the weight of every site, up to a constant.

    The constant, the same for all sites, is of no account as weights have the sum 1.

    Parameters
    ----------
    chain
        T steps on weighted sites.
    order
        The highest moment, at least 1.

    Returns
    -------
    tuple
        Moments 1 to ``order``; as many derivatives, of shape (sites,); and the diagonals of the
        powers of :math:`J J^T`, whose means are the moments.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory
    >>> gate = np.array([[1.0, 3.0]])  # m_1 is the mean of B^2, 1 or 9
    >>> moments, influences, _ = moment_influences(
    ...     ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0)), 1)
    >>> moments, influences[0] - moments[0]
    ([5.0], array([1., 9.]))
    """
    series = _Series(chain, order + 1)
    moments = series.solve()
    return moments[1:], series.site_terms(), series.last_diagonals()


class _Series:
    """Truncated power series in epsilon; axis 0 counts the powers."""

    def __init__(self, chain: ProductChain, length: int) -> None:
        self.chain, self.length = chain, length
        self.sites = chain.sites
        self.xp = array_namespace(chain.sites.direct)
        self.gain = [float(g) for g in chain.ensemble.gain_series(length - 1)]

    def solve(self) -> list[float]:
        steps, ones = self.sites.steps, self.xp.ones_like(self.sites.direct[0, :])
        nothing = [0.0] * self.length
        sigma_v, sigma_w = [nothing] * steps, [nothing] * steps
        g_w = [nothing] * steps
        r = [self._constant(0 * ones)] * (steps + 1)
        k, first = [self._constant(ones)], nothing
        for _ in range(self.length):
            k = [self._constant(ones)]
            for t in range(steps):
                g_v = self._average(self._over(k[t], self._times(k[t], r[t])))
                first = g_v if t == 0 else first
                gain = self._gain(sigma_w[t], g_w[t])
                sigma_w[t] = self._times(gain, g_v)
                passed = self._over(k[t], self._times(k[t], sigma_v[t]))
                through = self._site_scaled(passed, self.sites.direct_squares[t])
                k.append(self._plus(through, sigma_w[t], self.sites.gate_squares[t]))
            r[steps] = self._constant(ones)
            for t in reversed(range(steps)):
                B2 = self.sites.gate_squares[t]
                G = self._over(r[t + 1], self._times(k[t + 1], r[t + 1]))
                g_w[t] = self._average(self._site_scaled(G, B2))
                sigma_v[t] = self._times(self._gain(sigma_w[t], g_w[t]), g_w[t])
                load = self._site_scaled(self._times(r[t + 1], sigma_w[t]), B2)
                passed = self._over(r[t + 1], load)
                through = self._site_scaled(passed, self.sites.direct_squares[t])
                r[t] = self._plus(through, sigma_v[t], ones)
        self.cavities, self.costs = k, [*sigma_v, [1.0, *nothing[1:]]]
        return first

    def last_diagonals(self) -> list[Any]:
        """Return the diagonals of powers of J J^T, the coefficients of k / (1 - epsilon k)."""
        k = self.cavities[-1]
        return self._over(k, k)[: self.length - 1]

    def site_terms(self) -> list[Any]:
        r"""Return :math:`-n [\epsilon^n] \sum_t \log(1 - X_t)` at every site, n = 1, 2, ...

        With :math:`X = \epsilon k \Sigma` and :math:`(1 - X) (\log(1 - X))' = -X'`.
        """
        totals = [0.0] * (self.length - 1)
        for k, cost in zip(self.cavities, self.costs, strict=True):
            X, terms = self._times(k, cost), []
            for n in range(1, self.length):
                earlier = [X[n - 1 - j] * terms[j - 1] for j in range(1, n)]
                terms.append(_total([n * X[n - 1], *earlier]))
            totals = [total + term for total, term in zip(totals, terms, strict=True)]
        return totals

    def _gain(self, sigma_w: list[float], g_w: list[float]) -> list[float]:
        """Return gamma(u) with u = epsilon Sigma_w g_w."""
        u = [0.0, *self._times(sigma_w, g_w)][: self.length]
        total = [0.0] * self.length
        for coefficient in reversed(self.gain):
            total = self._times(total, u)
            total[0] += coefficient
        return total

    def _constant(self, values: Any) -> list[Any]:
        return [values] + [0 * values] * (self.length - 1)

    def _times(self, a: list[Any], b: list[Any]) -> list[Any]:
        """Return the product of two series, of numbers or of arrays over sites."""
        return [_total([a[i] * b[n - i] for i in range(n + 1)]) for n in range(self.length)]

    def _over(self, a: list[Any], b: list[Any]) -> list[Any]:
        """Return a / (1 - epsilon b)."""
        quotient = [a[0]]
        for n in range(1, self.length):
            quotient.append(a[n] + _total([b[i] * quotient[n - 1 - i] for i in range(n)]))
        return quotient

    def _site_scaled(self, a: list[Any], values: Any) -> list[Any]:
        return [term * values for term in a]

    def _plus(self, a: list[Any], b: list[float], values: Any) -> list[Any]:
        return [term + number * values for term, number in zip(a, b, strict=True)]

    def _average(self, a: list[Any]) -> list[float]:
        return [float(self.xp.sum(term * self.sites.weights)) for term in a]


def _total(terms: list[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
