"""The spectrum of a network while it is trained, as numbers for a log."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.counts import check_counts, is_count
from rmt_jacobian.errors import NotFiniteError, ParameterError
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
    complete
        Whether these are all singular values, and not quantiles.
    """

    values: np.ndarray
    complete: bool = True

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
        >>> LogSpectrum(np.array([0.0, 1.0, 2.0])).quantile(0.5)
        1.0
        """
        middle = (np.arange(self.values.size) + 0.5) / self.values.size
        above = min(int(np.searchsorted(middle, p)), len(middle) - 1)
        below = max(above - 1, 0)
        low, high = self.values[below], self.values[above]
        if not (np.isfinite(low) and np.isfinite(high)) or middle[above] == middle[below]:
            return float(high)
        share = min(max((p - middle[below]) / (middle[above] - middle[below]), 0.0), 1.0)
        return float(low + share * (high - low))

    def cdf(self, at: np.ndarray) -> np.ndarray:
        """Return the share up to each; what is not resolved is below."""
        values = np.where(np.isnan(self.values), -np.inf, self.values)
        return np.searchsorted(values, at, side="right") / values.size

    def distance(self, other: "LogSpectrum") -> float:
        """Return the Kolmogorov-Smirnov distance.

        Examples
        --------
        >>> one = LogSpectrum(np.array([0.0, 1.0]))
        >>> one.distance(one), one.distance(LogSpectrum(one.values + 0.5))
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
        values = path.quick_log_singular_values(steps)[::-1]
        if path.size <= _ACCURATE and np.isnan(values[0]):
            values = path.log_singular_values(steps)[::-1]
        return LogSpectrum(values)
    size = path.growth_rate(steps, directions=_VECTORS, seed=seed) ** 0.5
    if size == 0:
        return LogSpectrum(np.full(_SHARES, -np.inf), complete=False)
    product = JacobianProduct.of(path.last(steps))
    start = product.random_signs(generator(seed), _VECTORS)

    def gram(v: np.ndarray) -> np.ndarray:
        """Apply J^T J over the square of the size of J, whose powers may not be numbers."""
        blocks = np.split(v, product.states)
        for step in product.steps:
            blocks = [each / size for each in step.times(blocks)]
        for step in reversed(product.steps):
            blocks = [each / size for each in step.adjoint(blocks)]
        return np.concatenate(blocks)

    measures = [GaussQuadrature(c) for c in lanczos_recurrences(gram, start, _LANCZOS)]
    found = _bounded(measures, _KNOWN * steps)
    return LogSpectrum(found + steps * math.log(size), complete=False)


def _bounded(measures: Sequence[GaussQuadrature], tolerated: float) -> np.ndarray:
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
    return values


class SpectrumMonitor:
    """Measures a network whenever it is called, and returns a flat dict of numbers.

    Parameters
    ----------
    read
        Returns the network as it is now, such as ``lambda: rj.keras.network(layer)``.
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

    Raises
    ------
    ParameterError
        If an argument is out of its domain, or ``read`` returns no network.

    Examples
    --------
    >>> network = Network.sample("gru", width=16, input_size=4, seed=0)
    >>> monitor = SpectrumMonitor(lambda: network, steps=20)
    >>> sorted(monitor())[:2]
    ['distance_from_start', 'growth_rate']
    """

    def __init__(
        self,
        read: Callable[[], Network],
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
        self.quantiles = _numbers("quantiles", quantiles, 0, 1)
        (variance,) = _numbers("input_variance", [input_variance], 0, math.inf)
        self._read, self.steps = read, steps
        self.prefix, self.seed = prefix, seed
        network = read()  # what does not fit is refused here rather than in the loop
        self._inputs = None if inputs is None else self._checked(inputs, network.input_size)
        self._std, self._length = math.sqrt(variance), transient + steps
        self._first: LogSpectrum | None = None
        self.records: list[dict[str, float]] = []

    def _checked(self, inputs: ArrayLike, size: int) -> np.ndarray:
        x = np.asarray(inputs, dtype=float)
        if x.ndim != 2 or len(x) < self.steps or x.shape[1] != size:
            raise ParameterError(
                f"inputs must have shape (n, {size}) with n >= {self.steps}, the steps, not "
                f"{x.shape}"
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
        try:
            values = self._measured(self._read())
        except NotFiniteError:
            values = [math.nan] * len(self.names)
        found = dict(zip(self.names, values, strict=True))
        at = len(self.records) if step is None else step
        self.records.append({"step": at, **found})
        return {self.prefix + name: value for name, value in found.items()}

    def _measured(self, network: Network) -> list[float]:
        # Threads on such small matrices wait for those of the training.
        small = threadpool_limits(1) if network.width <= 2 * _ACCURATE else nullcontext()
        with small, np.errstate(all="ignore"):
            path = network.run(self._driven(network))
            if not np.all(np.isfinite(path.states)):
                raise NotFiniteError("the states of the network overflow: it explodes")
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
        if not spectrum.complete:
            return path.growth_rate(self.steps, directions=_DIRECTIONS, seed=self.seed)
        logs = np.where(np.isnan(spectrum.values), -np.inf, spectrum.values)
        return float(np.exp((logsumexp(2 * logs) - math.log(logs.size)) / self.steps))

    def _driven(self, network: Network) -> np.ndarray:
        if self._inputs is not None:
            return self._inputs
        shape = (self._length, network.input_size)
        return self._std * np.random.default_rng(self.seed).standard_normal(shape)

    def plot(self, ax: Any = None) -> Any:
        """Draw the quantiles of the log singular values over the training; return the axes.

        The growth of squared gradients is on the second axis, where 1 keeps their size.
        """
        plotting = import_module("rmt_jacobian.plotting")
        return plotting.plot_monitor(self, ax)


def _numbers(name: str, given: Any, low: float, high: float) -> tuple[float, ...]:
    """Return numbers of a domain."""
    try:
        found = tuple(float(each) for each in given)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(low <= each <= high and math.isfinite(each) for each in found):
        between = f"between {low:g} and {high:g}" if math.isfinite(high) else f">= {low:g}"
        raise ParameterError(f"{name} must be finite and {between}, not {given!r}")
    return found
