r"""Self-consistent spectra as the average of a chain: new random numbers in every evaluation.

A map that is known through samples is not iterated on one fixed sample, whose fixed point may have
vanished with the drawn numbers, but followed,

.. math:: \lambda_{n+1} = \hat F_n(\lambda_n), \qquad \bar\lambda = \text{mean of } \lambda_n,

(Polyak & Juditsky 1992, SIAM J. Control Optim. 30, 838): as all noise passes through the chain, the
error of the mean is :math:`(1 - F')^{-1}` times that of one evaluation on all sites of all laps.
The chain forgets where it started and how it was rounded.  Its error is carried along: in linear
response a group of sites, which has the noise :math:`\xi_g` by itself, shifts the chain by

.. math:: \delta_{g,n+1} = F' \delta_{g,n} + \xi_{g,n}.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from rmt_jacobian.mean_field.tied.circle import (
    SitesOnCircle,
    lagged,
    without_frequency_zero,
)

__all__ = ["NEGLIGIBLE", "Average", "Chain", "follow", "standard_error"]

_BLOCK = 8  # laps
_DRIFT = 4.0  # standard errors between the halves of what is averaged
_RESPONSE = 0.1  # share of a group's deviation by which its sites are moved, both ways
NEGLIGIBLE = 1e-5  # of a variance: drifts of this size are not followed further
_STILL = 1e-6  # of the variance along the start: fluctuations below it that shrink have died


@dataclass(frozen=True, eq=False)
class Average:
    """The mean over some laps, and the deviations of the groups from it.

    Attributes
    ----------
    spectra
        Of all sources, then of all states, shape (K + d, P/2 + 1).
    deviations
        What each group alone would shift them by, shape (G, K + d, P/2 + 1).
    means, mean_deviations
        Of the states, shapes (d,) and (G, d).
    """

    spectra: np.ndarray
    deviations: np.ndarray
    means: np.ndarray
    mean_deviations: np.ndarray

    @classmethod
    def over(cls, parts: Sequence["Average"]) -> "Average":
        """Return the mean of averages over equally many laps."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.mean(column, axis=0) for column in columns))

    def variances(self, period: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the variances of sources and states, and their errors, shapes (2, K + d).

        Of the whole, and of the fluctuating part.
        """
        parts = [self.spectra, without_frequency_zero(self.spectra)]
        shifts = [self.deviations, without_frequency_zero(self.deviations)]
        values = lagged(np.stack(parts), period)[..., 0]
        return values, standard_error(lagged(np.stack(shifts, axis=1), period)[..., 0])


def standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over groups, along the first axis."""
    return values.std(axis=0, ddof=1) / math.sqrt(len(values))


@dataclass(eq=False)
class Chain:
    """The spectra that drive the sites of a circle, from lap to lap.

    Attributes
    ----------
    circle
        The sites.
    spectra
        Of the sources, shape (K, P/2 + 1).
    reference
        Variances, shape (K,), against which fluctuations count as died out.
    still
        Whether the fluctuations have died.
    blocks
        Averages over 8 laps each, oldest first.
    """

    circle: SitesOnCircle
    spectra: np.ndarray
    reference: np.ndarray
    still: bool = field(default=False, init=False)
    blocks: list[Average] = field(default_factory=list, init=False)
    _deviations: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._deviations = np.zeros((self.circle.groups, *self.spectra.shape))

    @property
    def laps(self) -> int:
        """How many were run."""
        return _BLOCK * len(self.blocks)

    def run(self, each_lap: Callable[[], None]) -> None:
        """Run a block of laps."""
        laps = []
        for _ in range(_BLOCK):
            each_lap()
            laps.append(self._lap())
            if self.still:
                break
        self.blocks.append(Average.over(laps))

    def _lap(self) -> Average:
        # The sites of a group are driven by its own deviation both ways, with the same numbers.
        move, K = _RESPONSE * self._deviations, len(self.spectra)
        lap = self.circle.lap(np.maximum(np.stack([self.spectra + move, self.spectra - move]), 0))
        spectra, deviations = _response(lap.spectra())
        before = self._fluctuations()
        self.spectra, self._deviations = spectra[:K], deviations[:, :K]
        now = self._fluctuations()
        self.still = now < _STILL and now < before
        return Average(spectra, deviations, *_response(lap.means()))

    def _fluctuations(self) -> float:
        there = self.reference > 0
        size = lagged(without_frequency_zero(self.spectra), self.circle.period)[:, 0]
        return float(np.max(size[there] / self.reference[there], initial=0.0))

    def average(self) -> Average:
        """Return the average over the later half of the blocks."""
        return Average.over(self.blocks[len(self.blocks) // 2 :])

    def drift(self) -> tuple[float, float]:
        """Return by how much the halves of what is averaged differ.

        Relative to the variances, and in standard errors; the largest over all sources and states.
        """
        late, P = self.blocks[len(self.blocks) // 2 :], self.circle.period
        first, second = Average.over(late[: len(late) // 2]), Average.over(late[len(late) // 2 :])
        size, _ = self.average().variances(P)
        change = np.abs(second.variances(P)[0] - first.variances(P)[0])
        _, error = replace(first, deviations=second.deviations - first.deviations).variances(P)
        there = size > 0
        noise = np.maximum(error, NEGLIGIBLE * size)
        return (
            float(np.max(change[there] / size[there], initial=0.0)),
            float(np.max(change[there] / noise[there], initial=0.0)),
        )

    def settled(self, tolerance: float | None) -> bool:
        """Whether nothing drifts beyond its error, and the variances are as exact as asked for."""
        if self.drift()[1] > _DRIFT:
            return False
        values, errors = self.average().variances(self.circle.period)
        return tolerance is None or bool(np.all(errors[0] <= tolerance * values[0]))


def _response(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over both variants and all groups, and the deviations of the groups."""
    up, down = values
    groups = (up + down) / 2
    deviations = groups + (up - down) / (2 * _RESPONSE)
    return groups.mean(axis=0), deviations - deviations.mean(axis=0)


def follow(
    chain: Chain, *, laps: int, limit: int, tolerance: float | None,
    each_lap: Callable[[int], None],
) -> bool:  # fmt: skip
    """Run a chain until it is still or settled, doubling its length; return whether it came to it.

    Parameters
    ----------
    laps, limit
        The first and the largest number of laps, of which the later half is averaged.
    tolerance
        Largest relative standard error of a variance, or None.
    each_lap
        Called before every lap with how many are left as far as is known.
    """
    while laps <= limit:
        while chain.laps < laps:
            chain.run(partial(each_lap, laps - chain.laps))
            if chain.still:
                return True
        if chain.settled(tolerance):
            return True
        laps *= 2
    return False
