"""Sampled moments and spectra of products that are never formed."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from tqdm import tqdm

from rmt_jacobian.arrays import Device, Precision, Seed, array_namespace, spawn
from rmt_jacobian.cells import Cell, Parameters, Point, cell_and_parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.matrix_free.factors import StepFactors
from rmt_jacobian.sampling.matrix_free.lanczos import lanczos_recurrences
from rmt_jacobian.sampling.matrix_free.lanczos_spectrum import LanczosSpectrum, mean_and_error
from rmt_jacobian.sampling.matrix_free.noise_of_weights import NoiseOfWeights, noise_of_weights
from rmt_jacobian.sampling.matrix_free.product import JacobianProduct
from rmt_jacobian.sampling.matrix_free.quadrature import GaussQuadrature
from rmt_jacobian.sampling.matrix_free.shared_mean import shared_mean_on_sites
from rmt_jacobian.sampling.matrix_free.site_moments import (
    SiteMoments,
    covariances,
    moments_on_sites,
)
from rmt_jacobian.sampling.matrix_free.vector_moments import (
    VectorMoments,
    controlled,
    vector_moments,
)
from rmt_jacobian.sampling.networks.network import run_network
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights, ensemble_of

__all__ = ["MatrixFreeMoments", "MatrixFreeSample", "sample_matrix_free"]

_Groups: TypeAlias = list[Sequence[np.random.SeedSequence]]

_PATIENCE = 2.0  # seconds before a progress bar appears
_BLOCK = 16  # vectors at a time where that costs less than one after the other
_IN_CACHE = 1 << 17  # numbers


@dataclass(frozen=True)
class MatrixFreeMoments:
    r"""m_1 and m_2 of :math:`J J^T` by random sign vectors, beside the theory on the same sites.

    Attributes
    ----------
    weights, steps, width, tied
        The ensemble of W, T, N, and whether W is tied.
    mean, second_moment
        :math:`|J v|^2 / dN` and :math:`|J^T J v|^2 / dN`, shape (networks, vectors).
    reduced_second_moment
        The same as ``second_moment`` with known noise removed, see :mod:`.vector_moments`; equal to
        it for tied networks, whose W are not fresh.
    reduced_error
        Relative standard error of the mean of ``reduced_second_moment``, by the noise of all
        vectors.
    paired_mean, paired_second_moment
        What theory says on the drawn sites at infinite width, shape (networks,).  Of tied networks
        it is that of shared weights: m_1 of up to 200 steps, and nan for what is not known.
    noise_of_weights
        How far W makes the moments of one network differ from that theory, mean and standard
        deviation, relative and of order 1/N: see :class:`.NoiseOfWeights`.
    """

    weights: Weights
    steps: int
    width: int
    tied: bool
    mean: np.ndarray
    second_moment: np.ndarray
    reduced_second_moment: np.ndarray
    reduced_error: float
    paired_mean: np.ndarray
    paired_second_moment: np.ndarray
    noise_of_weights: NoiseOfWeights

    def estimate(self) -> dict[str, tuple[float, float]]:
        """Return m_1 and m_2 with standard errors.

        With two networks or more the errors have the scatter of sites and W in them; with one, that
        of the vectors alone.
        """
        second, error = _numbers(self.reduced_second_moment)
        if len(self.mean) == 1:
            error = second * self.reduced_error
        return {"mean": _numbers(self.mean), "second_moment": (second, error)}

    def ratio_to_paired(self) -> dict[str, tuple[float, float]]:
        """Return sampled over paired moments with standard errors: 1 within them by theory.

        The scatter of the sites cancels.  That of the vectors is left, and what W does at finite
        width: its scatter from network to network, and its mean, which more networks do not lessen.
        """
        noise, networks = self.noise_of_weights, len(self.mean)
        mean, mean_error = _numbers((self.mean / self.paired_mean[:, None]).reshape(1, -1))
        second = float(np.mean(self.reduced_second_moment / self.paired_second_moment[:, None]))
        return {
            "mean": (mean, math.hypot(mean_error, noise.mean.error(networks))),
            "second_moment": (
                second,
                math.hypot(second * self.reduced_error, noise.second_moment.error(networks)),
            ),
        }


def _numbers(values: np.ndarray) -> tuple[float, float]:
    mean, error = mean_and_error(values)
    return float(mean), float(error)


@dataclass(frozen=True, eq=False)
class MatrixFreeSample:
    """Moments and, if any Lanczos steps were made, the law of the singular values.

    Attributes
    ----------
    moments
        By all vectors.
    spectrum
        By the first vectors of each network; None without Lanczos steps.
    """

    moments: MatrixFreeMoments
    spectrum: LanczosSpectrum | None


@dataclass(frozen=True)
class _Setting:
    cell: Cell
    parameters: Parameters
    weights: Weights
    width: int
    steps: int
    tied: bool
    vectors: int
    lanczos_vectors: int
    lanczos_steps: int
    reorthogonalize: bool
    workers: int | None
    device: Device | ModuleType
    dtype: Precision


def sample_matrix_free(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Weights = "fast-orthogonal",
    steps: int,
    width: int,
    samples: int = 1,
    vectors: int = 8,
    lanczos_steps: int = 50,
    lanczos_vectors: int | None = None,
    reorthogonalize: bool = True,
    seed: Seed = 0,
    tied: bool = False,
    workers: int | None = None,
    progress: bool = False,
    device: Device | ModuleType = "cpu",
    dtype: Precision = "float64",
) -> MatrixFreeSample:
    r"""Sample moments and the law of the singular values of T-step products without forming them.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    weights
        The ensemble of every W: ``"fast-orthogonal"`` and ``"fast-gaussian"`` need O(N) memory and
        O(N log N) time for a step, ``"orthogonal"`` and ``"gaussian"`` N^2 of each.
    steps
        T.
    width, samples
        N and the number of networks.
    vectors
        Random sign vectors for each network.
    lanczos_steps, lanczos_vectors
        Lanczos steps from how many of the vectors, by default from all of them; no steps, no
        spectrum.
    reorthogonalize
        As in :func:`.lanczos_recurrences`; without it memory does not grow with the Lanczos steps.
    seed
        The k-th network depends on the seed and on k alone, and so do its vectors.
    tied
        Whether one W serves all steps.
    workers
        Vectors, or blocks of them, that are worked on at a time.
    progress
        Whether to show a progress bar, from two seconds on.
    device, dtype
        As in :func:`~rmt_jacobian.sampling.run_network`.

    Raises
    ------
    ParameterError
        If a number is out of its domain or the ensemble is unknown.

    Notes
    -----
    A Lanczos step costs one product with J and one with its transpose.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> found = sample_matrix_free(vanilla, Parameters.of(vanilla), weights="fast-orthogonal",
    ...                            steps=3, width=1024, vectors=4, lanczos_steps=20, workers=1)
    >>> ratio, error = found.moments.ratio_to_paired()["second_moment"]
    >>> bool(abs(ratio - 1) < 6 * error + 3 / 1024)
    True
    >>> bool(0 < found.spectrum.cdf(1.0) < 1)
    True
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    if lanczos_vectors is None:
        lanczos_vectors = vectors if lanczos_steps else 0
    check_counts(samples=samples, vectors=vectors, steps=steps)
    if lanczos_steps < 0:
        raise ParameterError(f"Lanczos steps must be a whole number >= 0, not {lanczos_steps}")
    least = min(1, lanczos_steps)
    if not least <= lanczos_vectors <= vectors:
        raise ParameterError(
            f"Lanczos vectors must be {least} to {vectors}, the number of vectors, "
            f"not {lanczos_vectors}"
        )
    setting = _Setting(
        cell, parameters, checked_weights(weights), width, steps, tied, vectors, lanczos_vectors,
        lanczos_steps, reorthogonalize, workers, device, dtype,
    )  # fmt: skip
    total = samples * (vectors + lanczos_vectors * lanczos_steps)
    seeds = spawn(seed, samples + 1)
    with _Bar(f"{cell.name}, {weights} W, T = {steps}", total, progress) as bar:
        found = [_one_network(setting, rng, bar.update) for rng in seeds[:samples]]
    noise = noise_of_weights(
        cell, parameters, weights=weights, steps=steps, width=width, tied=tied, rng=seeds[-1],
        workers=workers,
    )  # fmt: skip
    measures = tuple(tuple(each.measures) for each in found)
    dimension = len(cell.states) * width
    return MatrixFreeSample(
        _moments(setting, found, noise),
        LanczosSpectrum(measures, dimension) if lanczos_steps else None,
    )


@dataclass(frozen=True)
class _Network:
    paired: SiteMoments
    moments: list[VectorMoments]
    measures: list[GaussQuadrature]


def _one_network(
    setting: _Setting, rng: np.random.Generator, report: Callable[[int], None]
) -> _Network:
    network_rng, vector_rng = rng.spawn(2)
    product = JacobianProduct.of(
        run_network(
            setting.cell, setting.parameters, weights=setting.weights, width=setting.width,
            steps=setting.steps, rng=network_rng, tied=setting.tied, device=setting.device,
            dtype=setting.dtype,
        )
    )  # fmt: skip
    sequence: Any = vector_rng.bit_generator.seed_seq
    groups = _grouped(sequence.spawn(setting.vectors), _block_size(setting, product))
    paired, moments = _by_signs(setting, product, groups, report)
    measures = _by_lanczos(setting, product, groups, report) if setting.lanczos_steps else []
    return _Network(paired, moments, measures)


def _by_signs(
    setting: _Setting, product: JacobianProduct, groups: _Groups, report: Callable[[int], None]
) -> tuple[SiteMoments, list[VectorMoments]]:
    """Return the theory on the drawn sites, and moments by all vectors."""
    factors = [StepFactors.of(step) for step in product.steps]
    through = covariances(factors)
    ensemble = ensemble_of(setting.weights)
    s_1 = float(s_coefficients_of_weights(ensemble, 1)[0])

    def one(seeds: Sequence[np.random.SeedSequence]) -> VectorMoments:
        signs = _vectors(product, seeds)
        found = vector_moments(factors, through, signs, orthogonal=ensemble == "orthogonal")
        report(len(seeds))
        return found

    found = list(map_samples(one, groups, workers=setting.workers))
    if setting.tied:
        return SiteMoments(shared_mean_on_sites(factors, setting.width), math.nan), found
    return moments_on_sites(factors, s_1, through), found


def _by_lanczos(
    setting: _Setting, product: JacobianProduct, groups: _Groups, report: Callable[[int], None]
) -> list[GaussQuadrature]:
    """Return the measures of the first vectors."""
    size = len(groups[0])
    groups = _grouped([seed for group in groups for seed in group][: setting.lanczos_vectors], size)

    def one(seeds: Sequence[np.random.SeedSequence]) -> list[GaussQuadrature]:
        coefficients = lanczos_recurrences(
            product.gram,
            _vectors(product, seeds),
            setting.lanczos_steps,
            reorthogonalize=setting.reorthogonalize,
            report=lambda: report(len(seeds)),
        )
        return [GaussQuadrature(each) for each in coefficients]

    found = map_samples(one, groups, workers=setting.workers)
    return [each for group in found for each in group]


def _block_size(setting: _Setting, product: JacobianProduct) -> int:
    """Return how many vectors are sent through a product at a time."""
    if product.dense:
        return max(1, min(_BLOCK, math.ceil(setting.vectors / 2)))
    return max(1, min(_BLOCK, _IN_CACHE // product.dimension))


def _grouped(seeds: Sequence[np.random.SeedSequence], size: int) -> _Groups:
    return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def _vectors(product: JacobianProduct, seeds: Sequence[np.random.SeedSequence]) -> Any:
    """Return one sign vector for each seed, whatever the others are."""
    columns = [product.random_signs(np.random.default_rng(seed)) for seed in seeds]
    if len(columns) == 1:
        return columns[0]
    return array_namespace(columns[0]).stack(columns, axis=1)


def _moments(
    setting: _Setting, found: Sequence[_Network], noise: NoiseOfWeights
) -> MatrixFreeMoments:
    mean, second, backward = (
        np.array([np.concatenate([getattr(m, name) for m in each.moments]) for each in found])
        for name in ("mean", "second_moment", "backward")
    )
    paired_mean = np.array([each.paired.mean for each in found])
    paired_second = np.array([each.paired.second_moment for each in found])
    # In units of the theory, so that one coefficient serves all networks.
    safe_mean, safe_second = (np.where(m > 0, m, 1.0) for m in (paired_mean, paired_second))
    ratio, control = second / safe_second[:, None], 0 * mean
    if not setting.tied:
        ratio = (second - backward) / safe_second[:, None]
        control = mean / safe_mean[:, None] - 1
    kept, error = controlled(ratio.ravel(), control.ravel())
    reduced = second if setting.tied else kept.reshape(ratio.shape) * safe_second[:, None]
    return MatrixFreeMoments(
        setting.weights, setting.steps, setting.width, setting.tied, mean, second, reduced,
        error / float(kept.mean()) if kept.mean() else math.nan, paired_mean, paired_second, noise,
    )  # fmt: skip


class _Bar:
    """A progress bar over products with J and its transpose, which run in threads."""

    def __init__(self, title: str, total: int, shown: bool) -> None:
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=total, desc=title, unit="product", disable=not shown, delay=_PATIENCE,
            mininterval=0.5,
        )  # fmt: skip

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def update(self, products: int) -> None:
        with self._lock:
            self._bar.update(products)
