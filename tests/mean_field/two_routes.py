"""The numbers of two networks by either route: sites of any cell, and the map of one state."""

from dataclasses import dataclass

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field import (
    PairLaw,
    PairState,
    SiteLaw,
    UntiedState,
    pair_state,
    stationary,
    untied_state,
)
from rmt_jacobian.mean_field.closed.rounding import timescale_error


@dataclass(frozen=True)
class BySites:
    """Two networks with the inputs that were asked for, and two that are one."""

    pair: PairState
    same: PairState

    @property
    def state(self) -> UntiedState:
        return self.pair.state

    def _named(self, values) -> dict[str, float]:
        return dict(zip((name for name, _ in self.state.parameters.groups), values, strict=True))

    @property
    def preactivation_variances(self) -> dict[str, float]:
        return self._named(self.state.preactivation_variances)

    @property
    def correlations(self) -> dict[str, float]:
        return self._named(self.pair.correlations)

    @property
    def source_squares(self) -> dict[str, float]:
        return self._named(self.state.source_squares)

    @property
    def source_correlations(self) -> dict[str, float]:
        return self._named(self.pair.source_correlations)

    @property
    def chi(self) -> float:
        return self.pair.chi

    @property
    def chi1(self) -> float:
        return self.same.chi

    def growth_rate(self, steps: int) -> float:
        return self.same.growth_rate(steps)

    def growth_rate_error(self, steps: int) -> float:
        return self.same.growth_rate_error(steps)

    @property
    def errors(self) -> dict:
        pair = self.pair
        return {
            "preactivation_variances": self._named(self.state.preactivation_variance_errors),
            "correlations": self._named(pair.correlation_errors),
            "chi": pair.chi_error,
            "chi1": self.same.chi_error,
            "timescale": timescale_error(pair.timescale, 1 - pair.chi, pair.chi_error),
        }


def by_sites(
    cell: Cell, parameters: Parameters, *, input_correlation: float = 1.0, **options
) -> BySites:
    """Return the numbers by the route of any cell, one with a closed law too."""
    state = untied_state(cell, parameters, **options)
    pair = pair_state(state, input_correlation)
    together = pair.input_correlation == 1.0 and pair.source_products == state.source_squares
    return BySites(pair, pair if together else PairState(state, 1.0, state.source_squares))


@dataclass(frozen=True)
class ByMap:
    """The fixed point of the correlation map of a cell with a closed law."""

    pair: PairLaw

    @property
    def law(self) -> SiteLaw:
        law = self.pair.law.state.site_law
        assert law is not None
        return law

    @property
    def preactivation_variance(self) -> float:
        (value,) = self.pair.law.variances.values()
        return value

    @property
    def state_variance(self) -> float:
        (value,) = self.pair.law.state_squares.values()
        return value

    @property
    def correlation(self) -> float:
        (value,) = self.pair.correlations.values()
        return value

    @property
    def state_correlation(self) -> float:
        (value,) = self.pair.source_correlations.values()
        return value

    @property
    def chi(self) -> float:
        return self.pair.chi

    @property
    def chi1(self) -> float:
        return self.pair.law.same.chi

    @property
    def timescale(self) -> float:
        return self.pair.timescale

    @property
    def variance_timescale(self) -> float:
        return self.pair.law.variance_timescale

    @property
    def errors(self) -> dict[str, float]:
        law, pair = self.pair.law, self.pair
        (variance,) = law.errors["variances"].values()
        (correlation,) = pair.errors["correlations"].values()
        return {"variance": variance, "correlation": correlation, "chi": pair.errors["chi"],
                "timescale": pair.errors["timescale"]}  # fmt: skip


def by_map(
    cell: Cell, parameters: Parameters, *, input_correlation: float = 1.0, **options
) -> ByMap:
    """Return the numbers by the map of the state correlation."""
    return ByMap(stationary(cell, parameters, **options).pair(input_correlation))
