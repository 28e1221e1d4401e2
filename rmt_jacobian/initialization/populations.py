"""Populations on which growth and spread of gradients are measured at many hyperparameters."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from rmt_jacobian.cells import Cell, Parameters

__all__ = ["HUGE", "CommonPopulation", "Rates", "mean_and_error"]

HUGE = 1e20
"""A mean square of states that has no limit."""


@dataclass(frozen=True, eq=False)
class Rates:
    """What was found at several points, one number for each.

    Attributes
    ----------
    growth
        Logarithm of the growth rate of the squared length of a gradient, a step: of its limit, or
        over the steps that the population says.
    mean, spread
        Logarithms of m_1 and of m_2 / m_1^2 over the T steps.
    kept
        What the memory keeps of a squared change a step, without any W.
    size
        The mean square of the states.
    late
        As growth, but in the end.
    """

    growth: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    kept: np.ndarray
    size: np.ndarray
    late: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence["Rates"], join: Callable[..., np.ndarray]) -> "Rates":
        """Return the parts joined by a function of lists of arrays."""
        return cls(*(join([getattr(part, each.name) for part in parts]) for each in fields(cls)))


class CommonPopulation(ABC):
    """Random numbers that are drawn once for many hyperparameters: sites, or paths of sites.

    Attributes
    ----------
    cell, steps
        Which cell, and T.
    """

    cell: Cell
    steps: int
    precision: ClassVar[float]
    """Of the logarithm of a growth rate: what is less is not looked for."""
    fresh: ClassVar[bool]
    """Whether weights are drawn anew at every step."""

    @property
    @abstractmethod
    def variables(self) -> Any:
        """The random numbers, shape (..., populations, sites)."""

    @property
    def count(self) -> int:
        """The number of sites of each population."""
        return self.variables.shape[-1]

    @property
    def populations(self) -> int:
        """The number of populations."""
        return self.variables.shape[-2]

    @property
    def horizon(self) -> float:
        """Over how many steps growth is measured; infinite where it is that of the limit."""
        return math.inf

    @abstractmethod
    def rates(self, points: Sequence[Parameters], *, spread: bool = True) -> Rates:
        """Measure at several points; nan where the states have no finite variance.

        Parameters
        ----------
        points
            Where; several populations are measured at one, and give one number each.
        spread
            Whether to measure that; nan where not.
        """

    def growth(self, rates: Rates) -> tuple[float, float]:
        """Return the logarithm of growth of all populations together, and its standard error."""
        return mean_and_error(rates.growth)

    def late_growth(self, rates: Rates) -> float:
        """Return the same in the end."""
        return float(np.mean(rates.late))

    def resettled(self, point: Parameters) -> "CommonPopulation":
        """Return the population in the steady state of a point near by, if it has to be told."""
        del point
        return self


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean over populations and its standard error.

    Examples
    --------
    >>> mean_and_error(np.array([1.0, 3.0]))
    (2.0, 1.0)
    """
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
