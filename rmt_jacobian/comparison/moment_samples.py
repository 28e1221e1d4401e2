"""Moments of sampled products of Jacobians, each beside the theory on its own sites."""

from collections.abc import Mapping, Sequence
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
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Point, cell_and_parameters
from rmt_jacobian.comparison.paired_theory import paired_theory
from rmt_jacobian.counts import check_counts, counts_of, is_count
from rmt_jacobian.datasets import Labelled
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.labelled import sample_dataset
from rmt_jacobian.sampling.products.product import (
    jacobian_products,
    product_moments,
    singular_values,
)
from rmt_jacobian.sampling.products.setting import SINGULAR_VALUES, Setting
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights

__all__ = ["MomentSamples", "sample_moments"]


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
        What theory says on the sites of each sample, the row lengths of W included, that of
        shared weights for a tied network; m_2 of that is nan beyond 40 steps, and any is nan
        where two states of a site have become multiples of each other to rounding, as in a network
        that has died out.
    s_1
        s_1 of W W^T inferred from the one-step product of each sample, shape (samples,); nan where
        the cell has more than one W, whose contributions the product does not tell apart, or none.
    singular_values
        Those of the products of the first samples, for the numbers of steps that were asked for;
        shape (samples, dN).  As of :func:`sample_singular_values`, those below 1e-14 of the largest
        are noise.
    settings
        What was asked for, by name.
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
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_xarray(self) -> Any:
        """Return an ``xarray.Dataset`` with the dimensions network and step, and value of spectra.

        Its attributes are what was asked for.  Spectra that were not kept are nan.
        """
        moments = {
            "mean": (self.mean, "m_1 of J J^T"),
            "second_moment": (self.second_moment, "m_2 of J J^T"),
            "paired_mean": (self.paired_mean, "m_1 by theory on the same sites"),
            "paired_second_moment": (self.paired_second_moment, "m_2 by theory on the same sites"),
        }
        found = {name: Labelled(["network", "step"], *each) for name, each in moments.items()}
        found["s_1"] = Labelled(["network"], self.s_1, "s_1 of W W^T from the product of one step")
        if self.singular_values:
            spectra = _padded(self.singular_values, self.steps, len(self.s_1))
            places = ["network", "step", "value"]
            found["singular_values"] = Labelled(places, spectra, SINGULAR_VALUES)
        return sample_dataset(found, self.settings, steps=self.steps)


def _padded(spectra: Mapping[int, np.ndarray], steps: Sequence[int], networks: int) -> np.ndarray:
    """Return spectra of all networks after all steps, nan where there is none."""
    known = next(iter(spectra.values()))
    found = np.full((networks, len(steps), known.shape[1]), np.nan)
    for T, rows in spectra.items():
        found[: len(rows), steps.index(T)] = rows
    return found


@dataclass(frozen=True)
class _Sample:
    """Moments by number of steps, the inferred s_1, and singular values by number of steps."""

    moments: list[list[float]]
    s_1: float
    spectra: dict[int, np.ndarray]


@named_arguments
def sample_moments(
    cell: Cell | str,
    parameters: Point = None,
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
        Whether one W serves all steps; the paired theory is then that of shared weights.
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
    source h, and the power series of a :class:`.BlockChain` for all others, of a
    :class:`.SharedChain` for tied weights.  Every row length of a
    W counts among the variables of its site.

    Examples
    --------
    >>> found = sample_moments("minimalrnn", weights="gaussian", steps=[1, 2], width=16, samples=3,
    ...                        workers=1)
    >>> found.second_moment.shape
    (3, 2)
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    if not is_count(samples) or samples < 2:
        raise ParameterError(
            f"samples must be at least 2 for a standard error, a whole number, not {samples!r}"
        )
    steps, spectra_at = counts_of("steps", steps), counts_of("spectra_at", spectra_at)
    if spectra_at:
        check_counts(spectra=spectra)
    if not steps:
        raise ParameterError("steps must be a list of numbers of steps, such as [1, 5]")
    if not set(spectra_at) <= set(steps):
        raise ParameterError("spectra are kept at numbers of steps that are sampled: add them")
    setting = Setting(
        cell, parameters, checked_weights(weights), width, tuple(sorted(set(steps))), tied,
        device, checked_precision(dtype),
    )  # fmt: skip
    namespace(device)  # refused here rather than in every sample
    setting.check_memory(samples, workers)
    found = map_samples(
        lambda task: _one_sample(setting, task[1], spectra_at if task[0] < spectra else ()),
        list(enumerate(spawn(seed, samples))),
        workers=setting.workers(workers),
        progress=setting.title if progress else None,
    )
    rows = list(found)
    columns = np.moveaxis(np.array([row.moments for row in rows]), 2, 0)
    s_1 = np.array([row.s_1 for row in rows])
    kept = {T: np.stack([row.spectra[T] for row in rows[:spectra]]) for T in spectra_at}
    return MomentSamples(
        weights, setting.steps, width, tied, *columns, s_1=s_1, singular_values=kept,
        settings=setting.named(setting.steps, samples, seed),
    )  # fmt: skip


def _one_sample(setting: Setting, rng: np.random.Generator, spectra_at: Sequence[int]) -> _Sample:
    rows: list[list[float]] = []
    spectra: dict[int, np.ndarray] = {}
    inferred = float("nan")
    paired = paired_theory(setting.cell, setting.weights, setting.width, tied=setting.tied)
    for t, step, product in jacobian_products(setting.run(rng), (1, *setting.steps)):
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
