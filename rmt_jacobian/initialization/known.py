"""Critical points of built-in cells, found once and kept with the package."""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.report import Sharing, check_sharing

__all__ = ["KnownPoint", "known_point"]


@dataclass(frozen=True)
class KnownPoint:
    """A critical point that was found before.

    Attributes
    ----------
    parameters
        The hyperparameters, at the input variance that was asked for.
    growth_rate, growth_error
        Of squared gradients in a network that keeps its weights, over the horizon, and its error.
    horizon
        In steps.
    origin
        The command that found it, and the version.
    """

    parameters: Parameters
    growth_rate: float
    growth_error: float
    horizon: int
    origin: str


def known_point(
    cell: Cell, *, weights: str = "orthogonal", dynamics: Sharing = "tied",
    input_variance: float = 1.0,
) -> KnownPoint:  # fmt: skip
    r"""Return a critical point of a built-in cell at once.

    Parameters
    ----------
    cell, weights
        The cell, and the ensemble of every W.
    dynamics
        Whether it is critical with shared weights, or, as in published theory, with fresh ones.
    input_variance
        R. The equations hold :math:`\sigma_v^2 R` alone, so that the input weights make up for it.

    Raises
    ------
    ParameterError
        If none is kept for such a cell.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> found = known_point(lstm, input_variance=4.0)
    >>> round(found.parameters["forget"].input_std, 4), found.parameters.input_variance
    (0.2887, 4.0)
    """
    check_sharing(dynamics)
    if not (math.isfinite(input_variance) and input_variance > 0):
        raise ParameterError(f"input_variance must be above 0, not {input_variance!r}")
    for each in _table():
        if (each["cell"], each["weights"]) == (cell.name, weights):
            found = each[dynamics]
            scale = math.sqrt(each["input_variance"] / input_variance)
            values = {
                name: value * scale if name.endswith("input_std") else value
                for name, value in found["parameters"].items()
            }
            return KnownPoint(
                Parameters.of(cell, {**values, "input_variance": input_variance}),
                found["growth_rate"], found["growth_error"], each["horizon"], each["origin"],
            )  # fmt: skip
    known = ", ".join(f"{each['cell']} ({each['weights']})" for each in _table())
    raise ParameterError(
        f"no critical point of {cell.name} with {weights} weights is kept: known are {known}; "
        "critical_initialization finds others, and takes minutes"
    )


@cache
def _table() -> list[dict[str, Any]]:
    text = files("rmt_jacobian.initialization").joinpath("known_points.json").read_text("utf-8")
    return json.loads(text)
