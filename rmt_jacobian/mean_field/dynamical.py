"""The steady state in time of tied networks at large N, by dynamical mean field theory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.dynamical_circle import (
    Inputs,
    SiteOnCircle,
    check_inputs,
    drive_spectra,
    lagged,
    spectrum_of,
)
from rmt_jacobian.mean_field.dynamical_frozen import Standstill, fluctuation_growth, standstill
from rmt_jacobian.mean_field.dynamical_iteration import SpectralFixedPoint, iterate_spectra
from rmt_jacobian.mean_field.dynamical_start import CausalRun, causal_run
from rmt_jacobian.mean_field.sites import Sites

__all__ = ["TiedSteadyState", "tied_steady_state"]

_SHORTEST = 64
_CAUSAL_STEPS, _CAUSAL_SITES = 256, 1024
_PILOT_SITES = 1024
_PILOT_TOLERANCE = 2e-3
_LIMIT = 300  # evaluations of one iteration
_FORGOTTEN = 0.03  # of the difference of states, left after a lap
_DECAYED = 0.05  # of the covariances, left after a quarter of the circle


@dataclass(frozen=True, eq=False)
class TiedSteadyState:
    r"""Stationary covariances in time of a tied network at large N.

    Errors are standard errors over independent replicates of the whole self-consistent solution.
    Covariances of sources and states are second moments, :math:`E[y(t) y(t + \tau)]`, from which no
    mean is subtracted; those of the preactivations are around their bias mean.

    Attributes
    ----------
    cell, parameters, inputs
        What was solved.
    lags
        0, 1, ..., shape (L,).
    preactivation_covariances, preactivation_errors
        :math:`C_{e_k}(\tau)`, shape (K, L).
    source_covariances, source_errors
        :math:`C_{y_k}(\tau)`, shape (K, L).
    state_covariances, state_errors
        Shape (d, L).
    state_means
        Shape (d,).
    correlation_time
        The lag at which the slowest state has lost all but 1/e of its fluctuating covariance, by
        linear interpolation; infinite at a standstill.
    frozen
        Whether the network has come to a standstill.
    period
        Length of the circle of times; 1 at a standstill.
    converged, residual
        Whether every replicate is self-consistent within the tolerance; the largest relative
        change of a covariance under one more evaluation.
    iterations
        Evaluations over all replicates.
    """

    cell: Cell
    parameters: Parameters
    inputs: Inputs
    lags: np.ndarray
    preactivation_covariances: np.ndarray
    preactivation_errors: np.ndarray
    source_covariances: np.ndarray
    source_errors: np.ndarray
    state_covariances: np.ndarray
    state_errors: np.ndarray
    state_means: np.ndarray
    correlation_time: float
    frozen: bool
    period: int
    converged: bool
    residual: float
    iterations: int
    population: Sites

    @property
    def preactivation_variances(self) -> np.ndarray:
        """q_k, shape (K,)."""
        return self.preactivation_covariances[:, 0]

    def sites(self, count: int | None = None) -> Sites:
        """Return the sites of one time slice, all of them or the first ``count``.

        They hold the states before the step, the preactivations and the input, and stand for the
        large-N law of a site along the trajectory.

        Raises
        ------
        ParameterError
            If there are not so many.
        ConvergenceError
            If the solution did not converge.
        """
        self.require_converged()
        everyone = self.population
        if count is None:
            return everyone
        if not 1 <= count <= everyone.count:
            raise ParameterError(
                f"there are {everyone.count} sites, not {count}: ask tied_steady_state for more"
            )
        return Sites.of(
            self.cell,
            self.parameters,
            [state[:count] for state in everyone.states],
            [gate[:count] for gate in everyone.gates],
            everyone.x[:count],
        )

    def require_converged(self) -> None:
        """Raise :class:`ConvergenceError` unless the solution converged."""
        if not self.converged:
            raise ConvergenceError(
                f"the covariances still change by {self.residual:.2g} after {self.iterations} "
                "evaluations, as they do next to a transition: move the parameters away from it, "
                "raise tolerance, or give more sites"
            )


@dataclass(frozen=True, eq=False)
class _Problem:
    cell: Cell
    parameters: Parameters
    inputs: Inputs
    start_variance: float

    def circle(self, period: int, sites: int, rng: np.random.Generator) -> SiteOnCircle:
        return SiteOnCircle(
            self.cell, self.parameters, self.inputs, period, sites, rng, self.start_variance
        )

    def causal(self, rng: np.random.Generator) -> CausalRun:
        return causal_run(
            self.cell, self.parameters, self.inputs, steps=_CAUSAL_STEPS, sites=_CAUSAL_SITES,
            start_variance=self.start_variance, rng=rng,
        )  # fmt: skip

    def standstill(
        self, start: np.ndarray, reference: np.ndarray, sites: int, rng: np.random.Generator
    ) -> Standstill:
        return standstill(
            self.cell, self.parameters, start, reference=reference, sites=sites,
            start_variance=self.start_variance, rng=rng,
        )  # fmt: skip

    def drives(self, source_covariances: np.ndarray) -> np.ndarray:
        """Return the covariances of the preactivations at lags 0, 1, ..."""
        found = np.empty_like(source_covariances)
        for k, each in enumerate(self.cell.preactivations):
            group = self.parameters[each.name]
            read = group.input_std**2 * self.parameters.input_variance
            found[k] = group.weight_std**2 * source_covariances[k] + group.bias_std**2
            found[k, slice(1) if self.inputs == "fresh" else slice(None)] += read
        return found


@dataclass(frozen=True, eq=False)
class _Replicate:
    """What one set of random numbers gave; covariances at all lags up to half a circle."""

    sources: np.ndarray
    states: np.ndarray
    means: np.ndarray
    slice: Sites
    residual: float
    iterations: int
    converged: bool


def tied_steady_state(
    cell: Cell,
    parameters: Parameters,
    *,
    lags: int = 32,
    sites: int = 8192,
    replicates: int = 8,
    inputs: Inputs = "fresh",
    start_variance: float = 1.0,
    tolerance: float = 1e-4,
    longest_period: int = 8192,
    seed: Seed = 0,
) -> TiedSteadyState:
    r"""Solve the dynamical mean field of a tied network for its stationary covariances in time.

    .. math::
        C_{e_k}(\tau) = \sigma_k^2 E[y_k(t) y_k(t + \tau)] + \nu_k^2 R \, \delta_{\tau 0} + \rho_k^2

    One site is driven by independent Gaussian processes e_k with these covariances, and its sources
    y_k have to return them.  Constant inputs count at all lags.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    lags
        The largest lag that is returned.
    sites, replicates
        Number of driven sites, shared out among independent solutions, which give the errors.
    inputs
        ``"fresh"`` at every step, or ``"constant"`` in time.
    start_variance
        Of every state of the network at its start, which selects the steady state where there are
        several.
    tolerance
        Largest relative change of a covariance under one more evaluation.
    longest_period
        How many steps the circle of times may have.
    seed
        Of all random numbers.

    Raises
    ------
    ParameterError
        If an argument is out of its domain.
    ConvergenceError
        If states grow without bound, or the network remembers for longer than ``longest_period``
        allows.

    Notes
    -----
    Assumes N -> infinity with W_k Gaussian or Haar orthogonal, independent of each other, and the
    same W_k, V_k and b_k at all steps: then the e_k of different k are independent and no site acts
    back on itself, and both ensembles have the same law.  ``parameters.bias_kind`` is not read:
    tied networks keep their biases.  An iteration that did not converge says so in the result.

    References
    ----------
    Sompolinsky, Crisanti & Sommers (1988); :cite:t:`Can2020`, appendix on dynamical mean field.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> p = Parameters.of(vanilla, weight_std=1.5, input_std=0, input_variance=0)
    >>> found = tied_steady_state(vanilla, p, lags=2, sites=4096)
    >>> found.converged, found.frozen, found.correlation_time < 1
    (True, False, True)
    """
    _check(cell, lags, sites, replicates, start_variance, tolerance, longest_period)
    check_inputs(inputs)
    problem = _Problem(cell, parameters, inputs, float(start_variance))
    first, second, *rngs = spawn(seed, replicates + 2)
    causal = problem.causal(first)
    period = 2 ** math.ceil(math.log2(max(_SHORTEST, 4 * lags)))
    share = sites // replicates
    pilot = _pilot(problem, causal, period, longest_period, second)
    if isinstance(pilot, Standstill):
        start, period = pilot.source_squares, 1
        found = [_rest(problem, start, causal.largest, share, rng) for rng in rngs]
    else:
        period = 2 * (pilot.spectra.shape[-1] - 1)
        found = [
            _solve(problem, pilot.spectra, period, share, tolerance, causal.largest, rng)
            for rng in rngs
        ]
    return _collect(problem, found, lags, period)


def _check(
    cell: Cell, lags: int, sites: int, replicates: int, start_variance: float, tolerance: float,
    longest_period: int,
) -> None:  # fmt: skip
    if lags < 0:
        raise ParameterError(f"lags must be a whole number >= 0, not {lags}")
    if replicates < 2:
        raise ParameterError(f"errors need at least 2 replicates, not {replicates}")
    least = 4 * len(cell.gates) * replicates
    if sites < least or sites % replicates:
        raise ParameterError(
            f"sites must be a multiple of {replicates} replicates and at least {least}, not {sites}"
        )
    if not 0 < start_variance < math.inf:
        raise ParameterError(f"start_variance must be positive and finite, not {start_variance}")
    if not 0 < tolerance < 1:
        raise ParameterError(f"tolerance must lie between 0 and 1, not {tolerance}")
    if longest_period < max(_SHORTEST, 4 * lags):
        raise ParameterError(
            f"longest_period must be at least 4 lags and {_SHORTEST}, not {longest_period}"
        )


def _pilot(
    problem: _Problem, causal: CausalRun, period: int, longest: int, rng: np.random.Generator
) -> SpectralFixedPoint | Standstill:
    """Find the length of the circle, and a solution on few sites to start from."""
    start = spectrum_of(causal.source_covariances, period)
    while True:
        circle = problem.circle(period, _PILOT_SITES, rng)
        found = _iterate(circle, start, _PILOT_TOLERANCE, causal.largest)
        if found.still:
            squares = found.spectra.sum(axis=-1) / period
            rest = problem.standstill(squares, causal.largest, _PILOT_SITES, rng)
            if not rest.converged or fluctuation_growth(rest.sites) < 1:
                return rest
            start = _slow_fluctuations(rest.source_squares, 2 * period)
        elif not found.converged or _long_enough(circle, found.spectra):
            return found
        else:
            start = spectrum_of(lagged(found.spectra, period), 2 * period)
        period *= 2
        if period > longest:
            raise ConvergenceError(
                f"{problem.cell.name} remembers for longer than a circle of {period // 2} steps "
                "can show: raise longest_period, or lower the gates' weight_std and bias_mean"
            )


def _iterate(
    circle: SiteOnCircle, start: np.ndarray, tolerance: float, reference: np.ndarray
) -> SpectralFixedPoint:
    return iterate_spectra(
        lambda spectra: circle.lap(spectra).source_spectra(),
        start,
        circle.period,
        tolerance=tolerance,
        limit=_LIMIT,
        reference=reference,
    )


def _slow_fluctuations(squares: np.ndarray, period: int) -> np.ndarray:
    decay = np.exp(-np.arange(period // 2 + 1) / (period / 16))
    return spectrum_of(squares[:, None] * decay, period)


def _long_enough(circle: SiteOnCircle, spectra: np.ndarray) -> bool:
    """Whether states are forgotten in a lap, and covariances are level from a quarter of it on."""
    if circle.forgetting(spectra) > _FORGOTTEN:
        return False
    lap = circle.lap(spectra)
    for found in (lap.source_spectra(), lap.state_spectra()):
        C, P = lagged(found, circle.period), circle.period
        level = C[:, 7 * P // 16 :].mean(axis=1)
        quarter = C[:, 7 * P // 32 : 9 * P // 32].mean(axis=1)
        if np.any(np.abs(quarter - level) > _DECAYED * (C[:, 0] - level)):
            return False
    return True


def _solve(
    problem: _Problem, start: np.ndarray, period: int, sites: int, tolerance: float,
    reference: np.ndarray, rng: np.random.Generator,
) -> _Replicate:  # fmt: skip
    circle = problem.circle(period, sites, rng)
    found = _iterate(circle, start, tolerance, reference)
    lap = circle.lap(found.spectra)
    return _Replicate(
        sources=lagged(lap.source_spectra(), period),
        states=lagged(lap.state_spectra(), period),
        means=lap.states.mean(axis=(1, 2)),
        slice=Sites.of(
            problem.cell, problem.parameters, lap.states[:, 0], lap.gates[:, 0], lap.x[0]
        ),
        residual=found.residual,
        iterations=found.iterations,
        converged=found.converged,
    )


def _rest(
    problem: _Problem, start: np.ndarray, reference: np.ndarray, sites: int,
    rng: np.random.Generator,
) -> _Replicate:  # fmt: skip
    found = problem.standstill(start, reference, sites, rng)
    states = np.stack(found.sites.states)
    return _Replicate(
        sources=found.source_squares[:, None],
        states=(states**2).mean(axis=1, keepdims=True),
        means=states.mean(axis=1),
        slice=found.sites,
        residual=found.residual,
        iterations=found.iterations,
        converged=found.converged,
    )


def _collect(
    problem: _Problem, found: Sequence[_Replicate], lags: int, period: int
) -> TiedSteadyState:
    kept = np.minimum(np.arange(lags + 1), found[0].sources.shape[-1] - 1)
    sources, source_errors = _mean_and_error([each.sources[:, kept] for each in found])
    drives, drive_errors = _mean_and_error([problem.drives(each.sources[:, kept]) for each in found])
    states, state_errors = _mean_and_error([each.states[:, kept] for each in found])
    slices = [each.slice for each in found]
    population = Sites.of(
        problem.cell,
        problem.parameters,
        [np.concatenate(column) for column in zip(*(s.states for s in slices), strict=True)],
        [np.concatenate(column) for column in zip(*(s.gates for s in slices), strict=True)],
        np.concatenate([s.x for s in slices]),
    )
    frozen = period == 1
    return TiedSteadyState(
        cell=problem.cell,
        parameters=problem.parameters,
        inputs=problem.inputs,
        lags=np.arange(lags + 1),
        preactivation_covariances=drives,
        preactivation_errors=drive_errors,
        source_covariances=sources,
        source_errors=source_errors,
        state_covariances=states,
        state_errors=state_errors,
        state_means=np.mean([each.means for each in found], axis=0),
        correlation_time=math.inf if frozen else _decay_time(np.mean([s.states for s in found], 0)),
        frozen=frozen,
        period=period,
        converged=all(each.converged for each in found),
        residual=max(each.residual for each in found),
        iterations=sum(each.iterations for each in found),
        population=population,
    )


def _mean_and_error(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / math.sqrt(len(values))


def _decay_time(covariances: np.ndarray) -> float:
    """Return the lag at which the slowest covariance has come down by 1 - 1/e towards its level."""
    times = [0.0]
    for C in covariances:
        level = C[7 * len(C) // 8 :].mean()
        if C[0] > level:
            shape = (C - level) / (C[0] - level)
            after = int(np.argmax(shape < math.exp(-1)))
            slope = shape[after - 1] - shape[after]
            times.append(after - 1 + float((shape[after - 1] - math.exp(-1)) / slope))
    return max(times)
