"""Ensembles of sampled networks: moments with their paired theory, and spectra."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.mean_field.averages import single_site
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.ensembles import Weights, checked_weights
from rmt_jacobian.sampling.network import NetworkStep, run_network
from rmt_jacobian.sampling.products import jacobian_products, product_moments, singular_values

__all__ = ["MomentSamples", "sample_moments", "sample_singular_values"]


@dataclass(frozen=True)
class MomentSamples:
    """Moments of J J^T of sampled networks, beside the theory on their own sites.

    Arrays of moments have shape (samples, number of steps asked for).

    Attributes
    ----------
    weights, steps, width, tied
        The ensemble of W, the numbers of steps T in increasing order, N, and whether W is tied.
    mean, second_moment
        m_1 and m_2 of each sample.
    paired_mean, paired_second_moment
        What the untied theory says on the sites of each sample, the row lengths of W included.
    s_1
        s_1 of W W^T inferred from the one-step product of each sample, shape (samples,).
    singular_values
        Those of the products of the first samples, for the numbers of steps that were asked for;
        shape (samples, N).
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
) -> MomentSamples:
    r"""Sample products of Jacobians and compare each with the theory on its own sites.

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation.
    weights
        ``"gaussian"`` or ``"orthogonal"``.
    steps
        The numbers of steps T; every sample serves all of them.
    width, samples
        N and the number of independent networks, at least 2.
    seed
        The k-th sample depends on the seed and on k alone.
    tied
        Whether one W serves all steps; the paired theory remains that of untied weights.
    workers
        How many networks run at a time.
    progress
        Whether to show a progress bar.
    spectra_at, spectra
        Of which of the steps the singular values are kept too, and of how many of the samples: a
        decomposition costs as much as several steps.

    Notes
    -----
    On given sites the theory of one step is linear in s_1,
    :math:`m_2 = m_2|_{s_1=0} - s_1 (\sigma_w^2 \langle B^2 \rangle)^2`, which is solved for s_1.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> found = sample_moments(minimalrnn, Parameters.of(minimalrnn), weights="gaussian",
    ...                        steps=[1, 2], width=16, samples=3, workers=1)
    >>> found.second_moment.shape
    (3, 2)
    """
    single_site(cell)
    if samples < 2:
        raise ParameterError(f"samples must be at least 2 for a standard error, not {samples}")
    if not steps:
        raise ParameterError("give at least one number of steps")
    if not set(spectra_at) <= set(steps):
        raise ParameterError("spectra are kept at numbers of steps that are sampled: add them")
    setting = _Setting(
        cell, parameters, checked_weights(weights), width, tuple(sorted(set(steps))), tied
    )
    found = map_samples(
        lambda task: _one_sample(setting, task[1], spectra_at if task[0] < spectra else ()),
        list(enumerate(spawn(seed, samples))),
        workers=workers,
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
    return f"{setting.cell.name}, {setting.weights} W{', tied' if setting.tied else ''}"


def _one_sample(setting: _Setting, rng: np.random.Generator, spectra_at: Sequence[int]) -> _Sample:
    s_1 = float(s_coefficients_of_weights(setting.weights, 1)[0])
    rows: list[list[float]] = []
    spectra: dict[int, np.ndarray] = {}
    inferred = float("nan")
    paired: PairedMoments | None = None
    for t, step, product in jacobian_products(_run(setting, rng), (1, *setting.steps)):
        A, BW = _site_diagonals(step)
        paired = paired or PairedMoments.identity(BW)
        paired = paired.step(A, BW, weight_variance=1.0, s_1=s_1)
        if product is None:
            continue
        sampled = product_moments(product)
        if t == 1:
            through_weights = float(np.mean(BW * BW))
            missing = paired.second_moment - sampled[1]
            inferred = s_1 + missing / through_weights**2 if through_weights else float("nan")
        if t in setting.steps:
            rows.append([*sampled, paired.mean, paired.second_moment])
        if t in spectra_at:
            spectra[t] = singular_values(product)
    return _Sample(rows, inferred, spectra)


def _run(setting: _Setting, rng: np.random.Generator) -> Iterator[NetworkStep]:
    return run_network(
        setting.cell,
        setting.parameters,
        weights=setting.weights,
        width=setting.width,
        steps=max(setting.steps),
        rng=rng,
        tied=setting.tied,
    )


def _site_diagonals(step: NetworkStep) -> tuple[np.ndarray, np.ndarray]:
    """Return A, and B times the row lengths of W, of J = A + B W, as arrays over sites.

    The length of a row is correlated with the preactivation that the row produced.  Counted among
    the drawn site variables, it takes that correlation and most of the noise of W along; what is
    left of W has rows of length 1, the same S-transform, and is free from the sites.
    """
    zeros = np.zeros_like(step.x)
    (W,) = step.weights
    assert W is not None, "the one source of a cell of this form is its state"
    B = step.derivatives.gate[0, 0] + zeros
    return step.derivatives.state.get((0, 0), 0.0) + zeros, B * W.row_lengths()


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
) -> np.ndarray:
    """Sample the singular values of T-step products; shape (samples, N), largest first.

    Parameters are those of :func:`sample_moments`, with one number of steps.  The product is
    formed as it stands, so values below 1e-16 of the largest are rounding noise.

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
    setting = _Setting(cell, parameters, checked_weights(weights), width, (steps,), tied)

    def one(rng: np.random.Generator) -> np.ndarray:
        *_, (_, _, product) = jacobian_products(_run(setting, rng), setting.steps)
        return singular_values(product)

    title = _title(setting) if progress else None
    return np.stack(list(map_samples(one, spawn(seed, samples), workers=workers, progress=title)))
