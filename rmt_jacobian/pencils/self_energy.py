r"""The Dyson equation of a pencil: averages over sites, residual and Newton matrix.

The sites live where the user put them; what there is one of per point of the grid (a few
self-energies) lives on the host.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.pencils.pencil import Pencil

__all__ = ["DysonEquation", "Residual"]

_CHUNK_BYTES = 2**22  # of one array of site matrices; above the cache of a core it is slower
# Added to i times the diagonal: no digit changes, and LAPACK does not meet a singular site.
_ABSORPTION = 1e-60


@dataclass(frozen=True)
class Residual:
    r"""The equation :math:`\Sigma_a - \gamma(u) g_{a'} = 0` at some self-energies.

    Attributes
    ----------
    value
        The left side, shape (points, slots).
    matrix
        Its derivative in the self-energies, shape (points, slots, slots).
    norm
        The largest value in units of the self-energy, shape (points,).
    g
        The averages that belong to the slots, shape (points, slots).
    u
        Shape (points, entries).
    """

    value: np.ndarray
    matrix: np.ndarray
    norm: np.ndarray
    g: np.ndarray
    u: np.ndarray

    def at(self, points: np.ndarray) -> "Residual":
        """Return the residual at some of its points."""
        return Residual(*(getattr(self, field.name)[points] for field in fields(self)))

    def updated(self, points: np.ndarray, other: "Residual") -> "Residual":
        """Return the residual with the values of another one at some points."""
        changed = []
        for field in fields(self):
            array = getattr(self, field.name).copy()
            array[points] = getattr(other, field.name)
            changed.append(array)
        return Residual(*changed)

    def step(self) -> np.ndarray:
        """Return the Newton step, shape (points, slots)."""
        slots = self.value.shape[-1]
        matrix = self.matrix + 1j * _ABSORPTION * np.eye(slots)
        return -np.linalg.solve(matrix, self.value[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class DysonEquation:
    r"""The equations for the self-energies of a pencil, two for each random entry.

    .. math::
        G_i = \Bigl( L_{0,i}(z) - \operatorname{diag}_b \sum_{a \in b} c_{a,i} \Sigma_a
        \Bigr)^{-1}, \qquad g_a = \sum_i w_i c_{a,i} (G_i)_{bb}, \qquad
        \Sigma_a = \gamma(u) \, g_{a'}

    A slot a is the row or the column of an entry, b its block, a' the other one of the two;
    :math:`c_a` is :math:`B^2` at a row and 1 at a column.  The derivative of :math:`g_a` in
    :math:`\Sigma_b` is the average of :math:`c_a c_b G_{ab} G_{ba}`.

    Attributes
    ----------
    pencil
        The pencil.
    z
        The points, on the host, shape (points,).
    """

    pencil: Pencil
    z: np.ndarray

    def residual(self, z: np.ndarray, sigma: np.ndarray, points: np.ndarray) -> Residual:
        """Evaluate the equation at some of the points, each at its own z and self-energies."""
        g, slopes = self._slot_averages(z, sigma, points)
        entries, slots = len(self.pencil.entries), sigma.shape[-1]
        u = (sigma * g).reshape(-1, entries, 2).mean(axis=-1)
        gain, gain_slope = np.empty_like(u), np.empty_like(u)
        for k, entry in enumerate(self.pencil.entries):
            gain[:, k] = entry.ensemble.gain(u[:, k])
            gain_slope[:, k] = entry.ensemble.gain_derivative(u[:, k])
        identity = np.eye(slots)
        du = g[..., None] * identity + sigma[..., None] * slopes
        du = du.reshape(-1, entries, 2, slots).mean(axis=2)
        other = np.arange(slots) ^ 1
        twice = np.repeat(np.arange(entries), 2)
        value = sigma - gain[:, twice] * g[:, other]
        matrix = identity - gain[:, twice, None] * slopes[:, other]
        matrix = matrix - (gain_slope[:, twice] * g[:, other])[..., None] * du[:, twice]
        norm = np.max(np.abs(value) / (self.pencil.scales + np.abs(sigma)), axis=-1, initial=0.0)
        return Residual(value, matrix, norm, g, u)

    def block_averages(self, sigma: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the average of every diagonal block of G at some points, shape (points, n)."""
        found = np.zeros((len(points), self.pencil.blocks), dtype=complex)
        for rows, matrix, sites in self.site_matrices(self.z[points], sigma, points):
            G = _inverse(matrix)
            weights = self._complex(self.pencil.site_weights[sites])
            for b in range(self.pencil.blocks):
                found[rows, b] += to_numpy(G[..., b, b] @ weights)
        return found

    def site_matrices(
        self, z: np.ndarray, sigma: np.ndarray, points: np.ndarray
    ) -> Iterator[tuple[slice, Any, slice]]:
        r"""Yield :math:`L_{0,i} - \Sigma` for a few points and sites at a time."""
        xp, pencil, n = self.pencil.xp, self.pencil, self.pencil.blocks
        sites_at_once = max(1, min(pencil.sites, _CHUNK_BYTES // (16 * n * n)))
        points_at_once = max(1, _CHUNK_BYTES // (16 * n * n * sites_at_once))
        linear = z[:, None, None] * pencil.slope + 1j * _ABSORPTION * np.eye(n)
        for first in range(0, len(z), points_at_once):
            rows = slice(first, min(first + points_at_once, len(z)))
            at_points = xp.asarray(linear[rows])
            for start in range(0, pencil.sites, sites_at_once):
                sites = slice(start, min(start + sites_at_once, pencil.sites))
                matrix = at_points[:, None, ...] + self._constant(points[rows], sites)
                yield rows, matrix - self._diagonal(sigma[rows], sites), sites

    def _constant(self, points: np.ndarray, sites: slice) -> Any:
        if self.pencil.points is None:
            return self.pencil.constant[None, sites, ...]
        index = self.pencil.xp.asarray(points)
        return self.pencil.xp.take(self.pencil.constant[:, sites, ...], index, axis=0)

    def _diagonal(self, sigma: np.ndarray, sites: slice) -> Any:
        """Return the self-energies of some points and sites as diagonal matrices."""
        xp, n = self.pencil.xp, self.pencil.blocks
        of_blocks = sigma[:, :, None] * np.eye(n)[list(self.pencil.slots)]
        at_sites = self._complex(self._factors(sites)) @ xp.asarray(of_blocks)
        return at_sites[..., None] * xp.eye(n, dtype=xp.float64)

    def _complex(self, real: Any) -> Any:
        """Return what some libraries multiply with complex matrices, as they do not mix types."""
        return self.pencil.xp.astype(real, self.pencil.xp.complex128)

    def _factors(self, sites: slice) -> Any:
        """Return c of every slot at some sites, shape (sites, slots)."""
        xp, columns = self.pencil.xp, []
        ones = xp.ones_like(self.pencil.site_weights[sites])
        for entry in self.pencil.entries:
            B = entry.coefficient
            columns += [ones if B is None else B[sites] ** 2, ones]
        return xp.stack(columns, axis=-1)

    def _slot_averages(
        self, z: np.ndarray, sigma: np.ndarray, points: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the averages of the slots and their derivatives in the self-energies."""
        blocks = self.pencil.slots
        g = np.zeros((len(z), len(blocks)), dtype=complex)
        slopes = np.zeros((len(z), len(blocks), len(blocks)), dtype=complex)
        for rows, matrix, sites in self.site_matrices(z, sigma, points):
            G, factors = _inverse(matrix), self._factors(sites)
            weights = self.pencil.site_weights[sites][:, None] * factors
            weights = self._complex(weights)
            for a, at in enumerate(blocks):
                g[rows, a] += to_numpy(G[..., at, at] @ weights[:, a])
                for b, to in enumerate(blocks[: a + 1]):
                    both_ways = G[..., at, to] * G[..., to, at]
                    slopes[rows, a, b] += to_numpy(both_ways @ (weights[:, a] * factors[:, b]))
                    slopes[rows, b, a] = slopes[rows, a, b]
        return g, slopes


def _inverse(matrix: Any) -> Any:
    xp = array_namespace(matrix)
    if matrix.shape[-1] != 2:
        return xp.linalg.inv(matrix)
    # Two blocks are the common case, and LAPACK takes three times as long for them.
    a, b = matrix[..., 0, 0], matrix[..., 0, 1]
    c, d = matrix[..., 1, 0], matrix[..., 1, 1]
    adjugate = xp.reshape(xp.stack([d, -b, -c, a], axis=-1), matrix.shape)
    return adjugate / (a * d - b * c)[..., None, None]
