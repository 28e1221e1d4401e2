"""Eigenvalues of the one-step Jacobians of sampled networks."""

from types import ModuleType
from typing import Literal, get_args

import numpy as np

from rmt_jacobian.arrays import Device, Precision, Seed, checked_precision, namespace, spawn
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Point, cell_and_parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.labelled import SampledValues, settings_of
from rmt_jacobian.sampling.networks.eigenvalues import jacobian_eigenvalues
from rmt_jacobian.sampling.networks.network import run_network
from rmt_jacobian.sampling.networks.rest import network_at_rest
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights

__all__ = ["Dynamics", "checked_dynamics", "sample_eigenvalues"]

Dynamics = Literal["tied", "untied", "fixed-point"]


def checked_dynamics(dynamics: str) -> Dynamics:
    """Return the name of a kind of dynamics, or raise :class:`ParameterError`."""
    if dynamics not in get_args(Dynamics):
        known = ", ".join(get_args(Dynamics))
        raise ParameterError(f"unknown dynamics {dynamics!r}: use one of {known}")
    return dynamics  # pyright: ignore[reportReturnType]


@named_arguments
def sample_eigenvalues(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Weights,
    dynamics: Dynamics = "tied",
    width: int = 512,
    samples: int = 4,
    seed: Seed = 0,
    workers: int | None = None,
    progress: bool = False,
    device: Device | ModuleType = "cpu",
    dtype: Precision = "float64",
) -> SampledValues:
    """Sample the eigenvalues of the Jacobian of one step; complex, shape (samples, d N).

    Parameters
    ----------
    cell, parameters, weights
        The cell, its hyperparameters and the ensemble of every W.
    dynamics
        ``"tied"``: a network with one W for all times, long after its start; ``"untied"``: fresh W
        at every step; ``"fixed-point"``: at a fixed point of a tied network, stable or not.
    width, samples
        N and the number of independent networks.
    seed
        The k-th sample depends on the seed and on k alone.
    workers, progress
        How many networks run at a time, and whether to show a progress bar.
    device, dtype
        Where and in which precision the networks run, as in
        :func:`~rmt_jacobian.sampling.run_network`.  Their Jacobians are decomposed on the host, in
        double precision; fixed points are found there, too.

    Returns
    -------
    SampledValues
        An array; its ``to_xarray()`` has named dimensions and what was asked for.

    Raises
    ------
    ParameterError
        If an argument is out of its domain.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, lstm
    >>> values = sample_eigenvalues(lstm, Parameters.of(lstm), weights="orthogonal",
    ...                             dynamics="untied", width=8, samples=2, workers=1)
    >>> values.shape
    (2, 16)
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    checked_weights(weights)
    checked_dynamics(dynamics)
    checked_precision(dtype)
    namespace(device)  # refused here rather than in every sample
    if dynamics == "fixed-point" and (device, dtype) != ("cpu", "float64"):
        raise ParameterError("fixed points are found on device 'cpu' in float64: leave both out")
    check_counts(width=width, samples=samples)

    def one(rng: np.random.Generator) -> np.ndarray:
        if dynamics == "fixed-point":
            step = network_at_rest(cell, parameters, weights=weights, width=width, rng=rng)
        else:
            tied = dynamics == "tied"
            run = run_network(
                cell, parameters, weights=weights, width=width, steps=1, rng=rng, tied=tied,
                device=device, dtype=dtype,
            )  # fmt: skip
            step = next(run)
        return jacobian_eigenvalues(step)

    title = f"{cell.name}, {weights} W, {dynamics}" if progress else None
    workers = 1 if workers is None and device != "cpu" else workers
    found = np.stack(list(map_samples(one, spawn(seed, samples), workers=workers, progress=title)))
    settings = settings_of(
        cell, parameters,
        {"weights": weights, "dynamics": dynamics, "width": width, "samples": samples,
         "seed": seed, "device": device, "dtype": dtype},
    )  # fmt: skip
    return SampledValues.of(
        found, "eigenvalues", settings, meaning="eigenvalues of the Jacobian of one step"
    )
