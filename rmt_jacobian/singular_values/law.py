"""The limiting law of the singular values of a T-step product of Jacobians."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.laws import Law
from rmt_jacobian.laws.monotone import invert_increasing
from rmt_jacobian.laws.solution import LawSolution
from rmt_jacobian.mean_field.replicated.solver import half_width
from rmt_jacobian.pencils.blocks.chain_moments import chain_moments
from rmt_jacobian.pencils.chain.continuation import solve_chain
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.singular_values.calibration import Calibration
from rmt_jacobian.singular_values.panels import Table
from rmt_jacobian.singular_values.replicate_distance import distance_to_chain
from rmt_jacobian.singular_values.site_table import distance_to_sites, of_sites_alone, site_table
from rmt_jacobian.singular_values.table import tabulate

__all__ = ["FEW_SITES", "SingularValueLaw"]

_REGULAR = 1e-3  # an exponent at 0 that is none, known from the least solved point
FEW_SITES = 8  # a band of no more of them at an end of the support may be their doing
_PROBES = 24  # quantiles at which replicates are compared
_LEAST = math.log(np.finfo(float).tiny)  # of log s
_TAIL = 1e-3  # share of a moment that the table may miss
_HIGHEST = 64  # order of a moment, whose time grows like its third or fourth power
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True, eq=False, repr=False)
class SingularValueLaw(Law):
    r"""The law of the singular values s of :math:`J_T \cdots J_1`, or of their squares.

    Both have total mass 1, so that moments of the squares are :math:`m_k = \tau((J J^T)^k)`.  Pdf,
    cdf and quantiles come from a table of solutions of the Dyson equation, placed where the law
    bends; :meth:`solve` gives the exact law of the sites at any points.

    Parameters
    ----------
    chain
        The pencil of the product on given sites.
    squared
        Whether the law is that of the squares, the spectrum of :math:`J J^T`.
    tolerance
        Bound on the error of the cdf between the nodes of the table.
    replicates
        Chains on other draws of the sites, for :attr:`error_estimate`.
    progress
        Title of the progress bars of the table and the error; none by default.
    grain
        Mass of the lightest band at an end of the support that is a trait of the law and not of the
        few sites behind it; 0 keeps every band of the law of the sites.
    teeth
        Mass of a stretch that is not resolved any further if the law of the sites turns out to be a
        comb; 0 resolves every tooth.
    source
        The law whose table this one shares, if any.
    calibration
        The exact first two moments, and how well the sites were fitted to them; None where no exact
        recursion was asked for.

    Notes
    -----
    Assumes fresh W at every step, bi-invariant and free from all diagonals; N -> infinity.  The
    sites are a finite sample of the site law unless they were given as the sites of interest.

    Examples
    --------
    >>> from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory
    >>> sites = SiteHistory.of(np.zeros((1, 1)), np.ones((1, 1)))
    >>> chain = ProductChain(sites, GaussianWeights(1.0))
    >>> law = SingularValueLaw(chain)
    >>> [round(float(x), 6) for x in (law.pdf(1.0), law.support()[1], law.moment(2))]
    [0.551329, 2.0, 1.0]
    """

    chain: Chain
    squared: bool = False
    tolerance: float = 1e-6
    replicates: tuple[Chain, ...] = ()
    progress: str | None = None
    grain: float = 0.0
    teeth: float = 0.0
    source: "SingularValueLaw | None" = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Say in one line of what the law is."""
        sites, squared = self.chain.sites, "squared " * self.squared
        steps = f"{sites.steps} step{'s' * (sites.steps > 1)}"
        return f"<{squared}singular values of {steps} on {sites.count} sites>"

    @property
    def states(self) -> int:
        """d, the number of states of a site: networks of width N have dN singular values."""
        return getattr(self.chain.sites, "states", 1)

    def _repr_html_(self) -> str:
        # A cell of a notebook that ends with the law is no reason to solve for its table.
        made = "table" in (self.source or self).__dict__
        return super()._repr_html_() if made else f"<pre>{escape(repr(self))}</pre>"

    def __post_init__(self) -> None:
        if not 1e-12 <= self.tolerance <= 1e-2:
            raise ParameterError(f"tolerance must lie between 1e-12 and 1e-2, not {self.tolerance}")
        if self.chain.deterministic and not self._smooth:
            raise HypothesisError(
                "with weight_std = 0, or where no state feels a W, the product is diagonal: its "
                "singular values are those of the sites; use laws.Empirical on them"
            )

    @cached_property
    def table(self) -> Table:
        """The tabulated law of the singular values."""
        if self.source is not None:
            return self.source.table
        if self._smooth:
            return site_table(self.chain)
        return tabulate(
            self.chain,
            tolerance=self.tolerance,
            grain=self.teeth,
            progress=self.progress,
        )

    @property
    def _smooth(self) -> bool:
        """Whether the law is that of the sites themselves, and they stand for infinitely many."""
        return self.grain > 0 and of_sites_alone(self.chain)

    def squares(self) -> "SingularValueLaw":
        """Return the law of the squared singular values, on the same table."""
        return self._sibling(squared=True)

    def roots(self) -> "SingularValueLaw":
        """Return the law of the singular values themselves, on the same table."""
        return self._sibling(squared=False)

    def _sibling(self, *, squared: bool) -> "SingularValueLaw":
        return replace(self, squared=squared, source=self.source or self)

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the intervals of the law, in increasing order.

        Gaps with less than ``grain`` of the mass on one side of them are counted in.
        """
        kept: list[tuple[float, float]] = []
        for low, high in self.table.edges:
            if kept and not self._is_gap(low):
                kept[-1] = (kept[-1][0], high)
            else:
                kept.append((low, high))
        return tuple((self._outward(low), self._outward(high)) for low, high in kept)

    def _is_gap(self, end: float) -> bool:
        """Whether the gap that ends there splits the law, and not only its sites."""
        below = float(self._below(np.log(np.array([end])))[0][0]) - self.chain.lost
        return self.grain <= below <= 1 - self.chain.lost - self.grain

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return ((0, mass),) where sites of a partial product vanish, () otherwise."""
        mass = self.chain.lost
        return ((0.0, mass),) if mass > 0 else ()

    @property
    def edge_exponent_at_zero(self) -> float | None:
        r"""The exponent a of :math:`\rho(x) \sim x^{-a}` at 0; None where no mass is close to 0."""
        power = self.table.first_power
        if power == 0:
            return None
        exponent = 1 - (power / 2 if self.squared else power)
        return 0.0 if abs(exponent) < _REGULAR else exponent

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the mass of the points up to and including x."""
        x = np.asarray(x, dtype=float)
        below = np.zeros(x.shape)
        positive = x > 0
        below[positive] = self._below(self._position(x[positive]))[0]
        below[x == 0] = self.chain.lost
        return np.where(np.isnan(x), np.nan, below)[()]

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the least x whose cdf is at least p; nan for p outside [0, 1]."""
        p = np.asarray(p, dtype=float)
        x = np.full(p.shape, np.nan)
        at_zero = self.chain.lost
        x[(p >= 0) & (p <= at_zero)] = 0.0
        inner = (p > at_zero) & (p < 1)
        x[inner] = self._outward(np.exp(self._quantile_position(p[inner])))
        x[p == 1] = self.support()[1]
        x[(p == 0) & (at_zero == 0)] = self.support()[0]
        return x[()]

    def solve(self, x: ArrayLike) -> LawSolution:
        """Solve the Dyson equation at the given points x > 0, without the table.

        The values are those of the law of the sites, certified one by one; those that are not
        are nan.  The residual is the relative length of the last Newton step.
        """
        x = np.asarray(x, dtype=float)
        if not np.all(x > 0):
            raise ParameterError("the law is solved at points above 0: leave the others out")
        if self._smooth:
            density = np.asarray(self.pdf(x))
            nothing = np.zeros(x.shape)
            return LawSolution(x, nothing + np.nan, density, nothing, np.ones(x.shape, dtype=bool))
        s = np.sqrt(x) if self.squared else x
        found = self._solved(s.ravel())
        symmetric = to_numpy(found.cauchy).reshape(x.shape)
        density = -2 / math.pi * np.imag(symmetric)
        density = density / (2 * s) if self.squared else density
        cauchy = symmetric / s if self.squared else self._cauchy_above(x + 0j)
        density = np.where(density > 0, density, np.where(np.isnan(density), np.nan, 0.0))
        error, converged = (to_numpy(a).reshape(x.shape) for a in (found.error, found.converged))
        return LawSolution(x, cauchy, density, error, converged)

    @property
    def residual(self) -> float:
        """The largest relative residual of the Dyson equation at the nodes of the table."""
        return max(node.residual for node in self.table.nodes)

    @cached_property
    def error_estimate(self) -> float:
        """The largest difference of the cdf on other draws of the sites, over the quantiles.

        The sites before their weights were tilted count as another draw.  It is the
        Kolmogorov-Smirnov distance that is left between this law and the one of infinitely many
        sites, up to a factor of order 1; nan without replicates.
        """
        if not self.replicates:
            return math.nan
        others = self.replicates
        if self.calibration is not None and self.calibration.drawn is not self.chain:
            others = (*others, self.calibration.drawn)
        if self._smooth:
            return max(distance_to_sites(self.table, chain) for chain in (self.chain, *others))
        lost = self.chain.lost
        at_zero = max(abs(chain.lost - lost) for chain in others)
        probes = lost + (1 - lost) * (np.arange(_PROBES) + 0.5) / _PROBES
        position = self._quantile_position(probes)
        position = position[position > _LEAST]  # beyond the range of numbers no draw is solved
        if not position.size:
            return at_zero
        s, (own, slope) = np.exp(position), self._below(position)
        start = self.table.self_energies(position)  # other draws differ little
        silent = self.progress is None
        bar = tqdm(others, self.progress, unit="draw of the sites", disable=silent, delay=2)
        return max(at_zero, *(distance_to_chain(chain, s, start, own, slope) for chain in bar))

    @cached_property
    def moment_errors(self) -> tuple[float, float]:
        """The relative errors of the first two moments of the squares.

        0 where they are those of an exact recursion; else half of the interval of 95 % of one draw
        of the sites, from the scatter over the draws, nan without replicates.
        """
        if self.calibration is not None:
            return 0.0, 0.0
        if not self.replicates:
            return math.nan, math.nan
        table = np.array([chain_moments(each, 2)[1:] for each in (self.chain, *self.replicates)])
        scatter = half_width(table) * math.sqrt(len(table))
        first, second = np.where(scatter == 0, 0.0, scatter / np.maximum(table[0], 1e-300))
        return float(first), float(second)

    def _outward(self, s: Any) -> Any:
        return s * s if self.squared else s

    def _position(self, x: np.ndarray) -> np.ndarray:
        return np.log(x) / (2 if self.squared else 1)

    def _below(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cdf and its derivative in log s."""
        return self.table.evaluate(position)

    def _quantile_position(self, p: np.ndarray) -> np.ndarray:
        """Return log s at quantiles above the atom."""
        nodes = self.table.nodes
        known = np.maximum.accumulate([node.below for node in nodes])
        cuts = np.array([node.position for node in nodes])
        last = np.searchsorted(known, p, side="left")
        lower, upper = np.clip(last - 1, 0, None), np.clip(last, None, len(cuts) - 1)
        start = (cuts[lower] + cuts[upper]) / 2
        position = invert_increasing(self.table.evaluate, p, cuts[lower], cuts[upper], start)
        tail, power = p < known[0], self.table.first_power
        if np.any(tail):
            share = (p[tail] - self.table.lost) / self.table.tail
            position[tail] = cuts[0] + np.log(share) / power if power else -math.inf
        return position

    def _density(self, x: np.ndarray) -> np.ndarray:
        slope = self._below(self._position(np.maximum(x, np.finfo(float).tiny)))[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            density = slope / (x * (2 if self.squared else 1))
        exponent, first = self.edge_exponent_at_zero, self.table.nodes[0]
        at_zero = math.inf if exponent is not None and exponent > 0 else 0.0
        if exponent == 0:
            at_zero = first.density / math.exp(first.position)
        return np.where(x > 0, density, at_zero)

    def _moment(self, n: int) -> float:
        order = n if self.squared else n / 2
        if self.calibration is not None and order in (1, 2):
            return self.calibration.mean if order == 1 else self.calibration.second_moment
        if order > _HIGHEST:
            raise ParameterError(
                f"moments of J J^T beyond the order {_HIGHEST} take minutes as power series: "
                "law.expect(lambda x: x**n) integrates the table, to its tolerance"
            )
        if order == int(order):
            return chain_moments(self.chain, int(order))[-1]
        if not self.resolves(math.ceil(order)):
            raise ConvergenceError(
                "this moment hangs on singular values that are rarer than the table resolves: take "
                "moments of the squares, which need no table, or a smaller tolerance"
            )
        return self._integral(lambda s: s**n)

    def resolves(self, order: int) -> bool:
        """Whether the table has the singular values that a moment of the squares hangs on."""
        if self._smooth:
            return True  # every site is in the table
        exact = chain_moments(self.chain, order)[-1]
        return abs(self._integral(lambda s: s ** (2 * order)) - exact) <= _TAIL * exact

    def _continuous_part(self, function: Any, low: float, high: float) -> float:
        low, high = max(low, 0.0), max(high, 0.0)
        if self.squared:
            low, high = math.sqrt(low), math.sqrt(high)
        return float(self._integral(lambda s: function(self._outward(s)), low, high))

    def _integral(self, function: Any, low: float = 0.0, high: float = math.inf) -> Any:
        """Integrate a function of s against the table; the part below the first node is a power.

        Between two points, by default over all.
        """
        first, power = self.table.nodes[0], self.table.first_power
        total = 0.0
        if power:
            least = math.exp(first.position)
            start, end = (min(each / least, 1.0) ** power for each in (low, high))
            t = start + (end - start) * (_GAUSS + 1) / 2
            s = least * t ** (1 / power)
            weight = self.table.tail * (end - start) * _GAUSS_WEIGHTS / 2
            total = total + np.sum(weight * function(s), axis=-1)
        ends = [math.log(each) if each > 0 else -math.inf for each in (low, high)]
        for panel in self.table.panels:
            x, weight = panel.nodes(*ends)
            position = panel.position(x)
            _, slope = panel.evaluate(position)
            speed = 1.0 if panel.edge is None else 2 * np.abs(x)
            total = total + np.sum(weight * slope * speed * function(np.exp(position)), axis=-1)
        return total

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        r"""Return G; for singular values by :math:`2 G_{sym}(z) - \int \rho(s) ds / (z + s)`."""
        flat = np.ravel(z)
        if self.squared:
            root = np.sqrt(flat)
            root = np.where(np.imag(root) < 0, -root, root)
            values = to_numpy(self._solved(root).cauchy) / root
            return values.reshape(z.shape)
        right = np.real(flat) > 0
        values = np.empty_like(flat)
        atom = self.chain.lost
        if np.any(right):
            mirrored = self._integral(lambda s: 1 / (flat[right][:, None] + s))
            symmetric = to_numpy(self._solved(flat[right]).cauchy)
            values[right] = 2 * symmetric - mirrored - atom / flat[right]
        if not np.all(right):
            left = flat[~right]
            values[~right] = self._integral(lambda s: 1 / (left[:, None] - s)) + atom / left
        return values.reshape(z.shape)

    def _solved(self, s: np.ndarray) -> Any:
        xp = self.chain.namespace
        points = xp.asarray(np.asarray(s, dtype=complex))
        start = None
        if np.all(np.imag(s) == 0):
            start = xp.asarray(self.table.self_energies(np.log(np.real(s))))
        return solve_chain(self.chain, points, start)
