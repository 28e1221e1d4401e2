"""Averages over the sites of a chain with shared weights, at one spectral point."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.pencils.shared.matrices import packed, paired, symmetric
from rmt_jacobian.pencils.shared.resolvent import SiteResolvent

__all__ = ["PointAverages", "PointResponses", "averaged", "responding"]

_WEAK = 0.3  # of a coupling, below which g_y by Sigma_y would be a difference of large numbers


@dataclass(frozen=True, eq=False)
class PointAverages:
    """The averages at one point.

    Attributes
    ----------
    e, y
        g of every preactivation, (K, T, T), and of every source, (S, T, T).
    cauchy
        G(s) of the symmetrised singular values.
    """

    e: np.ndarray
    y: np.ndarray
    cauchy: complex


@dataclass(frozen=True, eq=False)
class PointResponses:
    """The averages at one point with their derivatives.

    Groups are the K preactivations and then the S sources; symmetric matrices are packed.

    Attributes
    ----------
    averages
        Of the same point.
    slopes
        By pairs of groups a <= b: dg_a / dSigma_b before entries off the diagonal count twice,
        shape (m, m).
    drift
        dg / ds of every group, shape (K + S, m).
    cauchy_row, cauchy_drift
        The derivatives of G in the self-energies, before entries count twice, (K + S, m), and in s.
    """

    averages: PointAverages
    slopes: dict[tuple[int, int], np.ndarray]
    drift: np.ndarray
    cauchy_row: np.ndarray
    cauchy_drift: complex


def _diagonal(matrix: np.ndarray, T: int) -> np.ndarray:
    """Return the T x T blocks on the diagonal."""
    cuts = range(0, len(matrix), T)
    return np.array([symmetric(matrix[a : a + T, a : a + T]) for a in cuts])


class _AveragesOfSources:
    r"""The average of :math:`G_{yy}`, by one of two expressions.

    :math:`\Sigma^{-1} Q \Sigma^{-1} - \Sigma^{-1}` loses its digits where the self-energies are
    small, :math:`(M Q + V Q) \Sigma^{-1}` where they are large.
    """

    def __init__(self, first: SiteResolvent) -> None:
        self.inverse, self.costs = first.inverse_costs, first.costs
        self.weak = False
        by_costs = first.shooting.weights @ self.at_sites(first, flat=True)
        share = float(first.xp.real(first.xp.sum(first.shooting.weights)))
        g = to_numpy(by_costs).reshape(self.costs.shape) / share
        self.weak = bool(np.max(np.abs(np.diag(self.costs @ g))) < _WEAK)

    def at_sites(self, site: SiteResolvent, *, flat: bool = False) -> Any:
        """Return G_yy at the sites, shape (sites, S T, S T) or (sites, S T squared)."""
        xp, maps = site.xp, site.shooting
        inverse, sourced = xp.asarray(self.inverse), maps.sourced
        if self.weak:
            rows = xp.concat([site.covariances[:, :sourced, :], maps.nodes[:, :sourced, :]], axis=2)
            found = (rows @ site.inverse[:, :, :sourced]) @ inverse
        else:
            found = inverse @ site.inverse[:, :sourced, :sourced] @ inverse - inverse
        return xp.reshape(found, (found.shape[0], sourced**2)) if flat else found


def averaged(sites: Iterator[SiteResolvent]) -> PointAverages:
    """Return the averages over portions of the sites.

    Parameters
    ----------
    sites
        All portions at one point, of which one is kept at a time.
    """
    start = next(sites)
    maps = start.shooting
    T, K, d, outputs = maps.steps, len(maps.gates), maps.states, maps.outputs
    of_sources = _AveragesOfSources(start)
    e, y, cauchy = np.zeros((K, T, T), dtype=complex), 0.0, 0j
    for site in chain([start], sites):
        xp, part = site.xp, site.shooting
        among = site.inverse[:, :outputs, :outputs]
        for k, gate in enumerate(part.gates):
            weighted = xp.reshape(gate * part.weights[:, None, None], (-1, T))
            e[k] += to_numpy(xp.matrix_transpose(weighted) @ xp.reshape(among @ gate, (-1, T)))
        y = y + to_numpy(part.weights @ of_sources.at_sites(site, flat=True))
        corner = sum(site.inverse[:, at, at] for at in range(outputs, outputs + d))
        cauchy += complex(xp.sum(part.weights * corner)) / d
    whole = np.reshape(y, (maps.sourced, maps.sourced))
    return PointAverages(symmetric(e), _diagonal(whole, T), cauchy)


def responding(sites: Iterator[SiteResolvent]) -> PointResponses:
    r"""Return the averages over portions of the sites with their derivatives.

    .. math::
        \frac{\partial g_{ab}}{\partial \Sigma_{cd}} = \langle G_{ac} G_{bd} \rangle, \qquad
        \frac{\partial g_{ab}}{\partial s} = -\sum_{p} \langle G_{ap} G_{bp} \rangle

    with p the states before the first step and the multipliers of those after the last.

    Parameters
    ----------
    sites
        All portions at one point, of which one is kept at a time.
    """
    start = next(sites)
    maps = start.shooting
    T, K, S, d, outputs = maps.steps, len(maps.gates), maps.sources, maps.states, maps.outputs
    of_sources = _AveragesOfSources(start)
    groups, inverse = K + S, start.inverse_costs
    pairs = [(a, b) for a in range(groups) for b in range(a, groups)]
    slopes = {pair: np.zeros((T * T, T * T), dtype=complex) for pair in pairs}
    whole = np.zeros((groups * T, groups * T), dtype=complex)
    drift, row = (np.zeros((groups, T * T), dtype=complex) for _ in range(2))
    cauchy, cauchy_drift = 0j, 0j
    for site in chain([start], sites):
        xp, p = site.xp, site.shooting.weights
        G, arms = _slots(site, of_sources, xp.asarray(inverse))
        whole += to_numpy(xp.sum(p[:, None, None] * G, axis=0))
        for a, b in pairs:
            block = G[:, a * T : (a + 1) * T, b * T : (b + 1) * T]
            flat = xp.reshape(block, (block.shape[0], T * T))
            slopes[a, b] += to_numpy(xp.matrix_transpose(p[:, None] * flat) @ flat)
        for a in range(groups):
            for j in range(2 * d):
                arm = arms[:, j, a * T : (a + 1) * T]
                squares = to_numpy(xp.matrix_transpose(p[:, None] * arm) @ arm).ravel()
                drift[a] -= squares
                row[a] += squares / d if j < d else 0.0
        corner = site.arms[:, :, outputs : outputs + d]
        cauchy += complex(xp.sum(p * sum(corner[:, j, j] for j in range(d)))) / d
        cauchy_drift -= complex(xp.sum(p * xp.sum(corner**2, axis=(1, 2)))) / d
    found = _diagonal(whole, T)
    return PointResponses(
        PointAverages(found[:K], found[K:], cauchy),
        {pair: paired(each, T) for pair, each in slopes.items()},
        packed(drift.reshape(groups, T, T)),
        packed(row.reshape(groups, T, T)),
        cauchy_drift,
    )


def _slots(site: SiteResolvent, of_sources: _AveragesOfSources, inverse: Any) -> tuple[Any, Any]:
    """Return G between all e and y of all steps, and from the ends of the chain to them."""
    xp, maps = site.xp, site.shooting
    sourced, outputs, e = maps.sourced, maps.outputs, maps.all_gates
    reached = site.inverse[:, :outputs, :outputs] @ e
    of_gates = xp.matrix_transpose(e) @ reached
    across = inverse @ reached[:, :sourced, :]
    top = xp.concat([of_gates, xp.matrix_transpose(across)], axis=2)
    bottom = xp.concat([across, of_sources.at_sites(site)], axis=2)
    arms = [site.arms[:, :, :outputs] @ e, site.arms[:, :, :sourced] @ inverse]
    return xp.concat([top, bottom], axis=1), xp.concat(arms, axis=2)
