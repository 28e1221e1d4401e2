"""Free sums with bands that are narrow beside their place, each seen from there."""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.laws.convolution.exact_moments import ExactMoments
from rmt_jacobian.laws.convolution.free_sum import FreeSum
from rmt_jacobian.laws.convolution.panels import PanelAntiderivative, masses_of_intervals
from rmt_jacobian.laws.known.units import moved
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.solution import LawSolution

__all__ = ["Frame", "Framed", "framed"]

_APART = 1e-4  # of the span of the sum: clusters are narrower, and further from all else
_POINT = 1e-12  # of its place: what is narrower is a point
_REACH = 10.0  # widths of a cluster: how far its band may reach
_LEAST_MASS = 1e-10  # of a band
_MOST = 400  # combinations of clusters


@dataclass(frozen=True)
class Frame:
    """A free sum as it is seen from one place.

    Attributes
    ----------
    place
        The origin of the frame.
    law
        The sum of the factors, each moved by its own share of the place.
    reach
        How far from the origin the band may lie.
    mass
        The mass of the band.
    """

    place: float
    law: FreeSum
    reach: float
    mass: float


class _Band(NamedTuple):
    """An interval: where it lies, whose it is, and its number there."""

    low: float
    high: float
    place: float
    law: FreeSum
    k: int


@dataclass(frozen=True)
class Framed(ExactMoments):
    r"""A free sum some bands of which are narrow beside their place.

    Let each factor have a cluster, a part of mass :math:`m_j` within a width that is small beside
    the gaps next to it.  Seen from afar clusters are atoms, so that the sum has a band of mass

    .. math:: \sum_j t_j m_j - \Bigl(\sum_j t_j - 1\Bigr)

    at the sum of their places, if this is positive.  With the clusters moved to 0 that band lies
    next to 0, where numbers resolve it.

    Attributes
    ----------
    exact
        The convolution.
    frames
        The bands that are seen from their place.
    """

    exact: FreeSum
    frames: tuple[Frame, ...]

    @property
    def factors(self) -> tuple[tuple[Law, float], ...]:
        """The factors of the convolution."""
        return self.exact.factors

    @cached_property
    def _bands(self) -> tuple[_Band, ...]:
        bands = []
        for frame in self.frames:
            if frame.reach > _POINT * abs(frame.place):
                bands += _bands_of(frame.place, frame.law, frame.reach)
        if sum(frame.mass for frame in self.frames) < 1 - _LEAST_MASS:
            bands += [
                band
                for band in _bands_of(0.0, self.exact, math.inf)
                if not any(_overlap(band, frame) for frame in self.frames)
            ]
        return tuple(sorted(bands, key=lambda band: band.low))

    def support_intervals(self) -> tuple[tuple[float, float], ...]:
        """Return the intervals of the continuous part, in increasing order."""
        return tuple((band.low, band.high) for band in self._bands)

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the atoms; a band that is narrower than rounding at its place counts as one."""
        points = [frame for frame in self.frames if frame.reach <= _POINT * abs(frame.place)]
        kept = [
            atom
            for atom in self.exact.atoms()
            if not any(abs(atom[0] - frame.place) <= frame.reach for frame in points)
        ]
        return tuple(sorted(kept + [(frame.place, frame.mass) for frame in points]))

    def solve(self, x: ArrayLike) -> LawSolution:
        """Return the law at real points, with residuals and certificates."""
        x = np.asarray(x, dtype=float)
        chosen, flat = self._nearest(x.ravel()), x.ravel()
        found = LawSolution(
            x,
            np.empty(flat.shape, dtype=complex),
            np.empty(flat.shape),
            np.empty(flat.shape),
            np.empty(flat.shape, dtype=bool),
        )
        for k in np.unique(chosen):
            own = chosen == k
            place, law = self._views[k]
            part = law.solve(flat[own] - place)
            for name in ("cauchy", "density", "residual", "converged"):
                getattr(found, name)[own] = getattr(part, name)
        return LawSolution(
            x,
            *(
                getattr(found, name).reshape(x.shape)
                for name in ("cauchy", "density", "residual", "converged")
            ),
        )

    @property
    def _views(self) -> list[tuple[float, FreeSum]]:
        return [(0.0, self.exact), *((frame.place, frame.law) for frame in self.frames)]

    def _nearest(self, x: np.ndarray) -> np.ndarray:
        """Return for every point the number of the view it is seen from."""
        chosen = np.zeros(x.shape, dtype=int)
        for k, frame in enumerate(self.frames, start=1):
            chosen[np.abs(x - frame.place) <= _REACH * frame.reach] = k
        return chosen

    def _density(self, x: np.ndarray) -> np.ndarray:
        density = np.full(x.shape, np.nan)
        for band in self._bands:
            inside = (x >= band.low) & (x <= band.high)
            low, high = band.law.support_intervals()[band.k]
            y = np.clip(x[inside] - band.place, np.nextafter(low, high), np.nextafter(high, low))
            y = np.where(x[inside] == band.low, low, np.where(x[inside] == band.high, high, y))
            density[inside] = band.law._density(y)
        return density

    def _cauchy_above(self, z: np.ndarray) -> np.ndarray:
        chosen, g = self._nearest(np.real(z)), np.empty_like(z)
        for k in np.unique(chosen):
            place, law = self._views[k]
            g[chosen == k] = law._cauchy_above(z[chosen == k] - place)
        return g

    def _self_energy(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._nearest(np.real(z))
        sigma, slope = np.empty_like(z), np.empty_like(z)
        for k in np.unique(chosen):
            place, law = self._views[k]
            own = chosen == k
            sigma[own], slope[own] = law._self_energy(z[own] - place)
            sigma[own] += place
        return sigma, slope

    @cached_property
    def _antiderivatives(self) -> tuple[PanelAntiderivative, ...]:
        atoms = sum(mass for _, mass in self.atoms())
        return masses_of_intervals(self._solved_rate, len(self._bands), atoms)

    def _solved_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        band = self._bands[k]
        return band.law._solved_rate(band.k, angle)

    def _mass_rate(self, k: int, angle: np.ndarray) -> np.ndarray:
        return self._antiderivatives[k].rate(angle)

    def _point(self, k: int, angle: np.ndarray) -> np.ndarray:
        band = self._bands[k]
        return band.place + band.law._point(band.k, angle)

    def _angle(self, k: int, x: np.ndarray) -> np.ndarray:
        band = self._bands[k]
        low, high = band.law.support_intervals()[band.k]
        y = np.clip(x - band.place, low, high)
        y = np.where(x <= band.low, low, np.where(x >= band.high, high, y))
        return band.law._angle(band.k, y)


def _bands_of(place: float, law: FreeSum, reach: float) -> list[_Band]:
    return [
        _Band(place + low, place + high, place, law, k)
        for k, (low, high) in enumerate(law.support_intervals())
        if max(abs(low), abs(high)) <= reach
    ]


def _overlap(band: _Band, frame: Frame) -> bool:
    return band.low <= frame.place + frame.reach and band.high >= frame.place - frame.reach


class _Cluster(NamedTuple):
    """A narrow part of a law: a point of it, its width and its mass."""

    at: float
    width: float
    mass: float


def framed(exact: FreeSum) -> FreeSum | Framed:
    """Return a free sum whose bands that are narrow beside their place are seen from there."""
    span = sum(times * (law.support()[1] - law.support()[0]) for law, times in exact.factors)
    rows = [_clusters(law, _APART * span) for law, _ in exact.factors]
    if not all(rows) or math.prod(map(len, rows)) > _MOST:
        return exact
    frames = []
    for chosen in itertools.product(*rows):
        pairs = list(zip(exact.factors, chosen, strict=True))
        mass = 1 - math.fsum(times * (1 - cluster.mass) for (_, times), cluster in pairs)
        width = sum(times * cluster.width for (_, times), cluster in pairs)
        moves = any(cluster.at for cluster in chosen)
        if mass > _LEAST_MASS and width > 0 and moves:
            law = FreeSum(tuple((_moved(law, -c.at), times) for (law, times), c in pairs))
            place = math.fsum(times * cluster.at for (_, times), cluster in pairs)
            frames.append(Frame(place, law, _REACH * width, mass))
    return Framed(exact, tuple(frames)) if frames else exact


def _moved(law: Law, by: float) -> Law:
    return moved(law, by) if by else law


def _clusters(law: Law, apart: float) -> list[_Cluster]:
    """Return the parts of a law that are narrower than a length, and further apart."""
    atoms = law.atoms()
    parts = sorted([*law.support_intervals(), *((at, at) for at, _ in atoms)])
    groups: list[tuple[float, float]] = []
    for low, high in parts:
        if groups and low - groups[-1][1] <= apart:
            groups[-1] = (groups[-1][0], max(high, groups[-1][1]))
        else:
            groups.append((low, high))
    found = []
    for low, high in groups:
        if high - low <= apart:
            inner = [at for at, _ in atoms if low <= at <= high]
            at = 0.0 if low <= 0 <= high else (inner[0] if inner else (low + high) / 2)
            mass = 1.0 if len(groups) == 1 else _mass(law, low, high)
            found.append(_Cluster(at, high - low, mass))
    return found


def _mass(law: Law, low: float, high: float) -> float:
    """Return the mass of a part of a law that is no more than it: exact where that is atoms."""
    inner = [(a, b) for a, b in law.support_intervals() if low <= a and b <= high]
    if not inner:
        return math.fsum(mass for at, mass in law.atoms() if low <= at <= high)
    above = float(law.cdf(high))
    return above - float(law.cdf(np.nextafter(low, -np.inf)))
