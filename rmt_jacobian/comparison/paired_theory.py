"""The theory of products on the sites of one sampled network, step after step."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import Cell, StepDerivatives
from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.mean_field.averages.one_site import is_single_site
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares
from rmt_jacobian.pencils import (
    BiInvariant,
    BlockChain,
    BlockHistory,
    SharedChain,
    chain_moments,
    ensemble,
)
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.sampling.networks.network import NetworkStep
from rmt_jacobian.sampling.weights.ensembles import TheoryWeights, Weights, ensemble_of

__all__ = ["MOST_SHARED", "AnyCell", "KeptWeights", "OneMatrix", "PairedTheory", "paired_theory"]

MOST_SHARED = 40
"""Steps with shared weights up to which m_2 is known, with T^2/2 unknowns for each W."""

_TRACE = 1e-60  # derivatives below it are taken for 0
_ROUNDING = 1e-12  # relative to m_2: what is smaller does not depend on the ensemble of W


class PairedTheory(Protocol):
    """What theory says on the sites of the steps that were added."""

    def add(self, step: NetworkStep) -> None:
        """Take one more step of the network."""
        ...

    def moments(self) -> tuple[float, float]:
        """Return m_1 and m_2 of the product so far."""
        ...

    def inferred_s_1(self, second_moment: float) -> float:
        """Return the s_1 at which the theory of one step has this second moment, or nan."""
        ...


def paired_theory(cell: Cell, weights: Weights, width: int, *, tied: bool = False) -> PairedTheory:
    """Return the theory for a cell, before any step; with ``tied`` that of shared weights."""
    if tied:
        return KeptWeights(cell, weights, width)
    return OneMatrix(weights) if is_single_site(cell) else AnyCell(cell, weights, width)


class OneMatrix:
    """The theory on the drawn sites of J_t = A_t + B_t W_t, step after step."""

    def __init__(self, weights: Weights) -> None:
        self._s_1 = float(s_coefficients_of_weights(ensemble_of(weights), 1)[0])
        self._paired: PairedMoments | None = None
        self._first_gate = np.zeros(1)

    def add(self, step: NetworkStep) -> None:
        """Take one more step of the network."""
        A, BW = _site_diagonals(step)
        if self._paired is None:
            self._paired, self._first_gate = PairedMoments.identity(BW), BW
        self._paired = self._paired.step(A, BW, weight_variance=1.0, s_1=self._s_1)

    def moments(self) -> tuple[float, float]:
        """Return m_1 and m_2 of the product so far."""
        assert self._paired is not None
        return self._paired.mean, self._paired.second_moment

    def inferred_s_1(self, second_moment: float) -> float:
        """Return the s_1 at which the theory of one step has this second moment."""
        slope = float(np.mean(self._first_gate * self._first_gate)) ** 2
        missing = self.moments()[1] - second_moment
        return self._s_1 + missing / slope if slope else float("nan")


class AnyCell:
    """The theory on the drawn sites of any cell: the power series of its chain."""

    def __init__(self, cell: Cell, weights: Weights, width: int) -> None:
        self._cell, self._width = cell, width
        self._weights: Weights = weights
        self._steps: list[StepDerivatives] = []

    def add(self, step: NetworkStep) -> None:
        """Take one more step of the network."""
        self._steps.append(_with_row_lengths(step))

    def moments(self, weights: TheoryWeights | None = None) -> tuple[float, float]:
        """Return m_1 and m_2 of the product so far, nan where they are not known."""
        history = BlockHistory.of(self._steps, self._cell, self._shares)
        # The rows of W have length 1 once their lengths, 0 for a W that is 0, are in the diagonals.
        name = weights or ensemble_of(self._weights)
        with np.errstate(all="ignore"):  # where it fails it says so: nan
            chain = self._chain(history, [ensemble(name, 1.0) for _ in history.names])
            _, mean, second = chain_moments(chain, 2)
        return mean, second

    @property
    def _shares(self) -> np.ndarray:
        return np.full(self._width, 1 / self._width)

    def _chain(self, history: BlockHistory, ensembles: list[BiInvariant]) -> Chain:
        return BlockChain.of(history, ensembles)

    def inferred_s_1(self, second_moment: float) -> float:
        """Return the s_1 at which the theory of one step has this second moment, if W is one."""
        if sum(each.reads_state for each in self._cell.preactivations) != 1:
            return float("nan")
        gaussian, orthogonal = self.moments("gaussian")[1], self.moments("orthogonal")[1]
        slope = gaussian - orthogonal  # s_1 = -1 and 0
        if abs(slope) <= _ROUNDING * orthogonal:
            return float("nan")
        return (orthogonal - second_moment) / slope


class KeptWeights(AnyCell):
    """The theory on the drawn sites of a network whose W are the same at all steps."""

    def moments(self, weights: TheoryWeights | None = None) -> tuple[float, float]:
        """Return m_1 and m_2 of the product so far; m_2 is nan beyond 40 steps."""
        if len(self._steps) <= MOST_SHARED:
            return super().moments(weights)
        states, gates = len(self._cell.states), len(self._cell.gates)
        paths = Paths.of(self._steps, self._shares, states, gates)
        return float(tied_mean_squares(paths, [1.0] * gates)[-1]), math.nan

    def _chain(self, history: BlockHistory, ensembles: list[BiInvariant]) -> Chain:
        return SharedChain.of(history, ensembles)


def _site_diagonals(step: NetworkStep) -> tuple[np.ndarray, np.ndarray]:
    """Return A, and B times the row lengths of W, of J = A + B W, as arrays over sites.

    The length of a row is correlated with the preactivation that the row produced.  Counted among
    the drawn site variables, it takes that correlation and most of the noise of W along; what is
    left of W has rows of length 1, the same S-transform, and is free from the sites.
    """
    zeros = np.zeros(step.x.shape[0])
    (W,) = step.weights
    assert W is not None, "the one source of a cell of this form is its state"
    A, B = step.derivatives.state.get((0, 0), 0.0), step.derivatives.gate[0, 0]
    return _on_host(A) + zeros, (_on_host(B) + zeros) * _on_host(W.row_lengths())


def _with_row_lengths(step: NetworkStep) -> StepDerivatives:
    """Return the diagonals of a step in which the rows of every W have length 1.

    With the lengths L_k of its rows, dE_k = W_k dY_k is L_k times the image of what is left of W_k;
    L_k then multiplies every derivative in e_k, as in :func:`_site_diagonals`.
    """
    lengths = [None if W is None else _on_host(W.row_lengths()) for W in step.weights]

    def scaled(table: Mapping[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
        return {
            (i, k): entry if lengths[k] is None else entry * lengths[k]
            for (i, k), entry in moved(table).items()
        }

    def moved(table: Mapping[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
        return {key: _on_host(entry) for key, entry in table.items()}

    d = step.derivatives
    tables = (moved(d.state), scaled(d.gate), moved(d.source_state), scaled(d.source_gate))
    return StepDerivatives(*(_without_traces(table) for table in tables))


def _on_host(diagonal: Any) -> Any:
    """Return an array over sites as a NumPy array in double precision; a number as it is."""
    return to_numpy(diagonal).astype(float, copy=False) if np.ndim(diagonal) else diagonal


def _without_traces(table: Mapping[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
    """Return a table whose tiny entries are 0: their fourth powers would underflow, and 0/0 follow.

    A tied network that dies out leaves such entries.
    """
    return {
        key: np.where(np.abs(entry) < _TRACE, 0.0, entry) if np.ndim(entry) else entry
        for key, entry in table.items()
    }
