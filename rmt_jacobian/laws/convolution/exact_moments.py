"""Laws that are represented for the sake of accuracy, with the exact moments of what they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.law import Law

__all__ = ["ExactMoments"]


@dataclass(frozen=True)
class ExactMoments(Law):
    """A law whose moments and transforms are those of another one, which it stands for.

    Attributes
    ----------
    exact
        That law.
    """

    exact: Law

    def var(self) -> float:
        """Return the exact variance."""
        return self.exact.var()

    def _free_cumulants(self, n: int) -> np.ndarray:
        return self.exact.free_cumulants(n)

    def r_transform(self, w: ArrayLike) -> np.ndarray:
        """Return the exact R-transform."""
        return self.exact.r_transform(w)

    def s_transform(self, u: ArrayLike) -> np.ndarray:
        """Return the exact S-transform."""
        return self.exact.s_transform(u)

    def _moment(self, n: int) -> float:
        return self.exact._moment(n)
