"""The Fuss-Catalan laws: squared singular values of products of square Gaussian matrices."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.known import fuss_catalan_curve as curve
from rmt_jacobian.laws.known.trinomial import principal_root
from rmt_jacobian.laws.law import Law

__all__ = ["FussCatalan"]


@dataclass(frozen=True)
class FussCatalan(Law):
    r"""The law of the squared singular values of a product of free square Gaussian matrices.

    .. math::
        m_k = \frac{1}{p k + 1} \binom{(p+1) k}{k}, \qquad S(u) = \frac{1}{(1 + u)^p}, \qquad
        \rho(x) = \frac{\sin^2 t \, \sin^{p-1}(p t)}{\pi \sin^p((p+1) t)}

    Here :math:`x = \sin^{p+1}((p+1) t) / (\sin t \sin^p(p t))` with :math:`0 < t < \pi/(p+1)`.
    Every factor has entries of variance 1/N, so that the mean is 1; the support is
    :math:`[0, (p+1)^{p+1} / p^p]`.  Order 1 is Marchenko-Pastur of ratio 1.

    Parameters
    ----------
    order
        The number p of factors, an integer from 1 to 100.

    Raises
    ------
    ParameterError
        If the order is not such an integer.

    References
    ----------
    U. Haagerup and S. Möller (2013), The law of large numbers for the free multiplicative
    convolution, section 4; T. Banica, S. Belinschi, M. Capitaine and B. Collins (2011), Free
    Bessel laws.

    Examples
    --------
    >>> law = FussCatalan(2)
    >>> law.support()
    (0.0, 6.75)
    >>> [law.moment(k) for k in range(5)]
    [1.0, 1.0, 3.0, 12.0, 55.0]
    """

    order: int

    def __post_init__(self) -> None:
        if self.order not in range(1, 101):
            raise ParameterError(f"order must be an integer from 1 to 100, not {self.order}")
        object.__setattr__(self, "order", int(self.order))

    @property
    def edge_exponent_at_zero(self) -> float | None:
        r"""The exponent :math:`p/(p+1)` of the hard edge, :math:`\rho \sim x^{-p/(p+1)}`."""
        return self.order / (self.order + 1)

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the interval from 0 to the upper edge."""
        return ((0.0, curve.upper_edge(self.order)),)

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return the moments of the law of the order below."""
        return np.array([_fuss_catalan_number(k, self.order - 1) for k in range(1, n + 1)])

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        r"""Return the R-transform, continued from zero to the cut plane.

        .. math:: R(w) = C(w)^p, \qquad C = 1 + w C^p

        The cut runs along :math:`w \ge (p-1)^{p-1} / p^p`; on it the value is the limit from
        below.
        """
        return principal_root(np.asarray(w), self.order - 1)[()] ** -self.order

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return ``(1 + u)**-order``."""
        return (1 + np.asarray(u, dtype=complex)) ** -self.order

    def _density(self, x: np.ndarray) -> np.ndarray:
        s, gap = curve.angle_of_point(x, self.order)
        first, inner, outer = curve.sines(s, gap, self.order)
        rising = np.sin(gap / (self.order + 1))  # which is exactly 0 at the upper edge
        return (first / inner) * (inner / outer) ** self.order * rising / np.pi

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        values = np.empty_like(z)
        edge = curve.upper_edge(self.order)
        on_support = (np.imag(z) == 0) & (np.real(z) >= 0) & (np.real(z) <= edge)
        values[on_support] = self._cauchy_on_support(np.real(z)[on_support])
        off = z[~on_support]
        values[~on_support] = 1 / (off * principal_root(1 / off, self.order))
        return values

    def _cauchy_on_support(self, x: np.ndarray) -> np.ndarray:
        s, gap = curve.angle_of_point(x, self.order)
        _, inner, outer = curve.sines(s, gap, self.order)
        return outer / (x * inner) * np.exp(-1j * gap / (self.order + 1))

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        b = z * self._cauchy_above(z)
        # z - 1/G = z (B - 1) / B = B^p, and B^(p+1) = z (B - 1) gives the slope of B.
        slope = (b - 1) / ((self.order + 1) * b**self.order - z)
        return b**self.order, self.order * b ** (self.order - 1) * slope

    def _moment(self, n: int) -> float:
        return _fuss_catalan_number(n, self.order)

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        return curve.point_of_angle(angle, self.order)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        return curve.angle_of_point(x, self.order)[0]

    def _mass_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        return curve.mass_rate(angle, self.order)

    def _mass_below(self, k: int, angle: np.ndarray) -> np.ndarray:
        return curve.mass_below(angle, self.order)


def _fuss_catalan_number(n: int, order: int) -> float:
    return float(math.comb((order + 1) * n, n) // (order * n + 1))
