"""Two networks of a cell whose site law is closed: averages by quadrature, errors of rounding."""

import math
from dataclasses import dataclass
from functools import cached_property

from rmt_jacobian.mean_field.averages.jumps import has_jumps
from rmt_jacobian.mean_field.closed.correlation import (
    CorrelationMap,
    stable_correlation,
    timescale,
    variance_loss,
    variance_slope,
)
from rmt_jacobian.mean_field.closed.rounding import (
    ROUNDING,
    correlation_error,
    timescale_error,
    variance_error,
    with_variance,
)
from rmt_jacobian.mean_field.closed.site_law import SiteLaw

__all__ = ["ClosedPair", "ClosedVariance"]


@dataclass(frozen=True)
class ClosedVariance:
    """The state variance of one network: how well it is known, and how it settles.

    Attributes
    ----------
    law
        The stationary law of one site.
    """

    law: SiteLaw

    @cached_property
    def relative_error(self) -> float:
        """What rounding may do to Q*, relative to it; q* moves by as much at most."""
        return variance_error(self.law)

    @cached_property
    def moved(self) -> SiteLaw:
        """The law at the end of the error of its variance."""
        return with_variance(self.law, self.law.state_variance * (1 + self.relative_error))

    @property
    def growth_error(self) -> float:
        """What rounding may do to chi_1, the growth rate of squared gradients a step."""
        return ROUNDING * self.law.chi1 + abs(self.moved.chi1 - self.law.chi1)

    @property
    def timescale(self) -> float:
        """xi_Q of the reference: that of the state variance, in steps."""
        return timescale(variance_slope(self.law), loss=variance_loss(self.law))

    @property
    def timescale_error(self) -> float:
        """What rounding may do to it."""
        loss = variance_loss(self.law)
        error = ROUNDING * self.law.forgotten(2) + abs(variance_loss(self.moved) - loss)
        return timescale_error(self.timescale, loss, error)


@dataclass(frozen=True)
class ClosedPair:
    """The fixed point of the correlation map of two networks.

    Attributes
    ----------
    one
        Either of them.
    input_correlation
        Sigma_12.
    state_correlation
        C* of the states.

    References
    ----------
    :cite:t:`Chen2018`, sections 3.1 and 3.2.1.
    """

    one: ClosedVariance
    input_correlation: float
    state_correlation: float

    @classmethod
    def of(cls, law: SiteLaw, input_correlation: float) -> "ClosedPair":
        """Solve for C*.

        Raises
        ------
        ConvergenceError
            If a fixed point is not found.
        ParameterError
            If the input correlation is out of its domain.

        Examples
        --------
        >>> from rmt_jacobian.cells import Parameters, minimalrnn
        >>> from rmt_jacobian.mean_field import site_law
        >>> pair = ClosedPair.of(site_law(minimalrnn, Parameters.of(minimalrnn)), 0.5)
        >>> round(pair.correlation, 3), round(pair.timescale, 2)
        (0.309, 1.17)
        """
        found = stable_correlation(CorrelationMap(law, input_correlation)).unwrap()
        return cls(ClosedVariance(law), input_correlation, found)

    @classmethod
    def same(cls, law: SiteLaw) -> "ClosedPair":
        """Return two networks that are one, whether or not that is stable."""
        return cls(ClosedVariance(law), 1.0, 1.0)

    @cached_property
    def map(self) -> CorrelationMap:
        """The map whose fixed point is C*."""
        return CorrelationMap(self.one.law, self.input_correlation)

    @property
    def correlation(self) -> float:
        """c* of the preactivations."""
        return self.map.preactivation_correlation(self.state_correlation)

    @property
    def _may_part(self) -> bool:
        """Whether a small difference can meet a jump."""
        return has_jumps(self.one.law.cell.updates[0])

    @cached_property
    def chi(self) -> float:
        """Slope of the map at C*."""
        if self.state_correlation == self.input_correlation == 1 and not self._may_part:
            return self.one.law.chi1
        return self.map.slope(self.state_correlation)

    @property
    def loss(self) -> float:
        """1 - chi, with digits where the memory keeps next to everything."""
        return self.map.loss(self.state_correlation)

    @property
    def timescale(self) -> float:
        """-1 / log chi, in steps; infinite on the order-chaos line."""
        return timescale(self.chi, loss=self.loss)

    @cached_property
    def correlation_error(self) -> float:
        """What rounding may do to both correlations."""
        return correlation_error(self.map, self.state_correlation, self.one.relative_error)

    @property
    def chi_error(self) -> float:
        """What rounding may do to chi."""
        return ROUNDING * abs(self.chi) + self.loss_error if math.isfinite(self.chi) else 0.0

    @cached_property
    def loss_error(self) -> float:
        """What rounding may do to 1 - chi: by itself, and by the errors of Q* and C*."""
        here, C = self.map, self.state_correlation
        if not math.isfinite(self.chi):
            return 0.0
        loss, by = here.loss(C), self.correlation_error
        beside = [min(1.0, C + by), max(-1.0, C - by)]
        rounded = ROUNDING * (here.forgotten(C) + abs(here.through_weights(C)))
        by_correlation = max(abs(here.loss(at) - loss) for at in beside)
        there = CorrelationMap(self.one.moved, self.input_correlation)
        return rounded + by_correlation + abs(there.loss(C) - loss)

    @property
    def timescale_error(self) -> float:
        """What rounding may do to the timescale."""
        return timescale_error(self.timescale, self.loss, self.loss_error)
