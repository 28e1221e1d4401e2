"""Layers of Keras as networks: measured as they are, in double precision."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, cell_named, gru, gru_reset_after, lstm, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks import Network
from rmt_jacobian.networks.drawn import StackedArrays, fitting_biases
from rmt_jacobian.networks.libraries import checked_activation, library
from rmt_jacobian.networks.stacked import KERAS_ORDER, gate_order

__all__ = ["KerasLayer", "framework", "layer_of", "network"]

_KNOWN = "SimpleRNN, GRU or LSTM of Keras, or the cell of one"


@named_arguments
def network(layer: Any) -> Network:
    r"""Return a layer of Keras as a network.

    Parameters
    ----------
    layer
        A ``SimpleRNN`` with tanh or relu, ``GRU`` or ``LSTM``, or the cell of one, trained or not,
        on any backend; built, that is called once.

    Notes
    -----
    A GRU with ``reset_after=True``, as it is by default, is ``gru-reset-after``: the gate
    multiplies the recurrent bias, that of ``candidate``; the input bias is ``candidate_input``'s.
    With ``reset_after=False`` it is ``gru``. The update gate z keeps the state where it is 1.
    Dropout is not part of a network, and a layer that goes backwards is a network like the other,
    to be given its inputs from the end.

    Raises
    ------
    ParameterError
        If Keras is not installed, the layer is none of these or has other activations, or is not
        built.

    Examples
    --------
    >>> import keras
    >>> layer = keras.layers.GRU(8)
    >>> layer.build((None, None, 5))
    >>> network(layer)
    <network of 8 gru-reset-after units, 5 inputs>
    """
    found = layer_of(layer)
    return found.arrays().network(found.cell, found.names)


@dataclass(frozen=True, eq=False)
class KerasLayer:
    """A layer of Keras, where its numbers stand.

    Attributes
    ----------
    own
        The cell of Keras that holds them.
    cell
        Our cell of the same equations.
    layer, direction
        0, for it is one.
    """

    own: Any
    cell: Cell
    layer: int = 0
    direction: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The preactivations in the order in which Keras stacks their columns."""
        return gate_order(self.cell, KERAS_ORDER)

    def arrays(self) -> StackedArrays:
        """Return its numbers, gates along the rows."""
        W, V = _numbers(self.own.recurrent_kernel).T, _numbers(self.own.kernel).T
        inner, outer = np.zeros(len(W)), np.zeros(len(W))
        if self.own.use_bias:
            bias = _numbers(self.own.bias)
            outer, inner = bias if bias.ndim == 2 else (bias, inner)
        return StackedArrays(W, V, inner, outer)

    def put(self, arrays: StackedArrays) -> "KerasLayer":
        """Write arrays into the layer, in its own precision."""
        has, both = bool(self.own.use_bias), self.cell is gru_reset_after
        K, remedy = len(self.names), "the layer has none: use_bias=True"
        arrays = fitting_biases(
            self.cell, self.names, arrays, [has and both] * K, [has] * K, remedy
        )
        self.own.recurrent_kernel.assign(arrays.W.T)
        self.own.kernel.assign(arrays.V.T)
        if has:
            self.own.bias.assign(np.array([arrays.outer, arrays.inner]) if both else arrays.outer)
        return self


def layer_of(layer: Any) -> KerasLayer:
    """Return where the numbers of a layer stand.

    Raises
    ------
    ParameterError
        If Keras is not installed, or the layer is of another kind or not built.
    """
    layers = framework().layers
    name = type(layer).__name__
    if isinstance(layer, layers.Bidirectional):
        raise ParameterError(
            "a Bidirectional is two networks: give its forward_layer or its backward_layer"
        )
    own = layer.cell if isinstance(layer, layers.RNN) else layer
    if isinstance(own, layers.StackedRNNCells):
        raise ParameterError("StackedRNNCells are several networks: give one of their cells")
    if not isinstance(own, layers.SimpleRNNCell | layers.GRUCell | layers.LSTMCell):
        raise ParameterError(f"this takes a {_KNOWN}, not {name}: give the layer inside it")
    cell = _cell(own, layers)
    if not own.built or getattr(own, "kernel", None) is None:
        raise ParameterError(f"the {name} has no numbers yet: build it, or call it once")
    return KerasLayer(own, cell)


def _cell(own: Any, layers: Any) -> Cell:
    if isinstance(own, layers.SimpleRNNCell):
        is_relu = _checked(own, "activation", "tanh", "relu") == "relu"
        return cell_named("vanilla:relu") if is_relu else vanilla
    _checked(own, "activation", "tanh")
    _checked(own, "recurrent_activation", "sigmoid")
    if isinstance(own, layers.LSTMCell):
        return lstm
    return gru_reset_after if own.reset_after else gru


def _checked(own: Any, which: str, *known: str) -> str:
    ops = framework().ops
    return checked_activation(
        own, which, *known, call=lambda f, x: ops.convert_to_numpy(f(ops.convert_to_tensor(x)))
    )


def _numbers(variable: Any) -> np.ndarray:
    """Return numbers of any precision and backend in double precision."""
    ops = framework().ops
    return np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(variable))).astype(float)


def framework() -> ModuleType:
    """Return Keras, or say how to get it."""
    hint = ", or its backend is not (try KERAS_BACKEND=jax)"
    keras = library("keras", "Keras", hint)
    if not hasattr(keras, "ops"):
        raise ParameterError('this takes Keras 3: pip install "rmt-jacobian[jax]"')
    return keras
