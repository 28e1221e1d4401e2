"""Cells of Equinox, which stack the rows of their gates."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, gru_reset_after, lstm
from rmt_jacobian.jax.numbers import like, numbers
from rmt_jacobian.networks.drawn import StackedArrays, fitting_biases
from rmt_jacobian.networks.stacked import PYTORCH_ORDER, gate_order

__all__ = ["EquinoxCell", "equinox_cell"]


@dataclass(frozen=True, eq=False)
class EquinoxCell:
    """A cell of Equinox, where its numbers stand.

    Attributes
    ----------
    given
        The cell of Equinox.
    cell
        Our cell of the same equations.
    layer, direction
        0, for it is one.
    """

    given: Any
    cell: Cell
    layer: int = 0
    direction: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The gates in their order, r, z, n or i, f, g, o."""
        return gate_order(self.cell, PYTORCH_ORDER)

    def arrays(self) -> StackedArrays:
        """Return its numbers, gates along the rows."""
        W, V = numbers(self.given.weight_hh, 2), numbers(self.given.weight_ih, 2)
        inner, outer = np.zeros(len(W)), np.zeros(len(W))
        if self.given.use_bias:
            outer = numbers(self.given.bias, 1)
            if self.cell is gru_reset_after:
                inner[-W.shape[1] :] = numbers(self.given.bias_n, 1)
        return StackedArrays(W, V, inner, outer)

    def put(self, arrays: StackedArrays) -> "EquinoxCell":
        """Return the cell with other numbers, in its own precision."""
        has, is_gru, K = bool(self.given.use_bias), self.cell is gru_reset_after, len(self.names)
        inner = [has and is_gru and name == "candidate" for name in self.names]
        remedy = "the cell has none: use_bias=True"
        arrays = fitting_biases(self.cell, self.names, arrays, inner, [has] * K, remedy)
        named = {"weight_hh": arrays.W, "weight_ih": arrays.V}
        if has:
            named["bias"] = arrays.outer
            if is_gru:
                named["bias_n"] = arrays.inner[-arrays.W.shape[1] :]
        new = [like(getattr(self.given, name), array) for name, array in named.items()]
        tree_at = sys.modules["equinox"].tree_at
        cell = tree_at(lambda each: [getattr(each, name) for name in named], self.given, new)
        return replace(self, given=cell)


def equinox_cell(given: Any) -> EquinoxCell | None:
    """Return the cell of Equinox, None of what is none."""
    equinox = sys.modules.get("equinox")  # without it nothing is a cell of Equinox
    if equinox is None:
        return None
    if isinstance(given, equinox.nn.GRUCell):
        return EquinoxCell(given, gru_reset_after)
    return EquinoxCell(given, lstm) if isinstance(given, equinox.nn.LSTMCell) else None
