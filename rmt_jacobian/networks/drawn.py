r"""Arrays of every gate, drawn from hyperparameters, or all gates at once as libraries do."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, gru, gru_reset_after, lstm
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks.network import Network
from rmt_jacobian.networks.stacked import stacked_network

__all__ = ["Draws", "NumpyDraws", "Recipe", "StackedArrays", "fitting_biases"]


class Draws(ABC):
    """Random numbers in double precision, from whatever generator."""

    @abstractmethod
    def normal(self, *shape: int) -> np.ndarray:
        """Return normal numbers."""

    @abstractmethod
    def uniform(self, *shape: int) -> np.ndarray:
        """Return numbers between -1 and 1."""

    def orthogonal(self, rows: int, columns: int) -> np.ndarray:
        """Return Haar orthonormal columns."""
        q, r = np.linalg.qr(self.normal(rows, columns))
        return q * np.sign(np.diag(r))


class NumpyDraws(Draws):
    """What is drawn from a generator of NumPy.

    Examples
    --------
    >>> q = NumpyDraws(np.random.default_rng(0)).orthogonal(3, 3)
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def normal(self, *shape: int) -> np.ndarray:
        """Return normal numbers."""
        return self.generator.standard_normal(shape)

    def uniform(self, *shape: int) -> np.ndarray:
        """Return numbers between -1 and 1."""
        return self.generator.uniform(-1, 1, shape)


@dataclass(frozen=True, eq=False)
class StackedArrays:
    """The arrays of a layer, its gates along the rows.

    Attributes
    ----------
    W, V
        Shapes (K N, N) and (K N, M).
    inner, outer
        The biases beside W and beside V, shape (K N,); 0 where there are none.
    """

    W: np.ndarray
    V: np.ndarray
    inner: np.ndarray
    outer: np.ndarray

    @property
    def finite(self) -> bool:
        """Whether all numbers are."""
        arrays = (self.W, self.V, self.inner, self.outer)
        return all(bool(np.all(np.isfinite(each))) for each in arrays)

    def network(self, cell: Cell, names: tuple[str, ...]) -> Network:
        """Return the network of a cell whose gates have this order."""
        return stacked_network(cell, names, self.W, self.V, self.inner, self.outer)


@dataclass(frozen=True)
class Recipe:
    """What the gates of a cell are to be given.

    Attributes
    ----------
    cell, names
        The cell, and its gates in the order of a library.
    parameters
        Hyperparameters; None for what is usual.
    usual
        ``"chrono"``, ``"keras"`` or ``"pytorch"`` without them.
    weights
        The ensemble of every W, ``"orthogonal"`` or ``"gaussian"``, with them.
    steps
        The longest dependence, for ``"chrono"``.
    """

    cell: Cell
    names: tuple[str, ...]
    parameters: Parameters | None
    usual: str = ""
    weights: str = "orthogonal"
    steps: int = 100

    def arrays(self, draw: Draws, N: int, M: int) -> StackedArrays:
        """Return all arrays of a layer."""
        if self.parameters is None:
            return StackedArrays(self.recurrent(draw, N), self.entering(draw, N, M),
                                 *self.biases(draw, N))  # fmt: skip
        W, V, inner, outer = [], [], [], []
        for name in self.names:
            W.append(self._gate_recurrent(self.parameters, name, draw, N))
            V.append(self._gate_entering(self.parameters, name, draw, N, M))
            within, without = self._gate_biases(self.parameters, name, draw, N)
            inner.append(within)
            outer.append(without)
        return StackedArrays(*(np.concatenate(each) for each in (W, V, inner, outer)))

    def recurrent(self, draw: Draws, N: int) -> np.ndarray:
        """Return W, shape (K N, N)."""
        p, rows = self.parameters, len(self.names) * N
        if p is not None:
            return np.concatenate([self._gate_recurrent(p, each, draw, N) for each in self.names])
        if self.usual == "keras":
            return draw.orthogonal(rows, N)
        return 1 / math.sqrt(N) * draw.uniform(rows, N)

    def entering(self, draw: Draws, N: int, M: int) -> np.ndarray:
        """Return V, shape (K N, M)."""
        p, rows = self.parameters, len(self.names) * N
        if p is not None:
            return np.concatenate([self._gate_entering(p, each, draw, N, M) for each in self.names])
        edge = math.sqrt(6 / (M + rows)) if self.usual == "keras" else 1 / math.sqrt(N)
        return edge * draw.uniform(rows, M)

    def biases(self, draw: Draws, N: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the biases beside W and beside V, shape (K N,)."""
        if self.parameters is not None:
            found = [self._gate_biases(self.parameters, each, draw, N) for each in self.names]
            return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])
        bias = {name: np.zeros(N) for name in self.names}
        inner = np.zeros(len(self.names) * N)
        if self.usual == "keras" and self.cell is lstm:
            bias["forget"] = np.ones(N)
        if self.usual == "pytorch":
            edge = 1 / math.sqrt(N)
            bias = {name: edge * draw.uniform(N) for name in self.names}
            inner = edge * draw.uniform(*inner.shape)
        if self.usual == "chrono":
            bias |= _chrono(self.cell, N, self.steps, draw)
        return inner, np.concatenate(list(bias.values()))

    def _outside(self, name: str) -> str:
        """Return whose V and outer bias a gate has: a candidate that is reset has its own."""
        apart = self.cell is gru_reset_after and name == "candidate"
        return "candidate_input" if apart else name

    def _gate_recurrent(self, p: Parameters, name: str, draw: Draws, N: int) -> np.ndarray:
        is_orthogonal = self.weights == "orthogonal"
        unit = draw.orthogonal(N, N) if is_orthogonal else draw.normal(N, N) / N**0.5
        return p[name].weight_std * unit

    def _gate_entering(self, p: Parameters, name: str, draw: Draws, N: int, M: int) -> np.ndarray:
        return p[self._outside(name)].input_std / math.sqrt(M) * draw.normal(N, M)

    def _gate_biases(
        self, p: Parameters, name: str, draw: Draws, N: int
    ) -> tuple[np.ndarray, np.ndarray]:
        own, entering = p[name], p[self._outside(name)]
        outer = entering.bias_mean + entering.bias_std * draw.normal(N)
        if self._outside(name) == name:
            return np.zeros(N), outer
        return own.bias_mean + own.bias_std * draw.normal(N), outer


def _chrono(cell: Cell, N: int, steps: int, draw: Draws) -> dict[str, np.ndarray]:
    """Return biases of gates that remember for 1 to T - 1 steps."""
    if cell not in (lstm, gru, gru_reset_after):
        raise ParameterError(f"{cell.name} has no gate: 'chrono' is for an LSTM or a GRU")
    keeps = np.log(1 + (max(2.0, steps - 1.0) - 1) * (draw.uniform(N) + 1) / 2)
    return {"forget": keeps, "input": -keeps} if cell is lstm else {"update": keeps}


def fitting_biases(
    cell: Cell,
    names: Sequence[str],
    arrays: StackedArrays,
    inner: Sequence[bool],
    outer: Sequence[bool],
    remedy: str,
) -> StackedArrays:
    """Return the arrays with their biases where a layer has a place for them.

    Parameters
    ----------
    cell, names, arrays
        The cell, its gates and their arrays.
    inner, outer
        Of which gates the layer has a bias beside W, and beside V.
    remedy
        What the message says.

    Raises
    ------
    ParameterError
        If a bias that is not 0 has no place.

    Examples
    --------
    >>> arrays = StackedArrays(np.eye(2), np.eye(2), np.ones(2), np.ones(2))
    >>> from rmt_jacobian.cells import vanilla
    >>> found = fitting_biases(vanilla, ["candidate"], arrays, [False], [True], "")
    >>> found.inner, found.outer
    (array([0., 0.]), array([2., 2.]))
    """
    K, N = len(names), arrays.W.shape[1]
    within, without = arrays.inner.reshape(K, N).copy(), arrays.outer.reshape(K, N).copy()
    for k, name in enumerate(names):
        apart = cell is gru_reset_after and name == "candidate"
        if not apart and inner[k] != outer[k]:
            total = within[k] + without[k]
            within[k], without[k] = inner[k] * total, outer[k] * total
        lost = [each for each, has in ((within[k], inner[k]), (without[k], outer[k])) if not has]
        if np.any(lost):
            raise ParameterError(f"this needs biases, and {remedy}")
    return StackedArrays(arrays.W, arrays.V, within.ravel(), without.ravel())
