r"""One site on a circle of times: Gaussian drives of given spectra in, spectra of its sources out.

Time runs on a circle of P steps.  A covariance that is stationary there is a spectrum

.. math:: \lambda(\omega) = \sum_\tau C(\tau) e^{-i \omega \tau} \ge 0

so that its processes are drawn exactly by a Fourier transform, what is measured is again a spectrum
>= 0, and all P times count.  A frozen part, constant at all lags, is the mode at frequency 0.  What
the circle changes falls off like the covariance at lag P, so P only has to be long enough.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import scipy.fft

from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.site_paths import low_discrepancy_normals

__all__ = [
    "Inputs",
    "Lap",
    "SiteOnCircle",
    "check_inputs",
    "drive_covariances",
    "drive_spectra",
    "lagged",
    "require_bounded",
    "spectrum_of",
    "unit_modes",
    "without_frequency_zero",
]

Inputs = Literal["fresh", "constant"]

_LARGEST = 1e50  # fourth powers are still numbers
_QUIET_MODES = 16  # frequencies, from 0 up, that are drawn with low discrepancy


def require_bounded(cell: Cell, values: np.ndarray) -> None:
    """Refuse states that are on their way out of the range of floating-point numbers."""
    if not np.all(np.abs(values) < _LARGEST):
        raise ConvergenceError(f"the states of {cell.name} grow without bound: lower weight_std")


def check_inputs(inputs: str) -> None:
    """Refuse an unknown kind of inputs."""
    if inputs not in get_args(Inputs):
        raise ParameterError(f"unknown inputs {inputs!r}: use 'fresh' or 'constant'")


def lagged(spectra: np.ndarray, period: int) -> np.ndarray:
    """Return the covariances at lags 0, ..., P/2 of spectra along the last axis.

    Examples
    --------
    >>> lagged(np.ones(5), 8)  # white noise
    array([1., 0., 0., 0., 0.])
    """
    return scipy.fft.irfft(spectra, period, axis=-1)[..., : period // 2 + 1]


def spectrum_of(covariances: np.ndarray, period: int) -> np.ndarray:
    """Return the spectra of covariances at lags 0, 1, ...; longer lags repeat the last one.

    Estimated covariances may have no process; what is negative in their spectrum is set to 0, so
    that the result is the start of an iteration and no answer.
    """
    lags = np.minimum(np.arange(period // 2 + 1), covariances.shape[-1] - 1)
    half = covariances[..., lags]
    whole = np.concatenate([half, half[..., -2:0:-1]], axis=-1)
    return np.maximum(scipy.fft.rfft(whole, axis=-1).real, 0.0)


def without_frequency_zero(spectra: np.ndarray) -> np.ndarray:
    """Return the fluctuating part of spectra."""
    fluctuating = spectra.copy()
    fluctuating[..., 0] = 0.0
    return fluctuating


def unit_modes(processes: int, period: int, sites: int, rng: np.random.Generator) -> np.ndarray:
    """Draw independent Fourier modes of unit white noise, shape (processes, P/2 + 1, sites).

    At every frequency the sample covariance over the sites is made exactly the unit matrix.  Of
    all that averages over a circle of times can see, this removes the noise to second order.
    """
    frequencies = period // 2 + 1
    quiet = min(_QUIET_MODES, frequencies)
    real, imaginary = rng.standard_normal((2, frequencies, processes, sites))
    normal = low_discrepancy_normals(2 * quiet * processes, sites, rng)
    normal = normal.reshape(quiet, 2, processes, sites)
    real[:quiet], imaginary[:quiet] = normal[:, 0], normal[:, 1]
    modes = (real + 1j * imaginary) / np.sqrt(2)
    modes[[0, -1]] = real[[0, -1]]
    modes[0] -= modes[0].mean(axis=-1, keepdims=True)
    covariance = modes @ np.swapaxes(modes.conj(), -1, -2) / sites
    white = np.linalg.solve(np.linalg.cholesky(covariance), modes)
    # Many of them are kept at once; rounding to single precision is far below their noise.
    return np.ascontiguousarray(np.swapaxes(white, 0, 1), dtype=np.complex64)


@dataclass(frozen=True, eq=False)
class Lap:
    """What a population of sites does in one lap; the arrays are those of all times and sites.

    Attributes
    ----------
    states
        Shape (d, P, sites): before each step.
    gates
        Shape (K, P, sites).
    sources
        One array (P, sites) for each preactivation.
    x
        Shape (P, sites), or (1, sites) where inputs are constant.
    end
        The states after the lap, shape (d, sites).
    """

    states: np.ndarray
    gates: np.ndarray
    sources: tuple[np.ndarray, ...]
    x: np.ndarray
    end: np.ndarray

    def source_spectra(self) -> np.ndarray:
        """Return the spectra of all y_k, shape (K, P/2 + 1)."""
        found: dict[int, np.ndarray] = {}
        for y in self.sources:
            if id(y) not in found:
                found[id(y)] = _spectrum(y)
        return np.stack([found[id(y)] for y in self.sources])

    def state_spectra(self) -> np.ndarray:
        """Return the spectra of all states, shape (d, P/2 + 1)."""
        return np.stack([_spectrum(state) for state in self.states])


def _spectrum(values: np.ndarray) -> np.ndarray:
    modes = scipy.fft.rfft(values, axis=0)
    return (modes.real**2 + modes.imag**2).mean(axis=1) / len(values)


@dataclass(eq=False)
class SiteOnCircle:
    """The map from the spectra of all y_k to themselves, on one fixed set of random numbers.

    The numbers stay the same from call to call, so that the map is a smooth deterministic one and
    its iteration converges to below its own statistical error.  The states at the start of a lap
    are those at the end of the lap before.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    inputs
        Whether inputs are drawn anew at every step.
    period, sites
        P, which is even, and the number of sites.
    """

    cell: Cell
    parameters: Parameters
    inputs: Inputs
    period: int
    sites: int
    rng: np.random.Generator
    start_variance: float
    modes: np.ndarray = field(init=False, repr=False)
    x: np.ndarray = field(init=False, repr=False)
    states: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        K, inputs = len(self.cell.gates), self.parameters.inputs
        if self.inputs == "fresh" and inputs.variance > 0:
            drawn = unit_modes(K + 1, self.period, self.sites, self.rng)
            self.modes, white = drawn[:K], np.sqrt(self.period) * drawn[K]
            self.x = inputs.from_normal(scipy.fft.irfft(white, self.period, axis=0))
        else:
            self.modes = unit_modes(K, self.period, self.sites, self.rng)
            self.x = inputs.from_normal(low_discrepancy_normals(1, self.sites, self.rng))
        shape = (len(self.cell.states), self.sites)
        self.states = np.sqrt(self.start_variance) * self.rng.standard_normal(shape)

    def lap(self, source_spectra: np.ndarray) -> Lap:
        """Drive the sites once around the circle, and keep the states they end in."""
        gates = self._gates(source_spectra)
        states, end = self._run(gates, self.states)
        require_bounded(self.cell, end)
        self.states = end
        return Lap(states, gates, self._sources(states, gates), self.x, end)

    def forgetting(self, source_spectra: np.ndarray) -> float:
        """Return how much of the difference of two sets of states is left after a lap (rms).

        The second set is the first one moved to other sites, which is as far off as independent.
        """
        if not self.cell.memory:
            return 0.0
        gates = self._gates(source_spectra)
        other = np.roll(self.states, 1, axis=-1)
        _, first = self._run(gates, self.states)
        _, second = self._run(gates, other)
        kept = list(self.cell.memory)
        before = np.mean((self.states - other)[kept] ** 2, axis=-1)
        after = np.mean((first - second)[kept] ** 2, axis=-1)
        ratios = after[before > 0] / before[before > 0]
        return float(np.sqrt(ratios.max(initial=0.0)))

    def _gates(self, source_spectra: np.ndarray) -> np.ndarray:
        """Return the preactivations of all times, shape (K, P, sites)."""
        spectra = drive_spectra(
            self.cell, self.parameters, self.inputs, source_spectra, self.period
        )
        size = np.sqrt(self.period * spectra)
        gates = scipy.fft.irfft(size[..., None] * self.modes, self.period, axis=1)
        means = [self.parameters[each.name].bias_mean for each in self.cell.preactivations]
        return gates + np.array(means)[:, None, None]

    def _run(self, gates: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compiled, now = compile_cell(self.cell), list(start)
        states = np.empty((len(now), self.period, self.sites))
        for t in range(self.period):
            for i, state in enumerate(now):
                states[i, t] = state
            now = compiled.update(now, list(gates[:, t]), self.x[t % len(self.x)])
        return states, np.stack([state + np.zeros(self.sites) for state in now])

    def _sources(self, states: np.ndarray, gates: np.ndarray) -> tuple[np.ndarray, ...]:
        compiled, found = compile_cell(self.cell), {}
        for k, expression in enumerate(self.cell.sources):
            if expression not in found:
                zeros = np.zeros((self.period, self.sites))
                found[expression] = compiled.source(k, list(states), list(gates)) + zeros
        return tuple(found[expression] for expression in self.cell.sources)


def drive_spectra(
    cell: Cell, parameters: Parameters, inputs: Inputs, sources: np.ndarray, period: int
) -> np.ndarray:
    r"""Return :math:`\sigma_k^2 \lambda_k + \nu_k^2 R + \rho_k^2` of the sources' spectra.

    Fresh inputs are white, constant ones and the bias belong to frequency 0.
    """
    spectra = np.empty_like(sources)
    for k, each in enumerate(cell.preactivations):
        group = parameters[each.name]
        spectra[k] = group.weight_std**2 * sources[k]
        read = group.input_std**2 * parameters.input_variance
        if inputs == "fresh":
            spectra[k] += read
        else:
            spectra[k, 0] += period * read
        spectra[k, 0] += period * group.bias_std**2
    return spectra


def drive_covariances(
    cell: Cell, parameters: Parameters, inputs: Inputs, sources: np.ndarray
) -> np.ndarray:
    r"""Return the covariances of the preactivations at lags 0, 1, ... from those of the sources.

    .. math:: \sigma_k^2 C_{y_k}(\tau) + \nu_k^2 R \, \delta_{\tau 0} + \rho_k^2
    """
    found = np.empty_like(sources)
    for k, each in enumerate(cell.preactivations):
        group = parameters[each.name]
        found[k] = group.weight_std**2 * sources[k] + group.bias_std**2
        read = group.input_std**2 * parameters.input_variance
        found[k, slice(1) if inputs == "fresh" else slice(None)] += read
    return found
