r"""The law of the Lyapunov exponents, with what follows from it.

A share x of the exponents lies above :math:`\lambda(x)`, so that for N -> infinity

.. math::
    \text{cdf}(\lambda(x)) = 1 - x, \qquad
    \frac{h}{N} = \int \max(\lambda, 0) \, dx, \qquad
    \int_0^{D/N} \lambda(x) \, dx = 0 .

h is the rate at which a network makes entropy, after Pesin, and D the dimension of its attractor
after Kaplan and Yorke.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.special import expit, logit

from rmt_jacobian.arrays import Seed
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Point
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.laws.manners import Manners
from rmt_jacobian.lyapunov.at_rest import exponents_at_rest
from rmt_jacobian.lyapunov.exponents import LyapunovExponents, lyapunov_exponents
from rmt_jacobian.lyapunov.shared import shared_exponents
from rmt_jacobian.mean_field import (
    LawAtRest,
    Network,
    StationaryLaw,
    TiedLaw,
    law_of,
    untied_law_of,
)
from rmt_jacobian.pencils.blocks.untied import WeightsChoice

__all__ = ["LyapunovLaw", "lyapunov_law"]

_NODES, _FARTHEST = 257, 18.0  # logits of the quantiles at which exponents are known
_ONE = 1e-12  # of exponents that are one
_PATHS, _GROWN = 1 << 16, 64  # of sites, and steps, by which the largest exponent is told
_FINER = 4097  # quantiles between which the rank is told
_X, _W = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True, eq=False, repr=False)
class LyapunovLaw(Manners):
    """The limiting law of the Lyapunov exponents, in nats a step.

    Attributes
    ----------
    title
        Of what, in a few words.
    largest
        The largest exponent.
    quantiles
        x from the top, increasing, inside (0, rank).
    exponents, standard_errors
        There, decreasing, and what the number of sites leaves open.
    rank
        The share of exponents that is finite; the rest is minus infinity.
    states
        d: a network of N sites has d N exponents.

    Notes
    -----
    Assumes bi-invariant W, N -> infinity first, then T -> infinity; W fresh at every step, or the
    same where the stationary law is that of a network that keeps its weights.
    """

    title: str
    largest: float
    quantiles: np.ndarray
    exponents: np.ndarray
    standard_errors: np.ndarray
    rank: float
    states: int

    @cached_property
    def _curve(self) -> CubicSpline | PchipInterpolator:
        return _monotone(logit(self.quantiles / self.rank), self.exponents)

    @cached_property
    def _inverse(self) -> CubicSpline | PchipInterpolator:
        rising, first = np.unique(self.exponents, return_index=True)
        return _monotone(rising, logit(self.quantiles / self.rank)[first])

    def at(self, quantiles: ArrayLike) -> np.ndarray:
        """Return the exponents that a share x of all is above, x in [0, 1]."""
        x = np.asarray(quantiles, dtype=float)
        first, last = self.quantiles[[0, -1]]
        with np.errstate(divide="ignore"):
            inside = self._curve(logit(np.clip(x, first, last) / self.rank))
        top = self.largest + (self.exponents[0] - self.largest) * x / first
        found = np.where(x < first, top, inside)
        return np.where((x < 0) | (x > 1), np.nan, np.where(x > self.rank, -np.inf, found))[()]

    def exponents_at(self, quantiles: ArrayLike) -> LyapunovExponents:
        """Return the same with standard errors."""
        x = np.asarray(quantiles, dtype=float)
        errors = np.interp(x, self.quantiles, self.standard_errors)
        return LyapunovExponents(x, np.asarray(self.at(x)), errors, "")

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the exponent below which a share p lies; nan for p outside [0, 1]."""
        return self.at(1 - np.asarray(p, dtype=float))

    def _above(self, exponents: np.ndarray) -> np.ndarray:
        """Return the share of exponents above."""
        if self._one:
            return np.where(exponents < self.largest, self.rank, 0.0)
        first, low = self.quantiles[0], self.exponents[-1]
        inside = np.clip(exponents, low, self.exponents[0])
        share = self.rank * expit(self._inverse(inside))
        gap = self.largest - self.exponents[0]
        near = first * (self.largest - exponents) / gap if gap > 0 else first
        share = np.where(exponents > self.exponents[0], np.maximum(near, 0.0), share)
        return np.where(exponents < low, self.rank, share)

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the share of exponents up to and including x."""
        x = np.asarray(x, dtype=float)
        found = np.where(np.isnan(x), np.nan, 1 - self._above(np.where(np.isnan(x), 0.0, x)))
        return np.where(x >= self.largest, 1.0, found)[()]

    def pdf(self, x: ArrayLike) -> np.ndarray:
        """Return the density of the finite exponents; 0 off their support."""
        x = np.asarray(x, dtype=float)
        low, high = self.support()
        inside = (x > low) & (x < high)
        if self._one:
            return np.where(np.isnan(x), np.nan, 0.0)[()]
        at = np.clip(x, self.exponents[-1], self.exponents[0])
        u = self._inverse(at)
        slope = np.abs(self._inverse.derivative()(at))
        density = self.rank * expit(u) * expit(-u) * slope
        return np.where(np.isnan(x), np.nan, np.where(inside, density, 0.0))[()]

    def support(self) -> tuple[float, float]:
        """Return the least exponent that is resolved (a share of 1e-8 is below) and the largest."""
        return float(self.exponents[-1]), self.largest

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return minus infinity, where the rank is not full, and an exponent that all others are.

        Each comes with its mass.
        """
        nothing = ((-math.inf, 1 - self.rank),) if self.rank < 1 else ()
        return (*nothing, (self.largest, self.rank)) if self._one else nothing

    @property
    def _one(self) -> bool:
        """Whether all exponents that are finite are one."""
        return float(np.ptp(self.exponents)) <= _ONE * max(1.0, abs(self.largest))

    def mean(self) -> float:
        """Return the mean: the logarithm of the determinant of a step for each dimension."""
        return -math.inf if self.rank < 1 else self._integral(lambda e: e, 0.0, self.rank)

    def dimension(self) -> float:
        """Return D / (d N), the Kaplan-Yorke dimension as a share of all dimensions.

        0 where no exponent is positive, and all that are finite where their sum stays above 0.

        Examples
        --------
        >>> law = lyapunov_law("vanilla", {"weight_std": 3.0, "input_std": 0}, weights="gaussian")
        >>> round(law.dimension(), 4)
        0.2877
        """
        if self.largest <= 0:
            return 0.0
        low, high = 0.0, self.rank
        if self._integral(lambda e: e, low, high) >= 0:
            return self.rank
        for _ in range(60):
            middle = (low + high) / 2
            inside = self._integral(lambda e: e, 0.0, middle) >= 0
            low, high = (middle, high) if inside else (low, middle)
        return (low + high) / 2

    def entropy_rate(self) -> float:
        """Return h / (d N) in nats a step: the sum of the positive exponents for each dimension."""
        return self._integral(lambda e: np.maximum(e, 0.0), 0.0, self.rank)

    @property
    def error_estimate(self) -> float:
        """The largest standard error of an exponent in the middle nine tenths."""
        inside = (self.quantiles > 0.05 * self.rank) & (self.quantiles < 0.95 * self.rank)
        return float(self.standard_errors[inside].max())

    def _integral(self, function: Callable[[Any], Any], low: float, high: float) -> float:
        """Integrate over quantiles from the top, on the panels between those that are known."""
        cuts = np.concatenate([[0.0], self.quantiles, [self.rank]])
        cuts = np.unique(np.clip(np.append(cuts, [low, high]), low, high))
        half = np.diff(cuts)[:, None] / 2
        x = cuts[:-1, None] + half * (1 + _X)
        return float(np.sum(half * _W * function(self.at(x))))

    def _continuous_part(self, function: Any, low: float, high: float) -> float:
        ends = (float(self._above(np.array(end))) if math.isfinite(end) else default
                for end, default in ((high, 0.0), (low, self.rank)))  # fmt: skip
        first, last = ends
        return self._integral(function, first, last)

    def __repr__(self) -> str:
        """Say in one line of what the law is, and where it lies."""
        low, high = self.support()
        return f"<Lyapunov exponents of {self.title}: {low:.4g} to {high:.4g}>"


def _monotone(x: np.ndarray, y: np.ndarray) -> CubicSpline | PchipInterpolator:
    """Return a smooth curve through points, or one that turns nowhere if that one does."""
    curve = CubicSpline(x, y)
    between = np.linspace(x[:-1], x[1:], 5).ravel()
    turns = np.ptp(np.sign(curve.derivative()(between))) > 1
    return PchipInterpolator(x, y) if turns else curve


@named_arguments
def lyapunov_law(
    network: Network,
    parameters: Point = None,
    *,
    weights: WeightsChoice,
    draws: int | None = None,
    seed: Seed = 0,
    progress: bool = False,
) -> LyapunovLaw:
    """Return the law of the Lyapunov exponents.

    Parameters
    ----------
    network, parameters
        A stationary law, from :func:`.stationary`; or any cell, by itself or by name, and its
        hyperparameters.
    weights
        ``"gaussian"``, ``"orthogonal"``, or an ensemble that states its own scale; or one for each
        preactivation by name.
    draws, seed
        As in :func:`lyapunov_exponents`.
    progress
        Whether to show a progress bar, from two seconds on.

    Raises
    ------
    HypothesisError
        If no exponent is finite.
    ConvergenceError
        If sites pass on their state for too many steps, or block the product.

    Examples
    --------
    >>> law = lyapunov_law("vanilla", {"weight_std": 1.5}, weights="orthogonal")
    >>> law
    <Lyapunov exponents of vanilla, orthogonal W: -1.752 to 0.06493>
    >>> round(float(law.cdf(0.0)), 3), round(law.entropy_rate(), 5)
    (0.77, 0.0079)
    """
    if draws is not None:
        check_counts(draws=draws)
    asked = law_of(network, parameters)
    if isinstance(asked, TiedLaw | LawAtRest):
        return _of_shared_weights(asked, weights, draws, seed, progress=progress)
    law = untied_law_of(asked, what="the law of Lyapunov exponents")
    if isinstance(seed, np.random.Generator):  # the same sites for all that is asked
        seed = int(seed.integers(2**63))

    def known(quantiles: np.ndarray) -> LyapunovExponents:
        found = lyapunov_exponents(
            law, weights=weights, quantiles=np.append(0.0, quantiles), draws=draws, seed=seed,
            progress=progress,
        )  # fmt: skip
        if found.missing:  # a law with holes is none
            raise ConvergenceError(found.missing)
        return found

    shares = expit(np.linspace(-_FARTHEST, _FARTHEST, _NODES))
    found, rank = known(shares), 1.0
    finite = np.isfinite(found.exponents[1:])
    if not finite.any():
        raise HypothesisError("no exponent is finite: nothing is passed on; raise weight_std")
    if not finite.all():
        last = int(finite.sum()) - 1
        between = np.linspace(shares[last], shares[last + 1], _FINER)
        rank = float(between[np.isfinite(known(between).exponents[1:])][-1])
        found = known(rank * shares)
    return LyapunovLaw(
        _title(law, weights),
        float(found.exponents[0]),
        rank * shares,
        found.exponents[1:],
        found.errors[1:],
        rank,
        len(law.cell.states),
    )


def _title(law: StationaryLaw, weights: WeightsChoice) -> str:
    return f"{law.cell.name}, {weights if isinstance(weights, str) else 'given'} W"


def _growth_rate(law: TiedLaw, seed: Seed) -> float:
    """Return what squared gradients grow by a step, in the end, on many paths."""
    size = len(law.cell.states) * len(law.cell.preactivations)
    paths = _PATHS >> max(0, (size - 1).bit_length())
    return law.growth(_GROWN, sites=paths, seed=seed).rate(_GROWN, since=_GROWN // 2)[0]


def _of_shared_weights(
    law: TiedLaw | LawAtRest, weights: WeightsChoice, draws: int | None, seed: Seed, *,
    progress: bool,
) -> LyapunovLaw:  # fmt: skip
    rate = _growth_rate(law, seed) if isinstance(law, TiedLaw) else law.spectral_radius**2
    if not rate > 0:
        raise HypothesisError("no exponent is finite: nothing is passed on; raise weight_std")
    largest, title = math.log(rate) / 2, f"{_title(law, weights)}, shared"
    if isinstance(law, LawAtRest) or law.steady.frozen:
        found = exponents_at_rest(law, weights, seed=seed)
    else:
        found = shared_exponents(
            law, weights, largest, draws=draws, seed=seed, progress=title if progress else None
        )
    order = np.argsort(found.above)
    return LyapunovLaw(
        title,
        max(largest, float(found.exponents[-1])),
        found.above[order],
        found.exponents[order],
        found.errors[order],
        found.rank,
        len(law.cell.states),
    )
