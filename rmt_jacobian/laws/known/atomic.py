"""What laws made of atoms alone have in common."""

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.law import Law

__all__ = ["AtomicLaw"]

_BLOCK = 2_000_000  # entries of the largest table of points against atoms


class AtomicLaw(Law):
    r"""A law without a continuous part.

    .. math:: \mu = \sum_k p_k \, \delta_{x_k}, \qquad G(z) = \sum_k \frac{p_k}{z - x_k}

    A law of this kind hands its atoms to ``_store`` when it is made.
    """

    _locations: np.ndarray
    _masses: np.ndarray
    _cumulative: np.ndarray

    def _store(self, locations: np.ndarray, masses: np.ndarray, cumulative: np.ndarray) -> None:
        """Keep the atoms in increasing order, their masses, and the cdf at them, ending at 1."""
        for name, array in (
            ("_locations", locations),
            ("_masses", masses),
            ("_cumulative", cumulative),
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)  # the laws are frozen

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return no interval."""
        return ()

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the pairs (location, mass), in increasing order."""
        return tuple(zip(self._locations.tolist(), self._masses.tolist(), strict=True))

    def support(self) -> tuple[float, float]:
        """Return the least and the greatest atom."""
        return float(self._locations[0]), float(self._locations[-1])

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the mass of the atoms up to and including x."""
        x = np.asarray(x, dtype=float)
        steps = np.concatenate([[0.0], self._cumulative])
        below = steps[np.searchsorted(self._locations, x, side="right")]
        return np.where(np.isnan(x), np.nan, below)[()]

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the first atom up to which the mass is at least p; nan for p outside [0, 1]."""
        p = np.asarray(p, dtype=float)
        valid = (p >= 0) & (p <= 1)
        first = np.searchsorted(self._cumulative, np.where(valid, p, 0.0), side="left")
        return np.where(valid, self._locations[first], np.nan)[()]

    def var(self) -> float:
        """Return the variance, from the deviations."""
        return float(self._masses @ (self._locations - self.mean()) ** 2)

    def _density(self, x: np.ndarray) -> np.ndarray:
        return np.zeros_like(x)

    def _moment(self, n: int) -> float:
        return float(self._masses @ self._locations**n)

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r"""Return the self-energy; far from the atoms from a sum that has no cancellation.

        .. math::
            \Sigma(z) = m + \frac{q B}{q + B}, \qquad q = z - m, \quad
            B(z) = \sum_k \frac{p_k (x_k - m)^2}{z - x_k}
        """
        q = z - self.mean()
        far = np.abs(q) > 2 * (self._locations[-1] - self._locations[0])
        sigma, slope = np.empty_like(z), np.empty_like(z)
        b, b_slope = self._sums(z[far], self._masses * (self._locations - self.mean()) ** 2)
        sigma[far] = self.mean() + q[far] * b / (q[far] + b)
        slope[far] = (b_slope * q[far] ** 2 + b**2) / (q[far] + b) ** 2
        g, g_slope = self._sums(z[~far], self._masses)
        sigma[~far], slope[~far] = z[~far] - 1 / g, 1 + g_slope / g**2
        return sigma, slope

    def _sums(self, z: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum of weights / (z - x_k), and its derivative."""
        flat = z.ravel()
        rows = max(1, _BLOCK // len(self._locations))
        values, slopes = np.empty_like(flat), np.empty_like(flat)
        for start in range(0, len(flat), rows):
            inverse = 1 / (flat[start : start + rows, None] - self._locations)
            values[start : start + rows] = inverse @ weights
            slopes[start : start + rows] = -(inverse**2) @ weights
        return values.reshape(z.shape), slopes.reshape(z.shape)

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        flat = z.ravel()
        rows = max(1, _BLOCK // len(self._locations))
        values = np.empty_like(flat)
        for start in range(0, len(flat), rows):
            block = flat[start : start + rows, None]
            values[start : start + rows] = (1 / (block - self._locations)) @ self._masses
        return values.reshape(z.shape)
