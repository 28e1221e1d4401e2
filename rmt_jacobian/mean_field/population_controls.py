r"""Moments of a memory that are known exactly correct averages over sites (control variates).

With c the memory, f what is averaged and M the exact moments, the average over sites is lessened by

.. math:: B \, \overline{(c^j c'^k - M_{jk})} ,

where B are the slopes of f in the powers over the sites.
"""

from dataclasses import dataclass, field

import numpy as np

from rmt_jacobian.mean_field.control_variates import off_means, regression
from rmt_jacobian.mean_field.population_walk import Walk

__all__ = ["Controls"]

Powers = tuple[int, int, int]
"""(copy, j, k) of c_0^j c_copy^k."""


@dataclass(frozen=True, eq=False)
class Controls:
    """Exact moments, and the slopes of the functions that they correct.

    Attributes
    ----------
    known
        The moments, of shape (R or 1, sites or 1) each.
    unit
        Of the memory.
    shares
        At each site, by what powers are multiplied before they correct a function; None for 1.
    """

    known: dict[Powers, np.ndarray]
    unit: float
    shares: list[np.ndarray] | None
    _slopes: list[np.ndarray] = field(default_factory=list, repr=False)

    def missed(self, walk: Walk, values: np.ndarray) -> np.ndarray:
        """Return what sites miss of averages, shape (functions, R), for values at all sites.

        The slopes are those of the first call.
        """
        if self.shares is None or all(share.size == 1 for share in self.shares):
            return self._of_all(walk, values)
        exact = np.stack(list(self.known.values()))
        seen = off_means(walk.powers(list(self.known), self.unit), exact)
        wholes = [seen * share for share in self.shares]
        if not self._slopes:
            self._slopes.extend(map(regression, values[:, None], wholes))
        parts = zip(self._slopes, wholes, strict=True)
        return np.concatenate([slope @ whole.mean(axis=2) for slope, whole in parts])

    def _of_all(self, walk: Walk, values: np.ndarray) -> np.ndarray:
        """Do the same where one set of powers corrects all functions."""
        keys, exact = list(self.known), np.stack(list(self.known.values()))
        if not self._slopes:
            # Of all sites: slopes of a part of them leap with the drives, and no map converges.
            # They are 0 for powers that do not vary.
            self._slopes.append(regression(values, off_means(walk.powers(keys, self.unit), exact)))
        averages = walk.mean_powers(keys, self.unit)
        return self._slopes[0] @ (averages - exact.mean(axis=2))
