"""Singular values of products of Jacobians along sampled networks."""

import warnings
from types import ModuleType

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
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import RoundingWarning
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.labelled import SampledValues
from rmt_jacobian.sampling.products.product import jacobian_products, singular_values
from rmt_jacobian.sampling.products.setting import SINGULAR_VALUES, Setting
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights

__all__ = ["sample_singular_values"]

_NOISE = {"float64": 1e-14, "float32": 1e-6}  # of the largest singular value


@named_arguments
def sample_singular_values(
    cell: Cell | str,
    parameters: Point = None,
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
) -> SampledValues:
    """Sample the singular values of T-step products; shape (samples, dN), largest first.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    weights
        ``"gaussian"``, ``"orthogonal"``, ``"fast-gaussian"`` or ``"fast-orthogonal"``, of every W.
    steps
        T.
    width, samples
        N and the number of independent networks.
    seed
        The k-th sample depends on the seed and on k alone.
    tied
        Whether one W serves all steps.
    workers
        How many networks run at a time: by default one for each core, and one on a GPU.
    progress
        Whether to show a progress bar.
    device, dtype
        As in :func:`~rmt_jacobian.sampling.run_network`.

    Returns
    -------
    SampledValues
        An array; its ``to_xarray()`` has named dimensions and what was asked for.

    Warns
    -----
    RoundingWarning
        If some values are below 1e-14 of the largest of their network (1e-6 in single precision).
        The product is formed as it stands, so that these are rounding noise, whatever the true
        values are; :func:`.sample_log_singular_values` resolves them, at a higher cost.

    Examples
    --------
    >>> values = sample_singular_values("vanilla", weights="orthogonal", steps=1, width=8,
    ...                                 samples=2, workers=1)
    >>> values.shape
    (2, 8)
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    check_counts(samples=samples)
    setting = Setting(
        cell, parameters, checked_weights(weights), width, (steps,), tied,
        device, checked_precision(dtype),
    )  # fmt: skip
    namespace(device)  # refused here rather than in every sample
    setting.check_memory(samples, workers)

    def one(rng: np.random.Generator) -> np.ndarray:
        *_, (_, _, product) = jacobian_products(setting.run(rng), setting.steps)
        return to_numpy(singular_values(product))

    found = map_samples(
        one,
        spawn(seed, samples),
        workers=setting.workers(workers),
        progress=setting.title if progress else None,
    )
    values = np.stack(list(found))
    if lost := int(np.sum(values < _NOISE[setting.dtype] * values.max(axis=1, keepdims=True))):
        warnings.warn(
            f"{lost} of {values.size} singular values are below {_NOISE[setting.dtype]:g} of the "
            "largest and rounding noise: sample_log_singular_values (spectrum --log) resolves them",
            RoundingWarning,
            stacklevel=3,
        )
    settings = setting.named(steps, samples, seed)
    return SampledValues.of(
        values, "singular_values", settings, meaning=SINGULAR_VALUES, steps=steps
    )
