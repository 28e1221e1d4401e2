"""Ensembles of sampled networks: moments with their paired theory, and spectra."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.arrays import (
    Device,
    Precision,
    Seed,
    checked_precision,
    namespace,
    spawn,
    to_numpy,
)
from rmt_jacobian.cells import Cell, Parameters, StepDerivatives
from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.errors import ParameterError, RoundingWarning
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.mean_field.averages import is_single_site
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils import BlockChain, BlockHistory, chain_moments, ensemble
from rmt_jacobian.sampling.ensembles import (
    TheoryWeights,
    Weights,
    checked_weights,
    ensemble_of,
)
from rmt_jacobian.sampling.memory import check_memory
from rmt_jacobian.sampling.network import NetworkStep, run_network
from rmt_jacobian.sampling.products import jacobian_products, product_moments, singular_values

__all__ = ["MomentSamples", "sample_moments", "sample_singular_values"]

_TRACE = 1e-60  # derivatives below it are taken for 0
_NOISE = {"float64": 1e-14, "float32": 1e-6}  # of the largest singular value
_ROUNDING = 1e-12  # relative to m_2: what is smaller does not depend on the ensemble of W


@dataclass(frozen=True)
class MomentSamples:
    """Moments of J J^T of sampled networks, beside the theory on their own sites.

    Arrays of moments have shape (samples, number of steps asked for).

    Attributes
    ----------
    weights, steps, width, tied
        The ensemble of W, the numbers of steps T in increasing order, N, and whether W is tied.
    mean, second_moment
        m_1 and m_2 of each sample, over all dN singular values of a cell of d states.
    paired_mean, paired_second_moment
        What the untied theory says on the sites of each sample, the row lengths of W included; nan
        where two states of a site have become multiples of each other to rounding, as in a network
        that has died out.
    s_1
        s_1 of W W^T inferred from the one-step product of each sample, shape (samples,); nan where
        the cell has more than one W, whose contributions the product does not tell apart, or none.
    singular_values
        Those of the products of the first samples, for the numbers of steps that were asked for;
        shape (samples, dN).  As of :func:`sample_singular_values`, those below 1e-14 of the largest
        are noise.
    """

    weights: Weights
    steps: tuple[int, ...]
    width: int
    tied: bool
    mean: np.ndarray
    second_moment: np.ndarray
    paired_mean: np.ndarray
    paired_second_moment: np.ndarray
    s_1: np.ndarray
    singular_values: Mapping[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class _Setting:
    cell: Cell
    parameters: Parameters
    weights: Weights
    width: int
    steps: tuple[int, ...]
    tied: bool
    device: Device | ModuleType = "cpu"
    dtype: Precision = "float64"

    def workers(self, wanted: int | None) -> int | None:
        """Return how many networks run at a time: one on a GPU, which each fills by itself."""
        return 1 if wanted is None and self.device != "cpu" else wanted

    def check_memory(self, samples: int, workers: int | None) -> None:
        """Refuse networks that the memory of this machine cannot hold."""
        if self.device == "cpu":
            columns = len(self.cell.states) * self.width
            check_memory(
                self.cell, self.weights, self.width, columns, samples, self.workers(workers)
            )


@dataclass(frozen=True)
class _Sample:
    """Moments by number of steps, the inferred s_1, and singular values by number of steps."""

    moments: list[list[float]]
    s_1: float
    spectra: dict[int, np.ndarray]


def sample_moments(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: Weights,
    steps: Sequence[int],
    width: int = 512,
    samples: int = 16,
    seed: Seed = 0,
    tied: bool = False,
    workers: int | None = None,
    progress: bool = False,
    spectra_at: Sequence[int] = (),
    spectra: int = 16,
    device: Device | ModuleType = "cpu",
    dtype: Precision = "float64",
) -> MomentSamples:
    r"""Sample products of Jacobians and compare each with the theory on its own sites.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    weights
        ``"gaussian"``, ``"orthogonal"``, ``"fast-gaussian"`` or ``"fast-orthogonal"``, of every W.
    steps
        The numbers of steps T; every sample serves all of them.
    width, samples
        N and the number of independent networks, at least 2.
    seed
        The k-th sample depends on the seed and on k alone.
    tied
        Whether one W serves all steps; the paired theory remains that of untied weights.
    workers
        How many networks run at a time: by default one for each core, and one on a GPU.
    progress
        Whether to show a progress bar.
    spectra_at, spectra
        Of which of the steps the singular values are kept too, and of how many of the samples: a
        decomposition costs as much as several steps.
    device, dtype
        As in :func:`~rmt_jacobian.sampling.run_network`.  The paired theory is evaluated on the
        host, in double precision.

    Notes
    -----
    On given sites the theory of one step of a cell with one W is linear in s_1, for
    :math:`J = A + B W` as :math:`m_2 = m_2|_{s_1=0} - s_1 (\sigma_w^2 \langle B^2 \rangle)^2`,
    and is solved for s_1.

    The paired theory is :class:`.PairedMoments` for cells of one state h and one preactivation with
    source h, and the power series of a :class:`.BlockChain` for all others.  Every row length of a
    W counts among the variables of its site.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> found = sample_moments(minimalrnn, Parameters.of(minimalrnn), weights="gaussian",
    ...                        steps=[1, 2], width=16, samples=3, workers=1)
    >>> found.second_moment.shape
    (3, 2)
    """
    if samples < 2:
        raise ParameterError(f"samples must be at least 2 for a standard error, not {samples}")
    if not steps:
        raise ParameterError("give at least one number of steps")
    if not set(spectra_at) <= set(steps):
        raise ParameterError("spectra are kept at numbers of steps that are sampled: add them")
    setting = _Setting(
        cell, parameters, checked_weights(weights), width, tuple(sorted(set(steps))), tied,
        device, checked_precision(dtype),
    )  # fmt: skip
    namespace(device)  # refused here rather than in every sample
    setting.check_memory(samples, workers)
    found = map_samples(
        lambda task: _one_sample(setting, task[1], spectra_at if task[0] < spectra else ()),
        list(enumerate(spawn(seed, samples))),
        workers=setting.workers(workers),
        progress=_title(setting) if progress else None,
    )
    rows = list(found)
    columns = np.moveaxis(np.array([row.moments for row in rows]), 2, 0)
    s_1 = np.array([row.s_1 for row in rows])
    kept = {T: np.stack([row.spectra[T] for row in rows[:spectra]]) for T in spectra_at}
    return MomentSamples(
        weights, setting.steps, width, tied, *columns, s_1=s_1, singular_values=kept
    )


def _title(setting: _Setting) -> str:
    tied = ", tied" if setting.tied else ""
    return f"{setting.cell.name}, {setting.weights} W, N = {setting.width}{tied}"


def _one_sample(setting: _Setting, rng: np.random.Generator, spectra_at: Sequence[int]) -> _Sample:
    rows: list[list[float]] = []
    spectra: dict[int, np.ndarray] = {}
    inferred = float("nan")
    paired = _OneMatrix(setting) if is_single_site(setting.cell) else _AnyCell(setting)
    for t, step, product in jacobian_products(_run(setting, rng), (1, *setting.steps)):
        paired.add(step)
        if product is None:
            continue
        sampled = product_moments(product)
        if t == 1:
            inferred = paired.inferred_s_1(sampled[1])
        if t in setting.steps:
            rows.append([*sampled, *paired.moments()])
        if t in spectra_at:
            spectra[t] = to_numpy(singular_values(product))
    return _Sample(rows, inferred, spectra)


class _OneMatrix:
    """The theory on the drawn sites of J_t = A_t + B_t W_t, step after step."""

    def __init__(self, setting: _Setting) -> None:
        self._s_1 = float(s_coefficients_of_weights(ensemble_of(setting.weights), 1)[0])
        self._paired: PairedMoments | None = None
        self._first_gate = np.zeros(1)

    def add(self, step: NetworkStep) -> None:
        A, BW = _site_diagonals(step)
        if self._paired is None:
            self._paired, self._first_gate = PairedMoments.identity(BW), BW
        self._paired = self._paired.step(A, BW, weight_variance=1.0, s_1=self._s_1)

    def moments(self) -> tuple[float, float]:
        assert self._paired is not None
        return self._paired.mean, self._paired.second_moment

    def inferred_s_1(self, second_moment: float) -> float:
        """Return the s_1 at which the theory of one step has this second moment."""
        slope = float(np.mean(self._first_gate * self._first_gate)) ** 2
        missing = self.moments()[1] - second_moment
        return self._s_1 + missing / slope if slope else float("nan")


class _AnyCell:
    """The theory on the drawn sites of any cell: the power series of its chain."""

    def __init__(self, setting: _Setting) -> None:
        self._setting = setting
        self._steps: list[StepDerivatives] = []

    def add(self, step: NetworkStep) -> None:
        self._steps.append(_with_row_lengths(step))

    def moments(self, weights: TheoryWeights | None = None) -> tuple[float, float]:
        setting = self._setting
        shares = np.full(setting.width, 1 / setting.width)
        history = BlockHistory.of(self._steps, setting.cell, shares)
        # The rows of W have length 1 once their lengths, 0 for a W that is 0, are in the diagonals.
        name = weights or ensemble_of(setting.weights)
        ensembles = [ensemble(name, 1.0) for _ in history.names]
        with np.errstate(all="ignore"):  # where it fails it says so: nan
            _, mean, second = chain_moments(BlockChain.of(history, ensembles), 2)
        return mean, second

    def inferred_s_1(self, second_moment: float) -> float:
        """Return the s_1 at which the theory of one step has this second moment, if W is one."""
        if sum(each.reads_state for each in self._setting.cell.preactivations) != 1:
            return float("nan")
        gaussian, orthogonal = self.moments("gaussian")[1], self.moments("orthogonal")[1]
        slope = gaussian - orthogonal  # s_1 = -1 and 0
        if abs(slope) <= _ROUNDING * orthogonal:
            return float("nan")
        return (orthogonal - second_moment) / slope


def _run(setting: _Setting, rng: np.random.Generator) -> Iterator[NetworkStep]:
    return run_network(
        setting.cell,
        setting.parameters,
        weights=setting.weights,
        width=setting.width,
        steps=max(setting.steps),
        rng=rng,
        tied=setting.tied,
        device=setting.device,
        dtype=setting.dtype,
    )


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


def sample_singular_values(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: Weights,
    steps: int,
    width: int = 512,
    samples: int = 16,
    seed: Seed = 0,
    tied: bool = False,
    workers: int | None = None,
    progress: bool = False,
    device: Device | ModuleType = "cpu",
    dtype: Precision = "float64",
) -> np.ndarray:
    """Sample the singular values of T-step products; shape (samples, dN), largest first.

    Parameters are those of :func:`sample_moments`, with one number of steps.

    Warns
    -----
    RoundingWarning
        If some values are below 1e-14 of the largest of their network (1e-6 in single precision).
        The product is formed as it stands, so that these are rounding noise, whatever the true
        values are; :func:`.sample_log_singular_values` resolves them, at a higher cost.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> values = sample_singular_values(vanilla, Parameters.of(vanilla), weights="orthogonal",
    ...                                 steps=1, width=8, samples=2, workers=1)
    >>> values.shape
    (2, 8)
    """
    if samples < 1:
        raise ParameterError(f"samples must be a whole number above 0, not {samples}")
    setting = _Setting(
        cell, parameters, checked_weights(weights), width, (steps,), tied,
        device, checked_precision(dtype),
    )  # fmt: skip
    namespace(device)  # refused here rather than in every sample
    setting.check_memory(samples, workers)

    def one(rng: np.random.Generator) -> np.ndarray:
        *_, (_, _, product) = jacobian_products(_run(setting, rng), setting.steps)
        return to_numpy(singular_values(product))

    found = map_samples(
        one,
        spawn(seed, samples),
        workers=setting.workers(workers),
        progress=_title(setting) if progress else None,
    )
    values = np.stack(list(found))
    if lost := int(np.sum(values < _NOISE[setting.dtype] * values.max(axis=1, keepdims=True))):
        warnings.warn(
            f"{lost} of {values.size} singular values are below {_NOISE[setting.dtype]:g} of the "
            "largest and rounding noise: sample_log_singular_values (spectrum --log) resolves them",
            RoundingWarning,
            stacklevel=2,
        )
    return values
