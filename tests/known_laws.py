"""Laws in closed form: transforms beside moments and free cumulants from independent formulas."""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from rmt_jacobian import freeprob as fp

Z = sp.Symbol("z")
W = sp.Symbol("w")

Sequence = Callable[[int], sp.Expr]
"""Takes n to the n-th moment or free cumulant, n >= 1."""


@dataclass(frozen=True)
class KnownLaw:
    name: str
    moment: Sequence
    free_cumulant: Sequence
    s_transform: sp.Expr | None
    """In the variable Z; None where the mean is zero."""
    r_transform: sp.Expr | None
    """In the variable W; None where it has no closed form."""

    def moments(self, order: int) -> tuple[sp.Expr, ...]:
        return tuple(sp.sympify(self.moment(n)) for n in range(1, order + 1))

    def free_cumulants(self, order: int) -> tuple[sp.Expr, ...]:
        return tuple(sp.sympify(self.free_cumulant(n)) for n in range(1, order + 1))


def narayana_moment(n: int, ratio: sp.Expr, scale: sp.Expr) -> sp.Expr:
    """Marchenko-Pastur: partitions into k blocks, each element beyond a block's first, a ratio."""
    terms = (
        sp.binomial(n, k) * sp.binomial(n, k - 1) / n * ratio ** (n - k) for k in range(1, n + 1)
    )
    return scale**n * sp.Add(*terms)


def fuss_catalan(n: int, order: int) -> sp.Expr:
    return sp.binomial((order + 1) * n, n) / (order * n + 1)


def projection_cumulant(n: int, p: sp.Expr) -> sp.Expr:
    """Lagrange inversion of w = z (1 + z) / (p + z), with binomial coefficients written out."""
    return sp.Add(
        *(
            sp.binomial(n, k) * sp.binomial(n + k - 2, k - 1) * (-1) ** (k - 1) * p**k / n
            for k in range(1, n + 1)
        )
    )


def two_point_cumulant(n: int, a: sp.Expr, b: sp.Expr, p: sp.Expr) -> sp.Expr:
    return (a - b) ** n * projection_cumulant(n, p) + (b if n == 1 else 0)


def marchenko_pastur(ratio: sp.Expr, scale: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"Marchenko-Pastur, ratio {ratio}, scale {scale}",
        lambda n: narayana_moment(n, ratio, scale),
        lambda n: scale**n * ratio ** (n - 1),
        fp.marchenko_pastur_s_transform(Z, ratio, scale),
        fp.marchenko_pastur_r_transform(W, ratio, scale),
    )


def free_poisson(rate: sp.Expr, jump: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"free Poisson, rate {rate}, jump {jump}",
        lambda n: narayana_moment(n, 1 / rate, rate * jump),
        lambda n: rate * jump**n,
        fp.free_poisson_s_transform(Z, rate, jump),
        fp.free_poisson_r_transform(W, rate, jump),
    )


def fuss_catalan_law(order: int, r_transform: sp.Expr | None) -> KnownLaw:
    return KnownLaw(
        f"Fuss-Catalan of order {order}",
        lambda n: fuss_catalan(n, order),
        lambda n: fuss_catalan(n, order - 1),
        fp.fuss_catalan_s_transform(Z, order),
        r_transform,
    )


def two_point(a: sp.Expr, b: sp.Expr, p: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"mass {p} at {a}, the rest at {b}",
        lambda n: p * a**n + (1 - p) * b**n,
        lambda n: two_point_cumulant(n, a, b, p),
        fp.two_point_s_transform(Z, a, b, p),
        fp.two_point_r_transform(W, a, b, p),
    )


def projection(p: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"projection of weight {p}",
        lambda n: p,
        lambda n: projection_cumulant(n, p),
        fp.bernoulli_s_transform(Z, p),
        fp.bernoulli_r_transform(W, p),
    )


def semicircle(variance: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"semicircle, variance {variance}",
        lambda n: sp.S.Zero if n % 2 else variance ** (n // 2) * sp.catalan(n // 2),
        lambda n: variance if n == 2 else sp.S.Zero,
        None,
        fp.semicircle_r_transform(W, variance),
    )


def semicircle_squared(variance: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"square of a semicircle, variance {variance}",
        lambda n: variance**n * sp.catalan(n),
        lambda n: variance**n,
        fp.semicircle_squared_s_transform(Z, variance),
        fp.marchenko_pastur_r_transform(W, 1, variance),
    )


def constant(value: sp.Expr) -> KnownLaw:
    return KnownLaw(
        f"constant {value}",
        lambda n: value**n,
        lambda n: value if n == 1 else sp.S.Zero,
        fp.haar_s_transform(value),
        fp.haar_r_transform(value),
    )


HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)

KNOWN_LAWS = (
    marchenko_pastur(sp.S.One, sp.S.One),
    marchenko_pastur(sp.Rational(3, 2), sp.S(2)),
    marchenko_pastur(sp.Symbol("c"), sp.Symbol("s", positive=True)),
    free_poisson(THIRD, sp.S(2)),
    fuss_catalan_law(1, fp.marchenko_pastur_r_transform(W)),
    fuss_catalan_law(2, (1 - sp.sqrt(1 - 4 * W)) / (2 * W) / W - 1 / W),
    fuss_catalan_law(3, None),
    two_point(sp.S(1), sp.S(3), THIRD),
    two_point(sp.S(-2), sp.S(1), HALF),
    projection(HALF),
    projection(sp.Symbol("p", positive=True)),
    semicircle(sp.S.One),
    semicircle(sp.Rational(5, 4)),
    semicircle_squared(sp.S(3)),
    constant(sp.Rational(7, 3)),
)
"""Every law that the tests run over."""
