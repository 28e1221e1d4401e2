"""Networks from arrays in which the gates are stacked, as libraries keep them."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from rmt_jacobian.cells import Cell, gru, gru_reset_after, lstm
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks.network import Network

__all__ = ["KERAS_ORDER", "PYTORCH_ORDER", "gate_order", "stacked_network"]

_LSTM = ("input", "forget", "candidate", "output")

PYTORCH_ORDER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {gru_reset_after.name: ("reset", "update", "candidate"), lstm.name: _LSTM}
)
"""The gates of a cell in the order in which PyTorch stacks their rows."""

KERAS_ORDER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {gru.name: ("update", "reset", "candidate"),
     gru_reset_after.name: ("update", "reset", "candidate"), lstm.name: _LSTM}
)  # fmt: skip
"""The gates of a cell in the order in which Keras stacks their columns."""


def gate_order(cell: Cell, order: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the gates of a cell in the order of a library.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> gate_order(gru_reset_after, PYTORCH_ORDER), gate_order(vanilla, PYTORCH_ORDER)
    (('reset', 'update', 'candidate'), ('candidate',))
    """
    return order.get(cell.name.split(":")[0], ("candidate",))  # whatever its activation


def stacked_network(
    cell: Cell,
    order: tuple[str, ...],
    W: np.ndarray,
    V: np.ndarray,
    inner: np.ndarray | None = None,
    outer: np.ndarray | None = None,
) -> Network:
    r"""Return the network whose gates are stacked along the rows of its arrays.

    Parameters
    ----------
    cell
        The cell.
    order
        The K gates in their order; see :func:`gate_order`.
    W, V
        Shapes (K N, N) and (K N, M).
    inner, outer
        The biases beside W and beside V, shape (K N,); by default 0. They are added, but for the
        candidate of a GRU whose reset gate acts after the product with W: ``candidate`` has the
        inner one, which the gate multiplies, and ``candidate_input`` the outer one.

    Raises
    ------
    ParameterError
        If shapes do not fit together.

    Examples
    --------
    >>> W, V = np.arange(12.0).reshape(6, 2), np.zeros((6, 3))
    >>> network = stacked_network(gru_reset_after, PYTORCH_ORDER["gru-reset-after"], W, V)
    >>> network.recurrent["update"]
    array([[4., 5.],
           [6., 7.]])
    """
    K, rows = len(order), len(W)
    inner, outer = (np.zeros(rows) if each is None else each for each in (inner, outer))
    N = rows // K
    wanted = [
        ("W", W, (K * N, N)),
        ("inner bias", inner, (K * N,)),
        ("outer bias", outer, (K * N,)),
    ]
    for name, array, shape in wanted:
        if rows % K or array.shape != shape:
            raise ParameterError(
                f"{cell.name} has {K} gates: {name} cannot have the shape {array.shape}"
            )
    if V.ndim != 2 or len(V) != rows:
        raise ParameterError(f"V of {cell.name} must have {rows} rows like W, not {V.shape}")
    recurrent, inputs, of_state, of_input = (
        dict(zip(order, np.split(each, K), strict=True)) for each in (W, V, inner, outer)
    )
    bias = {name: of_state[name] + of_input[name] for name in order}
    if any(each.name == "candidate_input" for each in cell.preactivations):
        inputs["candidate_input"] = inputs.pop("candidate")
        bias |= {"candidate": of_state["candidate"], "candidate_input": of_input["candidate"]}
    return Network(cell, recurrent, inputs, bias)
