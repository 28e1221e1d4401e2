r"""Weights of sites under which the first two moments of a product are exact.

A finite number of sites gives the moments of a product with an error; the diagonal-valued
recursion gives them without.  Tilting the weights makes up the difference, like a control variate,
and takes part of the error of the whole distribution along.
"""

import math

import numpy as np
from scipy.optimize import root

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.pencils.chain import ProductChain
from rmt_jacobian.pencils.chain_moments import chain_moments

__all__ = ["calibrated"]

_EXACT = 1e-12  # relative
_LEAST = 1e-290  # moments below it have lost digits
_MOST = 0.5  # loss of effective sites, 1 - (sum p^2)^-1 / sites, that is put up with


def calibrated(chain: ProductChain, mean: float, second_moment: float) -> ProductChain | None:
    r"""Tilt the weights of the sites until the product has the given first two moments.

    .. math:: p_i \propto p_i^{(0)} \exp(a d_i / m_1 + b \Phi_i / m_2)

    with d the diagonal of :math:`J J^T` and :math:`\Phi` that of its square, so that the tilt acts
    on the few sites that carry the moments and leaves the bulk of the law alone.

    Parameters
    ----------
    chain
        T steps on weighted sites.
    mean, second_moment
        m_1 and m_2 of :math:`J J^T`.

    Returns
    -------
    ProductChain or None
        The chain with other weights; None where no moderate tilt reaches the moments.

    Examples
    --------
    >>> from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory
    >>> gate = np.linspace(0.5, 1.5, 101)[None, :]
    >>> chain = ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0))
    >>> [round(m, 12) for m in chain_moments(calibrated(chain, 1.1, 2.8), 2)]
    [1.0, 1.1, 2.8]
    """
    xp = array_namespace(chain.sites.direct)
    prior = to_numpy(chain.sites.weights)
    features = _features(chain)
    if not np.all(np.isfinite(features)):
        return None  # the moments are 0, or beyond the range of numbers

    def tilted(tilt: np.ndarray) -> ProductChain:
        exponent = features @ tilt
        weights = prior * np.exp(exponent - exponent.max())
        return ProductChain(
            chain.sites.weighted(xp.asarray(weights / weights.sum())), chain.ensemble
        )

    def gap(tilt: np.ndarray) -> list[float]:
        _, first, second = chain_moments(tilted(tilt), 2)
        # A wild tilt leaves no weight at the sites that carry the moments.
        return [
            math.log(max(found, _LEAST)) - math.log(exact)
            for found, exact in ((first, mean), (second, second_moment))
        ]

    if min(mean, second_moment) < _LEAST:
        return None
    if max(map(abs, gap(np.zeros(2)))) <= _EXACT:
        return chain
    found = root(gap, np.zeros(2), method="hybr", options={"xtol": 1e-15})
    weights = to_numpy(tilted(found.x).sites.weights)
    effective = 1 / float(weights @ weights) / len(weights)
    if max(map(abs, found.fun)) > _EXACT or effective < 1 - _MOST:
        return None
    return tilted(found.x)


def _features(chain: ProductChain) -> np.ndarray:
    """Return the diagonals of J J^T and of its square in units of their means; (sites, 2)."""
    xp = array_namespace(chain.sites.direct)
    moments = PairedMoments.identity(chain.sites.direct[0, :])
    ensemble = chain.ensemble
    for t in range(chain.steps):
        A, B = chain.sites.direct[t, :], chain.sites.gate[t, :]
        moments = moments.step(A, B, weight_variance=ensemble.variance, s_1=ensemble.s_1)
    squares = moments.apply(xp.ones_like(moments.diagonal))
    columns = [to_numpy(moments.diagonal), to_numpy(squares)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([column / column.mean() for column in columns], axis=1)
