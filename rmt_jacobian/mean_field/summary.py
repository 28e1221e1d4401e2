"""The mean field of a cell in one record."""

from dataclasses import dataclass

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.correlation import (
    CorrelationMap,
    stable_correlation,
    timescale,
    variance_slope,
)
from rmt_jacobian.mean_field.site_law import SiteLaw, site_law

__all__ = ["MeanField", "mean_field"]


@dataclass(frozen=True)
class MeanField:
    """Fixed points, slopes and timescales of a cell with untied weights.

    Attributes
    ----------
    law
        The stationary law of one site, for any further average.
    preactivation_variance, state_variance
        q* and Q* = E[h^2].
    input_correlation
        Sigma_12, as given.
    correlation, state_correlation
        c* of the preactivations and C* of the states.
    chi
        Slope of the correlation map at its stable fixed point.
    chi1
        The same at c = 1, which is the growth rate of gradients.
    timescale
        -1 / log chi, in steps; infinite on the order-chaos line.
    variance_timescale
        xi_Q, that of the state variance.
    """

    law: SiteLaw
    preactivation_variance: float
    state_variance: float
    input_correlation: float
    correlation: float
    state_correlation: float
    chi: float
    chi1: float
    timescale: float
    variance_timescale: float


def mean_field(
    cell: Cell,
    parameters: Parameters,
    *,
    input_correlation: float = 1.0,
    start_variance: float = 1.0,
) -> MeanField:
    """Solve the mean field of a cell: variances, correlation, slopes and timescales.

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation, and its hyperparameters.
    input_correlation
        Sigma_12, the correlation of two input sequences, in [-1, 1].
    start_variance
        Selects the fixed point of the state variance where there are several.

    Raises
    ------
    ConvergenceError
        If a fixed point is not found.
    ParameterError
        If the input correlation is out of its domain.

    References
    ----------
    :cite:t:`Chen2018`, sections 3.1 and 3.2.1.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> found = mean_field(minimalrnn, Parameters.of(minimalrnn), input_correlation=0.5)
    >>> round(found.correlation, 3), round(found.timescale, 2)
    (0.309, 1.17)
    """
    law = site_law(cell, parameters, start_variance=start_variance)
    correlations = CorrelationMap(law, input_correlation)
    state_correlation = stable_correlation(correlations).unwrap()
    chi = correlations.slope(state_correlation)
    return MeanField(
        law=law,
        preactivation_variance=law.preactivation_variance,
        state_variance=law.state_variance,
        input_correlation=input_correlation,
        correlation=correlations.preactivation_correlation(state_correlation),
        state_correlation=state_correlation,
        chi=chi,
        chi1=law.chi1,
        timescale=timescale(chi),
        variance_timescale=timescale(variance_slope(law)),
    )
