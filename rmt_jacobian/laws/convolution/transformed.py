"""Laws given by an R-transform or by an S-transform alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.laws.convolution.brackets import zeros_in_brackets
from rmt_jacobian.laws.convolution.inverse import InverseLaw

__all__ = ["FromRTransform", "FromSTransform"]

_NODES = 600
_CIRCLE = 64  # points of the circle for Taylor coefficients
_REAL = 1e-9


@dataclass(frozen=True)
class FromRTransform(InverseLaw):
    r"""The law with a given R-transform, whose support is one interval without atoms.

    .. math:: z = R(t) + \frac 1 t, \qquad t = G(z)

    Parameters
    ----------
    r
        R, an analytic function of complex arrays.  It must extend along the real axis from 0
        to both edges, :math:`1/t^2 = R'(t)`, and into the lower half plane.

    Raises
    ------
    HypothesisError
        On first use, if this is not the R-transform of a law on one interval.
    ConvergenceError
        From the cdf and what needs it, if the mass is not 1 or the mean is not R(0).

    References
    ----------
    Voiculescu 1986; the edges as in J. W. Silverstein and S.-I. Choi (1995), Analysis of the
    limiting spectral distribution of large dimensional random matrices.

    Examples
    --------
    >>> law = FromRTransform(lambda w: w)  # the semicircle of radius 2
    >>> [round(end, 10) for end in law.support()], round(float(law.pdf(0.5) * np.pi), 10)
    ([-2.0, 2.0], 0.9682458366)
    """

    r: Callable[[np.ndarray], np.ndarray]

    @cached_property
    def _scale(self) -> float:
        first, second = self.free_cumulants(2)
        if not second > 0:
            raise HypothesisError(f"the variance R'(0) must be positive, not {second:.6g}")
        return float(np.sqrt(second) + 0 * first)

    @cached_property
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        levels = np.logspace(-9, 4, _NODES) / self._scale
        return levels, -levels

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return the Taylor coefficients of R, from a small circle."""
        radius = 1e-2 / max(1e-300, self._radius)
        return _taylor(self.r, n, radius)

    @cached_property
    def _radius(self) -> float:
        """A length of the order of the standard deviation."""
        h = 1e-4
        for _ in range(60):
            values = np.asarray(self.r(np.array([h, -h, 0.5 * h, -0.5 * h], dtype=complex)))
            if np.all(np.isfinite(values)):
                whole, half = (values[0] - values[1]) / (2 * h), (values[2] - values[3]) / h
                if abs(whole - half) <= 1e-3 * abs(whole):
                    return float(np.sqrt(abs(np.real(whole))))
            h /= 10
        raise HypothesisError("R is not analytic at 0, as that of a bounded law is")

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return the given function."""
        return np.asarray(self.r(np.asarray(w, dtype=complex)))[()]

    def var(self) -> float:
        """Return R'(0)."""
        return float(self.free_cumulants(2)[1])

    def _moment(self, n: int) -> float:
        from rmt_jacobian.freeprob import moments_from_free_cumulants  # which loads sympy

        return float(moments_from_free_cumulants(self.free_cumulants(n).tolist())[-1]) if n else 1.0

    def _inverse(self, t: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.r(t)) + 1 / t

    def _cauchy_of(self, z: np.ndarray, t: np.ndarray) -> np.ndarray:
        return t

    def _energy_of(self, t: np.ndarray) -> np.ndarray:
        return np.asarray(self.r(t))

    def _room(self, t: np.ndarray) -> np.ndarray:
        return np.abs(t)

    def _far_level(self, z: np.ndarray) -> np.ndarray:
        return 1 / (z - self.mean())


@dataclass(frozen=True)
class FromSTransform(InverseLaw):
    r"""The law with a given S-transform, on one interval of the half line, or with an atom at 0.

    .. math:: z = \frac{1 + t}{t S(t)}, \qquad t = z G(z) - 1

    Parameters
    ----------
    s
        S, an analytic function of complex arrays, positive on (-1, 0) above the atom.  It must
        extend along the real axis from 0 to the levels of both edges, and into the lower half
        plane.

    Raises
    ------
    HypothesisError
        On first use, if this is not the S-transform of a law on one interval.
    ConvergenceError
        From the cdf and what needs it, if the mass is not 1 or the mean is not 1/S(0).

    References
    ----------
    Voiculescu 1987; Bercovici & Voiculescu 1993, section 6.

    Examples
    --------
    >>> law = FromSTransform(lambda u: (1 + u) ** -2.0)  # Fuss-Catalan of order 2
    >>> [round(end, 10) for end in law.support()], [round(law.moment(k), 9) for k in range(4)]
    ([0.0, 6.75], [1.0, 1.0, 3.0, 12.0])
    """

    s: Callable[[np.ndarray], np.ndarray]

    @property
    def edge_exponent_at_zero(self) -> float | None:
        """The exponent of the hard edge, from the order at which z vanishes; None without one."""
        return None if self._power_at_zero is None else 1 - 1 / self._power_at_zero

    @cached_property
    def _zero(self) -> float:
        """The level of z = 0, which is the mass at 0 minus 1."""
        levels = -np.concatenate([np.logspace(-9, -0.5, 200), 1 - np.logspace(-0.2, -9, 200)])
        z = np.real(self._inverse(levels.astype(complex)))
        if not np.all(z[:200] < 0):
            raise HypothesisError("S must be positive just below 0, as that of a positive law is")
        above = np.flatnonzero(z >= 0)
        if not above.size:
            return -1.0
        k = int(above[0])
        found = zeros_in_brackets(
            lambda t: np.real(self._inverse(t.astype(complex))),
            levels[k - 1 : k], levels[k : k + 1], z[k - 1 : k], z[k : k + 1], 1e-16,
        )  # fmt: skip
        return float(found[0])

    @cached_property
    def _power_at_zero(self) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        near = self._zero + (1 + abs(self._zero)) * np.array([1e-8, 1e-7])
        z = np.real(self._inverse(near.astype(complex)))
        power = float(np.diff(np.log(-z))[0] / np.log(10))
        if power < 1 - 1e-4:
            raise HypothesisError("z vanishes too slowly at its zero for a law on the half line")
        return None if power < 1 + 1e-4 else round(power, 6)

    @cached_property
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        above = np.logspace(-9, 6, _NODES)
        inner = np.logspace(-9, 0, _NODES)[:-1] * abs(self._zero)
        beyond = abs(self._zero) + np.logspace(-12, 3, _NODES)
        return above, -np.concatenate([inner, beyond])

    def _end_of(self, side: np.ndarray) -> float:
        if side[0] < 0 and self._power_at_zero is not None:
            return self._zero
        return super()._end_of(side)

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the atom at 0, if z vanishes above the level -1."""
        return ((0.0, 1 + self._zero),) if self._zero > -1 + 1e-12 else ()

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return the given function."""
        return np.asarray(self.s(np.asarray(u, dtype=complex)))[()]

    def var(self) -> float:
        """Return ``-S'(0) / S(0)**3``."""
        first, second = _taylor(self.s, 2, 1e-3)
        return float(-second / first**3)

    def _moment(self, n: int) -> float:
        from rmt_jacobian.freeprob import moments_from_s_series  # which loads sympy

        return float(moments_from_s_series(_taylor(self.s, n, 0.1).tolist())[-1]) if n else 1.0

    def _inverse(self, t: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return (1 + t) / (t * np.asarray(self.s(t)))

    def _cauchy_of(self, z: np.ndarray, t: np.ndarray) -> np.ndarray:
        return (1 + t) / z

    def _energy_of(self, t: np.ndarray) -> np.ndarray:
        return 1 / np.asarray(self.s(t))

    def _room(self, t: np.ndarray) -> np.ndarray:
        return np.minimum(np.abs(t), np.abs(t - self._zero)) if self._power_at_zero else np.abs(t)

    def _far_level(self, z: np.ndarray) -> np.ndarray:
        return self.mean() / (z - self.mean())


def _taylor(function: Callable[[np.ndarray], np.ndarray], n: int, radius: float) -> np.ndarray:
    """Return the first n Taylor coefficients at 0 by Cauchy's formula on a circle."""
    circle = radius * np.exp(2j * np.pi * np.arange(_CIRCLE) / _CIRCLE)
    values = np.asarray(function(circle), dtype=complex)
    coefficients = np.fft.fft(values)[:n] / _CIRCLE / radius ** np.arange(n)
    noise = _REAL * np.max(np.abs(values)) / radius ** np.arange(n)
    if not np.all(np.abs(coefficients.imag) <= noise):
        raise HypothesisError("the transform is not analytic and real at 0, as that of a law is")
    return coefficients.real
