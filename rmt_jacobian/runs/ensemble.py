"""The sampled part of a run: spectra of products of Jacobians of independent networks."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np

from rmt_jacobian.arrays import Device, Precision, checked_precision, namespace, to_numpy
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.runs.layout import Index
from rmt_jacobian.sampling import (
    NetworkStep,
    Weights,
    checked_weights,
    jacobian_products,
    run_network,
    singular_values,
)
from rmt_jacobian.sampling.products.product_svd import LogSingularValues, log_singular_values

__all__ = ["Ensemble", "Spectrum"]

Spectrum = Literal["plain", "log"]

MOST = 10_000_000  # steps, sites or samples; what a machine can hold is less
_PLAIN, _LOG, _ERRORS = "singular_values", "log_singular_values", "log_errors"


@dataclass(frozen=True)
class Ensemble:
    r"""Independent networks at every point of a grid, and the singular values of their products.

    .. math:: s(J), \qquad J = J_T \cdots J_1

    Attributes
    ----------
    weights
        The ensemble of every W.
    steps, width, samples
        T, N, and the number of networks at every point.
    seed
        With the index of a sample, (point..., sample), it determines the sample alone.
    tied
        Whether one W, V and b serve all steps.
    spectrum
        ``"plain"`` singular values, of the product as it stands, whose values below 1e-16 of the
        largest are rounding noise; or their logarithms, ``"log"``, each to high relative accuracy,
        with estimates of their errors (inf where a value is not resolved).
    device, dtype
        Where the networks run, ``"cpu"`` or ``"gpu"``, and in ``"float64"`` or ``"float32"``.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> ensemble = Ensemble("orthogonal", steps=1, width=4, samples=10)
    >>> found = ensemble.tasks(vanilla, Parameters.of(vanilla), (7,))
    >>> found["singular_values"]().shape
    (4,)
    """

    weights: Weights
    steps: int
    width: int
    samples: int
    seed: int = 0
    tied: bool = False
    spectrum: Spectrum = "plain"
    device: Device = "cpu"
    dtype: Precision = "float64"

    def __post_init__(self) -> None:
        checked_weights(self.weights)
        for name in ("steps", "width", "samples"):
            check_whole(name, getattr(self, name), 1, MOST)
        check_whole("seed", self.seed, 0)
        if not isinstance(self.tied, bool):
            raise ParameterError(f"tied must be true or false, not {self.tied!r}")
        if self.spectrum not in get_args(Spectrum):
            known = ", ".join(get_args(Spectrum))
            raise ParameterError(f"unknown spectrum {self.spectrum!r}: use one of {known}")
        if self.device not in get_args(Device):
            raise ParameterError(f"unknown device {self.device!r}: use 'cpu' or 'gpu'")
        checked_precision(self.dtype)

    @property
    def dimensions(self) -> dict[str, int]:
        """What tasks are spread over at each point."""
        return {"sample": self.samples}

    def results(self, cell: Cell) -> dict[str, dict[str, int]]:
        """Return the names of the results of a sample, and their dimensions."""
        own = {"index": len(cell.states) * self.width}
        return {_PLAIN: own} if self.spectrum == "plain" else {_LOG: own, _ERRORS: own}

    def check_here(self) -> None:
        """Raise :class:`ParameterError` if this process lacks the device."""
        namespace(self.device)

    def tasks(
        self, cell: Cell, parameters: Parameters, index: Index
    ) -> dict[str, Callable[[], np.ndarray]]:
        """Return what computes each result of one sample; on one BLAS thread, the same bits."""
        network = self._network(cell, parameters, index)
        if self.spectrum == "plain":
            return {_PLAIN: lambda: self._singular_values(network)}

        @cache
        def found() -> LogSingularValues:
            # The bases are drawn apart from the network: no network has an index this long.
            return log_singular_values(
                network, seed=np.random.SeedSequence(self.seed, spawn_key=(*index, 0))
            )

        return {_LOG: lambda: found().values, _ERRORS: lambda: found().errors}

    def _network(self, cell: Cell, parameters: Parameters, index: Index) -> Iterator[NetworkStep]:
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=index))
        return run_network(
            cell, parameters, weights=self.weights, width=self.width, steps=self.steps, rng=rng,
            tied=self.tied, device=self.device, dtype=self.dtype,
        )  # fmt: skip

    def _singular_values(self, network: Iterator[NetworkStep]) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):  # which is noticed below
            *_, (_, _, product) = jacobian_products(network, [self.steps])
        if np.all(np.isfinite(to_numpy(product))):
            return to_numpy(singular_values(product))
        raise ConvergenceError(
            'the product has left the range of floating point: use spectrum = "log"'
        )

    def named(self) -> dict[str, Any]:
        """Return the attributes by name, as JSON would hold them."""
        return {"quantity": "spectrum", **asdict(self)}


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Raise :class:`ParameterError` unless a value is a whole number from least to most."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParameterError(f"{name} must be a whole number, at least {least}, not {value!r}")
    if most is not None and value > most:
        raise ParameterError(f"{name} must be at most {most}, not {value}")
