r"""Weights of sites under which the first two moments of a product are exact.

A finite number of sites gives the moments of a product with an error; the diagonal-valued
recursion gives them without.  Tilting the weights makes up the difference, like a control variate,
and takes part of the error of the whole distribution along.
"""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.pencils.blocks.chain_moments import moment_influences
from rmt_jacobian.pencils.chain.product_chain import ProductChain

__all__ = ["Calibration", "calibrated"]

_EXACT = 1e-11  # relative
_LEAST = 1e-290  # moments below it have lost digits
_ROUNDS = 30  # of Newton's method; four or five are the rule
_HOPELESS = 3.0  # logarithm of a moment over its exact value, beyond which sites are not tilted
_LONGEST = 2.0  # change of the logarithm of a weight in one of them
# Share of a moment that comes from sites below the level of the tilt.  The higher, the less weight
# is moved; heavy tails need a lower one.
_CARRIED = (0.99, 0.9, 0.5)
_MOST = 1.0  # chi-squared distance of the weights that is put up with
_SINGULAR = 1e-9  # of two moments that hang on the same sites


@dataclass(frozen=True)
class Calibration:
    r"""What was asked of the weights of the sites of a product, and what came of it.

    Attributes
    ----------
    chain
        The product with tilted weights, or as it was if they did not reach the moments.
    drawn
        The product as it was.
    mean, second_moment
        The exact m_1 and m_2 of :math:`J J^T`.
    missed
        The relative errors of the two moments on the sites as drawn.
    strength
        :math:`\sum_i p_i^2 / p_i^{(0)} - 1`, how far the weights were moved; infinite where no
        moderate tilt reaches the moments.
    """

    chain: ProductChain
    drawn: ProductChain
    mean: float
    second_moment: float
    missed: tuple[float, float]
    strength: float

    @property
    def reached(self) -> bool:
        """Whether the chain has the exact moments."""
        return math.isfinite(self.strength)


def calibrated(chain: ProductChain, mean: float, second_moment: float) -> Calibration:
    r"""Tilt the weights of the sites until the product has the given first two moments.

    Newton's method on the logarithms of the moments, with their exact derivatives in the weights
    and steps

    .. math::
        \delta \log p_i = \sum_{k=1,2} a_k \frac{d_{ki}}{|d_{ki}| + c_k} + \text{const}, \qquad
        d_{ki} = \frac{((J J^T)^k)_{ii}}{m_k} ,

    so that the tilt acts on the few sites that carry the moments, and leaves the bulk of the law
    alone.  Beyond :math:`c_k`, where a hundredth of the moment comes from, it levels off; where
    that does not lead to the end, a tenth or half of it.

    Parameters
    ----------
    chain
        T steps on weighted sites.
    mean, second_moment
        m_1 and m_2 of :math:`J J^T`, above 0.

    Notes
    -----
    Where no moderate tilt leads to the moments, or they are beyond the range of numbers, the chain
    of the result is the one given.

    Examples
    --------
    >>> from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory, chain_moments
    >>> gate = np.linspace(0.5, 1.5, 101)[None, :]
    >>> chain = ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0))
    >>> found = calibrated(chain, 1.1, 2.8)
    >>> [round(m, 10) for m in chain_moments(found.chain, 2)], found.reached
    ([1.0, 1.1, 2.8], True)
    """
    exact = np.array([mean, second_moment])
    missed = _relative(np.array(moment_influences(chain, 2)[0]), exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        hopeless = not np.all(np.abs(np.log1p(missed)) < _HOPELESS)
    end, strength = chain, math.inf
    for carried in () if hopeless else _CARRIED:
        found = _tilted(chain, exact, carried)
        if found is not None:
            prior, weights = (to_numpy(each.sites.weights) for each in (chain, found))
            distance = max(0.0, float(weights @ (weights / prior)) - 1)
            if distance <= _MOST:
                end, strength = found, distance
                break
    return Calibration(
        end, chain, mean, second_moment, (float(missed[0]), float(missed[1])), strength
    )


def _tilted(chain: ProductChain, exact: np.ndarray, carried: float) -> ProductChain | None:
    """Return the chain with weights that have the exact moments; None if they are not found."""
    xp, here, levels = array_namespace(chain.sites.direct), chain, None
    for _ in range(_ROUNDS):
        weights = to_numpy(here.sites.weights)
        moments, influences, diagonals = moment_influences(here, 2)
        found = np.array(moments)
        if not np.all((found > _LEAST) & np.isfinite(found)) or exact.min() <= _LEAST:
            return None
        gap = np.log(exact) - np.log(found)
        if np.max(np.abs(gap)) <= _EXACT:
            return here
        f = np.stack([to_numpy(i) for i in influences], axis=1) / found
        d = np.stack([to_numpy(each) for each in diagonals], axis=1) / found
        if levels is None:
            levels = np.array([_level(np.abs(column), weights, carried) for column in d.T])
        moved = weights * np.exp(_step(f, d / (np.abs(d) + levels), weights, gap))
        if not np.all(moved > 0):
            return None
        here = ProductChain(chain.sites.weighted(xp.asarray(moved / moved.sum())), chain.ensemble)
    return None


def _relative(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exact == found, 0.0, found / exact - 1)


def _level(influence: np.ndarray, weights: np.ndarray, carried: float) -> float:
    """Return the value up to which a share of a mean comes from."""
    order = np.argsort(influence)
    below = np.cumsum((weights * influence)[order])
    return float(influence[order][np.searchsorted(below, carried * below[-1])])


def _step(f: np.ndarray, tilt: np.ndarray, weights: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return Newton's change of the logarithms of the weights, shortened if it is long."""
    tilt = tilt - weights @ tilt
    slopes = (f * weights[:, None]).T @ tilt
    # Two moments of sites of one kind move together: the least change that serves both is taken.
    move = tilt @ np.linalg.lstsq(slopes, gap, rcond=_SINGULAR)[0]
    return move * min(1.0, _LONGEST / max(float(np.max(np.abs(move))), 1e-300))
