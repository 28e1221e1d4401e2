"""The mean field of a cell in one record."""

import math
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.correlation import (
    CorrelationMap,
    stable_correlation,
    timescale,
    variance_loss,
    variance_slope,
)
from rmt_jacobian.mean_field.jumps import has_jumps
from rmt_jacobian.mean_field.pair_equations import pair_state
from rmt_jacobian.mean_field.pairs import PairState
from rmt_jacobian.mean_field.rounding import (
    ROUNDING,
    correlation_error,
    timescale_error,
    variance_error,
    with_variance,
)
from rmt_jacobian.mean_field.site_law import SiteLaw, site_law
from rmt_jacobian.mean_field.untied import UntiedState, untied_state

__all__ = ["MeanField", "UntiedMeanField", "mean_field", "untied_mean_field"]


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
        The same at c = 1, which is the growth rate of gradients, :attr:`SiteLaw.chi1`, unless the
        update jumps: then it is infinite, as two networks that see almost the same part.
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

    @property
    def correlations(self) -> CorrelationMap:
        """The map whose fixed point is C*."""
        return CorrelationMap(self.law, self.input_correlation)

    @property
    def errors(self) -> dict[str, float]:
        """What rounding may do to the numbers of this record, by their names."""
        relative = variance_error(self.law)
        moved = with_variance(self.law, self.state_variance * (1 + relative))
        of_correlation = correlation_error(self.correlations, self.state_correlation, relative)
        of_loss = self._loss_error(moved, of_correlation)
        loss, variances = self.correlations.loss(self.state_correlation), variance_loss(self.law)
        of_variances = ROUNDING * self.law.forgotten(2) + abs(variance_loss(moved) - variances)
        return {
            "preactivation_variance": _share(relative, self.preactivation_variance),
            "state_variance": _share(relative, self.state_variance),
            "chi1": _share(ROUNDING, self.chi1) + abs(moved.chi1 - self.law.chi1),
            "chi": _share(ROUNDING, self.chi) + of_loss,
            "correlation": of_correlation,
            "state_correlation": of_correlation,
            "timescale": timescale_error(self.timescale, loss, of_loss),
            "variance_timescale": timescale_error(self.variance_timescale, variances, of_variances),
        }

    def _loss_error(self, moved: SiteLaw, of_correlation: float) -> float:
        """Return the error of 1 - chi, at a law that is moved by its error, and that of C*."""
        here, C = self.correlations, self.state_correlation
        if not math.isfinite(self.chi):
            return 0.0
        loss = here.loss(C)
        beside = [min(1.0, C + of_correlation), max(-1.0, C - of_correlation)]
        rounded = ROUNDING * (here.forgotten(C) + abs(here.through_weights(C)))
        by_correlation = max(abs(here.loss(at) - loss) for at in beside)
        there = CorrelationMap(moved, self.input_correlation)
        return rounded + by_correlation + abs(there.loss(C) - loss)


def _share(relative: float, value: float) -> float:
    return relative * abs(value) if math.isfinite(value) else 0.0


def mean_field(
    cell: Cell,
    parameters: Parameters,
    *,
    input_correlation: float = 1.0,
    start_variance: float | None = None,
) -> MeanField:
    """Solve the mean field of a cell: variances, correlation, slopes and timescales.

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation, and its hyperparameters.
    input_correlation
        Sigma_12, the correlation of two input sequences, in [-1, 1].
    start_variance
        Selects the fixed point of the state variance where there are several; by default 1, and
        less where that escapes to infinity.

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
    chi, loss = correlations.slope(state_correlation), correlations.loss(state_correlation)
    return MeanField(
        law=law,
        preactivation_variance=law.preactivation_variance,
        state_variance=law.state_variance,
        input_correlation=input_correlation,
        correlation=correlations.preactivation_correlation(state_correlation),
        state_correlation=state_correlation,
        chi=chi,
        chi1=CorrelationMap(law, 1.0).slope(1.0) if has_jumps(cell.updates[0]) else law.chi1,
        timescale=timescale(chi, loss=loss),
        variance_timescale=timescale(variance_slope(law), loss=variance_loss(law)),
    )


@dataclass(frozen=True, eq=False)
class UntiedMeanField:
    """Fixed points, slopes and timescales of any cell with untied weights.

    Attributes
    ----------
    pair
        Two networks whose inputs have the correlation that was asked for.
    same
        Two networks that see the same.
    """

    pair: PairState
    same: PairState

    @property
    def state(self) -> UntiedState:
        """The stationary law of one site, for any further average."""
        return self.pair.state

    @property
    def preactivation_variances(self) -> dict[str, float]:
        """q_k by the name of the preactivation."""
        return self._named(self.state.preactivation_variances)

    @property
    def correlations(self) -> dict[str, float]:
        """c_k, the correlation of each preactivation in the two networks."""
        return self._named(self.pair.correlations)

    @property
    def source_squares(self) -> dict[str, float]:
        """E[y_k^2]."""
        return self._named(self.state.source_squares)

    @property
    def source_correlations(self) -> dict[str, float]:
        """E[y_k y_k] in the two networks over E[y_k^2]."""
        return self._named(self.pair.source_correlations)

    @property
    def chi(self) -> float:
        """The slope of the correlation map at its stable fixed point, in the end."""
        return self.pair.chi

    @property
    def chi1(self) -> float:
        """The same at c = 1: the growth rate of squared gradients a step, in the end.

        It is infinite where gates or activations jump on the way of a change: two networks that
        see almost the same part, though gradients, which see no jumps, grow at a finite rate.
        """
        return self.same.chi

    @property
    def timescale(self) -> float:
        r"""-1 / log \|chi\|, in steps; infinite on the order-chaos line."""
        return timescale(self.chi)

    def growth_rate(self, steps: int) -> float:
        r"""Return :math:`m_1(T)^{1/T}`, the growth of squared gradients a step over T steps."""
        return self.same.growth_rate(steps)

    def growth_rate_error(self, steps: int) -> float:
        """Return the half width of the 95 % interval of :meth:`growth_rate`."""
        return self.same.growth_rate_error(steps)

    @property
    def errors(self) -> dict[str, Any]:
        """Half widths of 95 % intervals of the numbers of this record, by their names."""
        chi, error = self.pair.chi, self.pair.chi_error
        return {
            "preactivation_variances": self._named(self.state.preactivation_variance_errors),
            "correlations": self._named(self.pair.correlation_errors),
            "source_squares": self._named(self.state.source_square_errors),
            "source_correlations": self._named(self.pair.source_correlation_errors),
            "chi": error,
            "chi1": self.same.chi_error,
            "timescale": timescale_error(self.timescale, 1 - chi, error),
        }

    def _named(self, values: tuple[float, ...]) -> dict[str, float]:
        names = [name for name, _ in self.state.parameters.groups]
        return dict(zip(names, values, strict=True))


def untied_mean_field(
    cell: Cell,
    parameters: Parameters,
    *,
    input_correlation: float = 1.0,
    start_variance: float | None = None,
    count: int = 16_384,
    seed: int = 0,
    tolerance: float | None = None,
) -> UntiedMeanField:
    """Solve the mean field of any cell: variances, correlations, slopes and timescales.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    input_correlation
        Sigma_12, the correlation of two input sequences, in [-1, 1].
    start_variance
        Of every source where the orbit starts that selects the fixed point; by default 1, and less
        where that escapes to infinity.
    count, seed
        Of the sites that stand for the law, and of averages which have no closed form.
    tolerance
        The largest error of a correlation, and relative error of a variance and a growth rate.
        By default 1e-3 is aimed at, 3e-3 of a growth rate, and an error above 1e-2 is refused.

    Raises
    ------
    ConvergenceError
        If a fixed point is not found, or the tolerance is not met.
    InfeasibleError
        If a state grows for ever.
    ParameterError
        If the input correlation is out of its domain.

    References
    ----------
    :cite:t:`Gilboa2019`; the equations are derived in docs/theory.md.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> point = Parameters.of(gru).with_values(input_std=1.0)
    >>> found = untied_mean_field(gru, point, input_correlation=0.5)
    >>> {name: round(q, 3) for name, q in found.preactivation_variances.items()}
    {'update': 3.259, 'reset': 1.251, 'candidate': 1.68}
    >>> round(found.chi1, 4), round(found.chi, 4)
    (0.9062, 0.5254)
    """
    state = untied_state(
        cell, parameters, count=count, seed=seed, start_variance=start_variance,
        tolerance=tolerance,
    )  # fmt: skip
    pair = pair_state(state, input_correlation)
    together = pair.input_correlation == 1.0 and pair.source_products == state.source_squares
    same = pair if together else PairState(state, 1.0, state.source_squares)  # one slope, once
    return UntiedMeanField(pair, same)
