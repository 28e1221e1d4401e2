"""A grid of hyperparameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["Axis", "Grid", "is_range"]

_RANGE = ("from", "to", "points", "spacing")
_MOST = 1_000_000  # points of a grid


@dataclass(frozen=True)
class Axis:
    """One hyperparameter and its values, in increasing or decreasing order.

    Examples
    --------
    >>> Axis.of("weight_std", {"from": 1, "to": 2, "points": 3})
    Axis(name='weight_std', values=(1.0, 1.5, 2.0))
    """

    name: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        steps = np.diff(self.values)
        if not self.values or not (np.all(steps > 0) or np.all(steps < 0)):
            raise ParameterError(
                f"grid.{self.name} must hold different numbers in order, not {list(self.values)}"
            )

    @classmethod
    def of(cls, name: str, values: Any) -> "Axis":
        """Make an axis of a list of numbers, or of a range as a specification writes it.

        Parameters
        ----------
        name
            Of the hyperparameter.
        values
            Numbers, or a table of ``from``, ``to``, ``points`` and, if wanted,
            ``spacing = "log"``.
        """
        if isinstance(values, Mapping):
            return cls(name, _range(name, values))
        if not isinstance(values, list | tuple | np.ndarray):
            raise ParameterError(
                f"grid.{name} must be a list of numbers, or a table "
                f"{{ from = 0.5, to = 3.0, points = 40 }}, not {values!r}"
            )
        return cls(name, tuple(_number(f"grid.{name}", value) for value in values))


@dataclass(frozen=True)
class Grid:
    """The product of axes; without any it is a single point.

    Examples
    --------
    >>> grid = Grid((Axis("weight_std", (1.0, 2.0)), Axis("bias_mean", (0.0, 1.0, 2.0))))
    >>> grid.shape, grid.at((1, 2))
    ((2, 3), {'weight_std': 2.0, 'bias_mean': 2.0})
    """

    axes: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise ParameterError(f"the grid names a parameter twice: {', '.join(names)}")
        if math.prod(self.shape) > _MOST:
            raise ParameterError(f"the grid has more than {_MOST} points: make it coarser")

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def at(self, point: tuple[int, ...]) -> dict[str, float]:
        """Return the values at a point, by name."""
        return {axis.name: axis.values[i] for axis, i in zip(self.axes, point, strict=True)}

    def named(self) -> dict[str, tuple[float, ...]]:
        """Return the values along each axis, by name."""
        return {axis.name: axis.values for axis in self.axes}


def is_range(table: Mapping[str, Any]) -> bool:
    """Tell a range from a table of the parameters of one preactivation.

    Examples
    --------
    >>> is_range({"from": 1, "to": 2, "points": 3}), is_range({"weight_std": [1, 2]})
    (True, False)
    """
    return any(key in table for key in _RANGE)


def _range(name: str, table: Mapping[str, Any]) -> tuple[float, ...]:
    unknown = sorted(set(table) - set(_RANGE))
    missing = sorted({"from", "to", "points"} - set(table))
    if unknown or missing:
        what = f"has no {unknown[0]!r}" if unknown else f"needs {', '.join(missing)}"
        raise ParameterError(
            f"grid.{name} {what}: write {{ from = 0.5, to = 3.0, points = 40 }}, "
            'with spacing = "log" if wanted'
        )
    low, high = (_number(f"grid.{name}.{key}", table[key]) for key in ("from", "to"))
    points, spacing = table["points"], table.get("spacing", "linear")
    if not isinstance(points, int) or isinstance(points, bool) or not 2 <= points <= _MOST:
        raise ParameterError(f"grid.{name}.points must be a whole number above 1, not {points!r}")
    if spacing == "linear":
        return tuple(np.linspace(low, high, points).tolist())
    if spacing != "log":
        raise ParameterError(f'grid.{name}.spacing must be "linear" or "log", not {spacing!r}')
    if not (low > 0 and high > 0):
        raise ParameterError(f"grid.{name}: spacing on a logarithm needs ends above 0")
    return tuple(np.geomspace(low, high, points).tolist())


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ParameterError(f"{name} must hold numbers, not {value!r}")
    if not math.isfinite(value):
        raise ParameterError(f"{name} must hold finite numbers, not {value!r}")
    return float(value)
