"""Lyapunov exponents of sampled networks, by QR decompositions along the way."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from scipy.linalg import lapack
from tqdm import tqdm

from rmt_jacobian.arrays import Device, Seed, array_namespace, namespace, spawn, to_numpy
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, Point, cell_and_parameters
from rmt_jacobian.counts import check_counts, is_count
from rmt_jacobian.datasets import Labelled
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.labelled import sample_dataset, settings_of
from rmt_jacobian.sampling.networks.memory import check_memory
from rmt_jacobian.sampling.networks.network import NetworkStep, run_network
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights

__all__ = ["LyapunovSamples", "exponents_along", "sample_lyapunov"]

# A decomposition loses as many digits as the product spans orders of magnitude.  This is what the
# stride aims at; single steps of a Gaussian W may add another five.
_SPREAD = 1e6
# However little the product spreads, it must neither overflow nor underflow.
_SCALE = 1e100
_LONGEST = 50
_PATIENCE = 2.0  # seconds before a progress bar is shown


@dataclass(frozen=True)
class LyapunovSamples:
    r"""Finite-time Lyapunov exponents of sampled networks.

    Attributes
    ----------
    weights, steps, transient, width, tied
        The ensemble of W, the number of steps T that count, that of the steps before, N, and
        whether W is tied.
    exponents
        :math:`\lambda_i`, shape (samples, number of exponents), decreasing up to the noise of
        finite T.
    states
        d, the number of states of a site: there are d N exponents.
    spread
        The largest ratio met between the columns and the diagonal of one R, over samples.  The
        exponents it belongs to have a relative error of 1e-16 times it in their steps; from 1e14
        on a step is singular to rounding and the lowest exponents are noise.
    settings
        What was asked for, by name.
    """

    weights: Weights
    steps: int
    transient: int
    width: int
    tied: bool
    exponents: np.ndarray
    spread: float
    states: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def quantiles(self) -> np.ndarray:
        """The quantiles :math:`(i - 1/2) / (d N)` from the top that the exponents stand for."""
        return (np.arange(self.exponents.shape[1]) + 0.5) / (self.states * self.width)

    @property
    def mean(self) -> np.ndarray:
        """The exponents averaged over samples."""
        return self.exponents.mean(axis=0)

    @property
    def standard_error(self) -> np.ndarray:
        """The standard errors of :attr:`mean`; nan for a single sample and for infinite means."""
        samples = self.exponents.shape[0]
        if samples == 1:
            return np.full(self.exponents.shape[1], np.nan)
        with np.errstate(invalid="ignore"):
            return self.exponents.std(axis=0, ddof=1) / math.sqrt(samples)

    def to_xarray(self) -> Any:
        """Return an ``xarray.Dataset`` with the dimensions network and value.

        Its attributes are what was asked for.
        """
        meaning = "Lyapunov exponents in nats a step, largest first"
        quantile = Labelled(["value"], self.quantiles, "share of all exponents that is above")
        return sample_dataset(
            {"exponents": Labelled(["network", "value"], self.exponents, meaning, "1/step")},
            {**self.settings, "spread": self.spread},
            steps=self.steps,
            coordinates={"quantile": quantile},
        )


@dataclass(frozen=True)
class _Setting:
    cell: Cell
    parameters: Parameters
    weights: Weights
    width: int
    steps: int
    transient: int
    exponents: int
    tied: bool
    device: Device | ModuleType


@named_arguments
def sample_lyapunov(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Weights,
    steps: int,
    width: int = 256,
    samples: int = 4,
    exponents: int | None = None,
    transient: int | None = None,
    seed: Seed = 0,
    tied: bool = False,
    workers: int | None = None,
    progress: bool = False,
    device: Device | ModuleType = "cpu",
) -> LyapunovSamples:
    r"""Sample the Lyapunov exponents of products of Jacobians.

    .. math:: J_t \cdots J_1 Q_0 = Q_t R_t \cdots R_1, \qquad
              \lambda_i = \frac1T \sum_t \log |(R_t)_{ii}|

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    weights
        ``"gaussian"`` or ``"orthogonal"``, or one of their fast stand-ins.
    steps
        T, the number of steps that count.
    width, samples
        N and the number of independent networks.
    exponents
        How many, the largest; by default all d N of a cell with d states.  The cost of a step is
        proportional to it, the drawing of W apart.
    transient
        Steps before those that count, in which the columns of Q turn into their directions; by
        default a tenth of ``steps``.
    seed, tied, workers
        As in :func:`~rmt_jacobian.comparison.sample_moments`.
    progress
        Whether to show a progress bar, from two seconds on.
    device
        As in :func:`~rmt_jacobian.sampling.run_network`.  All is done in double precision.

    Notes
    -----
    The product is decomposed only when its columns spread over about six orders of magnitude,
    which the decomposition before foretells; ten digits are then left.

    At finite T these are not :math:`\frac1T \log` of the singular values, whose largest is never
    below the largest of these.  The two differ by O(1/T) where exponents are apart, by more
    between neighbours closer than that; either converges to the Lyapunov exponents of the N sites,
    and those to theory as N grows.

    Exponents of minus infinity, as of directions that a cell always forgets, come out as such or as
    large negative numbers, the noise of rounding; see :attr:`.LyapunovSamples.spread`.

    Raises
    ------
    ParameterError
        If a number is out of its domain, the ensemble or the device is unknown, or there is no
        GPU.

    References
    ----------
    :cite:t:`Benettin1980`; :cite:t:`EckmannRuelle1985`, section V.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> found = sample_lyapunov(vanilla, Parameters.of(vanilla), weights="orthogonal", steps=20,
    ...                         width=16, samples=2, workers=1)
    >>> found.exponents.shape, bool(np.all(found.exponents < 0.05))
    ((2, 16), True)
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    check_counts(steps=steps, samples=samples, width=width)
    transient = steps // 10 if transient is None else transient
    most = len(cell.states) * width
    exponents = most if exponents is None else exponents
    check_counts(exponents=exponents)
    if transient != 0 and not is_count(transient):
        raise ParameterError(f"transient must be a whole number >= 0, not {transient!r}")
    if exponents > most:
        raise ParameterError(
            f"exponents must be from 1 to the {most} of {len(cell.states)} x {width} variables, "
            f"not {exponents}"
        )
    setting = _Setting(
        cell, parameters, checked_weights(weights), width, steps, transient, exponents, tied,
        device,
    )  # fmt: skip
    namespace(device)  # refused here rather than in every sample
    if device == "cpu":
        check_memory(cell, weights, width, exponents, samples, workers)
    with _StepBar(setting, samples, progress) as bar:
        found = list(
            map_samples(
                lambda rng: _one_sample(setting, rng, bar.update),
                spawn(seed, samples),
                workers=1 if workers is None and device != "cpu" else workers,
            )
        )
    rows, spreads = zip(*found, strict=True)
    return LyapunovSamples(
        setting.weights, steps, transient, width, tied, np.stack(rows), max(spreads),
        len(cell.states),
        settings_of(
            cell, parameters,
            {"weights": weights, "steps": steps, "transient": transient, "width": width,
             "samples": samples, "seed": seed, "tied": tied, "device": device},
        ),
    )  # fmt: skip


class _StepBar:
    """A progress bar over the steps of all samples, which run in threads."""

    def __init__(self, setting: _Setting, samples: int, shown: bool) -> None:
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=samples * (setting.transient + setting.steps),
            desc=f"{setting.cell.name}, {setting.weights} W{', tied' if setting.tied else ''}",
            unit="step",
            disable=not shown,
            delay=_PATIENCE,
            mininterval=0.5,
        )

    def __enter__(self) -> "_StepBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def update(self, steps: int) -> None:
        with self._lock:
            self._bar.update(steps)


def _one_sample(
    setting: _Setting, rng: np.random.Generator, report: Callable[[int], None]
) -> tuple[np.ndarray, float]:
    """Return the exponents of one network and the largest spread of a decomposition."""
    return exponents_along(
        _run(setting, rng), setting.exponents, steps=setting.steps, transient=setting.transient,
        report=report,
    )  # fmt: skip


def exponents_along(
    path: Iterable[NetworkStep],
    count: int,
    *,
    steps: int,
    transient: int = 0,
    report: Callable[[int], None] = lambda steps: None,
) -> tuple[np.ndarray, float]:
    """Return the largest Lyapunov exponents along a path, and the largest spread met.

    Parameters
    ----------
    path
        The steps of a network, as many as are asked for.
    count
        How many exponents.
    steps, transient
        How many steps count, and how many come before.
    report
        Is told how many steps were done.
    """
    total, largest = np.zeros(count), 1.0
    block: Any = None
    ends = (transient, transient + steps)
    waiting = stride = 1
    for t, step in enumerate(path, start=1):
        states = len(step.states)
        if block is None:
            xp, width = array_namespace(step.x), step.x.shape[0]
            block = xp.eye(states * width, count, dtype=xp.float64)
        block = _passed_on(step, block, states)
        if waiting < stride and t not in ends:
            waiting += 1
            continue
        block, lengths, spread = _orthonormalised(block)
        if t > transient:
            with np.errstate(divide="ignore"):
                total += np.log(lengths)
        report(waiting)
        largest = max(largest, spread)
        stride, waiting = _next_stride(spread, lengths, waiting), 1
    return total / steps, largest


def _passed_on(step: NetworkStep, block: Any, states: int) -> Any:
    """Return J times a block whose rows are the sites of the first state, then of the second."""
    width = block.shape[0] // states
    passed = step.times([block[i * width : (i + 1) * width, :] for i in range(states)])
    return array_namespace(block).concat(passed, axis=0) if states > 1 else passed[0]


def _run(setting: _Setting, rng: np.random.Generator) -> Iterator[NetworkStep]:
    return run_network(
        setting.cell,
        setting.parameters,
        weights=setting.weights,
        width=setting.width,
        steps=setting.transient + setting.steps,
        rng=rng,
        tied=setting.tied,
        device=setting.device,
    )


def _orthonormalised(block: Any) -> tuple[Any, np.ndarray, float]:
    """Return Q, the absolute diagonal of R, and the span of R in orders of magnitude lost.

    Rounding errors of the product are of the size of its longest column; they are read off the
    diagonal at its smallest entry.
    """
    if not isinstance(block, np.ndarray):
        Q, upper = array_namespace(block).linalg.qr(block)
        return Q, *_span(to_numpy(upper))
    count = block.shape[1]
    work = 32 * count
    factored, factors, _, info = lapack.dgeqrf(np.asfortranarray(block), lwork=work)
    assert info == 0, f"dgeqrf refused argument {-info}"
    span = _span(np.triu(factored[:count]))
    Q, _, info = lapack.dorgqr(factored, factors, lwork=work, overwrite_a=True)
    assert info == 0, f"dorgqr refused argument {-info}"
    return Q, *span


def _span(R: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the absolute diagonal, and its smallest entry's share of the longest column."""
    lengths = np.abs(R.diagonal())
    peak, smallest = float(np.abs(R).max()), float(lengths.min())
    if smallest == 0:
        return lengths, math.inf
    scaled = R / peak  # squares of R itself may underflow
    longest = math.sqrt(np.einsum("ij,ij->j", scaled, scaled).max())
    return lengths, longest * (peak / smallest)


def _next_stride(spread: float, lengths: np.ndarray, steps: int) -> int:
    """Return after how many steps the spread or the size reaches its limit, growing as it did.

    Examples
    --------
    >>> ones = np.ones(2)
    >>> _next_stride(100.0, ones, 2), _next_stride(1.0, ones, 1), _next_stride(math.inf, ones, 3)
    (4, 2, 1)
    >>> _next_stride(1.0, 1e-80 * ones, 2)
    2
    """
    sizes = np.abs(np.log(lengths[lengths > 0]))
    size = float(sizes.max()) if sizes.size else 0.0
    reached = min(
        math.log(limit) * steps / growth if growth > 0 else math.inf
        for limit, growth in ((_SPREAD, math.log(spread)), (_SCALE, size))
    )
    # One decomposition says little of the next ones: trust it for twice the steps it has seen.
    return max(1, min(2 * steps, _LONGEST, int(min(reached, _LONGEST))))
