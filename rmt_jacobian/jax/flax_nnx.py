"""Cells of Flax's nnx, modules that hold their parameters."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.cells import cell_named, gru_reset_after, lstm, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.jax.dense import DenseCell
from rmt_jacobian.networks.libraries import checked_activation

__all__ = ["NnxCell", "nnx_cell"]

_FUSED = (("dense_i",), ("dense_h",))
_APART = (("ii", "if_", "ig", "io"), ("hi", "hf", "hg", "ho"))


@dataclass(frozen=True, eq=False)
class NnxCell(DenseCell):
    """A cell of nnx."""

    def leaf(self, dense: str, kind: str) -> Any:
        """Return the kernel or the bias of a dense layer, None where it has none."""
        parameter = getattr(getattr(self.given, dense), kind)
        return None if parameter is None else parameter[...]

    def with_leaves(self, leaves: Mapping[tuple[str, str], Any]) -> Any:
        """Return a copy of the module with other arrays."""
        copy = _nnx().clone(self.given)
        for (dense, kind), array in leaves.items():
            getattr(getattr(copy, dense), kind)[...] = array
        return copy


def nnx_cell(given: Any) -> NnxCell | None:
    """Return the cell that a module is, None of what is no cell of nnx.

    Raises
    ------
    ParameterError
        If it has other activations, or adds its state.
    """
    nnx = _nnx()
    if nnx is None:
        return None
    if isinstance(given, nnx.GRUCell):
        _check(given)
        return NnxCell(given, gru_reset_after, *_FUSED)
    if isinstance(given, nnx.LSTMCell | nnx.OptimizedLSTMCell):
        _check(given)
        return NnxCell(given, lstm, *(_APART if isinstance(given, nnx.LSTMCell) else _FUSED))
    if isinstance(given, nnx.SimpleCell):
        if given.residual:
            raise ParameterError("a SimpleCell with residual=True adds its state: take one without")
        is_relu = _checked(given, "activation_fn", "tanh", "relu") == "relu"
        return NnxCell(given, cell_named("vanilla:relu") if is_relu else vanilla, *_FUSED)
    return None


def _nnx() -> Any:
    """Return nnx where it is loaded: without it nothing is a cell of nnx."""
    return sys.modules.get("flax.nnx")


def _check(given: Any) -> None:
    _checked(given, "activation_fn", "tanh")
    _checked(given, "gate_fn", "sigmoid")


def _checked(given: Any, which: str, *known: str) -> str:
    return checked_activation(given, which, *known, call=lambda f, x: np.asarray(f(x)))
