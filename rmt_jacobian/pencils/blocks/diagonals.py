"""The matrices of one step at every site."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

from rmt_jacobian.arrays import Device, on_device

__all__ = ["Matrix", "StepDiagonals"]

Matrix: TypeAlias = list[list[Any]]
"""Rows of entries, each an array over sites, a number, or None where it vanishes identically."""


@dataclass(frozen=True, eq=False)
class StepDiagonals:
    """The site matrices of one step.

    Attributes
    ----------
    state, gate
        A and B: from the states before the step, and from the preactivations, to the states after.
    source_state, source_gate
        Y_s and Y_e: from the same to the different sources.
    """

    state: Matrix
    gate: Matrix
    source_state: Matrix
    source_gate: Matrix

    @property
    def matrices(self) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        """A, B, Y_s and Y_e."""
        return self.state, self.gate, self.source_state, self.source_gate

    @property
    def transposed(self) -> "StepDiagonals":
        """The step of J^T, whose sources are the preactivations."""
        state, gate, source_state, source_gate = (_transposed(m) for m in self.matrices)
        return StepDiagonals(state, source_state, gate, source_gate)

    def cut(self, sites: Any) -> "StepDiagonals":
        """Return the same at some of the sites."""
        return self.mapped(lambda entry: entry[sites])

    def mapped(self, function: Callable[[Any], Any]) -> "StepDiagonals":
        """Return the same with a function of every array."""

        def each(entry: Any) -> Any:
            return function(entry) if hasattr(entry, "shape") else entry

        return StepDiagonals(*([[each(e) for e in row] for row in m] for m in self.matrices))

    def on(self, device: Device | ModuleType) -> "StepDiagonals":
        """Return the same with all arrays on a device."""
        return StepDiagonals(
            *([[on_device(e, device) for e in r] for r in m] for m in self.matrices)
        )

    def without(self, gates: set[int], sources: set[int]) -> "StepDiagonals":
        """Return the same without some preactivations and sources."""

        def kept(row: list[Any]) -> list[Any]:
            return [entry for k, entry in enumerate(row) if k not in gates]

        def rows(matrix: Matrix) -> Matrix:
            return [row for j, row in enumerate(matrix) if j not in sources]

        return StepDiagonals(
            self.state,
            [kept(row) for row in self.gate],
            rows(self.source_state),
            [kept(row) for row in rows(self.source_gate)],
        )


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]
