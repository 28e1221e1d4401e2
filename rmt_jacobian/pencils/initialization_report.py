"""What an initialisation does to gradients: growth rate, variance over T steps, timescale."""

import math
from dataclasses import dataclass

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field import PairState, UntiedState, has_frozen_bias, untied_state
from rmt_jacobian.mean_field.correlation import timescale
from rmt_jacobian.pencils.untied_chain import WeightsChoice, product_moments_of

__all__ = ["InitializationReport", "growth_rate", "initialization_report"]

_SITES = 2048


@dataclass(frozen=True)
class InitializationReport:
    """What an initialisation does to gradients.

    Attributes
    ----------
    name, parameters, weights
        Its name, hyperparameters, and the ensemble of every W.
    growth_rate
        Of the squared length of a gradient, a step.
    steps, mean, relative_variance
        T, m_1 and m_2 / m_1^2 - 1 of J J^T over T steps.
    timescale
        In steps, of the similarity of two networks that see the same; infinite where it does not
        fade, that is, at a growth rate of 1 or more.
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
    remark: str = ""


def initialization_report(
    name: str,
    parameters: Parameters,
    cell: Cell,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int = _SITES,
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
        The ensemble of the W, or one for each by the name of its preactivation.
    steps
        T.
    sites
        On which the moments are taken.

    Notes
    -----
    Assumes fresh bi-invariant W at every step and N -> infinity.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> report = initialization_report("weak", Parameters.of(gru).with_values(weight_std=0.1), gru,
    ...                                weights="orthogonal", steps=2, sites=64)
    >>> round(report.growth_rate, 3)  # z = 1/2
    0.251
    """
    state = untied_state(cell, parameters)
    moments = product_moments_of(state, weights, steps, count=sites)
    growth = growth_rate(state)
    if has_frozen_bias(parameters):
        growth = moments.mean ** (1 / steps)
    return InitializationReport(
        name,
        parameters,
        weights,
        growth,
        steps,
        moments.mean,
        moments.relative_variance,
        math.inf if abs(growth - 1) < 1e-7 else timescale(growth),
        remark,
    )


def growth_rate(state: UntiedState) -> float:
    """Return the growth rate of the squared length of a gradient, a step."""
    return PairState(state, 1.0, state.source_squares).chi
