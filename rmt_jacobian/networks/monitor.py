"""The spectrum of a network while it is trained, as numbers for a log."""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.counts import check_counts, is_count
from rmt_jacobian.errors import ParameterError, RoundingWarning
from rmt_jacobian.networks.network import Network
from rmt_jacobian.networks.trajectory import Trajectory
from rmt_jacobian.sampling.matrix_free.lanczos import lanczos_recurrences
from rmt_jacobian.sampling.matrix_free.product import JacobianProduct
from rmt_jacobian.sampling.matrix_free.quadrature import GaussQuadrature

__all__ = ["LogSpectrum", "SpectrumMonitor", "log_spectrum_of"]

_ACCURATE, _DENSE = 256, 1024  # variables up to which all values, or the product, are worth it
_LANCZOS, _VECTORS = 24, 4  # steps and vectors beyond
_SEEN = 1e-14  # of the largest, of squares where they are what is seen: below is noise
_SHARES, _FINE = 50, 400  # quantiles that bounds are turned into, and where these are taken
_KNOWN = 0.02  # half the width of bounds a step, beyond which a quantile is not resolved
_DIRECTIONS = 32  # random gradients


@dataclass(frozen=True)
class LogSpectrum:
    """Logarithms of singular values as a staircase.

    Attributes
    ----------
    values
        In ascending order, nan where one is not resolved, minus infinity for 0.
    weights
        The share of each, of sum 1.
    """

    values: np.ndarray
    weights: np.ndarray

    @property
    def largest(self) -> float:
        """The largest."""
        return float(self.values[-1])

    @property
    def log_condition(self) -> float:
        """The largest less the smallest, nan where that is not resolved."""
        return float(self.values[-1] - self.values[0])

    def quantile(self, p: float) -> float:
        """Return the value below which the share p lies, nan where it is not resolved.

        Examples
        --------
        >>> LogSpectrum(np.array([0.0, 1.0, 2.0]), np.full(3, 1 / 3)).quantile(0.5)
        1.0
        """
        middle = np.cumsum(self.weights) - self.weights / 2
        above = min(int(np.searchsorted(middle, p)), len(middle) - 1)
        below = max(above - 1, 0)
        low, high = self.values[below], self.values[above]
        if not (np.isfinite(low) and np.isfinite(high)) or middle[above] == middle[below]:
            return float(high)
        share = min(max((p - middle[below]) / (middle[above] - middle[below]), 0.0), 1.0)
        return float(low + share * (high - low))

    def cdf(self, at: np.ndarray) -> np.ndarray:
        """Return the share up to each; what is not resolved is below."""
        values = np.nan_to_num(self.values, nan=-np.inf)
        total = np.concatenate([[0.0], np.cumsum(self.weights)])
        return total[np.searchsorted(values, at, side="right")]

    def distance(self, other: "LogSpectrum") -> float:
        """Return the Kolmogorov-Smirnov distance.

        Examples
        --------
        >>> one = LogSpectrum(np.array([0.0, 1.0]), np.full(2, 0.5))
        >>> one.distance(one), one.distance(LogSpectrum(one.values + 0.5, one.weights))
        (0.0, 0.5)
        """
        at = np.concatenate([self.values, other.values])
        at = at[np.isfinite(at)]
        return float(np.max(np.abs(self.cdf(at) - other.cdf(at)), initial=0.0))


def log_spectrum_of(path: Trajectory, steps: int, *, seed: Seed = 0) -> LogSpectrum:
    """Return the logarithms of the singular values of the last steps, the quick way.

    Parameters
    ----------
    path
        What a network did.
    steps
        T.
    seed
        Of the vectors that wide networks are seen by.

    Notes
    -----
    Up to 1,024 variables the product is multiplied out and decomposed; values below 1e-14 of the
    largest are nan, but up to 256, where the accurate product finds them all. Beyond, 24 Lanczos
    steps from each of 4 random vectors bound the distribution function (the inequalities of
    Chebyshev, Markov and Stieltjes, see :meth:`.LanczosSpectrum.cdf_bounds`); quantiles that these
    leave open by more than 0.02 a step either way are nan, as are the lower ones of many steps.
    """
    if path.size <= _DENSE:
        values = _quick(path, steps)
        if path.size <= _ACCURATE and np.isnan(values[0]):
            values = path.log_singular_values(steps)[::-1]
        return LogSpectrum(values, np.full(values.size, 1 / values.size))
    product = JacobianProduct.of(path.last(steps))
    start = product.random_signs(generator(seed), _VECTORS)
    measures = [GaussQuadrature(c) for c in lanczos_recurrences(product.gram, start, _LANCZOS)]
    return _bounded(measures, _KNOWN * steps)


def _quick(path: Trajectory, steps: int) -> np.ndarray:
    """Return logarithms, ascending, of what the product as it stands resolves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundingWarning)
        s = path.singular_values(steps)[::-1]
    with np.errstate(divide="ignore"):
        return np.where(s >= _SEEN * s[-1], np.log(s), np.nan)


def _bounded(measures: Sequence[GaussQuadrature], tolerated: float) -> LogSpectrum:
    """Return the quantiles that bounds of the distribution function leave no doubt about."""
    top = max(float(each.nodes[-1]) for each in measures)
    log_s = np.linspace(math.log(top * _SEEN), math.log(top), _FINE) / 2
    bounds = np.array([each.bounds(np.exp(2 * log_s)) for each in measures]).mean(axis=0)
    below, above = (np.maximum.accumulate(each) for each in bounds)
    shares = (np.arange(_SHARES) + 0.5) / _SHARES
    first = np.searchsorted(above, shares)  # before it the share is not reached
    last = np.searchsorted(below, shares)  # from here on it is
    low, high = log_s[np.maximum(first - 1, 0)], log_s[np.minimum(last, _FINE - 1)]
    known = (first > 0) & (high - low <= 2 * tolerated)
    values = np.where(known, (low + high) / 2, np.nan)
    values[-1] = math.log(top) / 2  # of the largest, Lanczos knows more than bounds say
    return LogSpectrum(values, np.full(_SHARES, 1 / _SHARES))


class SpectrumMonitor:
    """Measures a network whenever it is called, and returns a flat dict of numbers.

    Parameters
    ----------
    read
        Returns the network as it is now; None where its arrays are not finite.
    steps
        T, over which singular values and gradients are measured.
    quantiles
        Of the log singular values.
    inputs
        What the network is run on, shape (n, M) with n > T: the steps before the last T let it
        settle. By default Gaussian inputs, the same at every call.
    input_variance
        Of these.
    transient
        How many steps come before the T.
    prefix
        Put before every name.
    seed
        Of all that is random.

    Attributes
    ----------
    records
        What was found, with ``"step"``, the step of training.
    """

    def __init__(
        self,
        read: Callable[[], Network | None],
        steps: int = 50,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        inputs: ArrayLike | None = None,
        input_variance: float = 1.0,
        transient: int = 50,
        prefix: str = "",
        seed: int = 0,
    ) -> None:
        check_counts(steps=steps)
        if transient != 0 and not is_count(transient):
            raise ParameterError(f"transient must be a whole number >= 0, not {transient!r}")
        if not quantiles or not all(0 <= p <= 1 for p in quantiles):
            raise ParameterError(f"quantiles must lie between 0 and 1, not {quantiles!r}")
        if not (input_variance >= 0 and math.isfinite(input_variance)):
            raise ParameterError(f"input_variance must be >= 0, not {input_variance!r}")
        self._read, self.steps, self.quantiles = read, steps, tuple(quantiles)
        self.prefix, self.seed = prefix, seed
        self._inputs = None if inputs is None else self._checked(inputs)
        self._std, self._length = math.sqrt(input_variance), transient + steps
        self._first: LogSpectrum | None = None
        self.records: list[dict[str, float]] = []

    def _checked(self, inputs: ArrayLike) -> np.ndarray:
        x = np.asarray(inputs, dtype=float)
        if x.ndim != 2 or len(x) < self.steps:
            raise ParameterError(
                f"inputs must have shape (n, M) with n >= {self.steps}, the steps, not {x.shape}"
            )
        return x

    @property
    def names(self) -> list[str]:
        """The names of the numbers, without the prefix."""
        quantiles = [f"log_singular_value_{100 * p:g}%" for p in self.quantiles]
        return ["growth_rate", *quantiles, "largest_log_singular_value", "log10_condition_number",
                "largest_lyapunov_exponent", "distance_from_start"]  # fmt: skip

    def __call__(self, step: int | None = None) -> dict[str, float]:
        """Measure the network as it is now.

        Parameters
        ----------
        step
            Of the training, for the figure; by default calls are counted.

        Returns
        -------
        dict
            ``growth_rate``, by what squared gradients grow a step over the T steps;
            ``log_singular_value_5%`` and so on; ``largest_log_singular_value``;
            ``log10_condition_number``; ``largest_lyapunov_exponent``, in nats a step;
            ``distance_from_start``, the Kolmogorov-Smirnov distance of the log singular values from
            those of the first call. Numbers that are not resolved, and all of a network whose
            arrays are not finite, are nan.
        """
        network = self._read()
        values = [math.nan] * len(self.names) if network is None else self._measured(network)
        found = dict(zip(self.names, values, strict=True))
        at = len(self.records) if step is None else step
        self.records.append({"step": at, **found})
        return {self.prefix + name: value for name, value in found.items()}

    def _measured(self, network: Network) -> list[float]:
        # Threads on such small matrices wait for those of the training.
        small = threadpool_limits(1) if network.width <= 2 * _ACCURATE else nullcontext()
        with small, np.errstate(all="ignore"):
            path = network.run(self._driven(network))
            spectrum = log_spectrum_of(path, self.steps, seed=self.seed)
            growth = self._growth(path, spectrum)
            exponent = path.lyapunov_exponents(1)[0]
        if self._first is None:
            self._first = spectrum
        quantiles = [spectrum.quantile(p) for p in self.quantiles]
        condition = spectrum.log_condition / math.log(10)
        distance = spectrum.distance(self._first)
        return [growth, *quantiles, spectrum.largest, condition, float(exponent), distance]

    def _growth(self, path: Trajectory, spectrum: LogSpectrum) -> float:
        if spectrum.values.size < path.size:
            return path.growth_rate(self.steps, directions=_DIRECTIONS, seed=self.seed)
        mean_square = np.mean(np.exp(2 * np.nan_to_num(spectrum.values, nan=-np.inf)))
        return float(mean_square ** (1 / self.steps))

    def _driven(self, network: Network) -> np.ndarray:
        if self._inputs is not None:
            return self._inputs
        shape = (self._length, network.input_size)
        return self._std * np.random.default_rng(self.seed).standard_normal(shape)

    def plot(self, ax: Any = None) -> Any:
        """Draw the quantiles of the log singular values over the training; return the axes.

        The growth of squared gradients is on the second axis, where 1 keeps their size.
        """
        plotting = import_module("rmt_jacobian.plotting.training")
        return plotting.plot_monitor(self, ax)
