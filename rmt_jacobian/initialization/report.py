"""What an initialisation does to gradients: growth rate, variance over T steps, timescale."""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.initialization.common_sites import (
    CommonSites,
    Rates,
    imposed,
    mean_and_error,
    settling,
)
from rmt_jacobian.mean_field.closed.correlation import timescale
from rmt_jacobian.pencils.blocks.untied import WeightsChoice

__all__ = ["InitializationReport", "initialization_report", "report_on", "settled_replicates"]

_SITES, _REPLICATES = 1024, 8
_FIRST = 32  # steps that the memory is judged after
_CHECKED = 256  # sites on which it is checked that they are enough
_APART = 4.0  # standard errors
_ERRORS, _STEADY, _NOISY = 2.5, 0.005, 0.1  # of the logarithm of the variance of the states
_DEAD = 1e-14  # a variance that is none
_UNSETTLED = "its states are not stationary, or remember longer than they were followed"
_CRITICAL = 1e-7  # distance of a growth rate from 1 that is rounding


@dataclass(frozen=True)
class InitializationReport:
    """What an initialisation does to gradients.

    Attributes
    ----------
    name, parameters, weights
        Its name, hyperparameters, and the ensemble of every W.
    growth_rate
        Of the squared length of a gradient, a step: its limit over many steps, and with frozen
        biases :math:`m_1^{1/T}`.
    steps, mean, relative_variance
        T, m_1 and m_2 / m_1^2 - 1 of J J^T over T steps.
    timescale
        In steps, of the similarity of two networks that see the same; infinite where it does not
        fade, that is, at a growth rate that is not below 1 by more than its error.
    growth_error, variance_error
        Standard errors of growth rate and relative variance.
    remark
        What the description leaves out.
    """

    name: str
    parameters: Parameters
    weights: WeightsChoice
    growth_rate: float
    steps: int
    mean: float
    relative_variance: float
    timescale: float
    growth_error: float = 0.0
    variance_error: float = 0.0
    remark: str = ""


def initialization_report(
    name: str,
    parameters: Parameters,
    cell: Cell,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int = _SITES,
    seed: Seed = 0,
    remark: str = "",
) -> InitializationReport:
    """Return growth rate, variance over T steps and timescale of an initialisation.

    Where biases are frozen the growth rate is that over the T steps, because in the end the few
    sites that never forget dominate.

    Parameters
    ----------
    name, remark
        What the report says of it.
    parameters, cell
        The hyperparameters, and the cell that they belong to.
    weights
        The ensemble of the W, or one for each by the name of its preactivation, at the scale of
        the hyperparameters.
    steps
        T.
    sites, seed
        Of each of the eight low-discrepancy populations whose scatter gives the errors.

    Notes
    -----
    Assumes fresh bi-invariant W at every step and N -> infinity.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> weak = Parameters.of(gru, weight_std=0.1, input_std=0)
    >>> report = initialization_report("weak", weak, gru, weights="orthogonal", steps=2, sites=64)
    >>> round(report.growth_rate, 3)  # z = 1/2
    0.251
    """
    populations, settled = settled_replicates(
        cell, parameters, weights=weights, steps=steps, sites=sites, seed=seed
    )
    if not settled:
        remark = f"{remark}; {_UNSETTLED}" if remark else _UNSETTLED
    return report_on(populations, name, parameters, weights=weights, remark=remark)


def report_on(
    populations: CommonSites,
    name: str,
    parameters: Parameters,
    *,
    weights: WeightsChoice,
    remark: str = "",
) -> InitializationReport:
    """Return the report of populations that have been drawn."""
    rates, steps = populations.rates([parameters]), populations.steps
    logarithm, error = mean_and_error(rates.growth)
    growth, growth_error = math.exp(logarithm), math.exp(logarithm) * error
    variance, variance_error = mean_and_error(np.expm1(rates.spread))
    mean, _ = mean_and_error(np.exp(rates.mean))
    fades = growth < 1 - max(_CRITICAL, 2 * growth_error)
    return InitializationReport(
        name,
        parameters,
        weights,
        growth,
        steps,
        mean,
        variance,
        timescale(growth) if fades else math.inf,
        growth_error,
        variance_error,
        remark,
    )


def settled_replicates(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int = _SITES,
    seed: Seed = 0,
) -> tuple[CommonSites, bool]:
    """Return populations that settle for as long as it takes, and whether they do.

    The memory of a site tells how long that is; then the time is doubled until the variance of the
    states and the growth rate stay the same within their errors.
    """
    frozen = parameters.has_frozen_bias

    def drawn(settle: int, count: int) -> CommonSites:
        rngs = spawn(seed, _REPLICATES)
        return CommonSites.draw(cell, weights, steps, settle=settle, count=count, rngs=rngs)

    def checked(settle: int, count: int = _CHECKED) -> Rates:
        return drawn(settle, count).rates([parameters], spread=False)

    longest, settle, short = settling(1.0, frozen=frozen), _FIRST, checked(_FIRST)
    needed = settling(float(np.max(short.kept)), frozen=frozen)
    if needed > settle and not imposed(cell, parameters):
        settle, short = needed, checked(needed)
    while True:
        long = checked(2 * settle)
        change, error = _change(short, long)
        if error > _NOISY:
            change, error = _change(checked(settle, sites), checked(2 * settle, sites))
        steady = abs(change) <= _ERRORS * error + _STEADY and _same(short.growth, long.growth)
        if steady or settle >= longest:
            return drawn(settle, sites), steady
        settle, short = 2 * settle, long


def _change(short: Rates, long: Rates) -> tuple[float, float]:
    """Return by how much the logarithm of the variance of the states differs, and its error.

    Twice the time makes log 2 of a variance that grows or falls in proportion to it.
    """
    (before, error), (after, other) = (
        mean_and_error(np.log(np.maximum(each.size, _DEAD))) for each in (short, long)
    )
    return after - before, math.hypot(error, other)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two means over replicates agree to their errors."""
    (now, error), (then, there) = mean_and_error(one), mean_and_error(other)
    return abs(then - now) <= _APART * math.hypot(error, there) + _CRITICAL
