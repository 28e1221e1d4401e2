"""Mean field in time: variances and correlations from a start, with inputs that change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, Point, cell_and_parameters
from rmt_jacobian.counts import check_numbers
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.averages.one_site import (
    Preactivations,
    pair_average,
    single_site,
    site_average,
)

__all__ = ["Trajectory", "trajectory"]


@dataclass(frozen=True)
class Trajectory:
    """Variances and correlations at steps t = 1, ..., T; every array has shape (T,)."""

    preactivation_variance: np.ndarray
    preactivation_correlation: np.ndarray
    state_variance: np.ndarray
    state_correlation: np.ndarray


@named_arguments
def trajectory(
    cell: Cell | str,
    parameters: Point,
    input_correlations: Sequence[float],
    *,
    start_variance: float,
    start_correlation: float,
    start_mean: float = 0.0,
) -> Trajectory:
    r"""Follow q^t, c^t, Q^t and C^t of two networks with shared weights, step by step.

    .. math:: q^t = \sigma_w^2 Q^{t-1} + \sigma_v^2 R + \sigma_b^2, \quad
              q^t c^t = \sigma_w^2 Q^{t-1} C^{t-1} + \sigma_v^2 R \Sigma_{12}^t + \sigma_b^2

    and Q^t, C^t by averaging the squared and the paired update.

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation.
    input_correlations
        Sigma_12 at steps 1, ..., T, each in [-1, 1].
    start_variance, start_correlation, start_mean
        Q^0, C^0 and E[h^0].

    Notes
    -----
    Assumes untied weights and biases and N -> infinity.  A bias is shared by the two networks, so
    its variance enters the off-diagonal entries too (the reference prints it on the diagonal only).

    References
    ----------
    :cite:t:`Chen2018`, eqs. (2), (6)-(8), (17)-(22), (37)-(38).

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> path = trajectory(minimalrnn, Parameters.of(minimalrnn), [1.0] * 3,
    ...                   start_variance=0.3, start_correlation=0.0)
    >>> bool((path.state_correlation[1:] > path.state_correlation[:-1]).all())
    True
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    single_site(cell)
    check_numbers(
        start_variance=start_variance, start_correlation=start_correlation, start_mean=start_mean
    )
    if not isinstance(input_correlations, Sequence | np.ndarray):
        raise ParameterError(
            f"input_correlations must be a list, a number a step, not {input_correlations!r}"
        )
    for sigma_12 in input_correlations:
        check_numbers(input_correlations=sigma_12)
    if not (start_variance > 0 and -1 <= start_correlation <= 1):
        raise ParameterError("the start needs a variance above 0 and a correlation in [-1, 1]")
    for sigma_12 in input_correlations:
        if not -1 <= sigma_12 <= 1:
            raise ParameterError(f"input_correlations must lie in [-1, 1], not {sigma_12}")
    rows = []
    mean, variance, covariance = start_mean, start_variance, start_variance * start_correlation
    for sigma_12 in input_correlations:
        q, c, mean, variance, covariance = _step(
            cell, parameters, sigma_12, mean, variance, covariance
        )
        rows.append((q, c, variance, covariance / variance if variance else 1.0))
    columns = np.array(rows).reshape(-1, 4).T
    return Trajectory(*columns)


def _step(
    cell: Cell,
    parameters: Parameters,
    sigma_12: float,
    mean: float,
    variance: float,
    covariance: float,
) -> tuple[float, float, float, float, float]:
    """Return (q, c, E[h'], E[h'^2], E[h'_1 h'_2])."""
    weights, R = parameters.only, parameters.input_variance
    q = weights.preactivation_variance(variance, R)
    shared = weights.preactivation_covariance(covariance, R * sigma_12)
    c = min(1.0, max(-1.0, shared / q)) if q else 1.0
    law, update = Preactivations(weights.bias_mean, q, c), cell.updates[0]

    def state_moment(power: int) -> float:
        return (1.0, mean, variance)[power]

    inputs = parameters.inputs.moment
    return (
        q,
        c,
        site_average(cell, update, law, state_moment, inputs),
        site_average(cell, update**2, law, state_moment, inputs),
        pair_average(cell, update, law, mean, covariance, R * sigma_12),
    )
