"""Layers of PyTorch as networks: measured as they are, in double precision.

PyTorch is no dependency of the package: ``pip install "rmt-jacobian[frameworks]"`` installs it.
"""

from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, gru_reset_after, lstm, vanilla, vanilla_cell
from rmt_jacobian.counts import is_count
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks import Network

__all__ = ["network"]

# The order in which PyTorch stacks the rows of its matrices.
_GRU = ("reset", "update", "candidate")
_LSTM = ("input", "forget", "candidate", "output")
_KNOWN = "nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.GRUCell or nn.LSTMCell"


@named_arguments
def network(module: Any, *, layer: int = 0, direction: int = 0) -> Network:
    r"""Return one layer of a PyTorch module as a network.

    Parameters
    ----------
    module
        An ``nn.RNN`` with tanh or relu, ``nn.GRU`` or ``nn.LSTM``, or the cell of one, trained or
        not, on any device.
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
    torch = _framework()
    nn = torch.nn
    if isinstance(module, nn.RNN | nn.GRU | nn.LSTM):
        suffix = _suffix(module, layer, direction)
    elif isinstance(module, nn.RNNCell | nn.GRUCell | nn.LSTMCell):
        if (layer, direction) != (0, 0):
            raise ParameterError("a cell has one layer and one direction: leave both out")
        suffix = ""
    else:
        name = type(module).__name__
        raise ParameterError(f"network takes an {_KNOWN}, not {name}: give the layer inside it")
    W, V = _array(torch, module, f"weight_hh{suffix}"), _array(torch, module, f"weight_ih{suffix}")
    biases = [np.zeros(len(W)), np.zeros(len(W))]
    if module.bias:
        biases = [_array(torch, module, f"bias_{kind}{suffix}") for kind in ("hh", "ih")]
    return _network(_cell(module, nn), W, V, *biases)


def _network(
    cell: Cell, W: np.ndarray, V: np.ndarray, recurrent_bias: np.ndarray, input_bias: np.ndarray
) -> Network:
    """Return the network of stacked arrays."""
    if cell is gru_reset_after:
        names: tuple[str, ...] = _GRU
    else:
        names = _LSTM if cell is lstm else ("candidate",)

    def split(stacked: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, np.split(stacked, len(names)), strict=True))

    recurrent, inputs, inner, outer = map(split, (W, V, recurrent_bias, input_bias))
    if cell is gru_reset_after:
        inputs["candidate_input"] = inputs.pop("candidate")
        bias = {name: inner[name] + outer[name] for name in ("reset", "update")}
        bias |= {"candidate": inner["candidate"], "candidate_input": outer["candidate"]}
    else:
        bias = {name: inner[name] + outer[name] for name in names}
    return Network(cell, recurrent, inputs, bias)


def _cell(module: Any, nn: Any) -> Cell:
    if isinstance(module, nn.GRU | nn.GRUCell):
        return gru_reset_after
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return lstm
    return vanilla if module.nonlinearity == "tanh" else vanilla_cell("relu")


def _suffix(module: Any, layer: int, direction: int) -> str:
    """Return what the names of the arrays of a layer end in."""
    if getattr(module, "proj_size", 0):
        raise ParameterError(
            "an nn.LSTM with projections (proj_size) has a state of another size than its memory, "
            "which is no cell of sites: take one without"
        )
    if (layer != 0 and not is_count(layer)) or layer >= module.num_layers:
        raise ParameterError(f"there are {module.num_layers} layers, from 0 on, and no {layer!r}")
    directions = 2 if module.bidirectional else 1
    if direction not in range(directions):
        raise ParameterError(f"there are {directions} directions, from 0 on, and no {direction!r}")
    return f"_l{layer}{'_reverse' if direction else ''}"


def _array(torch: Any, module: Any, name: str) -> np.ndarray:
    tensor = getattr(module, name)
    if tensor.is_meta:
        raise ParameterError("the module has no numbers yet: it is on the meta device")
    return np.asarray(tensor.detach().to("cpu", torch.float64).numpy())


def _framework() -> ModuleType:
    """Return PyTorch, or say how to get it."""
    try:
        import torch
    except ImportError:
        raise ParameterError(
            'PyTorch is not installed: pip install "rmt-jacobian[frameworks]"'
        ) from None
    return torch
