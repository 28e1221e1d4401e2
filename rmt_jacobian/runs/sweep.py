"""The theoretical part of a run: quantities of the mean field at every point of a grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_numbers
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.runs.ensemble import MOST, check_whole
from rmt_jacobian.runs.layout import Index
from rmt_jacobian.runs.quantities import QUANTITIES, Point

__all__ = ["Sweep"]

_LimitWeights = Literal["gaussian", "orthogonal"]
_Dynamics = Literal["untied", "tied", "fixed-point"]


@dataclass(frozen=True)
class Sweep:
    """Quantities of the theory at every point of a grid.

    Attributes
    ----------
    quantities
        Names from :data:`.QUANTITIES`.
    weights, steps, sites, seed, input_correlation, dynamics
        See :class:`.Point`.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> point = Parameters.of(vanilla, weight_std=0.5, input_std=0, input_variance=1)
    >>> Sweep(("chi_1",)).tasks(vanilla, point, ())["chi_1"]()
    array(0.25)
    """

    quantities: tuple[str, ...]
    weights: _LimitWeights = "gaussian"
    steps: int = 1
    sites: int = 4096
    seed: int = 0
    input_correlation: float = 1.0
    dynamics: _Dynamics = "untied"

    def __post_init__(self) -> None:
        if not self.quantities or len(set(self.quantities)) < len(self.quantities):
            raise ParameterError("quantity must name one or more different quantities")
        for name in self.quantities:
            if name not in QUANTITIES:
                known = ", ".join(["spectrum", *QUANTITIES])
                raise ParameterError(f"unknown quantity {name!r}: use one or more of {known}")
        if self.weights not in get_args(_LimitWeights):
            raise ParameterError(
                f"weights of a quantity of the theory must be gaussian or orthogonal, not "
                f"{self.weights!r}: fast ensembles have the same limits"
            )
        if self.dynamics not in get_args(_Dynamics):
            raise ParameterError(
                f"dynamics must be one of {', '.join(get_args(_Dynamics))}, not {self.dynamics!r}"
            )
        if self.dynamics == "tied" and self.input_correlation != 1:
            raise ParameterError(
                "the timescale of tied networks is that of equal inputs: leave out "
                "input_correlation"
            )
        check_whole("steps", self.steps, 1, MOST)
        check_whole("sites", self.sites, 64, MOST)
        check_whole("seed", self.seed, 0)
        check_numbers(input_correlation=self.input_correlation)
        if not -1 <= self.input_correlation <= 1:
            raise ParameterError(
                f"input_correlation must lie in [-1, 1], not {self.input_correlation!r}"
            )

    @property
    def dimensions(self) -> dict[str, int]:
        """What tasks are spread over at each point: nothing."""
        return {}

    def results(self, cell: Cell) -> dict[str, dict[str, int]]:
        """Return the names of the results at a point, each a single number."""
        return {name: {} for name in self.quantities}

    def check_here(self) -> None:
        """Nothing is needed but this package."""

    def tasks(
        self, cell: Cell, parameters: Parameters, index: Index
    ) -> dict[str, Callable[[], np.ndarray]]:
        """Return what computes each quantity at one point, or raises an error of the package."""
        point = Point(
            cell, parameters, self.weights, self.steps, self.sites, self.seed,
            self.input_correlation, self.dynamics,
        )  # fmt: skip
        return {name: partial(_number, name, point) for name in self.quantities}

    def named(self) -> dict[str, Any]:
        """Return the attributes by name, as JSON would hold them."""
        return {
            "quantity": list(self.quantities),
            "weights": self.weights,
            "steps": self.steps,
            "sites": self.sites,
            "seed": self.seed,
            "input_correlation": self.input_correlation,
            "dynamics": self.dynamics,
        }


def _number(name: str, point: Point) -> np.ndarray:
    value = float(QUANTITIES[name](point))
    if math.isnan(value):
        raise ConvergenceError(f"{name} came out as not a number: use more sites")
    return np.array(value)
