"""Recurrent layers in files of weights, known by the names and shapes of their arrays."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from rmt_jacobian.cells import Cell, cell_named, gru, gru_reset_after, lstm, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks.network import Network
from rmt_jacobian.networks.stacked import (
    KERAS_ORDER,
    PYTORCH_ORDER,
    gate_order,
    stacked_network,
)
from rmt_jacobian.networks.tensors import read_arrays

__all__ = ["RecurrentLayer", "WeightsFile", "networks_in", "read_weights"]

Library = Literal["PyTorch", "Keras"]

_BEFORE = r"(?P<before>(?:.*[./_])?)"
_PYTORCH = re.compile(_BEFORE + r"weight_hh(?P<after>(?:_l\d+(?:_reverse)?)?)")
_KERAS = re.compile(_BEFORE + r"recurrent_kernel(?P<after>(?::\d+)?)")
_GATES = {vanilla.name: 1, gru.name: 3, gru_reset_after.name: 3, lstm.name: 4}
_KIND = {1: vanilla, 3: gru_reset_after, 4: lstm}  # of PyTorch; Keras has two GRUs
_KNOWN = "vanilla (or vanilla:relu), gru, gru-reset-after or lstm"
_SHOWN = 12  # names of arrays in a message


@dataclass(frozen=True, eq=False)
class RecurrentLayer:
    """A recurrent layer of a file.

    Attributes
    ----------
    name
        What the names of its arrays begin with, and the number of the layer.
    library
        Whose names and order of gates it has.
    arrays
        The names of its arrays.
    network
        The layer as a network.
    """

    name: str
    library: Library
    arrays: tuple[str, ...]
    network: Network

    @property
    def backwards(self) -> bool:
        """Whether it reads its inputs from the end."""
        return self.name.endswith("_reverse") or "backward" in self.name

    def __str__(self) -> str:
        """Say what it is in one line."""
        network, way = self.network, ", from the end of its inputs" * self.backwards
        return (
            f"{self.name}: {network.cell.name}, {network.width} units, {network.input_size} "
            f"inputs{way}, with the names of {self.library}"
        )


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """What is in a file of weights.

    Attributes
    ----------
    path
        The file.
    layers
        Its recurrent layers by name.
    refused
        Why others are no network, by name.
    others
        The names of all other arrays.
    """

    path: Path
    layers: Mapping[str, RecurrentLayer]
    refused: Mapping[str, str]
    others: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """The names of the arrays of one layer; of biases that are there."""

    name: str
    library: Library
    W: str
    V: str
    biases: tuple[str, ...] = field(default=())

    @property
    def arrays(self) -> tuple[str, ...]:
        return (self.W, self.V, *self.biases)


def networks_in(path: Path | str, cell: Cell | str | None = None) -> dict[str, Network]:
    """Return the recurrent layers of a file of weights as networks.

    Layers are known by the names and shapes of their arrays. Of PyTorch: ``weight_hh_l0`` and the
    like of ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM``, and ``weight_hh`` of their cells. Of Keras:
    ``recurrent_kernel``, ``kernel`` and ``bias``. The shape of W tells how many gates there are.

    Parameters
    ----------
    path
        A ``.safetensors`` file (which needs ``pip install "rmt-jacobian[inspect]"``) or an
        ``.npz`` file. Pickles are never read.
    cell
        What layers of as many gates are, where names and shapes do not tell: ``"vanilla:relu"``
        for a network with relu instead of tanh, ``"gru"`` or ``"gru-reset-after"`` for a GRU of
        Keras without biases.

    Returns
    -------
    dict
        Networks in double precision, by the name of the layer.

    Raises
    ------
    ParameterError
        If the file cannot be read, has no recurrent layer, or has one that is no network.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     W, V = np.eye(8).repeat(4, axis=0), np.ones((32, 3))
    ...     np.savez(f"{folder}/x.npz", **{"rnn.weight_hh_l0": W, "rnn.weight_ih_l0": V})
    ...     networks_in(f"{folder}/x.npz")
    {'rnn.l0': <network of 8 lstm units, 3 inputs>}
    """
    found = read_weights(path, cell)
    for name, reason in found.refused.items():
        raise ParameterError(f"{path}: {name}: {reason}")
    return {name: layer.network for name, layer in found.layers.items()}


def read_weights(path: Path | str, cell: Cell | str | None = None) -> WeightsFile:
    """Return what is in a file of weights, and what of it is no network.

    Parameters
    ----------
    path, cell
        As in :func:`networks_in`.

    Raises
    ------
    ParameterError
        If the file cannot be read, or no recurrent layer in it is a network.
    """
    chosen = None if cell is None else _checked(cell)
    names, arrays = read_arrays(
        path, lambda names: [n for each in _places(names) for n in each.arrays if n in names]
    )
    places = _places(names)
    if not places:
        raise ParameterError(f"{path} has no recurrent layer: {_names_seen(names)}")
    layers, refused = {}, {}
    for place in places:
        try:
            network = _network(place, arrays, chosen)
            layers[place.name] = RecurrentLayer(place.name, place.library, place.arrays, network)
        except ParameterError as error:
            refused[place.name] = str(error)
    if not layers:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise ParameterError(f"{path}: {reasons}")
    if chosen and not any(_family(e.network.cell) == _as(chosen, e) for e in layers.values()):
        raise ParameterError(
            f"{chosen.name} has {_gates(chosen)} gates, and fits no layer of {path}: "
            + "; ".join(map(str, layers.values()))
        )
    taken = {name for place in places for name in place.arrays}
    return WeightsFile(Path(path), layers, refused, tuple(n for n in names if n not in taken))


def _family(cell: Cell) -> str:
    """Return the name of a cell without its activation."""
    return cell.name.split(":")[0]


def _gates(cell: Cell) -> int:
    return _GATES[_family(cell)]


def _as(chosen: Cell, layer: RecurrentLayer) -> str:
    return _family(_pytorch_cell(chosen) if layer.library == "PyTorch" else chosen)


def _checked(cell: Cell | str) -> Cell:
    found = cell_named(cell) if isinstance(cell, str) else cell
    if _family(found) not in _GATES:
        raise ParameterError(
            f"{found.name} is the cell of no layer of PyTorch or Keras: give {_KNOWN}"
        )
    return found


def _names_seen(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:_SHOWN]), len(names) - _SHOWN
    return (
        "one would have arrays named weight_hh_l0 or weight_hh and weight_ih (PyTorch), or "
        "recurrent_kernel and kernel (Keras); it holds "
        + (shown or "nothing")
        + (f" and {more} more" if more > 0 else "")
    )


def _places(names: Sequence[str]) -> list[_Place]:
    """Return where recurrent layers stand: PyTorch's l2 before l10, Keras' as in the file."""
    known, found = set(names), {}
    for name in names:
        place = _pytorch_place(name, known) or _keras_place(name, known)
        if place is not None:
            unique = place.name if place.name not in found else name
            found[unique] = _Place(unique, *(place.library, place.W, place.V, place.biases))
    return sorted(found.values(), key=_rank)


def _rank(place: _Place) -> tuple[bool, list[tuple[int, str]]]:
    """Return what layers are sorted by; numbers in the names of PyTorch count as numbers."""
    if place.library == "Keras":
        return True, []
    parts = re.split(r"(\d+)", place.name)
    return False, [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _pytorch_place(name: str, known: set[str]) -> _Place | None:
    match = _PYTORCH.fullmatch(name)
    if match is None:
        return None
    before, after = match["before"], match["after"]
    title = ".".join(filter(None, (before.rstrip("./_"), after[1:])))
    biases = (f"{before}{each}{after}" for each in ("bias_hh", "bias_ih"))
    there = tuple(each for each in biases if each in known)
    return _Place(title or "layer", "PyTorch", name, f"{before}weight_ih{after}", there)


def _keras_place(name: str, known: set[str]) -> _Place | None:
    match = _KERAS.fullmatch(name)
    if match is None:
        return None
    before, after = match["before"], match["after"]
    bias = f"{before}bias{after}"
    there = (bias,) if bias in known else ()
    return _Place(
        before.rstrip("./_") or "layer", "Keras", name, f"{before}kernel{after}", there
    )  # fmt: skip


def _network(place: _Place, arrays: Mapping[str, np.ndarray], chosen: Cell | None) -> Network:
    if place.V not in arrays:
        raise ParameterError(f"there is {place.W}, but no {place.V}: save all arrays of the layer")
    W, V = arrays[place.W], arrays[place.V]
    if W.ndim != 2 or V.ndim != 2:
        raise ParameterError(f"{place.W} and {place.V} have shapes {W.shape} and {V.shape}, which "
                             "are no matrices: only layers of sites are read")  # fmt: skip
    biases = [arrays[name] for name in place.biases]
    if place.library == "Keras":
        return _keras_network(place, W.T, V.T, biases, chosen)
    kind = chosen if chosen and _gates(chosen) == _count(place, W) else _KIND[_count(place, W)]
    cell = _pytorch_cell(kind)
    named = dict(zip(place.biases, biases, strict=True))
    outer, inner = (
        next((b for name, b in named.items() if each in name), None)
        for each in ("bias_ih", "bias_hh")
    )
    return stacked_network(cell, gate_order(cell, PYTORCH_ORDER), W, V, inner, outer)


def _count(place: _Place, W: np.ndarray) -> int:
    """Return the number of gates that are stacked along the rows of W."""
    rows, N = W.shape
    if N == 0 or rows % N or rows // N not in _KIND:
        raise ParameterError(
            f"{place.W} has {rows} numbers for each of {N} units, which are not those of 1, 3 or 4 "
            "gates: neither RNN, GRU nor LSTM, or one with projections, which is not read"
        )
    return rows // N


def _pytorch_cell(cell: Cell) -> Cell:
    """Return the GRU of PyTorch for a GRU: there is one kind."""
    if _family(cell) != gru.name:
        return cell
    return cell_named(cell.name.replace(gru.name, gru_reset_after.name, 1))


def _keras_network(
    place: _Place, W: np.ndarray, V: np.ndarray, biases: list[np.ndarray], chosen: Cell | None
) -> Network:
    """Return a layer of Keras, whose arrays have been transposed, and whose bias has not."""
    count, bias = _count(place, W), biases[0] if biases else None
    cell = chosen if chosen and _gates(chosen) == count else None
    if count == 3:
        cell = _keras_gru(place, bias, cell)
    inner = None
    if count == 3 and bias is not None and bias.ndim == 2:
        bias, inner = bias
    cell = cell or _KIND[count]
    return stacked_network(cell, gate_order(cell, KERAS_ORDER), W, V, inner, bias)


def _keras_gru(place: _Place, bias: np.ndarray | None, chosen: Cell | None) -> Cell:
    """Return the GRU whose biases have that shape: reset_after has two of them."""
    if bias is None:
        if chosen is None:
            raise ParameterError(
                "a GRU without biases does not tell where its reset gate acts: give the cell "
                "gru-reset-after (reset_after=True, as Keras does by default) or gru"
            )
        return chosen
    if bias.ndim not in (1, 2) or (bias.ndim == 2 and len(bias) != 2):
        raise ParameterError(f"{place.biases[0]} of a GRU cannot have the shape {bias.shape}")
    told = gru if bias.ndim == 1 else gru_reset_after
    if chosen is not None and _family(chosen) != told.name:
        raise ParameterError(
            f"{chosen.name} does not fit: {place.biases[0]} has the shape {bias.shape} of "
            f"{told.name}, leave the cell out"
        )
    return chosen or told
