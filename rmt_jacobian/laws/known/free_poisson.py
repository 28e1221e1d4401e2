"""The free Poisson law, which is a Marchenko-Pastur law by other parameters."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.checks import positive
from rmt_jacobian.laws.known.marchenko_pastur import MarchenkoPastur
from rmt_jacobian.laws.law import Law

__all__ = ["FreePoisson"]


@dataclass(frozen=True)
class FreePoisson(Law):
    r"""The free Poisson law, all of whose free cumulants are a rate times powers of a jump.

    .. math::
        \kappa_n = \text{rate} \cdot \text{jump}^n, \qquad
        R(w) = \frac{\text{rate} \cdot \text{jump}}{1 - \text{jump} \cdot w}

    The Marchenko-Pastur law of ratio ``1/rate`` and scale ``rate * jump``.  For ``rate < 1``
    there is an atom of mass ``1 - rate`` at 0.

    Parameters
    ----------
    rate
        Positive and finite.
    jump
        Positive and finite.

    Raises
    ------
    ParameterError
        If a parameter is not positive and finite.

    References
    ----------
    Nica & Speicher 2006, Proposition 12.11 and Definition 12.12.

    Examples
    --------
    >>> FreePoisson(rate=0.25).atoms()
    ((0.0, 0.75),)
    """

    rate: float
    jump: float = 1.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        positive("jump", self.jump)

    @cached_property
    def _same(self) -> MarchenkoPastur:
        return MarchenkoPastur(1 / self.rate, self.rate * self.jump)

    @property
    def edge_exponent_at_zero(self) -> float | None:
        """The exponent 1/2 at rate 1; None at other rates, which have no hard edge."""
        return self._same.edge_exponent_at_zero

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the bulk between the two edges."""
        return self._same.support_intervals()

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the atom at 0, if the rate is below 1."""
        return self._same.atoms()

    def var(self) -> float:
        """Return ``rate * jump**2``."""
        return float(self.rate * self.jump * self.jump)

    def _free_cumulants(self, n: int) -> np.ndarray:
        """Return ``rate * jump**k`` for k from 1 to n."""
        return self._same.free_cumulants(n)

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return ``rate * jump / (1 - jump * w)``."""
        return self._same.r_transform(w)

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return ``1 / (jump * (rate + u))``."""
        return self._same.s_transform(u)

    def _density(self, x: np.ndarray) -> np.ndarray:
        return self._same._density(x)

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        return self._same._cauchy_above(z)

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._same._self_energy(z)

    def _moment(self, n: int) -> float:
        return self._same._moment(n)

    def _mass_below(self, k: int, angle: np.ndarray) -> np.ndarray:
        return self._same._mass_below(k, angle)
