"""Layers of PyTorch as networks: measured as they are, in double precision."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, cell_named, gru_reset_after, lstm, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks import Network
from rmt_jacobian.networks.drawn import StackedArrays, fitting_biases
from rmt_jacobian.networks.libraries import library
from rmt_jacobian.networks.stacked import PYTORCH_ORDER, gate_order

__all__ = ["Layer", "framework", "is_ours", "layers_of", "network"]

_KNOWN = "nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.GRUCell, nn.LSTMCell or rj.torch.Recurrent"


@named_arguments
def network(module: Any, *, layer: int = 0, direction: int = 0) -> Network:
    r"""Return one layer of a PyTorch module as a network.

    Parameters
    ----------
    module
        An ``nn.RNN`` with tanh or relu, ``nn.GRU`` or ``nn.LSTM``, the cell of one, or a
        :class:`Recurrent`; trained or not, compiled or not, on any device.
    layer
        Which layer; those above the first read the outputs of the one below.
    direction
        1 for the one that goes from the last input to the first: it is a network like the other,
        to be given its inputs in that order.

    Notes
    -----
    The two biases of a preactivation are added, but for the candidate of the GRU, one of whose
    biases is multiplied by the reset gate: ``candidate`` has ``bias_hh`` and ``candidate_input``
    ``bias_ih``. The update gate z keeps the state where it is 1, as in PyTorch. Dropout between
    layers is not part of a network.

    Raises
    ------
    ParameterError
        If PyTorch is not installed, the module is none of these, has projections
        (``proj_size``), or has no such layer or direction.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> found = network(torch.nn.GRU(5, 8))
    >>> found
    <network of 8 gru-reset-after units, 5 inputs>
    >>> found.run(np.zeros((10, 5))).log_singular_values().shape
    (8,)
    """
    module = getattr(module, "_orig_mod", module)  # of one that is compiled
    wanted = (layer, direction)
    if is_ours(module):
        if wanted != (0, 0):
            raise ParameterError("a Recurrent is one layer with one direction: leave both out")
        return module.network()
    for each in layers_of(module):
        if (each.layer, each.direction) == wanted:
            return each.network()
    if "Cell" in type(module).__name__:
        raise ParameterError("a cell has one layer and one direction: leave both out")
    directions = 2 if module.bidirectional else 1
    raise ParameterError(
        f"there are {module.num_layers} layers with {directions} directions each, counted from 0, "
        f"and no layer {layer!r} with direction {direction!r}"
    )


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer and direction of a module, where its numbers stand.

    Attributes
    ----------
    module
        The module.
    layer, direction
        Which of it.
    suffix
        What the names of its arrays end in.
    cell
        Our cell of the same equations.
    """

    module: Any
    layer: int
    direction: int
    suffix: str
    cell: Cell

    @property
    def names(self) -> tuple[str, ...]:
        """The preactivations in the order in which PyTorch stacks their rows."""
        return gate_order(self.cell, PYTORCH_ORDER)

    def tensor(self, name: str) -> Any:
        """Return one of its arrays, ``weight_hh``, ``weight_ih``, ``bias_hh`` or ``bias_ih``."""
        return getattr(self.module, f"{name}{self.suffix}")

    def array(self, name: str) -> np.ndarray:
        """Return the numbers of one of its arrays, in double precision."""
        tensor = self.tensor(name)
        if tensor.is_meta:
            raise ParameterError("the module has no numbers yet: it is on the meta device")
        return np.asarray(tensor.detach().to("cpu", framework().float64).numpy())

    def arrays(self) -> StackedArrays:
        """Return all of them, in double precision."""
        W, V = self.array("weight_hh"), self.array("weight_ih")
        if self.module.bias:
            return StackedArrays(W, V, self.array("bias_hh"), self.array("bias_ih"))
        return StackedArrays(W, V, np.zeros(len(W)), np.zeros(len(W)))

    def put(self, arrays: StackedArrays) -> "Layer":
        """Write arrays into the module, in its own precision."""
        torch, has = framework(), [bool(self.module.bias)] * len(self.names)
        remedy = "the module has none: bias=True"
        arrays = fitting_biases(self.cell, self.names, arrays, has, has, remedy)
        named = {"weight_hh": arrays.W, "weight_ih": arrays.V}
        if self.module.bias:
            named |= {"bias_hh": arrays.inner, "bias_ih": arrays.outer}
        with torch.no_grad():
            for name, array in named.items():
                self.tensor(name).copy_(torch.from_numpy(array))
        return self

    def network(self) -> Network:
        """Return the layer as a network."""
        return self.arrays().network(self.cell, self.names)


def layers_of(module: Any) -> list[Layer]:
    """Return all layers and directions of a module, from below, forward before backward.

    Raises
    ------
    ParameterError
        If PyTorch is not installed, or the module is of another kind.
    """
    nn = framework().nn
    if isinstance(module, nn.RNNCell | nn.GRUCell | nn.LSTMCell):
        return [Layer(module, 0, 0, "", _cell(module, nn))]
    if not isinstance(module, nn.RNN | nn.GRU | nn.LSTM):
        name = type(module).__name__
        raise ParameterError(f"this takes an {_KNOWN}, not {name}: give the layer inside it")
    if getattr(module, "proj_size", 0):
        raise ParameterError(
            "an nn.LSTM with projections (proj_size) has a state of another size than its memory, "
            "which is no cell of sites: take one without"
        )
    return [
        Layer(module, layer, direction, f"_l{layer}{'_reverse' * direction}", _cell(module, nn))
        for layer in range(module.num_layers)
        for direction in range(2 if module.bidirectional else 1)
    ]


def is_ours(module: Any) -> bool:
    """Return whether a module is a :class:`Recurrent`."""
    framework()
    from rmt_jacobian.torch.recurrent import Recurrent

    return isinstance(module, Recurrent)


def _cell(module: Any, nn: Any) -> Cell:
    if isinstance(module, nn.GRU | nn.GRUCell):
        return gru_reset_after
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return lstm
    return vanilla if module.nonlinearity == "tanh" else cell_named("vanilla:relu")


def framework() -> ModuleType:
    """Return PyTorch, or say how to get it."""
    return library("torch", "PyTorch", extra="frameworks")
