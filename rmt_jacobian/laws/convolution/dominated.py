"""Free convolutions one side of which is nearly constant beside the other."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.affine import Affine
from rmt_jacobian.laws.convolution.exact_moments import ExactMoments
from rmt_jacobian.laws.convolution.free_product import FreeProduct
from rmt_jacobian.laws.convolution.free_sum import FreeSum
from rmt_jacobian.laws.known.units import divided, moved
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.solution import LawSolution

__all__ = ["Dominated", "dominated"]

_SMALL = 1e-8  # the width of the small side, in units of the finest feature of a law with atoms
_TINY = 1e-14  # the same for other laws, whose hard edges it may change over a wider range
_POINT = 1e-12  # of its place: what is narrower is a point


@dataclass(frozen=True)
class Dominated(ExactMoments):
    r"""A free convolution by perturbation theory of the first order in its small side.

    The small variable A acts on the continuous part of the large one, B, like its mean.  An atom
    of B of mass p at b becomes what A is on the eigenspace, a corner of trace p:

    .. math::
        p \, \delta_b \;\to\; p \cdot \bigl(b + \mathcal D_p A^{\boxplus 1/p}\bigr)
        \quad \text{or, of a product,} \quad p \cdot b \, \mathcal D_p A^{\boxplus 1/p},

    where :math:`\mathcal D_p` multiplies the variable by p.  Points are off by the square of the
    width of A over the finest feature of B.  Moments and transforms are exact.

    Attributes
    ----------
    exact
        The convolution.
    large
        The law of B, moved or stretched by the mean of A.
    clusters
        The index of an atom of ``large``, and the law in its place.
    error
        The width of A, in units of the finest feature of B.

    References
    ----------
    A. Nica and R. Speicher (1996), On the multiplication of free N-tuples of noncommutative
    random variables (the corners).

    Examples
    --------
    >>> from rmt_jacobian.laws import PointMasses, Semicircle, boxplus
    >>> law = boxplus(PointMasses.bernoulli(0.5), Semicircle(1e-9))
    >>> type(law).__name__, round(float(law.cdf(0.0)), 9), round(law.support()[0] * 2**0.5, 18)
    ('Dominated', 0.25, -1e-09)
    """

    exact: FreeSum | FreeProduct
    large: Law
    clusters: tuple[tuple[int, Law], ...]
    error: float

    @property
    def factors(self) -> tuple[tuple[Law, float], ...]:
        """The factors of the convolution."""
        return self.exact.factors

    @cached_property
    def _places(self) -> list[tuple[float, float, Law]]:
        """The places and masses of the atoms that are resolved, and the laws there."""
        atoms = self.large.atoms()
        return [(*atoms[k], law) for k, law in self.clusters]

    @property
    def edge_exponent_at_zero(self) -> float | None:
        """The exponent of the large law."""
        return self.large.edge_exponent_at_zero

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the intervals, those in the place of atoms included."""
        inner = [pair for *_, law in self._places for pair in law.support_intervals()]
        return tuple(sorted([*self.large.support_intervals(), *inner]))

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the atoms; a part that is narrower than rounding at its place counts as one."""
        resolved = {k for k, _ in self.clusters}
        kept = [atom for k, atom in enumerate(self.large.atoms()) if k not in resolved]
        inner = [(at, mass * part) for _, mass, law in self._places for at, part in law.atoms()]
        return tuple(sorted(kept + inner))

    def solve(self, x: ArrayLike) -> LawSolution:
        """Return the law at real points; the residual is the error of the perturbation."""
        x = np.asarray(x, dtype=float)
        g, density = self.cauchy(x), self.pdf(x)
        return LawSolution(x, g, density, np.full(x.shape, self.error), ~np.isnan(density))

    def pdf(self, x: ArrayLike) -> np.ndarray:
        """Return the density of the continuous parts."""
        inner = [mass * law.pdf(x) for _, mass, law in self._places]
        return np.asarray(self.large.pdf(x) + np.sum(inner, axis=0))[()]

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the mass of the points up to and including x."""
        x = np.asarray(x, dtype=float)
        below = np.asarray(self.large.cdf(x), dtype=float)
        for at, mass, law in self._places:
            below = below + mass * (law.cdf(x) - (x >= at))
        below = np.where(x < self.support()[0], 0.0, np.clip(below, 0.0, 1.0))
        return np.where(x >= self.support()[1], 1.0, below)[()]

    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the least x whose cdf is at least p; nan for p outside [0, 1]."""
        p = np.asarray(p, dtype=float)
        x = np.array(self.large.ppf(p), dtype=float)
        for at, mass, law in self._places:
            inside = x == at
            top = float(self.large.cdf(at))
            x[inside] = law.ppf(np.clip((p[inside] - (top - mass)) / mass, 0.0, 1.0))
        return x[()]

    def _density(self, x: np.ndarray) -> np.ndarray:
        return self.pdf(x)

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        g = np.array(self.large.cauchy(z))
        for at, mass, law in self._places:
            # At the place itself the rest is smaller than what is there by the error.
            rest = np.where(z == at, 0.0, g - mass / (z - at))
            g = rest + mass * np.asarray(law.cauchy(z))
        return g


def dominated(exact: FreeSum | FreeProduct) -> Law:
    """Return a convolution, by perturbation theory where one side is nearly constant."""
    product = isinstance(exact, FreeProduct)
    spreads = np.array([times * _spread(law, product) for law, times in exact.factors])
    order = np.argsort(spreads)
    sizes = np.clip(spreads[order], 1e-300, None)
    steps = np.diff(np.log(sizes))
    if not steps.size or np.max(steps) < -np.log(_SMALL):
        return exact
    cut = int(np.argmax(steps)) + 1
    small, large = (
        _convolved([exact.factors[k] for k in part], type(exact))
        for part in (order[:cut], order[cut:])
    )
    finest, error = _finest(large, product), float(np.sum(sizes[:cut]))
    if not (finest > 0 and error <= finest * (_SMALL if _only_soft(large) else _TINY)):
        return exact
    mean, unit = small.mean(), _spread(small, False)
    whole = Affine(large, mean, 0.0) if product else Affine(large, 1.0, mean)
    clusters = []
    for k, (at, mass) in enumerate(large.atoms()):
        place = at * mean if product else at + mean
        stretch = at if product else 1.0
        if unit * stretch > _POINT * abs(place):
            clusters.append((k, Affine(_corner(small, mass, unit), stretch * mass * unit, place)))
    return Dominated(exact, whole, tuple(clusters), error / finest)


def _spread(law: Law, relative: bool) -> float:
    low, high = law.support()
    return (high - low) / high if relative else high - low


def _convolved(factors: list[tuple[Law, float]], kind: type[FreeSum] | type[FreeProduct]) -> Law:
    (law, times), *rest = factors
    return law if times == 1 and not rest else kind(tuple(factors))


def _corner(small: Law, trace: float, unit: float) -> Law:
    """Return the law of a variable, about its mean, in a unit, on a space of a given trace."""
    factors = small.factors if isinstance(small, FreeSum) else ((small, 1.0),)
    return FreeSum(
        tuple((divided(moved(law, -law.mean()), unit), times / trace) for law, times in factors)
    )


def _finest(law: Law, relative: bool) -> float:
    """Return the least length of an interval, and of a gap next to an atom."""
    parts = sorted([*law.support_intervals(), *((at, at) for at, _ in law.atoms())])
    gaps = [
        (below, above)
        for (low, below), (above, high) in pairwise(parts)
        if low == below or above == high
    ]
    pairs = [*law.support_intervals(), *gaps]
    return min((high - low) / ((high or 1.0) if relative else 1.0) for low, high in pairs)


def _only_soft(law: Law) -> bool:
    """Return whether a law has atoms, and no density that is infinite."""
    ends = np.array([end for pair in law.support_intervals() for end in pair])
    return bool(law.atoms()) and not np.any(np.isinf(law.pdf(ends)))
