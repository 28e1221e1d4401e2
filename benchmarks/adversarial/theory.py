"""What the package says of a point, each number with its error."""

from dataclasses import dataclass

from benchmarks.adversarial.grammar import Point
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.singular_values import SingularValueLaw, singular_value_law

__all__ = ["GROWTH_STEPS", "Claim", "claims", "law_of"]

_SITES = 256  # of a law, whose error is far below what a few networks resolve
GROWTH_STEPS = 12  # over which the growth of gradients is compared where a limit takes long


@dataclass(frozen=True)
class Claim:
    """A number that the package gives, with half of the interval of 95 % that it states.

    Most are from the scatter of eight samples: four of them are exceeded once in 100,000 times.
    """

    name: str
    value: float
    error: float


def claims(point: Point) -> list[Claim]:
    """Return variances, correlations and slopes of a point."""
    law = stationary(point.cell, point.parameters)
    pair = law.pair(point.input_correlation)

    def named(kind: str, values: dict[str, float], errors: dict[str, float]) -> list[Claim]:
        return [Claim(f"{kind} {k}", value, errors[k]) for k, value in values.items()]

    rate, doubt = law.growth_over_with_error(GROWTH_STEPS)
    slope = GROWTH_STEPS * rate ** (GROWTH_STEPS - 1)
    return [
        *named("q", law.variances, law.errors["variances"]),
        *named("c", pair.correlations, pair.errors["correlations"]),
        Claim("chi1", law.same.chi, law.same.errors["chi"]),
        Claim("chi", abs(pair.chi), pair.errors["chi"]),
        Claim("m1", rate**GROWTH_STEPS, slope * doubt),
    ]


def law_of(point: Point, weights: str) -> SingularValueLaw:
    """Return the law of the singular values of one step, of few sites."""
    return singular_value_law(
        point.cell, point.parameters, weights=weights, steps=1, sites=_SITES, tolerance=1e-3,
        replicates=2,
    )  # fmt: skip
