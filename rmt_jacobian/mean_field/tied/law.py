"""The stationary laws of a site of networks that keep their weights: in motion and at rest."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import sympy as sp

from rmt_jacobian.arrays import Seed
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.at_rest.fixed_points import FixedPoint
from rmt_jacobian.mean_field.replicated.solver import half_width
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.stationary_law import (
    ROUNDED,
    Dynamics,
    Errors,
    StationaryLaw,
    checked_expression,
)
from rmt_jacobian.mean_field.tied.growth import Paths, TiedGrowth, tied_growth
from rmt_jacobian.mean_field.tied.pair import tied_pair_growth
from rmt_jacobian.mean_field.tied.paths import PATH_GROUPS, site_paths
from rmt_jacobian.mean_field.tied.periodic import periodic_paths
from rmt_jacobian.mean_field.tied.steady_state import TiedSteadyState

__all__ = ["LawAtRest", "TiedLaw"]

_SITES = 4096
_PATHS, _LONG = 8192, 64  # sites and steps of a growth rate
_GROUPS = 8  # of sites, whose scatter is the error of an average over them


@dataclass(frozen=True, eq=False, repr=False)
class TiedLaw(StationaryLaw):
    r"""The law of a site of a network that keeps its weights, in its steady state.

    Attributes
    ----------
    steady
        The covariances in time that it is made of: :attr:`TiedSteadyState.lags`, ...

    Notes
    -----
    Assumes N -> infinity, W Gaussian or orthogonal.
    """

    steady: TiedSteadyState

    dynamics: ClassVar[Dynamics] = "tied"

    @property
    def cell(self) -> Cell:  # noqa: D102
        return self.steady.cell

    @property
    def parameters(self) -> Parameters:  # noqa: D102
        return self.steady.parameters

    @property
    def variances(self) -> dict[str, float]:  # noqa: D102
        return self.by_preactivation(self.steady.preactivation_variances)

    @property
    def state_squares(self) -> dict[str, float]:  # noqa: D102
        return self.by_state(self.steady.state_covariances[:, 0])

    @property
    def correlation_time(self) -> float:
        """The lag at which the slowest state has lost all but 1/e of what fluctuates."""
        return self.steady.correlation_time

    @property
    def errors(self) -> Errors:  # noqa: D102
        steady = self.steady
        return Errors(
            variances=lambda: self.by_preactivation(2 * steady.preactivation_errors[:, 0]),
            state_squares=lambda: self.by_state(2 * steady.state_errors[:, 0]),
            correlation_time=lambda: 2 * steady.correlation_time_error,
            growth_rate=lambda: self._in_the_end[1],
        )

    def history(self, steps: int, *, count: int = _SITES, seed: Seed = 0) -> list[Sites]:
        """Return the same sites at T successive steps.

        Parameters
        ----------
        steps
            T.
        count, seed
            How many sites, most even if it is a power of 2, and what is random.

        Raises
        ------
        ParameterError
            If there are too few.
        """
        check_counts(steps=steps, count=count)
        return site_paths(self.steady, steps, count=count, seed=seed, groups=1)

    def period(self, steps: int, *, count: int = _SITES, seed: Seed = 0) -> list[Sites]:
        """Return the same sites at T successive steps, of which the first follows the last.

        Parameters
        ----------
        steps
            T, even; many correlation times.
        count, seed
            How many sites, and what is random.
        """
        check_counts(steps=steps, count=count)
        return periodic_paths(self.steady, steps, count=count, seed=seed)

    def growth(self, steps: int, *, sites: int = _PATHS, seed: Seed = 0) -> TiedGrowth:
        """Return the mean squared singular value of 1, ..., T steps of the network.

        Parameters
        ----------
        steps
            T.
        sites, seed
            How many paths of sites it is averaged over, a multiple of 8, and what is random.

        Examples
        --------
        >>> from rmt_jacobian.mean_field import stationary
        >>> law = stationary("vanilla", {"weight_std": 0.5}, dynamics="tied", sites=1024)
        >>> rate, error = law.growth(3, sites=1024).rate(3)
        >>> abs(rate - stationary("vanilla", {"weight_std": 0.5}).growth_rate) < 2 * error
        True
        """
        check_counts(steps=steps, sites=sites)
        paths = Paths.of_sites(site_paths(self.steady, steps, count=sites, seed=seed))
        groups = (group for _, group in self.parameters.groups)
        return tied_growth(paths, [group.weight_std**2 for group in groups], PATH_GROUPS)

    def pair_growth(self, steps: int, *, sites: int = _PATHS, seed: Seed = 0) -> TiedGrowth:
        """Return how the squared distance of two close networks grows over 1, ..., T steps.

        They have the same weights and see the same inputs. It is the growth of :meth:`growth`, by
        another route: the equations of the cell as they are, at drawn sites, and nothing
        differentiated; the noise is larger.

        Parameters
        ----------
        steps
            T.
        sites, seed
            How many sites it is averaged over, a multiple of 8, and what is random.
        """
        check_counts(steps=steps, sites=sites)
        return tied_pair_growth(self.steady, steps, count=sites, seed=seed)

    def growth_over_with_error(self, steps: int) -> tuple[float, float]:
        r"""Return :math:`m_1(T)^{1/T}`, and the half width of its 95 % interval.

        Parameters
        ----------
        steps
            T.
        """
        return self.growth(steps).rate(steps)

    @cached_property
    def _in_the_end(self) -> tuple[float, float]:
        return self.growth(_LONG).rate(_LONG, since=_LONG // 2)

    @property
    def growth_rate(self) -> float:
        """What squared gradients grow by, a step: that of the later half of 64 steps.

        It is exp(2 lambda) of the largest Lyapunov exponent, and decides whether the gradients of
        the network vanish or explode.
        """
        return self._in_the_end[0]

    def sites(self, count: int | None = None, seed: Seed = 0) -> Sites:
        """Return sites of one time slice: the first of those that the steady state was solved on.

        Parameters
        ----------
        count
            At most as many as :func:`stationary` was asked for; by default all.
        seed
            Is not read: the sites were drawn when the law was solved for.
        """
        del seed
        there = self.steady.population.count
        if count is not None:
            check_counts(count=count)
        if count is not None and count > there:
            raise ParameterError(
                f"the law was solved for on {there} sites, not {count}: ask for more by "
                f"stationary(..., dynamics='tied', sites={count})"
            )
        return self.steady.sites(count)

    def average_with_error(self, expression: sp.Expr) -> tuple[float, float]:  # noqa: D102
        values = self.steady.sites().values(checked_expression(self, expression))
        groups = np.array([part.mean() for part in np.array_split(values, _GROUPS)])
        return float(values.mean()), float(half_width(groups))


@dataclass(frozen=True, eq=False, repr=False)
class LawAtRest(StationaryLaw):
    """The law of a site of a network that keeps its weights and stands still.

    Attributes
    ----------
    point
        The fixed point.
    points
        All fixed points of the network, by increasing variance.

    Notes
    -----
    Assumes inputs and biases that are constant in time, and N -> infinity.
    """

    point: FixedPoint
    points: tuple[FixedPoint, ...]

    dynamics: ClassVar[Dynamics] = "at_rest"

    @property
    def cell(self) -> Cell:  # noqa: D102
        return self.point.cell

    @property
    def parameters(self) -> Parameters:  # noqa: D102
        return self.point.parameters

    @property
    def variances(self) -> dict[str, float]:  # noqa: D102
        return self.by_preactivation(self.point.variances)

    @property
    def state_squares(self) -> dict[str, float]:  # noqa: D102
        return self.by_state([self.point.average(s**2) for s in self.cell.states])

    @property
    def spectral_radius(self) -> float:
        """The radius that the eigenvalues of the Jacobian of a step fill."""
        return self.point.spectral_radius

    @property
    def stable(self) -> bool:
        """Whether small changes die out."""
        return self.point.stable

    @property
    def errors(self) -> Errors:  # noqa: D102
        error = self.point.error
        return Errors(
            variances=lambda: {name: error * q for name, q in self.variances.items()},
            state_squares=lambda: {name: error * q for name, q in self.state_squares.items()},
        )

    def history(self, steps: int, *, count: int = _SITES, seed: Seed = 0) -> list[Sites]:
        """Return sites at T successive steps, which are all the same.

        Parameters
        ----------
        steps
            T.
        count, seed
            How many sites, and what is random.
        """
        check_counts(steps=steps, count=count)
        return [self.sites(count, seed)] * steps

    def sites(self, count: int | None = None, seed: Seed = 0) -> Sites:  # noqa: D102
        count = _SITES if count is None else count
        check_counts(count=count)
        return self.point.sites(count, seed)

    def average_with_error(self, expression: sp.Expr) -> tuple[float, float]:  # noqa: D102
        expression = checked_expression(self, expression)
        # The error of a moment of the sources, in units of what is averaged and not of its mean.
        size = math.sqrt(max(0.0, self.point.average(expression**2)))
        return self.point.average(expression), (self.point.error + ROUNDED) * size
