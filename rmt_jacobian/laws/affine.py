"""The law of a multiple of a variable, moved."""

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.checks import finite
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.solution import LawSolution

__all__ = ["Affine"]


@dataclass(frozen=True)
class Affine(Law):
    r"""The law of :math:`a X + b`: what a free convolution with a point mass is.

    .. math::
        G(z) = \frac 1 a \, G_X\Bigl(\frac{z - b}{a}\Bigr), \qquad
        R(w) = b + a R_X(a w), \qquad S(u) = \frac{S_X(u)}{a} \quad (b = 0)

    Parameters
    ----------
    law
        The law of X.
    scale
        The factor a, positive and finite.
    shift
        The number b, finite.

    Raises
    ------
    ParameterError
        If the scale is not positive and finite, or the shift is not finite.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> Affine(Semicircle(), scale=2.0, shift=1.0).support()
    (-3.0, 5.0)
    """

    law: Law
    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        finite("shift", self.shift)
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ParameterError(
                f"scale must be positive and finite, not {self.scale}; mirror the law first"
            )

    @property
    def edge_exponent_at_zero(self) -> float | None:
        """The exponent of the law itself, if it is not moved; else None."""
        return self.law.edge_exponent_at_zero if self.shift == 0 else None

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the intervals, stretched and moved."""
        intervals = self.law.support_intervals()
        return tuple((self._forth(low), self._forth(high)) for low, high in intervals)

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the atoms, stretched and moved."""
        return tuple((self._forth(location), mass) for location, mass in self.law.atoms())

    def var(self) -> float:
        """Return ``scale**2`` times the variance."""
        return self.scale * self.scale * self.law.var()

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return ``scale**k`` times each free cumulant; the first is moved."""
        cumulants = np.asarray(self.law.free_cumulants(n)) * self.scale ** np.arange(1.0, n + 1)
        cumulants[:1] += self.shift
        return cumulants

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return ``shift + scale * R(scale * w)``."""
        w = np.asarray(w, dtype=complex)
        return self.shift + self.scale * self.law.r_transform(self.scale * w)

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return ``S(u) / scale``; of a moved law by :func:`.s_transform_near_zero`."""
        if self.shift != 0:
            return super().s_transform(u)
        return self.law.s_transform(u) / self.scale

    def solve(self, x: ArrayLike) -> LawSolution:
        """Return the law at real points, with residuals and certificates."""
        x = np.asarray(x, dtype=float)
        found = self.law.solve(self._back(x))
        with np.errstate(invalid="ignore"):  # of an infinite value
            g = found.cauchy / self.scale
        return LawSolution(x, g, found.density / self.scale, found.residual, found.converged)

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the cdf of the law at the point taken back."""
        x = np.asarray(x, dtype=float)
        below = self.law.cdf(self._back(x))
        for location, _ in self.law.atoms():  # which rounding must not miss
            below = np.where(x == self._forth(location), self.law.cdf(location), below)
        low, high = self.support()
        return np.where(x >= high, 1.0, np.where(x < low, 0.0, below))[()]

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the quantiles of the law, stretched and moved."""
        return self._forth(self.law.ppf(p))

    def _forth(self, x: Any) -> Any:
        return self.scale * x + self.shift

    def _back(self, x: np.ndarray) -> np.ndarray:
        return (x - self.shift) / self.scale

    def _density(self, x: np.ndarray) -> np.ndarray:
        # Rounding must not take an end of the support out of it, nor an inner point to it.
        inner = self._back(x)
        for (low, high), (below, above) in zip(
            self.law.support_intervals(), self.support_intervals(), strict=True
        ):
            inside = (x > below) & (x < above)
            kept = np.clip(inner, np.nextafter(low, high), np.nextafter(high, low))
            inner = np.where(inside, kept, inner)
            inner = np.where(x == below, low, np.where(x == above, high, inner))
        return self.law._density(inner) / self.scale

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        return self.law._cauchy_above((z - self.shift) / self.scale) / self.scale

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sigma, slope = self.law._self_energy((z - self.shift) / self.scale)
        return self.scale * sigma + self.shift, slope

    def _moment(self, n: int) -> float:
        terms = (
            comb(n, k) * self.scale**k * self.law._moment(k) * self.shift ** (n - k)
            for k in range(n + 1)
        )
        return float(sum(terms))
