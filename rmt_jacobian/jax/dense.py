"""Cells whose gates are dense layers, some fused, of the input and of the state: those of Flax."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell
from rmt_jacobian.jax.numbers import like, numbers
from rmt_jacobian.networks.drawn import StackedArrays, fitting_biases
from rmt_jacobian.networks.stacked import PYTORCH_ORDER, gate_order

__all__ = ["DenseCell"]


@dataclass(frozen=True, eq=False)
class DenseCell(ABC):
    """A cell, where its numbers stand.

    Attributes
    ----------
    given
        The module or the tree of its parameters.
    cell
        Our cell of the same equations.
    of_input, of_state
        The names of the dense layers, which hold the gates in the order r, z, n or i, f, g, o.
    layer, direction
        0, for it is one.
    """

    given: Any
    cell: Cell
    of_input: tuple[str, ...]
    of_state: tuple[str, ...]
    layer: int = 0
    direction: int = 0

    @abstractmethod
    def leaf(self, dense: str, kind: str) -> Any:
        """Return the kernel or the bias of a dense layer, None where it has none."""

    @abstractmethod
    def with_leaves(self, leaves: Mapping[tuple[str, str], Any]) -> Any:
        """Return a copy of what was given, with other kernels and biases."""

    @property
    def names(self) -> tuple[str, ...]:
        """The gates in their order."""
        return gate_order(self.cell, PYTORCH_ORDER)

    def arrays(self) -> StackedArrays:
        """Return its numbers, gates along the rows."""
        W, V = (
            np.concatenate([numbers(self.leaf(each, "kernel"), 2).T for each in denses])
            for denses in (self.of_state, self.of_input)
        )
        return StackedArrays(W, V, self._bias(self.of_state, len(W)),
                             self._bias(self.of_input, len(W)))  # fmt: skip

    def put(self, arrays: StackedArrays) -> "DenseCell":
        """Return the cell with other numbers, in its own precision."""
        inner, outer = self._has(self.of_state), self._has(self.of_input)
        remedy = f"{type(self.given).__name__} has no place for them"
        arrays = fitting_biases(self.cell, self.names, arrays, inner, outer, remedy)
        leaves = {
            **self._leaves(self.of_state, arrays.W, arrays.inner),
            **self._leaves(self.of_input, arrays.V, arrays.outer),
        }
        return replace(self, given=self.with_leaves(leaves))

    def _leaves(
        self, denses: Sequence[str], matrix: np.ndarray, bias: np.ndarray
    ) -> dict[tuple[str, str], Any]:
        found, count = {}, len(denses)
        for dense, rows, part in zip(
            denses, np.split(matrix, count), np.split(bias, count), strict=True
        ):
            for kind, array in (("kernel", rows.T), ("bias", part)):
                old = self.leaf(dense, kind)
                if old is not None:
                    found[dense, kind] = like(old, array)
        return found

    def _bias(self, denses: Sequence[str], rows: int) -> np.ndarray:
        found = []
        for each in denses:
            bias = self.leaf(each, "bias")
            found.append(np.zeros(rows // len(denses)) if bias is None else numbers(bias, 1))
        return np.concatenate(found)

    def _has(self, denses: Sequence[str]) -> list[bool]:
        """Return which gates have a bias there."""
        fused = len(self.names) // len(denses)
        return [self.leaf(each, "bias") is not None for each in denses for _ in range(fused)]
