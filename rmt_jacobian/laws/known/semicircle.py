"""The semicircle law: eigenvalues of a symmetric Gaussian matrix."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import UndefinedTransformError
from rmt_jacobian.laws.checks import finite, positive
from rmt_jacobian.laws.known.fit import Fit, spectra_of
from rmt_jacobian.laws.law import Law

__all__ = ["Semicircle"]


@dataclass(frozen=True)
class Semicircle(Law):
    r"""The semicircle law.

    .. math::
        \rho(x) = \frac{2}{\pi r^2} \sqrt{r^2 - (x - c)^2}, \qquad
        R(w) = c + \frac{r^2}{4} w

    The variance is a quarter of the squared radius: radius 2 is variance 1.

    Parameters
    ----------
    radius
        Half the width r of the support, positive and finite.
    centre
        The mean c, finite.

    Raises
    ------
    ParameterError
        If a parameter lies outside its domain.

    References
    ----------
    Nica & Speicher 2006, Lectures 2 and 12.

    Examples
    --------
    >>> Semicircle().var()
    1.0
    >>> round(float(Semicircle(radius=1, centre=3).cdf(3)), 12)
    0.5
    """

    radius: float = 2.0
    centre: float = 0.0

    def __post_init__(self) -> None:
        positive("radius", self.radius)
        finite("centre", self.centre)

    @classmethod
    def fit(cls, values: ArrayLike) -> "Fit[Semicircle]":
        r"""Fit radius and centre to the eigenvalues of symmetric matrices.

        .. math:: c = m_1 \pm \frac{r}{\sqrt 2 N}, \qquad
                  r = 2 \sqrt{\frac{m_2 - m_1^2}{1 + 1/N}} \pm \frac r N

        Parameters
        ----------
        values
            Shape (samples, N) or (N,).

        Notes
        -----
        The errors, and the bias of 1/N that is taken off, are those of the Gaussian orthogonal
        ensemble, whose diagonal has twice the variance.

        Examples
        --------
        >>> g = np.random.default_rng(0).standard_normal((300, 300)) / np.sqrt(600)
        >>> print(Semicircle.fit(np.linalg.eigvalsh(g + g.T)))
        Semicircle: radius = 1.99864 +- 0.0067, centre = -0.00296786 +- 0.0047
        """
        spectra, samples, width = spectra_of(values)
        centre = float(spectra.mean())
        radius = 2 * math.sqrt(float(np.mean((spectra - centre) ** 2)) / (1 + 1 / width))
        error = radius / (width * math.sqrt(samples))
        return Fit(cls(radius, centre), {"radius": error, "centre": error / math.sqrt(2)})

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the interval of the given centre and radius."""
        return ((float(self.centre - self.radius), float(self.centre + self.radius)),)

    def var(self) -> float:
        """Return ``radius**2 / 4``."""
        return float(self.radius * self.radius / 4)

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return the mean, the variance, and zeros."""
        cumulants = np.zeros(max(n, 2))
        cumulants[:2] = self.centre, self.var()
        return cumulants[:n]

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return ``centre + radius**2 / 4 * w``."""
        return self.centre + self.var() * np.asarray(w, dtype=complex)

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        r"""Return the S-transform, the solution of :math:`S R(u S) = 1`.

        .. math:: S(u) = \frac{2}{c + c \sqrt{1 + r^2 u / c^2}}

        Raises
        ------
        UndefinedTransformError
            If the centre is 0.
        """
        if self.centre == 0:
            raise UndefinedTransformError(
                "the mean is zero, so there is no S-transform; use the R-transform instead"
            )
        root = np.sqrt(1 + (self.radius / self.centre) ** 2 * np.asarray(u, dtype=complex))
        return 2 / (self.centre * (1 + root))

    def _density(self, x: np.ndarray) -> np.ndarray:
        ((low, high),) = self.support_intervals()
        shares = (x - low) / self.radius, (high - x) / self.radius
        return 2 / (np.pi * self.radius) * np.sqrt(shares[0] * shares[1])

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        ((low, high),) = self.support_intervals()
        # One root for each edge, so that their product grows like z.
        return 2 / (z - self.centre + np.sqrt(z - low) * np.sqrt(z - high))

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        g = self._cauchy_above(z)
        # With R in closed form, z = R(G) + 1/G gives the slope q / (q - 1), q = R'(G) G^2.
        q = self.var() * g**2
        return self.centre + self.var() * g, q / (q - 1)

    def _moment(self, n: int) -> float:
        def centred(k: int) -> float:
            return math.comb(k, k // 2) / (k // 2 + 1) * (self.radius / 2) ** k

        even = range(0, n + 1, 2)
        return float(sum(math.comb(n, k) * centred(k) * self.centre ** (n - k) for k in even))

    def _mass_below(self, k: int, angle: np.ndarray) -> np.ndarray:
        return (angle - np.sin(angle) * np.cos(angle)) / np.pi
