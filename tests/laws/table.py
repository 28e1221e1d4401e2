"""The laws that the contract tests run over, each with its moments by an independent formula."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rmt_jacobian.freeprob import moments_from_free_cumulants
from rmt_jacobian.laws import (
    Empirical,
    FreePoisson,
    FussCatalan,
    Law,
    MarchenkoPastur,
    PointMasses,
    QuarterCircle,
    Semicircle,
)


@dataclass(frozen=True)
class Bands(Law):
    """Plus or minus the root of a Marchenko-Pastur variable; uses all the generic code.

    Two intervals for a ratio other than 1, and for a ratio above 1 an atom between them.
    """

    ratio: float

    def support_intervals(self):
        root = math.sqrt(self.ratio)
        return ((-1 - root, -abs(1 - root)), (abs(1 - root), 1 + root))

    def atoms(self):
        return MarchenkoPastur(self.ratio).atoms()

    def _density(self, x):
        ((low, high),) = MarchenkoPastur(self.ratio).support_intervals()
        product = np.maximum((high - x**2) * (x**2 - low), 0)
        return np.sqrt(product) / (2 * np.pi * self.ratio * np.abs(x))

    def _cauchy_above(self, z):
        left = np.real(z) < 0
        right = np.where(left, -np.conj(z), z)  # whose square is above the axis
        values = right * MarchenkoPastur(self.ratio).cauchy(right**2)
        return np.where(left, -np.conj(values), values)


@dataclass(frozen=True)
class SemicircleWithAtom(Law):
    """Half a semicircle of radius 2 and half an atom inside its support."""

    location: float = 0.5

    def support_intervals(self):
        return ((-2.0, 2.0),)

    def atoms(self):
        return ((self.location, 0.5),)

    def _density(self, x):
        return np.sqrt((2 - x) * (2 + x)) / (4 * np.pi)

    def _cauchy_above(self, z):
        return Semicircle().cauchy(z) / 2 + 0.5 / (z - self.location)


@dataclass(frozen=True)
class Case:
    name: str
    law: Law
    moment: Callable[[int], float]


def by_cumulants(cumulant: Callable[[int], Fraction]) -> Callable[[int], float]:
    """Moments from free cumulants, summed exactly."""

    def moment(n: int) -> float:
        cumulants = [cumulant(k) for k in range(1, n + 1)]
        return float(moments_from_free_cumulants(cumulants)[-1]) if n else 1.0

    return moment


def marchenko_pastur(ratio: Fraction, scale: Fraction) -> Callable[[int], float]:
    return by_cumulants(lambda n: scale**n * ratio ** (n - 1))


def fuss_catalan(order: int) -> Callable[[int], float]:
    """Moments from the functional equation B = 1 + w B^(order+1), coefficient by coefficient."""

    def moment(n: int) -> float:
        series = [1]
        for k in range(1, n + 1):
            power = [1] + [0] * (k - 1)
            for _ in range(order + 1):
                power = [sum(power[i] * series[j - i] for i in range(j + 1)) for j in range(k)]
            series.append(power[-1])
        return float(series[n])

    return moment


def quarter_circle(radius: float) -> Callable[[int], float]:
    """Moments by the recursion of the Wallis integrals."""

    def moment(n: int) -> float:
        if n < 2:
            return (1.0, 4 * radius / (3 * math.pi))[n]
        return radius**2 * (n - 1) / (n + 2) * moment(n - 2)

    return moment


def atoms(*pairs: tuple[float, float]) -> Callable[[int], float]:
    return lambda n: sum(mass * location**n for location, mass in pairs)


def bands(ratio: Fraction) -> Callable[[int], float]:
    return lambda n: 0.0 if n % 2 else marchenko_pastur(ratio, Fraction(1))(n // 2)


def semicircle_with_atom(n: int) -> float:
    catalan = 0 if n % 2 else math.comb(n, n // 2) // (n // 2 + 1)
    return catalan / 2 + 0.5 * 0.5**n


SAMPLE = (0.5, -1.25, 2.0, 2.0, 0.75)
F = Fraction

CASES = (
    Case("mp-1", MarchenkoPastur(), marchenko_pastur(F(1), F(1))),
    Case("mp-0.3", MarchenkoPastur(0.3, 2.0), marchenko_pastur(F(3, 10), F(2))),
    Case("mp-0.004", MarchenkoPastur(0.004), marchenko_pastur(F(4, 1000), F(1))),
    Case("mp-2.5", MarchenkoPastur(2.5, 0.7), marchenko_pastur(F(5, 2), F(7, 10))),
    Case("free-poisson-0.5", FreePoisson(0.5, 3.0), by_cumulants(lambda n: F(1, 2) * 3**n)),
    Case("free-poisson-4", FreePoisson(4.0), by_cumulants(lambda n: F(4))),
    Case("semicircle", Semicircle(), by_cumulants(lambda n: F(int(n == 2)))),
    Case(
        "semicircle-moved",
        Semicircle(1.5, -2.0),
        by_cumulants(lambda n: {1: F(-2), 2: F(9, 16)}.get(n, F(0))),
    ),
    Case("quarter-circle", QuarterCircle(), quarter_circle(2.0)),
    Case("quarter-circle-3", QuarterCircle(3.0), quarter_circle(3.0)),
    Case("fuss-catalan-1", FussCatalan(1), fuss_catalan(1)),
    Case("fuss-catalan-2", FussCatalan(2), fuss_catalan(2)),
    Case("fuss-catalan-5", FussCatalan(5), fuss_catalan(5)),
    Case("two-masses", PointMasses((3.0, -1.0), (0.25, 0.75)), atoms((3.0, 0.25), (-1.0, 0.75))),
    Case("projection", PointMasses.bernoulli(0.3), atoms((1.0, 0.3), (0.0, 0.7))),
    Case("empirical", Empirical(SAMPLE), atoms(*((x, 0.2) for x in SAMPLE))),
    Case("bands-0.4", Bands(0.4), bands(F(2, 5))),
    Case("bands-2", Bands(2.0), bands(F(2))),
    Case("semicircle-with-atom", SemicircleWithAtom(), semicircle_with_atom),
)
