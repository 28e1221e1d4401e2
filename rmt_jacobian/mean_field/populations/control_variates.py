r"""Moments of a memory that are known exactly correct averages over sites (control variates).

With c the memory, f what is averaged and M the exact moments,

.. math:: \hat f = \overline f - B \, \overline{(c^j c'^k - M_{jk})} ,

where B are the slopes of f in the powers over the sites.
"""

from dataclasses import dataclass, field

import numpy as np

from rmt_jacobian.mean_field.populations.walk import Walk

__all__ = ["Controls"]

_EQUAL = 1e-13  # relative, of values that differ by rounding

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
        seen = _off_means(walk.powers(list(self.known), self.unit), exact)
        wholes = [seen * share for share in self.shares]
        if not self._slopes:
            self._slopes.extend(map(_regression, values[:, None], wholes))
        parts = zip(self._slopes, wholes, strict=True)
        return np.concatenate([slope @ whole.mean(axis=2) for slope, whole in parts])

    def _of_all(self, walk: Walk, values: np.ndarray) -> np.ndarray:
        """Do the same where one set of powers corrects all functions."""
        keys, exact = list(self.known), np.stack(list(self.known.values()))
        if not self._slopes:
            # Of all sites: slopes of a part of them leap with the drives, and no map converges.
            # They are 0 for powers that do not vary.
            self._slopes.append(
                _regression(values, _off_means(walk.powers(keys, self.unit), exact))
            )
        averages = walk.mean_powers(keys, self.unit)
        return self._slopes[0] @ (averages - exact.mean(axis=2))


def _off_means(powers: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return powers less their exact means; 0 where they hardly vary, and all is rounding.

    Shapes (controls, R, sites), or for the means (controls, R, 1).

    Examples
    --------
    >>> sites = np.array([[[1.0, 3.0]], [[0.1, 0.1 + 1e-16]]])
    >>> _off_means(sites, np.array([[[1.5]], [[0.1 - 1e-16]]]))
    array([[[-0.5,  1.5]],
    <BLANKLINE>
           [[ 0. ,  0. ]]])
    """
    largest = np.abs(powers).max(axis=(1, 2), keepdims=True)
    varies = powers.std(axis=(1, 2), keepdims=True) > _EQUAL * largest
    return np.where(varies, powers - exact, 0.0)


def _regression(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return the slopes of values in controls over all sites, shape (values, controls).

    Examples
    --------
    >>> c = np.array([[[-1.0, 0.0, 2.0]]])
    >>> _regression(1 + 3 * c, c).round(9)
    array([[3.]])
    """
    y = values.reshape(len(values), -1)
    x = controls.reshape(len(controls), -1)
    x = x - x.mean(axis=1, keepdims=True)
    scale = x.std(axis=1)
    varies = scale > 0
    x, scale = np.where(varies[:, None], x, 0.0), np.where(varies, scale, 1.0)[:, None]
    found = np.linalg.lstsq(((x / scale) @ (x / scale).T), (x / scale) @ y.T, rcond=1e-10)[0]
    return found.T / scale.T
