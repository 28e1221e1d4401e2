r"""Sites on a circle of times: Gaussian drives of given spectra in, spectra of what they do out.

Time runs on a circle of P steps.  A covariance that is stationary there is a spectrum

.. math:: \lambda(\omega) = \sum_\tau C(\tau) e^{-i \omega \tau} \ge 0

so that its processes are drawn exactly by a Fourier transform, what is measured is again a spectrum
>= 0, and all P times count.  A frozen part, constant at all lags, is the mode at frequency 0.  What
the circle changes falls off like the covariance at lag P, so P only has to be long enough.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Literal, get_args

import numpy as np
import scipy.fft
from scipy.special import ndtri
from scipy.stats import qmc

from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.sites.weighted import Sites

__all__ = [
    "Inputs",
    "Lap",
    "SitesOnCircle",
    "check_inputs",
    "drive_covariances",
    "drive_spectra",
    "lagged",
    "require_bounded",
    "shifted_normals",
    "spectrum_of",
    "unit_modes",
    "without_frequency_zero",
]

Inputs = Literal["fresh", "constant"]

_LARGEST = 1e50  # fourth powers are still numbers
_NEAREST_TO_ONE = 2.0**-32  # quantiles of 0 and 1 are infinite


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


@cache
def _sobol_points(dimensions: int, count: int) -> np.ndarray:
    exponent = max(0, (count - 1).bit_length())
    return qmc.Sobol(dimensions, scramble=False).random_base2(exponent)[:count].T


def shifted_normals(
    dimensions: int, groups: int, share: int, rng: np.random.Generator
) -> np.ndarray:
    """Return standard normal variables, shape (dimensions, groups, share).

    Each group holds the same even points on the torus, shifted at random as a whole: its averages
    have no bias, and groups are independent.
    """
    points = _sobol_points(dimensions, share)[:, None]
    uniform = (points + rng.random((dimensions, groups, 1))) % 1
    return ndtri(np.clip(uniform, _NEAREST_TO_ONE, 1 - _NEAREST_TO_ONE))


def unit_modes(
    processes: int, period: int, groups: int, share: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw Fourier modes of unit white noise, shape (processes, P/2 + 1, groups, share).

    At every frequency but 0 the sample covariance over the sites of a group is made exactly the
    unit matrix.  Of all that averages over a circle of times can see, this removes the noise to
    second order.  The mode at frequency 0 may carry a frozen part alone, so that its law has to be
    Gaussian to all orders: it is drawn evenly instead.
    """
    frequencies = period // 2 + 1
    shape = (processes, frequencies, groups, share)
    real, imaginary = rng.standard_normal((2, *shape), dtype=np.float32)
    modes = (real + 1j * imaginary) / np.float32(np.sqrt(2))
    modes[:, -1] = real[:, -1]
    covariance = np.einsum("kfgs,lfgs->fgkl", modes, modes.conj(), optimize=True) / share
    columns = np.linalg.solve(np.linalg.cholesky(covariance), np.moveaxis(modes, 0, 2))
    white = np.ascontiguousarray(np.moveaxis(columns, 2, 0))
    white[:, 0] = shifted_normals(processes, groups, share, rng)
    return white


@dataclass(frozen=True, eq=False)
class Lap:
    """What sites do in one lap; V variants of the spectra share the random numbers of G groups.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    states
        Shape (d, P, V, G, share): before each step.
    gates
        Shape (K, P, V, G, share).
    x
        Shape (P, 1, G, share), or (1, 1, G, share) where inputs are constant.
    """

    cell: Cell
    parameters: Parameters
    states: np.ndarray
    gates: np.ndarray
    x: np.ndarray

    def spectra(self) -> np.ndarray:
        """Return the spectra of all y_k, then of all states, shape (V, G, K + d, P/2 + 1)."""
        compiled, found = compile_cell(self.cell), {}
        for symbol, values in zip(self.cell.states, self.states, strict=True):
            found[symbol] = _spectrum(values)
        for k, y in enumerate(self.cell.sources):
            if y not in found:
                values = compiled.source(k, list(self.states), list(self.gates))
                found[y] = _spectrum(values + np.zeros(self.states.shape[1:]))
        return np.stack([found[each] for each in (*self.cell.sources, *self.cell.states)], axis=2)

    def means(self) -> np.ndarray:
        """Return the means of all states, shape (V, G, d)."""
        return np.moveaxis(self.states.mean(axis=(1, 4)), 0, -1)

    def slice(self, time: int = 0) -> Sites:
        """Return the sites of the first variant at one time."""
        return Sites.of(
            self.cell,
            self.parameters,
            list(self.states[:, time, 0].reshape(len(self.states), -1).copy()),
            list(self.gates[:, time, 0].reshape(len(self.gates), -1).copy()),
            self.x[time % len(self.x), 0].ravel().copy(),
        )


def _spectrum(values: np.ndarray) -> np.ndarray:
    modes = scipy.fft.rfft(values, axis=0)
    return np.moveaxis((modes.real**2 + modes.imag**2).mean(axis=-1) / len(values), 0, -1)


@dataclass(eq=False)
class SitesOnCircle:
    """Groups of sites that are driven around the circle, by new random numbers in every lap.

    A lap starts from the states that the lap before ended in.  It is run twice with the same
    numbers: the first time the states forget where they came from, the second time they are kept.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    inputs
        Whether inputs are drawn anew at every step.
    period, groups, share
        P, which is even; G, and how many sites each group has.
    """

    cell: Cell
    parameters: Parameters
    inputs: Inputs
    period: int
    groups: int
    share: int
    rng: np.random.Generator
    start_variance: float
    states: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = (len(self.cell.states), 1, self.groups, self.share)
        self.states = np.sqrt(self.start_variance) * self.rng.standard_normal(shape)

    def lap(self, source_spectra: np.ndarray) -> Lap:
        """Drive the sites once around the circle by spectra of shape (V, G or 1, K, P/2 + 1)."""
        gates, x = self.drive(source_spectra)
        # Without memory the state is that of the step before.
        forgotten = 0 if self.cell.memory else self.period - 1
        now = self.run(list(self.states), gates, x, forgotten)
        states = np.empty((len(now), self.period, *gates.shape[2:]))
        now = self.run(now, gates, x, kept=states)
        self.states = np.stack([state + np.zeros(gates.shape[2:]) for state in now])
        require_bounded(self.cell, self.states)
        return Lap(self.cell, self.parameters, states, gates, x)

    def forgetting(self, source_spectra: np.ndarray) -> float:
        """Return how much of the difference of two sets of states is left after a lap (rms).

        The second set is the first one moved to other sites, which is as far off as independent.
        """
        if not self.cell.memory:
            return 0.0
        gates, x = self.drive(source_spectra)
        start = self.states[:, :1]
        start = np.concatenate([start, np.roll(start, 1, axis=-1)], axis=1)
        end = self.run(list(start), gates, x)
        before, after = (
            np.array([np.mean((each[i][0] - each[i][1]) ** 2) for i in self.cell.memory])
            for each in (start, end)
        )
        ratios = after[before > 0] / before[before > 0]
        return float(np.sqrt(ratios.max(initial=0.0)))

    def drive(self, source_spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the preactivations of all times, shape (K, P, V, G, share), and the inputs."""
        K, P, law = len(self.cell.gates), self.period, self.parameters.inputs
        shape = (self.groups, self.share, self.rng)
        fresh = self.inputs == "fresh" and law.variance > 0
        modes = unit_modes(K + fresh, P, *shape)
        if fresh:
            x = scipy.fft.irfft(np.sqrt(P) * modes[K][:, None], P, axis=0)
        else:
            x = shifted_normals(1, *shape)[:, None]
        spectra = drive_spectra(self.cell, self.parameters, self.inputs, source_spectra, P)
        size = np.sqrt(P * np.moveaxis(spectra, (2, 3), (0, 1)))
        gates = scipy.fft.irfft(size[..., None] * modes[:K, :, None], P, axis=1)
        means = [self.parameters[each.name].bias_mean for each in self.cell.preactivations]
        gates = gates + np.array(means).reshape(K, 1, 1, 1, 1)
        return gates, law.from_normal(x.astype(float))

    def run(
        self, now: list[np.ndarray], gates: np.ndarray, x: np.ndarray, first: int = 0,
        kept: np.ndarray | None = None,
    ) -> list[np.ndarray]:  # fmt: skip
        """Run from a time to the end of the lap, and keep the states before each step."""
        compiled = compile_cell(self.cell)
        for t in range(first, self.period):
            if kept is not None:
                for i, state in enumerate(now):
                    kept[i, t] = state
            now = compiled.update(now, list(gates[:, t]), x[t % len(x)])
        return now


def drive_spectra(
    cell: Cell, parameters: Parameters, inputs: Inputs, sources: np.ndarray, period: int
) -> np.ndarray:
    r"""Return :math:`\sigma_k^2 \lambda_k + \nu_k^2 R + \rho_k^2` of the sources' spectra.

    Fresh inputs are white, constant ones and the bias belong to frequency 0.
    """
    spectra = np.empty_like(sources)
    for k, each in enumerate(cell.preactivations):
        group = parameters[each.name]
        spectra[..., k, :] = group.weight_std**2 * sources[..., k, :]
        read = group.input_std**2 * parameters.input_variance
        if inputs == "fresh":
            spectra[..., k, :] += read
        else:
            spectra[..., k, 0] += period * read
        spectra[..., k, 0] += period * group.bias_std**2
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
