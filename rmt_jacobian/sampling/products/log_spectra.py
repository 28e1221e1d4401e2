"""Log singular values of sampled products of Jacobians over many steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.arrays import Device, Seed, namespace, spawn
from rmt_jacobian.cells import Cell, Point, cell_and_parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.datasets import Labelled
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.labelled import sample_dataset, settings_of
from rmt_jacobian.sampling.networks.memory import check_memory
from rmt_jacobian.sampling.networks.network import run_network
from rmt_jacobian.sampling.products.product_svd import LogSingularValues, log_singular_values
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights

__all__ = ["LogSpectra", "sample_log_singular_values"]


@dataclass(frozen=True)
class LogSpectra:
    r"""Log singular values of the products of sampled networks.

    Attributes
    ----------
    values
        :math:`\log s_i`, shape (samples, dN), decreasing along every row; minus infinity for exact
        zeros.
    errors
        Estimates of their absolute errors; inf where a value is not resolved.
    steps
        T.
    settings
        What was asked for, by name.
    """

    values: np.ndarray
    errors: np.ndarray
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resolved(self) -> np.ndarray:
        """Whether the error of a value is known to be small; exact zeros are resolved."""
        return np.isfinite(self.errors)

    @property
    def exponents(self) -> np.ndarray:
        r""":math:`\frac1T \log s_i`, which converge to the Lyapunov exponents."""
        return self.values / self.steps

    def to_xarray(self) -> Any:
        """Return an ``xarray.Dataset`` with the dimensions network and value.

        Its attributes are what was asked for.
        """
        places, meaning = ["network", "value"], "natural logarithms of singular values"
        found = {
            "log_singular_values": Labelled(places, self.values, meaning),
            "log_errors": Labelled(places, self.errors, "estimates of their absolute errors"),
        }
        return sample_dataset(found, self.settings, steps=self.steps)


def sample_log_singular_values(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Weights,
    steps: int,
    width: int = 256,
    samples: int = 4,
    seed: Seed = 0,
    tied: bool = False,
    workers: int | None = None,
    progress: bool = False,
    device: Device | ModuleType = "cpu",
) -> LogSpectra:
    """Sample the logarithms of all singular values of T-step products, to high relative accuracy.

    The networks are those of :func:`~rmt_jacobian.sampling.sample_singular_values` for the same
    seed, whose values below 1e-16 of the largest are noise; here each is resolved or said not to
    be.  See :func:`~rmt_jacobian.sampling.log_singular_values` for the errors.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    weights
        ``"gaussian"`` or ``"orthogonal"``, or one of their fast stand-ins.
    steps
        T.
    width, samples
        N and the number of independent networks.
    seed, tied, workers, progress
        As in :func:`~rmt_jacobian.comparison.sample_moments`.
    device
        As in :func:`~rmt_jacobian.sampling.run_network`.  All is done in double precision.

    Raises
    ------
    ParameterError
        If a number is out of its domain, the ensemble or the device is unknown, or there is no
        GPU.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> found = sample_log_singular_values(
    ...     minimalrnn, Parameters.of(minimalrnn), weights="orthogonal", steps=200, width=8,
    ...     samples=2, workers=1)
    >>> found.values.shape, bool((found.values[:, -1] < -300).all())
    ((2, 8), True)
    >>> bool((found.errors < 1e-8 * np.abs(found.values)).all())
    True
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    check_counts(samples=samples)
    checked_weights(weights)
    namespace(device)  # refused here rather than in every sample
    if device == "cpu":
        check_memory(cell, weights, width, len(cell.states) * width, samples, workers)

    def one(rng: np.random.Generator) -> LogSingularValues:
        run = run_network(
            cell, parameters, weights=weights, width=width, steps=steps, rng=rng, tied=tied,
            device=device,
        )  # fmt: skip
        return log_singular_values(run)

    title = f"{cell.name}, {weights} W{', tied' if tied else ''}"
    found = list(
        map_samples(
            one,
            spawn(seed, samples),
            workers=1 if workers is None and device != "cpu" else workers,
            progress=title if progress else None,
        )
    )
    settings = settings_of(
        cell, parameters,
        {"weights": weights, "steps": steps, "width": width, "samples": samples, "seed": seed,
         "tied": tied, "device": device},
    )  # fmt: skip
    values, errors = ([each.values for each in found], [each.errors for each in found])
    return LogSpectra(np.stack(values), np.stack(errors), steps, settings)
