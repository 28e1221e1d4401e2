r"""The two free convolutions in one notation.

The self-energy of a law is :math:`\Sigma(z) = z - 1/G(z) = R(G(z))`.  Let the factors
:math:`\mu_j` enter :math:`t_j \ge 1` times.  Their free convolution at z has subordination points
:math:`\omega_j` with

.. math::
    \text{sum:} \quad \omega_j = z - \Sigma(z) + \Sigma_j(\omega_j), \quad
    \Sigma(z) = \sum_j t_j \Sigma_j(\omega_j); \qquad
    \text{product:} \quad \omega_j = \frac{z \, \Sigma_j(\omega_j)}{\Sigma(z)}, \quad
    \Sigma(z) = \prod_j \Sigma_j(\omega_j)^{t_j} .

The second line is the first one for the logarithms of z, of the :math:`\omega_j` and of the
self-energies.  A :class:`Chart` is the identity or the logarithm, and everything else is written
once.

S. Belinschi and H. Bercovici (2007), A new approach to subordination results in free probability;
S. Belinschi and H. Bercovici (2005), Partially defined semigroups relative to multiplicative free
convolution.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rmt_jacobian.laws.law import Law

__all__ = ["ADDITIVE", "MULTIPLICATIVE", "Chart"]


class Chart(ABC):
    """The coordinate in which a free convolution adds, and the level that its factors share."""

    splits: tuple[float, ...]
    """The levels at which a subordination point or a self-energy is 0 or infinite."""

    cuts: tuple[float, ...]
    """The real points at which the level takes one of those values whatever the law."""

    ceiling: float
    """The greatest imaginary part of a coordinate."""

    @abstractmethod
    def coordinate(self, z: np.ndarray) -> np.ndarray:
        """Return the coordinate of points of the closed upper half plane."""

    @abstractmethod
    def point(self, v: np.ndarray) -> np.ndarray:
        """Return the points of the closed upper half plane that have the coordinates v."""

    @abstractmethod
    def energy(self, law: "Law", u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinate of the self-energy as a function of that of z, and its slope."""

    @abstractmethod
    def self_energy(
        self, z: np.ndarray, energy: np.ndarray, slope: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a self-energy and its derivative from the two results of :meth:`energy`."""

    @abstractmethod
    def level(self, z: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return the level of a real point: what all subordination points have in common."""

    @abstractmethod
    def level_slope(self, z: np.ndarray, level: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Return the derivative of the level along the axis, from that of the self-energy."""

    @abstractmethod
    def slope(self, z: np.ndarray, sigma: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Return the slope of the self-energy in this coordinate."""

    @abstractmethod
    def combine(self, main: np.ndarray, energies: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return z from one subordination point and the self-energies, some of them repeated."""

    @abstractmethod
    def corner(self, ends: np.ndarray, off: np.ndarray, times: np.ndarray) -> tuple[float, float]:
        """Return z where every point is at an atom or a hard edge, and how far off z is with them.

        That is where the level is infinite; at other ends of strands z is somewhere else.
        """

    @abstractmethod
    def direction(self, points: np.ndarray, level: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return the sign of the remainder in a gap; 0 if these points belong to no gap."""

    @abstractmethod
    def never_support(self, points: np.ndarray) -> np.ndarray:
        """Return where subordination points belong to a z that no law has in its support."""

    @abstractmethod
    def logarithm(self, level: np.ndarray) -> np.ndarray:
        """Return an increasing coordinate of the levels between two of the splits."""

    @abstractmethod
    def exponential(self, logarithm: np.ndarray, like: np.ndarray) -> np.ndarray:
        """Return the level of a given logarithm, between the same splits as another level."""


class _Additive(Chart):
    splits = (0.0,)
    cuts = ()
    ceiling = np.inf

    def coordinate(self, z: np.ndarray) -> np.ndarray:
        return z

    def point(self, v: np.ndarray) -> np.ndarray:
        return v

    def energy(self, law: "Law", u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return law._self_energy(u)

    def self_energy(
        self, z: np.ndarray, energy: np.ndarray, slope: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return energy, slope

    def level(self, z: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        return 1 / (z - sigma)  # G

    def level_slope(self, z: np.ndarray, level: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return -(1 - slope) * level**2

    def slope(self, z: np.ndarray, sigma: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return slope

    def combine(self, main: np.ndarray, energies: np.ndarray, times: np.ndarray) -> np.ndarray:
        return main + np.sum(times * energies, axis=0)

    def corner(self, ends: np.ndarray, off: np.ndarray, times: np.ndarray) -> tuple[float, float]:
        return float(times @ ends), float(times @ off)

    def direction(self, points: np.ndarray, level: np.ndarray, times: np.ndarray) -> np.ndarray:
        return np.ones_like(level)

    def never_support(self, points: np.ndarray) -> np.ndarray:
        return np.zeros(points.shape[1:], dtype=bool)

    def logarithm(self, level: np.ndarray) -> np.ndarray:
        return np.sign(level) * np.log(np.abs(level))

    def exponential(self, logarithm: np.ndarray, like: np.ndarray) -> np.ndarray:
        return np.sign(like) * np.exp(np.sign(like) * logarithm)


class _Multiplicative(Chart):
    splits = (0.0, -1.0)
    cuts = (0.0,)
    ceiling = np.pi

    def coordinate(self, z: np.ndarray) -> np.ndarray:
        return np.log(z)

    def point(self, v: np.ndarray) -> np.ndarray:
        return np.exp(v)

    def energy(self, law: "Law", u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = np.exp(u)
        sigma, slope = law._self_energy(z)
        logarithm = np.log(sigma)
        # The argument lies in [-pi, 0]; rounding may put it on the other side of the cut.
        logarithm = np.where(np.imag(logarithm) > 1, logarithm - 2j * np.pi, logarithm)
        return logarithm, z * slope / sigma

    def self_energy(
        self, z: np.ndarray, energy: np.ndarray, slope: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        sigma = np.exp(energy)
        return sigma, sigma * slope / z

    def level(self, z: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        return 1 / (z / sigma - 1)  # z G - 1, also where sigma is infinite

    def level_slope(self, z: np.ndarray, level: np.ndarray, slope: np.ndarray) -> np.ndarray:
        g = (1 + level) / z
        return g - z * (1 - slope) * g**2

    def slope(self, z: np.ndarray, sigma: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return slope * z / sigma

    def combine(self, main: np.ndarray, energies: np.ndarray, times: np.ndarray) -> np.ndarray:
        # A power of a negative self-energy occurs only where there is no gap.
        return main * np.prod(np.sign(energies) * np.abs(energies) ** times, axis=0)

    def corner(self, ends: np.ndarray, off: np.ndarray, times: np.ndarray) -> tuple[float, float]:
        z = float(np.prod(np.abs(ends) ** times))
        return z, z * float(times @ (off / np.maximum(np.abs(ends), 1e-300)))

    def direction(self, points: np.ndarray, level: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return the sign of the remainder, from the arguments of the points, which are 0 or pi.

        Between the levels -1 and 0 the argument of z is pi minus pi times the number of factors
        at a positive point, which must be 0 (z < 0) or 1 (z > 0).  At all other levels every
        point is positive.
        """
        between = (level > -1) & (level < 0)
        positive = np.tensordot(times, (points > 0).astype(float), 1)
        inside = np.where(positive == 0, 1.0, np.where(positive == 1, -1.0, 0.0))
        return np.where(between, inside, np.where(np.all(points > 0, axis=0), 1.0, 0.0))

    def never_support(self, points: np.ndarray) -> np.ndarray:
        return np.all(points < 0, axis=0)  # z < 0

    def logarithm(self, level: np.ndarray) -> np.ndarray:
        below, above = level < -1, level > 0
        middle = np.log(np.where(below | above, 1.0, -(1 + level) / np.where(above, 1, level)))
        outer = np.where(above, 1.0, -1.0) * np.log(np.where(above, level, np.abs(1 + level)))
        return np.where(below | above, outer, middle)

    def exponential(self, logarithm: np.ndarray, like: np.ndarray) -> np.ndarray:
        above = np.exp(logarithm)
        middle = -1 / (1 + above)
        return np.where(like > 0, above, np.where(like < -1, -1 - 1 / above, middle))


ADDITIVE: Chart = _Additive()
MULTIPLICATIVE: Chart = _Multiplicative()
