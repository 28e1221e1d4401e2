"""Lyapunov exponents of long products of free steps: Newman's law, J = B W."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike
from scipy.special import expit, logit, logsumexp

from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.freeprob import WEIGHTS
from rmt_jacobian.laws.monotone import invert_increasing
from rmt_jacobian.mean_field.averages.bends import bends_in
from rmt_jacobian.mean_field.averages.one_site import single_site
from rmt_jacobian.mean_field.closed.site_law import SiteLaw, site_law

__all__ = [
    "FreeStepLaw",
    "free_step_exponents",
    "free_step_law",
    "isolated_exponent",
    "steps_are_free",
]

_REACH = 10.0  # standard deviations of e
# 1 / (1 + v b(e)) turns where b(e) = 1/v, anywhere on the line, with poles about pi/4 away from it
# for tanh(e) and closer for steeper activations: Gauss-Legendre panels of width 1 have an error of
# (1.57 + sqrt(1 + 1.57^2))^-32 = 7e-18.  They end at kinks.
_NODES, _WIDTH = 16, 1.0
_MOST_PANELS = 1_250  # enough for standard deviations up to 60 and more; 2e-3 of one beyond
_FAR = 800.0  # exp of it and of its negative are beyond the range of floating point


@dataclass(frozen=True, eq=False)
class FreeStepLaw:
    r"""The law of the Lyapunov exponents of infinitely many free steps :math:`J = B W`.

    .. math::
        \lambda(x) = -\tfrac12 \log S_{J J^T}(-x), \qquad
        S_{J J^T}(u) = S_{B^2}(u) \, S_{W W^T}(u), \qquad 0 < x < 1

    x is the quantile from the top: a fraction x of the exponents is above :math:`\lambda(x)`.
    With :math:`x = E[v B^2 / (1 + v B^2)]`, which grows with v, the S-transform of :math:`B^2` is
    :math:`S_{B^2}(-x) = v (1 - x) / x`.  The methods are those of a frozen ``scipy.stats``
    distribution.

    Attributes
    ----------
    log_slopes, masses
        Values of log B^2 and their masses, which sum to 1.
    weights, weight_std
        The ensemble of W, and sigma_w.

    Notes
    -----
    Assumes fresh bi-invariant W at every step, N -> infinity first, then T -> infinity.  A single
    exponent may leave the bulk without changing its law: W knows the direction of the state, which
    it has mapped to e.  For orthogonal W it may be the lowest one, :func:`isolated_exponent`:
    :math:`-2 q^*` for tanh networks without mean, where that lies below the bulk.

    References
    ----------
    :cite:t:`Newman1986` for Gaussian W and B = 1; :cite:t:`Kargin2008` and :cite:t:`Tucci2010`
    for free steps.
    """

    log_slopes: np.ndarray
    masses: np.ndarray
    weights: str
    weight_std: float

    def exponents(self, quantiles: ArrayLike) -> np.ndarray:
        """Return the exponent that a fraction x is above; nan for x outside [0, 1]."""
        x = np.asarray(quantiles, dtype=float)
        low, high = self.support()
        values = np.where((x >= 0) & (x <= 1), low, np.nan)
        inside = (x > 0) & (x < self._reachable)
        values[inside] = self._exponent(self._log_v(x[inside]))
        values[x == 0] = high
        return values[()]

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the exponent that a fraction p is below."""
        return self.exponents(1 - np.asarray(p, dtype=float))

    def cdf(self, exponents: ArrayLike) -> np.ndarray:
        """Return the fraction of exponents up to the given ones."""
        values = np.asarray(exponents, dtype=float)
        low, high = self.support()
        below = np.where(values >= high, 1.0, np.where(np.isnan(values), np.nan, 0.0))
        inside = (values > low) & (values < high)
        below[inside] = self._shares(self._log_v_at(values[inside]))[1]
        below[values == low] = 1 - self._reachable
        return below[()]

    def pdf(self, exponents: ArrayLike) -> np.ndarray:
        """Return the density of the exponents, 0 off the support."""
        values = np.asarray(exponents, dtype=float)
        low, high = self.support()
        density = np.where(np.isnan(values), np.nan, 0.0)
        inside = (values > low) & (values < high)
        log_v = self._log_v_at(values[inside])
        density[inside] = 2 * self._shares(log_v)[2] / self._decay(log_v)
        return density[()]

    def support(self) -> tuple[float, float]:
        r"""Return the least and the greatest exponent.

        The greatest is :math:`\frac12 \log \chi_1`, the least :math:`-\frac12 \log E[B^{-2}]
        + \log \sigma_w` for orthogonal W and minus infinity for Gaussian W.
        """
        scale = math.log(self.weight_std)
        high = scale + float(logsumexp(self.log_slopes, b=self.masses)) / 2
        if self.weights == "gaussian" or self._reachable < 1:
            return -math.inf, high
        return min(high, scale - float(logsumexp(-self.log_slopes, b=self.masses)) / 2), high

    @property
    def _reachable(self) -> float:
        """The mass of the sites that pass anything on; the other exponents are -infinity."""
        dead = np.isneginf(self.log_slopes)
        return float(1 - self.masses[dead].sum())

    def _shares(self, log_v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x, 1 - x and dx / d(log v)."""
        sums = log_v[:, None] + self.log_slopes
        share, rest = expit(sums), expit(-sums)
        return share @ self.masses, rest @ self.masses, (share * rest) @ self.masses

    def _log_v(self, x: np.ndarray) -> np.ndarray:
        """Solve x = E[v B^2 / (1 + v B^2)]; the logit of x is nearly linear in log v."""

        def function(log_v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            share, rest, slope = self._shares(log_v)
            return np.log(share) - np.log(rest), slope / (share * rest)

        alive = self.log_slopes[np.isfinite(self.log_slopes)]
        low = logit(x) - alive.max()
        # Rounding may leave the ends of the bracket in the wrong order where all slopes are equal.
        high = np.maximum(low, logit(x / self._reachable) - alive.min())
        mean = float(logsumexp(self.log_slopes, b=self.masses))
        return invert_increasing(function, logit(x), low, high, np.clip(logit(x) - mean, low, high))

    def _log_v_at(self, exponents: np.ndarray) -> np.ndarray:
        """Solve for log v at exponents inside the support."""
        grid = self._log_v(self._reachable * expit(np.linspace(-30.0, 30.0, 121)))
        alive = self.log_slopes[np.isfinite(self.log_slopes)]
        target = -2 * exponents
        return invert_increasing(
            lambda log_v: (-2 * self._exponent(log_v), self._decay(log_v)),
            target,
            -_FAR - alive.max(),
            2 * _FAR - alive.min() + np.abs(target) + abs(2 * math.log(self.weight_std)),
            np.interp(target, -2 * self._exponent(grid), grid),
        )

    def _exponent(self, log_v: np.ndarray) -> np.ndarray:
        share, rest, _ = self._shares(log_v)
        log_s = log_v - np.log(share) - 2 * math.log(self.weight_std)
        if self.weights == "orthogonal":  # S of W W^T lacks the factor 1 / (1 - x)
            log_s += np.log(rest)
        return -log_s / 2

    def _decay(self, log_v: np.ndarray) -> np.ndarray:
        """Return the derivative of log S by log v, positive."""
        share, rest, slope = self._shares(log_v)
        if self.weights == "orthogonal":
            # 1 - slope / (x (1 - x)), as the variance it is: nothing cancels where B is constant.
            spread = expit(log_v[:, None] + self.log_slopes) - share[:, None]
            return (spread * spread) @ self.masses / (share * rest)
        return 1 - slope / share


def free_step_law(cell: Cell, parameters: Parameters, weights: str) -> FreeStepLaw:
    """Return the law of the Lyapunov exponents of a cell whose steps are free.

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation, whose new state reads the old one only
        through the preactivation.
    weights
        ``"gaussian"`` or ``"orthogonal"``.

    Raises
    ------
    HypothesisError
        If the new state reads the old one directly, as gates make it do, or the slope dh'/de reads
        the input.
    ParameterError
        If the ensemble is unknown or sigma_w is 0.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> law = free_step_law(vanilla, Parameters.of(vanilla), "gaussian")
    >>> [round(float(value), 4) for value in law.ppf([0.25, 0.5, 1.0])]
    [-0.7107, -0.3568, -0.0]
    """
    single_site(cell)
    if cell.state_derivatives[0][0] != 0:
        raise HypothesisError(
            f"cell {cell.name!r}: the state is passed on beside W, so that successive steps are "
            "not free of each other; take a cell without gates, such as vanilla, or sample"
        )
    slope = _slope(cell)
    if slope.has(cell.input):
        raise HypothesisError(
            f"cell {cell.name!r}: the slope of the update reads the input; use a cell in which it "
            "depends on the preactivation only"
        )
    if weights not in WEIGHTS:
        raise ParameterError(f"unknown weights {weights!r}: use one of {', '.join(WEIGHTS)}")
    weight_std = parameters.only.weight_std
    if not weight_std > 0:
        raise ParameterError("without weights nothing is passed on: give weight_std above 0")
    return FreeStepLaw(*_slopes(cell, site_law(cell, parameters)), weights, weight_std)


def steps_are_free(cell: Cell) -> bool:
    """Whether the new state reads the old one through one preactivation only, and no other input.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn, vanilla
    >>> steps_are_free(vanilla), steps_are_free(minimalrnn)
    (True, False)
    """
    if len(cell.states) != 1 or len(cell.gates) != 1 or cell.sources != cell.states:
        return False
    return cell.state_derivatives[0][0] == 0 and not _slope(cell).has(cell.input)


@cache
def _slope(cell: Cell) -> sp.Expr:
    """Return dh'/de with 1 - tanh(e)^2 as 1 / cosh(e)^2, which keeps its digits far out."""
    return sp.trigsimp(cell.gate_derivatives[0][0])


def isolated_exponent(cell: Cell, parameters: Parameters, weights: str) -> float | None:
    r"""Return the exponent that lies below all others of free steps with orthogonal W.

    .. math:: \lambda = -\log \frac{E[(e - \mu_b) \, h' / B]}{q^*}

    W knows the direction of the state, which it has mapped to e; against it the inverse product is
    not that of free steps.

    Parameters
    ----------
    cell, parameters, weights
        As for :func:`free_step_law`.

    Returns
    -------
    float or None
        The exponent; None for Gaussian W, and where it does not leave the bulk.

    Notes
    -----
    Assumes fresh W and N -> infinity.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> law = site_law(vanilla, Parameters.of(vanilla))
    >>> found = isolated_exponent(vanilla, Parameters.of(vanilla), "orthogonal")
    >>> round(found, 6), round(-2 * law.preactivation_variance, 6)
    (-0.179271, -0.179271)
    """
    bulk, site = free_step_law(cell, parameters, weights), site_law(cell, parameters)
    mean, variance = parameters.only.bias_mean, site.preactivation_variance
    if weights != "orthogonal" or variance == 0:
        return None
    nodes, masses = _nodes(cell, site)
    update = cell.updates[0].subs(cell.input, 0)  # of mean 0, and apart from e
    with np.errstate(all="ignore"):
        slope, new = (array_function(cell.gates, each)(nodes) for each in (_slope(cell), update))
        factor = float(np.sum(masses * (nodes - mean) * new / slope)) / variance
    if not 0 < factor < math.inf:
        return None
    exponent = -math.log(factor)
    return exponent if exponent < bulk.support()[0] else None


def _slopes(cell: Cell, law: SiteLaw) -> tuple[np.ndarray, np.ndarray]:
    """Return values of log B^2 and their masses."""
    nodes, masses = _nodes(cell, law)
    with np.errstate(divide="ignore", over="ignore"):
        values = 2 * np.log(np.abs(array_function(cell.gates, _slope(cell))(nodes)))
    return np.broadcast_to(values, nodes.shape), masses


def _nodes(cell: Cell, law: SiteLaw) -> tuple[np.ndarray, np.ndarray]:
    """Return values of e and their masses."""
    mean, variance = law.parameters.only.bias_mean, law.preactivation_variance
    std, (e,) = math.sqrt(variance), cell.gates
    if std == 0:  # the limit: both sides of a kink
        nodes, masses = np.nextafter(mean, [-math.inf, math.inf]), np.full(2, 0.5)
    else:
        bends = bends_in(_slope(cell), e, mean, variance)
        width = min([_WIDTH, *bends.scales, 2 * std])
        count = min(math.ceil(2 * _REACH * std / width), _MOST_PANELS)
        low, high = mean - _REACH * std, mean + _REACH * std
        places = np.clip(bends.positions, low, high)
        cuts = np.unique(np.concatenate([np.linspace(low, high, count + 1), places]))
        x, w = np.polynomial.legendre.leggauss(_NODES)
        half = np.diff(cuts)[:, None] / 2
        nodes = (cuts[:-1, None] + half + half * x).ravel()
        masses = (half * w).ravel() * np.exp(-(((nodes - mean) / std) ** 2) / 2)
    return nodes, masses / masses.sum()


def free_step_exponents(
    cell: Cell, parameters: Parameters, weights: str, quantiles: ArrayLike
) -> np.ndarray:
    r"""Return the Lyapunov exponents of a cell with free steps at quantiles from the top.

    .. math:: \lambda(x) = -\tfrac12 \log S_{J_1 J_1^T}(-x)

    See :func:`free_step_law` for the hypotheses and the errors.

    Parameters
    ----------
    cell, parameters, weights
        As for :func:`free_step_law`.
    quantiles
        x in [0, 1], of any shape; at x = 0 the exponent is :math:`\frac12 \log \chi_1`.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> p = Parameters.of(vanilla)
    >>> free_step_exponents(vanilla, p, "orthogonal", [0.0, 0.5, 1.0]).round(4).tolist()
    [-0.0, -0.0103, -0.0286]
    """
    return free_step_law(cell, parameters, weights).exponents(quantiles)
