"""The quarter circle law: singular values of a square Gaussian matrix."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.checks import positive
from rmt_jacobian.laws.known.fit import Fit, spectra_of
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.self_energy import self_energy_by_differences

__all__ = ["QuarterCircle"]

_FAR = 3.0  # in units of the radius, where the closed form of G loses digits to its own growth
_FAR_TERMS = 40
_NEAR = 0.1  # of the radius
_REMOVABLE = 0.02


@dataclass(frozen=True)
class QuarterCircle(Law):
    r"""The law of the singular values of a square Gaussian matrix.

    .. math::
        \rho(x) = \frac{4}{\pi r^2} \sqrt{r^2 - x^2}, \quad 0 \le x \le r, \qquad
        m_n = \frac{r^n \, \Gamma\bigl(\frac{n+1}{2}\bigr)}
        {\sqrt \pi \, \Gamma\bigl(\frac n 2 + 2\bigr)}

    Entries of variance ``radius**2 / (4 N)`` on an N x N matrix; the square of the variable is
    Marchenko-Pastur of ratio 1 and scale ``radius**2 / 4``.  The R- and the S-transform are
    computed near zero only.

    Parameters
    ----------
    radius
        The upper edge r, positive and finite.

    Raises
    ------
    ParameterError
        If the radius is not positive and finite.

    References
    ----------
    Nica & Speicher 2006, Lecture 15 (quarter-circular elements).

    Examples
    --------
    >>> round(QuarterCircle().moment(2), 12)
    1.0
    >>> round(QuarterCircle().mean() * 3 * math.pi, 12)  # 8 / (3 pi)
    8.0
    """

    radius: float = 2.0

    def __post_init__(self) -> None:
        positive("radius", self.radius)

    @property
    def edge_exponent_at_zero(self) -> float | None:
        """The exponent 0: the density at 0 is neither 0 nor infinite."""
        return 0.0

    @classmethod
    def fit(cls, values: ArrayLike) -> "Fit[QuarterCircle]":
        r"""Fit the radius to the singular values of square matrices.

        .. math:: r = 2 \sqrt{m_2} \pm \frac{r}{\sqrt 2 N}

        Parameters
        ----------
        values
            Shape (samples, N) or (N,).

        Notes
        -----
        The error assumes independent real Gaussian entries.

        Examples
        --------
        >>> g = np.random.default_rng(0).standard_normal((300, 300)) / np.sqrt(300)
        >>> print(QuarterCircle.fit(np.linalg.svd(g, compute_uv=False)))
        QuarterCircle: radius = 2.00176 +- 0.0047
        """
        spectra, samples, width = spectra_of(values, positive=True)
        radius = 2 * math.sqrt(float(np.mean(spectra**2)))
        return Fit(cls(radius), {"radius": radius / (width * math.sqrt(2 * samples))})

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the interval from 0 to the radius."""
        return ((0.0, float(self.radius)),)

    def _density(self, x: np.ndarray) -> np.ndarray:
        share = x / self.radius
        return 4 / (np.pi * self.radius) * np.sqrt((1 - share) * (1 + share))

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        r"""Return G from :math:`\int_0^1 \sqrt{1 - x^2} / (\zeta - x) \, dx`, elementary.

        .. math:: 1 + \frac{\pi \zeta}{2} - 2 \sqrt{\zeta^2 - 1} \,
            \arctan \sqrt{\frac{\zeta + 1}{\zeta - 1}}

        The complementary angle takes its place to the right of 0, where the argument of the
        arc tangent would run along its cut.
        """
        zeta = z / self.radius
        plus, minus = np.sqrt(zeta + 1), np.sqrt(zeta - 1)
        right = np.real(zeta) >= 0
        half_angle = np.arctan(np.where(right, minus / plus, plus / minus))
        angle = np.where(right, np.pi / 2 - half_angle, half_angle)
        # Near 0 the arc tangent runs into its branch point; its logarithm keeps the digits.
        t = np.sqrt((1 - zeta) / (1 + zeta))
        by_logarithm = np.pi / 2 - 1j * (np.log(1 + t) - np.log(2 * zeta / (1 + zeta)) / 2)
        angle = np.where(np.abs(zeta) < _NEAR, by_logarithm, angle)
        near = (1 + np.pi * zeta / 2 - 2 * plus * minus * angle) * 4 / np.pi
        unit = QuarterCircle(1.0)
        series = [0.0, *(unit.moment(k) for k in range(_FAR_TERMS))]
        far = np.polynomial.polynomial.polyval(1 / zeta, series)
        return np.where(np.abs(zeta) < _FAR, near, far) / self.radius

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r"""Return the self-energy, with the slope of G from the equation that it solves.

        .. math::
            (\zeta^2 - 1) G' = \zeta G - 2 - \frac{4}{\pi \zeta}, \qquad \zeta = z / r

        Far away the series of :math:`\Sigma = (z G - 1) / G` keeps the digits.
        """
        zeta = z / self.radius
        g = self._cauchy_above(z) * self.radius
        slope = (zeta * g - 2 - 4 / (np.pi * zeta)) / (zeta**2 - 1)
        near = self.radius * (zeta - 1 / g), 1 + slope / g**2
        unit = QuarterCircle(1.0)
        series = np.array([0.0, *(unit.moment(k) for k in range(1, _FAR_TERMS))])
        sums = np.polynomial.polynomial.polyval(1 / zeta, series)  # zeta G - 1
        slopes = -np.polynomial.polynomial.polyval(1 / zeta, np.arange(_FAR_TERMS) * series) / zeta
        sigma = sums / g
        far = self.radius * sigma, (slopes - sigma * (slopes - g) / zeta) / g
        isolated = np.abs(zeta) > _FAR
        sigma, slope = (np.where(isolated, *pair) for pair in zip(far, near, strict=True))
        removable = np.abs(zeta + 1) < _REMOVABLE  # where the equation gives 0 / 0
        slope[removable] = self_energy_by_differences(self, z[removable])[1]
        return sigma, slope

    def _moment(self, n: int) -> float:
        half = (n + 1) / 2
        return self.radius**n * math.gamma(half) / (math.sqrt(math.pi) * math.gamma(half + 1.5))

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        return self.radius * np.sin(angle / 2)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        share = x / self.radius
        return 2 * np.arctan2(share, np.sqrt((1 - share) * (1 + share)))

    def _mass_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        return (1 + np.cos(angle)) / np.pi

    def _mass_below(self, k: int, angle: np.ndarray) -> np.ndarray:
        return (angle + np.sin(angle)) / np.pi
