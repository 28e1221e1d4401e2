r"""Spectra of singular values at a stated resolution: Chebyshev series with Jackson's damping.

With :math:`s = b \cos(\varphi / 2)` a measure of singular values in [0, b] becomes one of angles,
and from its moments :math:`\mu_j = \int \cos(j \varphi)` up to order M

.. math::
    f(\varphi) = \frac1\pi \Bigl(\mu_0 + 2 \sum_{j=1}^{M} g_j \mu_j \cos j \varphi\Bigr), \qquad
    \rho(s) = \frac{2 f(\varphi)}{\sqrt{b^2 - s^2}}, \qquad
    F(s) = \frac1\pi \Bigl(\mu_0 (\pi - \varphi)
           - 2 \sum_{j=1}^{M} \frac{g_j \mu_j}{j} \sin j \varphi\Bigr) .

Damped by :math:`g_j` this is the measure itself, smoothed in the angle by a positive kernel of mass
1 and standard deviation about :math:`\pi / (M + 2)`.  It is linear in the measure: what is true of
means over measures is true of means of smoothed ones, and a distance between two cumulative
functions does not grow.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct

from rmt_jacobian.errors import ParameterError

__all__ = ["SmoothedSpectrum", "jackson_damping"]

_ANGLES = 1 << 15  # cells of a law that is smoothed


class _Law(Protocol):
    def cdf(self, x: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class SmoothedSpectrum:
    r"""A law of singular values as a damped Chebyshev series.

    Parameters
    ----------
    scale
        b: no singular value lies above it.
    moments
        :math:`\mu_0, \ldots, \mu_M`.

    References
    ----------
    :cite:t:`Weisse2006`, section II.C.

    Examples
    --------
    >>> from rmt_jacobian.laws import QuarterCircle
    >>> smoothed = SmoothedSpectrum.of_law(QuarterCircle(), scale=2.0, order=100)
    >>> bool(abs(smoothed.pdf(1.0) - QuarterCircle().pdf(1.0)) < 1e-3)
    True
    """

    scale: float
    moments: np.ndarray

    @classmethod
    def of_law(cls, law: _Law, *, scale: float, order: int) -> "SmoothedSpectrum":
        """Return a law of singular values at the resolution of a series of some order.

        Parameters
        ----------
        law
            With a ``cdf``, of singular values.
        scale
            b, at least the end of the support.
        order
            M.

        Raises
        ------
        ParameterError
            If the law has mass above ``scale``.
        """
        if law.cdf(scale) < 1 - 1e-9:
            raise ParameterError(f"the law has mass above the scale {scale:g}: give a larger one")
        phi = np.linspace(0.0, np.pi, _ANGLES + 1)
        mass = -np.diff(np.asarray(law.cdf(_singular_value(scale, phi[:-1])), dtype=float))
        mass = np.append(mass, 1 - mass.sum())  # all that is left lies in the cell next to s = 0
        return cls(scale, dct(mass)[: order + 1] / 2)  # cosines at the middles of the cells

    @property
    def order(self) -> int:
        """M."""
        return len(self.moments) - 1

    def resolution(self, s: ArrayLike) -> np.ndarray:
        r"""Return the standard deviation of the kernel at s,
        :math:`\frac{\pi}{2(M + 2)} \sqrt{b^2 - s^2}`."""  # noqa: D205, D209
        return math.pi / (2 * (self.order + 2)) * self._root(s)

    def pdf(self, s: ArrayLike) -> np.ndarray:
        """Return the density of the smoothed singular values, 0 outside [0, b)."""
        s = np.asarray(s, dtype=float)
        inside = (s >= 0) & (s < self.scale)
        phi = self._angle(np.where(inside, s, 0.0))
        j = np.arange(1, self.order + 1)
        terms = jackson_damping(self.order)[1:] * self.moments[1:]
        f = (self.moments[0] + 2 * np.cos(np.multiply.outer(phi, j)) @ terms) / math.pi
        return np.where(inside, 2 * f / np.where(inside, self._root(s), 1.0), 0.0)[()]

    def cdf(self, s: ArrayLike) -> np.ndarray:
        """Return the mass of the smoothed singular values up to s."""
        s = np.asarray(s, dtype=float)
        phi = self._angle(np.clip(s, 0.0, self.scale))
        j = np.arange(1, self.order + 1)
        terms = jackson_damping(self.order)[1:] * self.moments[1:] / j
        waves = 2 * np.sin(np.multiply.outer(phi, j)) @ terms
        below = (self.moments[0] * (math.pi - phi) - waves) / math.pi
        return np.where(s < 0, 0.0, below)[()]

    def _angle(self, s: np.ndarray) -> np.ndarray:
        return 2 * np.arccos(np.clip(s / self.scale, 0.0, 1.0))

    def _root(self, s: ArrayLike) -> np.ndarray:
        return np.sqrt(np.maximum(0.0, self.scale**2 - np.square(s)))


def _singular_value(scale: float, phi: np.ndarray) -> np.ndarray:
    return scale * np.cos(phi / 2)


def jackson_damping(order: int) -> np.ndarray:
    r"""Return Jackson's factors :math:`g_0, \ldots, g_M`, which make the kernel positive.

    .. math::
        g_j = \frac{(n - j) \cos(\pi j / n) + \sin(\pi j / n) \cot(\pi / n)}{n}, \qquad n = M + 2

    References
    ----------
    :cite:t:`Weisse2006`, eq. (71).

    Examples
    --------
    >>> jackson_damping(1).round(6)
    array([1. , 0.5])
    """
    n = order + 2
    angle = np.pi * np.arange(order + 1) / n
    return ((n - np.arange(order + 1)) * np.cos(angle) + np.sin(angle) / math.tan(math.pi / n)) / n
