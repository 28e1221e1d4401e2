"""Independent populations of common sites, whose scatter is the error of every average."""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.pencils.common_sites import CommonSites, Rates
from rmt_jacobian.pencils.untied_chain import WeightsChoice

__all__ = ["Replicates", "mean_and_error"]


@dataclass(frozen=True, eq=False)
class Replicates:
    """Independent populations, from which every average gets an error.

    Attributes
    ----------
    sites
        All of them, beside each other.
    """

    sites: CommonSites

    @classmethod
    def draw(
        cls,
        cell: Cell,
        weights: WeightsChoice,
        steps: int,
        *,
        settle: int,
        count: int,
        replicates: int,
        seed: Seed,
    ) -> "Replicates":
        """Draw populations; the arguments are those of one of them."""
        drawn = [
            CommonSites.draw(cell, weights, steps, settle=settle, count=count, rng=rng)
            for rng in spawn(seed, replicates)
        ]
        return cls(CommonSites.beside(drawn))

    def rates(self, point: Parameters, *, spread: bool = True) -> Rates:
        """Measure at a point; shape (replicates,)."""
        return self.sites.rates([point], spread=spread)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of replicates and its standard error.

    Examples
    --------
    >>> mean_and_error(np.array([1.0, 3.0]))
    (2.0, 1.0)
    """
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
