"""What the theory says at one point of a grid, quantity by quantity."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.mean_field import (
    Sites,
    TiedLaw,
    UntiedLaw,
    UntiedState,
    stationary,
)
from rmt_jacobian.mean_field.closed.correlation import timescale
from rmt_jacobian.pencils import ProductMoments, chain_moments, product_moments_of
from rmt_jacobian.singular_values import exact_moments
from rmt_jacobian.singular_values.shared import shared_chain_of

__all__ = ["QUANTITIES", "Point"]


@dataclass(frozen=True, eq=False)
class Point:
    """A cell at one point of a grid; what several quantities need is solved for once.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    weights
        The ensemble of every W.
    steps
        T of :attr:`growth_rate` and of the variances.
    sites, seed
        Of the population that carries averages without a closed form.
    input_correlation
        Sigma_12, of :attr:`timescale`.
    dynamics
        ``"untied"``; ``"tied"`` for a network that keeps its weights, of which all but
        :attr:`chi_1` then are; or ``"fixed-point"`` for the state of :attr:`spectral_radius`.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> point = Point(vanilla, Parameters.of(vanilla, weight_std=0.5, input_std=0,
    ...                                      input_variance=1))
    >>> point.chi_1, round(point.timescale, 6), point.variance
    (0.25, 0.721348, 0.0625)
    """

    cell: Cell
    parameters: Parameters
    weights: str = "gaussian"
    steps: int = 1
    sites: int = 4096
    seed: int = 0
    input_correlation: float = 1.0
    dynamics: str = "untied"

    @property
    def chi_1(self) -> float:
        """The slope of the correlation map at 1: the growth rate of squared gradients, a step."""
        return self._law.same.chi

    @property
    def growth_rate(self) -> float:
        r"""The same as a mean over T steps, :math:`m_1^{1/T}`.

        It differs where biases are frozen: in the end the few sites that never forget dominate.
        """
        if self.dynamics == "tied":
            return self._kept.growth_over_with_error(self.steps)[0]
        return self._moments.mean ** (1 / self.steps)

    @property
    def timescale(self) -> float:
        """-1 / log chi, in steps; infinite on the order-chaos line.

        With shared weights chi is the growth rate in the end, and inputs are the same.
        """
        if self.dynamics == "tied":
            return timescale(self._kept.growth_rate)
        return self._law.pair(self.input_correlation).timescale

    @property
    def variance(self) -> float:
        """m_2 - m_1^2 of J J^T over T steps."""
        return self._moments.variance

    @property
    def relative_variance(self) -> float:
        """m_2 / m_1^2 - 1 of J J^T over T steps."""
        return self._moments.relative_variance

    @property
    def spectral_radius(self) -> float:
        """The largest modulus of the limiting law of the eigenvalues of one step."""
        state = self._kept if self.dynamics == "tied" else self._state_sites
        return eigenvalue_law(state, weights=self.weights).spectral_radius

    @cached_property
    def _law(self) -> UntiedLaw:
        return stationary(self.cell, self.parameters, sites=self.sites, seed=self.seed)

    @cached_property
    def _kept(self) -> TiedLaw:
        law = stationary(
            self.cell, self.parameters, dynamics="tied", sites=self.sites, seed=self.seed
        )
        assert isinstance(law, TiedLaw)
        return law

    @property
    def _state(self) -> UntiedState:
        return self._law.state

    @cached_property
    def _moments(self) -> ProductMoments:
        if self.dynamics == "tied":
            chain = shared_chain_of(
                self._kept, self.weights, self.steps, count=self.sites, seed=self.seed
            )
            return ProductMoments(self.steps, *chain_moments(chain, 2)[1:])
        law = self._state.site_law
        if law is not None:
            s_1 = float(s_coefficients_of_weights(self.weights, 1)[0])
            return ProductMoments(self.steps, *exact_moments(law, self.steps, s_1))
        return product_moments_of(
            self._state, self.weights, self.steps, count=self.sites, seed=self.seed
        )

    @property
    def _state_sites(self) -> Sites:
        if self.dynamics == "untied":
            return self._state.history(1, count=self.sites, seed=self.seed)[0]
        law = stationary(self.cell, self.parameters, dynamics="at_rest")
        return law.point.sites(self.sites, self.seed)


QUANTITIES: dict[str, Callable[[Point], float]] = {
    "chi_1": lambda point: point.chi_1,
    "growth_rate": lambda point: point.growth_rate,
    "timescale": lambda point: point.timescale,
    "variance": lambda point: point.variance,
    "relative_variance": lambda point: point.relative_variance,
    "spectral_radius": lambda point: point.spectral_radius,
}
"""The quantities of a sweep by name."""
