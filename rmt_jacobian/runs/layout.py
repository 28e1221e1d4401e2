"""How the results of a run are laid out: which arrays there are, and of which shape."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rmt_jacobian.runs.zarr_format import array_metadata

__all__ = ["FINISHED", "MISSING", "STATUS", "UNCONVERGED", "UNDEFINED", "Index", "Layout"]

Index = tuple[int, ...]
"""Where a task stands in the arrays: its point on the grid, then its sample."""

MISSING, FINISHED, UNCONVERGED, UNDEFINED = 0, 1, 2, 3

STATUS = "status"
_FLAGS = {
    "flag_values": [MISSING, FINISHED, UNCONVERGED, UNDEFINED],
    "flag_meanings": "missing finished unconverged undefined",
}
_FLOAT, _BYTE = np.dtype("float64"), np.dtype("uint8")


@dataclass(frozen=True)
class Layout:
    """The arrays of a store.

    Each result has the dimensions of the tasks, followed by its own.  One more array, ``status``,
    says of each task whether it is missing (0), finished (1), or has no answer: because a solver
    did not converge (2), or because there is none (3).

    Attributes
    ----------
    tasks
        Names and lengths of the dimensions over which tasks are spread.
    results
        For each result, names and lengths of its own dimensions.
    coordinates
        Values along dimensions of the tasks, by their name.

    Examples
    --------
    >>> layout = Layout({"weight_std": 2, "sample": 3}, {"singular_values": {"index": 8}},
    ...                 {"weight_std": (1.0, 1.5)})
    >>> layout.count, layout.shape_of("singular_values"), len(list(layout.indices()))
    (6, (2, 3, 8), 6)
    """

    tasks: Mapping[str, int]
    results: Mapping[str, Mapping[str, int]]
    coordinates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def task_shape(self) -> Index:
        """The lengths of the dimensions of the tasks."""
        return tuple(self.tasks.values())

    @property
    def count(self) -> int:
        """The number of tasks."""
        return math.prod(self.task_shape)

    def indices(self) -> Iterator[Index]:
        """Yield the indices of all tasks, samples of a point next to each other."""
        yield from np.ndindex(self.task_shape)

    def shape_of(self, result: str) -> tuple[int, ...]:
        """Return the shape of the array of a result."""
        return (*self.task_shape, *self.own_shape(result))

    def own_shape(self, result: str) -> tuple[int, ...]:
        """Return the shape of a result of one task."""
        return () if result == STATUS else tuple(self.results[result].values())

    def dtype(self, result: str) -> np.dtype:
        """Return the type of the entries of an array."""
        return _BYTE if result == STATUS else _FLOAT

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Return the Zarr metadata of every array by its name."""
        ones = [1] * len(self.tasks)
        found = {
            name: array_metadata(
                self.shape_of(name), [*self.tasks, *own], dtype=_FLOAT,
                chunks=[*ones, *own.values()], fill_value="NaN", attributes={},
            )
            for name, own in self.results.items()
        }  # fmt: skip
        for name, values in self.coordinates.items():
            found[name] = array_metadata(
                [len(values)], [name], dtype=_FLOAT, chunks=[len(values)], fill_value="NaN",
                attributes={},
            )  # fmt: skip
        found[STATUS] = array_metadata(
            self.task_shape, [*self.tasks], dtype=_BYTE, chunks=ones, fill_value=MISSING,
            attributes=_FLAGS,
        )  # fmt: skip
        return found
