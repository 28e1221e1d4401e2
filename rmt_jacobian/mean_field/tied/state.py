"""What the dynamical mean field of a tied network gives, with its statistical errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.tied.chain import NEGLIGIBLE, Chain, standard_error
from rmt_jacobian.mean_field.tied.circle import Inputs, drive_covariances, lagged
from rmt_jacobian.mean_field.tied.standstill import Standstill

__all__ = ["TiedSteadyState", "fluctuating_state", "state_at_rest"]


@dataclass(frozen=True, eq=False)
class TiedSteadyState:
    r"""Stationary covariances in time of a tied network at large N.

    Errors are standard errors, from groups of sites that are independent but for the spectra that
    drive them; what a group does to these is followed through the self-consistent equations.
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
    state_means, state_mean_errors
        Shape (d,).
    correlation_time, correlation_time_error
        The lag at which the slowest state has lost all but 1/e of its fluctuating covariance, by
        linear interpolation; infinite at a standstill, which has no error.
    frozen
        Whether the network has come to a standstill.
    period
        Length of the circle of times; 1 at a standstill.
    spectra
        Of the sources on this circle, shape (K, period/2 + 1).
    converged, residual
        Whether no variance drifts beyond its error and the tolerance is met; the largest relative
        change of a variance between the halves of the evaluations that were averaged.
    iterations
        Evaluations that were averaged, and before.
    population
        The driven sites in one time slice; :meth:`sites` hands them out once converged.
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
    state_mean_errors: np.ndarray
    correlation_time: float
    correlation_time_error: float
    frozen: bool
    period: int
    spectra: np.ndarray
    converged: bool
    residual: float
    iterations: int
    population: Sites

    @property
    def preactivation_variances(self) -> np.ndarray:
        """q_k, shape (K,)."""
        return self.preactivation_covariances[:, 0]

    @property
    def relative_error(self) -> float:
        """The largest standard error of the variance of a source or state, relative to it."""
        values = np.concatenate([self.source_covariances[:, 0], self.state_covariances[:, 0]])
        errors = np.concatenate([self.source_errors[:, 0], self.state_errors[:, 0]])
        return float(np.max(errors[values > 0] / values[values > 0], initial=0.0))

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
                f"the variances are known to {self.relative_error:.2g} and drift by "
                f"{self.residual:.2g} after {self.iterations} evaluations: raise tolerance, give "
                "more sites, or move the parameters away from a transition"
            )


def fluctuating_state(
    chain: Chain, settled: bool, slices: Sequence[Sites], lags: int
) -> TiedSteadyState:
    """Return the steady state from the average of a chain and sites that it drives."""
    circle, found = chain.circle, chain.average()
    P = circle.period
    C, deviations = lagged(found.spectra, P), lagged(found.deviations, P)
    d = len(circle.cell.states)
    small = 1 / math.sqrt(len(deviations))
    time = _decay_time(C[-d:])
    times = [(_decay_time(C[-d:] + small * each[-d:]) - time) / small for each in deviations]
    return _collect(
        circle.inputs, slices, lags, C, deviations, found.means, found.mean_deviations,
        correlation_time=time,
        correlation_time_error=float(standard_error(np.array(times))),
        frozen=False,
        period=P,
        spectra=found.spectra[:-d],
        converged=settled,
        residual=chain.drift()[0],
        iterations=chain.laps,
    )  # fmt: skip


def state_at_rest(inputs: Inputs, found: Sequence[Standstill], lags: int) -> TiedSteadyState:
    """Return the steady state from independent standstills."""
    states = np.stack([each.sites.states for each in found])
    squares = np.concatenate(
        [[each.source_squares for each in found], (states**2).mean(axis=-1)], axis=1
    )
    C, means = squares.mean(axis=0), states.mean(axis=(0, 2))
    return _collect(
        inputs, [each.sites for each in found], lags, C[:, None], (squares - C)[..., None], means,
        states.mean(axis=2) - means,
        correlation_time=math.inf,
        correlation_time_error=0.0,
        frozen=True,
        period=1,
        spectra=C[: -states.shape[1], None],
        converged=all(each.converged for each in found),
        residual=max(each.residual for each in found),
        iterations=sum(each.iterations for each in found),
    )  # fmt: skip


def _collect(
    inputs: Inputs, slices: Sequence[Sites], lags: int, C: np.ndarray, deviations: np.ndarray,
    means: np.ndarray, mean_deviations: np.ndarray, **rest: Any,
) -> TiedSteadyState:  # fmt: skip
    """Pick the lags out of covariances of all sources and then all states, shape (K + d, lags)."""
    cell, parameters = slices[0].cell, slices[0].parameters
    K, kept = len(cell.gates), np.minimum(np.arange(lags + 1), C.shape[-1] - 1)
    # What still drifts may add up over the evaluations that it would take to vanish.
    floor = 0 if rest["frozen"] else 10 * NEGLIGIBLE * C[:, :1]
    C, errors = C[:, kept], np.hypot(standard_error(deviations[..., kept]), floor)
    weights = np.array([parameters[each.name].weight_std for each in cell.preactivations])
    return TiedSteadyState(
        cell=cell,
        parameters=parameters,
        inputs=inputs,
        lags=np.arange(lags + 1),
        preactivation_covariances=drive_covariances(cell, parameters, inputs, C[:K]),
        preactivation_errors=weights[:, None] ** 2 * errors[:K],
        source_covariances=C[:K],
        source_errors=errors[:K],
        state_covariances=C[K:],
        state_errors=errors[K:],
        state_means=means,
        state_mean_errors=standard_error(mean_deviations),
        population=_joined(slices),
        **rest,
    )


def _joined(slices: Sequence[Sites]) -> Sites:
    return Sites.of(
        slices[0].cell,
        slices[0].parameters,
        [np.concatenate(column) for column in zip(*(s.states for s in slices), strict=True)],
        [np.concatenate(column) for column in zip(*(s.gates for s in slices), strict=True)],
        np.concatenate([s.x for s in slices]),
    )


def _decay_time(covariances: np.ndarray) -> float:
    """Return the lag at which the slowest covariance has come down by 1 - 1/e towards its level."""
    times = [0.0]
    for C in covariances:
        level = C[7 * len(C) // 8 :].mean()
        if C[0] > level:
            shape = (C - level) / (C[0] - level)
            after = int(np.argmax(shape < math.exp(-1)))  # the last values are around 0
            drop = shape[after - 1] - shape[after]
            times.append(after - 1 + float((shape[after - 1] - math.exp(-1)) / drop))
    return max(times)
