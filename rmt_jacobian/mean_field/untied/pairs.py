"""Two input sequences through one untied network of any cell: how similar its states become."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.averages.jumps import has_jumps
from rmt_jacobian.mean_field.closed.correlation import timescale
from rmt_jacobian.mean_field.populations.site_models import (
    AffineSites,
    Drives,
    SiteModel,
    more_points,
)
from rmt_jacobian.mean_field.populations.sites import PopulationSites
from rmt_jacobian.mean_field.replicated.solver import Replicated, half_width, not_met
from rmt_jacobian.mean_field.sites.symmetry import distinct_sources
from rmt_jacobian.mean_field.untied.state import (
    UntiedState,
    fresh_variances,
)

__all__ = ["PairState", "drives_of"]

_STEP = 0.02  # relative, of the derivatives by which errors are passed on
_NEAR = 0.9  # correlations beyond which networks are known by their distance
_MOST_DOWN = 0.95  # of a distance: where none is left rates may be infinite
_ROUNDING = 1e-12  # relative, of exact growth rates
_FORGOTTEN = 1e-2  # growth rates below it are known to a share of this: a step forgets nearly all


@dataclass(frozen=True, eq=False)
class PairState:
    r"""The stationary joint law of a site in two networks that share W, V and b.

    .. math:: q_k c_k = \sigma_k^2 E[y_k^{(1)} y_k^{(2)}] + \nu_k^2 R \Sigma_{12} + \rho_k^2

    Attributes
    ----------
    state
        The law of each of them.
    input_correlation
        Sigma_12.
    source_products
        :math:`E[y_k^{(1)} y_k^{(2)}]`, one for each preactivation.
    samples
        Independent estimates of the products; None for two networks that see the same.
    model
        What gives averages; by default that of the state.

    Notes
    -----
    Assumes fresh W and V at every step and N -> infinity.
    """

    state: UntiedState
    input_correlation: float
    source_products: tuple[float, ...]
    samples: Replicated | None = None
    model: SiteModel | None = None
    _known_rates: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def correlations(self) -> tuple[float, ...]:
        """c_k, the correlation of each preactivation; 1 where it does not vary."""
        covariances = _covariances(self.state, self.input_correlation, self.source_products)
        return tuple(map(_ratio, covariances, self.state.preactivation_variances))

    @property
    def correlation_errors(self) -> tuple[float, ...]:
        """Half widths of 95 % intervals of c_k."""
        state, R = self.state, self.state.parameters.input_variance

        def correlations(squares: Sequence[float], products: Sequence[float]) -> list[float]:
            groups = zip(state.parameters.groups, squares, strict=True)
            variances = [group.preactivation_variance(s, R) for (_, group), s in groups]
            covariances = _covariances(state, self.input_correlation, products)
            return list(map(_ratio, covariances, variances))

        return self._errors(correlations)

    @property
    def source_correlations(self) -> tuple[float, ...]:
        """The correlation of each source, E[y_1 y_2] / E[y^2]."""
        return tuple(map(_ratio, self.source_products, self.state.source_squares))

    @property
    def source_correlation_errors(self) -> tuple[float, ...]:
        """Half widths of 95 % intervals of the correlations of the sources."""
        return self._errors(lambda squares, products: list(map(_ratio, products, squares)))

    def _errors(self, function: Callable[[Any, Any], list[float]]) -> tuple[float, ...]:
        """Pass the errors of squares and products on to functions of them."""
        squares, products = self.state.samples, self.samples
        if products is None:
            return (0.0,) * len(self.source_products)
        here = np.array(function(self.state.source_squares, self.source_products))
        if len(squares.samples) == len(products.samples) > 1:
            rows = zip(squares.samples, products.samples, strict=True)
            return tuple(map(float, half_width(np.array([function(s, p) for s, p in rows]))))
        total = np.zeros(len(here))
        for known, own in ((squares, 0), (products, 1)):
            for k, error in enumerate(known.errors):
                moved = [np.array(self.state.source_squares), np.array(self.source_products)]
                moved[own][k] += error
                total = total + np.abs(np.array(function(*moved)) - here)
        return tuple(map(float, total))

    @property
    def drives(self) -> Drives:
        """What drives a pair of sites."""
        return drives_of(
            self.state, self.state.source_squares, self.input_correlation, self.source_products
        )

    @cached_property
    def _growth_as_known(self) -> Replicated:
        """The growth rate however large its error."""
        return self._growth_in_the_end(jumps=True)

    @property
    def _growth(self) -> Replicated:
        return self._accepted(self._growth_as_known)

    @property
    def least_chi(self) -> float:
        """The lower end of the 95 % interval of chi, however wide; above 1 the pair repels."""
        rate = self._growth_as_known
        return float(rate.mean[0] - rate.errors[0]) if np.isfinite(rate.mean[0]) else np.inf

    def _growth_in_the_end(self, *, jumps: bool) -> Replicated:
        """Return the growth rate, its samples at the squares and products of their own."""
        state = self.state
        model = state.model.watchful()
        passed: dict[int, np.ndarray] = {}  # derivatives hang on the steps of a series alone
        while True:
            own = model.growth(self.drives, jumps=jumps)
            if np.any(np.isinf(own)):
                return Replicated(np.array([[np.inf]]), np.zeros(1))
            missed = model.transient(self.drives, float(own.mean()))
            if max(len(own), len(state.samples.samples), len(self._product_samples)) == 1:
                return Replicated(own[:, None], _ROUNDING * np.abs(own) + missed)
            run = model.steps(self.drives, growth=True)
            if run not in passed:
                passed[run] = self._passed_on(partial(model.smooth().growth, jumps=jumps))
            samples = own + passed[run]
            found = Replicated(samples[:, None], np.zeros(1), bias=missed)
            reached = float(found.errors[0] / max(abs(found.mean[0]), _FORGOTTEN))
            if reached <= state.growth_aim or not np.any(own):
                return found
            scale = max(float(abs(own.mean())), _FORGOTTEN)
            own_share = float(half_width(own) / scale) if len(own) > 1 else 0.0
            finer = more_points(model, reached, state.growth_aim, state.accepted, steps=run)
            if finer is None or own_share < reached / 4:
                return found
            model = finer

    def _accepted(self, rate: Replicated) -> Replicated:
        """Refuse a growth rate that is not known as well as was asked."""
        accepted = self.state.accepted
        reached = float(rate.errors[0] / max(abs(rate.mean[0]), _FORGOTTEN))
        if reached <= accepted:
            return rate
        if max(1 - c for c in self.correlations) < 4 * max(self.correlation_errors):
            raise ConvergenceError(
                "the growth rate: it hangs on how far the networks have parted, which noise hides "
                f"here; it is {rate.mean[0]:.4g} within {rate.errors[0]:.2g}"
            )
        raise ConvergenceError(f"the growth rate: {not_met(reached, accepted)}")

    def _passed_on(self, rate: Callable[[Drives], np.ndarray]) -> np.ndarray:
        """Return what the errors of squares and products do to a growth rate, shape (R,)."""
        squares, products = self.state.samples.samples, self._product_samples
        total = np.zeros(max(len(squares), len(products)))
        owners = np.array(distinct_sources(self.state.cell))
        for owner in sorted(set(owners)):
            alike = owners == owner
            k = int(np.flatnonzero(alike)[0])
            square, product = self.state.source_squares[k], self.source_products[k]
            # Close networks are known by their distance: the rate may hang on a root of it.
            close = self.samples is not None and product > _NEAR * square
            width = _STEP * abs(square)

            def moved(square: float, own: float, alike=alike, close=close) -> float:
                """Return the rate where a square and a product, or distance, are others."""
                at = np.array(self.state.source_squares), np.array(self.source_products)
                at[0][alike] += square
                at[1][alike] += square - own if close else own
                if self.samples is None:  # two networks that see the same
                    at = at[0], at[0]
                return float(
                    rate(drives_of(self.state, at[0], self.input_correlation, at[1])).mean()
                )

            total = total + _spread_by(partial(moved, own=0.0), squares[:, k], width)
            if close:
                apart = squares[:, k] - products[:, k]
                total = total + _spread_near_0(partial(moved, 0.0), apart, square - product)
            elif self.samples is not None:
                total = total + _spread_by(partial(moved, 0.0), products[:, k], width)
        return total

    @property
    def _product_samples(self) -> np.ndarray:
        if self.samples is not None:
            return self.samples.samples
        return np.array(self.source_products)[None]

    @property
    def chi(self) -> float:
        r"""The slope of the correlation map: in the end :math:`c - c^*` falls by it a step.

        Jumps of gates and activations count.  It is infinite where the networks see the same and
        meet a jump: they part faster than by any rate, and the mean squared singular value, which
        sees no jumps, does not tell; see :attr:`gradient_growth`.

        Where a frozen bias reaches the memory, the few sites that never forget dominate in the end,
        so that the limit is at least what they keep; see :meth:`growth_rate` for finite times.
        """
        return float(self._growth.mean[0])

    @property
    def chi_error(self) -> float:
        """Half width of the 95 % interval of chi."""
        return float(self._growth.errors[0])

    @cached_property
    def _gradients(self) -> Replicated:
        cell = self.state.cell
        jumps = any(map(has_jumps, (*cell.updates, *cell.sources)))
        return self._accepted(self._growth_in_the_end(jumps=False)) if jumps else self._growth

    @property
    def gradient_growth_error(self) -> float:
        """Half width of the 95 % interval of :attr:`gradient_growth`."""
        return float(self._gradients.errors[0])

    @property
    def gradient_growth(self) -> float:
        """The limit of :meth:`growth_rate`: chi, but for jumps, which no derivative sees."""
        return float(self._gradients.mean[0])

    @property
    def kept(self) -> float:
        """What the most retentive sites keep of a squared change a step, without any W."""
        return (self.model or self.state.model).kept(self.drives)

    def growth_rate(self, steps: int) -> float:
        r"""Return :math:`m_1(T)^{1/T}`, the mean squared singular value of T steps as a rate.

        Parameters
        ----------
        steps
            T.
        """
        return float(np.mean(self._rates_over(steps)))

    def growth_rate_error(self, steps: int) -> float:
        """Return the half width of the 95 % interval of :meth:`growth_rate`."""
        rates = self._rates_over(steps)
        return float(half_width(rates)) if len(rates) > 1 else _ROUNDING * float(rates[0])

    def _rates_over(self, steps: int) -> np.ndarray:
        if steps not in self._known_rates:
            self._known_rates[steps] = self._rates(steps)
        return self._known_rates[steps]

    def _rates(self, steps: int) -> np.ndarray:
        if steps < 1:
            raise ParameterError(f"steps must be a whole number above 0, not {steps}")
        state = self.state
        model = state.model
        if isinstance(model, AffineSites) and not model.steps_are_known:
            model = PopulationSites(state.cell, state.parameters, seed=state.seed)
        model = model.watchful()

        def rates_by(model: SiteModel, drives: Drives) -> np.ndarray:
            return np.exp(model.log_mean_squares(drives, steps)[:, -1] / steps)

        passed: np.ndarray | None = None
        while True:
            rates = rates_by(model, self.drives)
            if max(len(rates), len(state.samples.samples), len(self._product_samples)) > 1:
                if passed is None:
                    passed = self._passed_on(partial(rates_by, model.smooth()))
                rates = rates + passed
            reached = float(half_width(rates)) / max(float(rates.mean()), _FORGOTTEN)
            if reached <= state.growth_aim:
                return rates
            run = model.steps(self.drives) + steps
            finer = more_points(model, reached, state.growth_aim, state.accepted, steps=run)
            if finer is None:
                if reached <= state.accepted:
                    return rates
                raise ConvergenceError(
                    f"the growth over {steps} steps: {not_met(reached, state.accepted)}"
                )
            model = finer

    @property
    def timescale(self) -> float:
        r"""-1 / log \|chi\|, in steps."""
        return timescale(self.chi)


def _spread_by(function: Callable[[float], float], samples: np.ndarray, width: float) -> np.ndarray:
    """Return what the scatter of a number does to a smooth function of its change, shape (R,)."""
    spread = samples - samples.mean()
    if not np.any(spread) or width == 0:
        return np.zeros(len(samples))
    return (function(width) - function(-width)) / (2 * width) * spread


def _spread_near_0(
    function: Callable[[float], float], samples: np.ndarray, at: float
) -> np.ndarray:
    """Return what the scatter of a number above 0 does to a function that may be a root there.

    The derivative is the larger of those over about all of it, up and down: over less of it the
    noise of few sites would be most of a difference.
    """
    spread = samples - samples.mean()
    if not np.any(spread) or at <= 0:
        return np.zeros(len(samples))
    here, down, up = function(0.0), _MOST_DOWN * at, max(at, float(half_width(samples)))
    slopes = (function(up) - here) / up, (here - function(-down)) / down
    return max(slopes, key=abs) * spread


def _ratio(part: float, whole: float) -> float:
    return min(1.0, max(-1.0, part / whole)) if whole > 0 else 1.0


def _covariances(
    state: UntiedState, input_correlation: float, products: Sequence[float]
) -> list[float]:
    R = state.parameters.input_variance
    return [
        group.preactivation_covariance(product, R * input_correlation)
        for (_, group), product in zip(state.parameters.groups, products, strict=True)
    ]


def drives_of(
    state: UntiedState,
    squares: Sequence[float] | np.ndarray,
    input_correlation: float,
    products: Sequence[float] | np.ndarray,
) -> Drives:
    """Return what is drawn anew at every step in both networks."""
    parameters = state.parameters
    fresh = tuple(fresh_variances(parameters, tuple(max(0.0, float(s)) for s in squares)))
    if input_correlation == 1.0 and tuple(products) == tuple(squares):
        return Drives(fresh)
    frozen = parameters.bias_kind == "frozen"
    groups = [replace(g, bias_std=0.0) if frozen else g for _, g in parameters.groups]
    shared = [
        group.preactivation_covariance(
            float(product), parameters.input_variance * input_correlation
        )
        for group, product in zip(groups, products, strict=True)
    ]
    return Drives(fresh, tuple(map(_ratio, shared, fresh)), input_correlation)
