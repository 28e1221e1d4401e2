"""The stationary law of a site whose weights are drawn anew at every step."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import sympy as sp

from rmt_jacobian.arrays import Seed
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts, check_numbers
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.mean_field.closed.closed_pair import ClosedPair, ClosedVariance
from rmt_jacobian.mean_field.closed.rounding import timescale_error
from rmt_jacobian.mean_field.replicated.solver import half_width
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.stationary_law import (
    ROUNDED,
    Dynamics,
    Errors,
    StationaryLaw,
    checked_expression,
)
from rmt_jacobian.mean_field.untied.pair_equations import pair_state
from rmt_jacobian.mean_field.untied.pairs import PairState
from rmt_jacobian.mean_field.untied.state import UntiedState

__all__ = ["PairLaw", "UntiedLaw", "independent_states"]

_SITES = 4096
_POPULATIONS = 8  # whose scatter is the error of an average over sites


@dataclass(frozen=True, eq=False, repr=False)
class UntiedLaw(StationaryLaw):
    r"""The law of a site of a network whose W and V are drawn anew at every step.

    .. math:: q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2, \qquad e_k \sim N(\mu_k, q_k)

    Attributes
    ----------
    state
        The self-consistent state that it is made of.

    Notes
    -----
    Assumes fresh weights and N -> infinity.  Frozen biases belong to the site.
    """

    state: UntiedState
    _pairs: dict[float, "PairLaw"] = field(default_factory=dict)

    dynamics: ClassVar[Dynamics] = "untied"

    @property
    def cell(self) -> Cell:  # noqa: D102
        return self.state.cell

    @property
    def parameters(self) -> Parameters:  # noqa: D102
        return self.state.parameters

    @property
    def variances(self) -> dict[str, float]:  # noqa: D102
        return self.by_preactivation(self.state.preactivation_variances)

    @property
    def state_squares(self) -> dict[str, float]:  # noqa: D102
        closed = self._closed
        return self.by_state((closed.law.state_variance,) if closed else self.state.state_squares)

    @property
    def source_squares(self) -> dict[str, float]:
        """E[y^2] of what every W multiplies."""
        return self.by_preactivation(self.state.source_squares)

    @cached_property
    def _closed(self) -> ClosedVariance | None:
        law = self.state.site_law
        return None if law is None else ClosedVariance(law)

    @property
    def growth_rate(self) -> float:
        r"""The factor by which squared gradients grow a step in the end, chi_1.

        Jumps of gates or activations, which no derivative sees, do not count.
        """
        return self._closed.law.chi1 if self._closed else self.same.state.gradient_growth

    def growth_over(self, steps: int) -> float:
        r"""Return :math:`m_1(T)^{1/T}`, the same over T steps from a random change of the states.

        Parameters
        ----------
        steps
            T.
        """
        return self.growth_over_with_error(steps)[0]

    def growth_over_with_error(self, steps: int) -> tuple[float, float]:
        """Return :meth:`growth_over` and the half width of its 95 % interval."""
        check_counts(steps=steps)
        if self._closed:  # successive steps are independent
            return self._closed.law.chi1, self._closed.growth_error
        same = self.same.state
        return same.growth_rate(steps), same.growth_rate_error(steps)

    @property
    def timescale(self) -> float:
        r""":math:`-1/\log\chi` of two networks that see the same; infinite where chi >= 1."""
        return self.same.timescale

    @property
    def variance_timescale(self) -> float:
        """xi_Q, that of the state variance, in steps: for cells of one state with a closed law.

        Raises
        ------
        HypothesisError
            For other cells.
        """
        if self._closed is None:
            raise HypothesisError(
                f"the timescale of the variance is known where the law of one state is closed, not "
                f"for {self.cell.name} at this point: take timescale, that of a small difference"
            )
        return self._closed.timescale

    @property
    def errors(self) -> Errors:  # noqa: D102
        state, closed = self.state, self._closed
        if closed is None:
            return Errors(
                variances=lambda: self.by_preactivation(state.preactivation_variance_errors),
                state_squares=lambda: self.by_state(state.state_square_errors),
                source_squares=lambda: self.by_preactivation(state.source_square_errors),
                growth_rate=lambda: self.same.state.gradient_growth_error,
                timescale=lambda: self.same.errors["timescale"],
            )

        def scaled(values: dict[str, float]) -> dict[str, float]:
            return {name: closed.relative_error * value for name, value in values.items()}

        return Errors(
            variances=lambda: scaled(self.variances),
            state_squares=lambda: scaled(self.state_squares),
            source_squares=lambda: scaled(self.source_squares),
            growth_rate=lambda: closed.growth_error,
            timescale=lambda: self.same.errors["timescale"],
            variance_timescale=lambda: closed.timescale_error,
        )

    def pair(self, input_correlation: float = 1.0) -> "PairLaw":
        """Return the joint law of a site in two networks that share all weights, in the end.

        Parameters
        ----------
        input_correlation
            Sigma_12, that of their inputs.  Networks that see the same become one where chi_1 < 1,
            and stay apart where it is above.

        Raises
        ------
        ConvergenceError
            If no correlation is found at which they settle.

        Examples
        --------
        >>> from rmt_jacobian.mean_field import stationary
        >>> pair = stationary("minimalrnn").pair(0.5)
        >>> round(pair.chi, 4), round(pair.correlations["update"], 4)
        (0.4243, 0.309)
        """
        check_numbers(input_correlation=input_correlation)
        if input_correlation not in self._pairs:
            law, state = self.state.site_law, self.state
            self._pairs[input_correlation] = PairLaw(
                self,
                pair_state(state, input_correlation)
                if law is None
                else ClosedPair.of(law, input_correlation),
            )
        return self._pairs[input_correlation]

    @cached_property
    def same(self) -> "PairLaw":
        """Two networks that are one: how small differences between them grow."""
        law, state = self.state.site_law, self.state
        return PairLaw(
            self,
            PairState(state, 1.0, state.source_squares) if law is None else ClosedPair.same(law),
        )

    def sites(self, count: int | None = None, seed: Seed = 0) -> Sites:  # noqa: D102
        return self.history(1, _SITES if count is None else count, seed)[0]

    def history(self, steps: int, count: int = _SITES, seed: Seed = 0) -> list[Sites]:
        """Return the variables of successive steps at the same sites.

        Parameters
        ----------
        steps
            T.
        count, seed
            How many sites, best a power of 2, and what they are drawn from.
        """
        check_counts(count=count)
        return self.state.history(steps, count=count, seed=seed)

    def average_with_error(self, expression: sp.Expr) -> tuple[float, float]:
        """Return the average of an expression over sites, and the half width of its interval.

        It is a quadrature where the expression reads preactivations and inputs alone and no bias is
        frozen, or is a polynomial in the state of a cell whose moments close; else the mean over
        independent populations of sites.
        """
        expression = checked_expression(self, expression)
        coefficients = self._polynomial(expression)
        if coefficients is not None:
            fresh = FreshVariables(self.cell, self.parameters, self.state.preactivation_variances)
            parts = [float(fresh.average(each).mean()) * moment for each, moment in coefficients]
            sizes = [
                math.sqrt(max(0.0, float(fresh.average(each**2).mean()))) * abs(moment)
                for each, moment in coefficients
            ]
            return math.fsum(parts), ROUNDED * math.fsum(sizes)
        states = independent_states(self.state)
        count = max(self.state.count // len(states), 2)
        found = np.array([each.history(1, count=count)[0].average(expression) for each in states])
        return float(found.mean()), float(half_width(found))

    def _polynomial(self, expression: sp.Expr) -> list[tuple[sp.Expr, float]] | None:
        """Return coefficients in gates and input, and the moments that they stand with."""
        read = expression.free_symbols & set(self.cell.states)
        if not read and not self.parameters.has_frozen_bias:
            return [(expression, 1.0)] if self.state.is_exact else None
        law = self.state.site_law
        if law is None or not expression.is_polynomial(*self.cell.states):
            return None
        polynomial = sp.Poly(expression, *self.cell.states)
        return [(c, law.state_moment(n) if n else 1.0) for (n,), c in polynomial.terms()]


def independent_states(state: UntiedState) -> list[UntiedState]:
    """Return the state at independent estimates of its variances, with sites of their own.

    What is averaged over each scatters by the noise of the sites and by that of the variances.
    """
    samples = state.samples.samples
    rows = samples if len(samples) > 1 else np.repeat(samples, _POPULATIONS, axis=0)
    seeds = np.random.SeedSequence(state.seed).generate_state(len(rows))
    return [
        replace(state, source_squares=tuple(map(float, np.maximum(row, 0.0))), seed=int(seed))
        for row, seed in zip(rows, seeds, strict=True)
    ]


@dataclass(frozen=True, eq=False, repr=False)
class PairLaw:
    r"""The joint law of a site in two networks that share W, V and b.

    .. math:: q_k c_k = \sigma_k^2 E[y_k^{(1)} y_k^{(2)}] + \nu_k^2 R \Sigma_{12} + \rho_k^2

    Attributes
    ----------
    law
        That of each of them.
    found
        The fixed point of both: of a correlation map, or of the products of sources.
    """

    law: UntiedLaw
    found: PairState | ClosedPair

    @property
    def state(self) -> PairState:
        """The self-consistent state of both, for averages over populations."""
        if isinstance(self.found, PairState):
            return self.found
        C, squares = self.found.state_correlation, self.law.state.source_squares
        products = tuple(C * square for square in squares)
        return PairState(self.law.state, self.found.input_correlation, products)

    @property
    def input_correlation(self) -> float:
        """Sigma_12."""
        return self.found.input_correlation

    @property
    def correlations(self) -> dict[str, float]:
        """c_k of every preactivation; 1 where it does not vary."""
        found = self.found
        if isinstance(found, ClosedPair):
            return self._named((found.correlation,))
        return self._named(found.correlations)

    @property
    def source_correlations(self) -> dict[str, float]:
        """E[y_k y_k] in the two networks over E[y_k^2]."""
        found = self.found
        if isinstance(found, ClosedPair):
            return self._named((found.state_correlation,))
        return self._named(found.source_correlations)

    @property
    def chi(self) -> float:
        r"""The slope of the correlation map: in the end :math:`c - c^*` falls by it a step.

        Infinite where the networks are one and meet a jump: they part faster than by any rate.
        """
        return self.found.chi

    @property
    def timescale(self) -> float:
        r"""-1 / log \|chi\|, in steps; infinite on the order-chaos line."""
        return self.found.timescale

    @property
    def errors(self) -> Errors:
        """Half widths of 95 % intervals, by the name of the number and that of its part."""
        found, named = self.found, self._named
        if isinstance(found, ClosedPair):
            return Errors(
                correlations=lambda: named((found.correlation_error,)),
                source_correlations=lambda: named((found.correlation_error,)),
                chi=lambda: found.chi_error,
                timescale=lambda: found.timescale_error,
            )
        return Errors(
            correlations=lambda: named(found.correlation_errors),
            source_correlations=lambda: named(found.source_correlation_errors),
            chi=lambda: found.chi_error,
            timescale=lambda: timescale_error(found.timescale, 1 - found.chi, found.chi_error),
        )

    def _named(self, values: Iterable[float]) -> dict[str, float]:
        return self.law.by_preactivation(values)

    def __repr__(self) -> str:
        """Say in one line how alike the networks become."""
        correlations = ", ".join(f"c {name} {c:.4g}" for name, c in self.correlations.items())
        return f"<two {self.law.cell.name}, inputs {self.input_correlation:g}: {correlations}>"
