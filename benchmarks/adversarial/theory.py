"""What the package says of a point, each number with its error."""

from dataclasses import dataclass

from benchmarks.adversarial.grammar import Point
from rmt_jacobian.mean_field import untied_mean_field
from rmt_jacobian.pencils import singular_value_law

__all__ = ["Claim", "claims", "law_of"]


@dataclass(frozen=True)
class Claim:
    """A number that the package gives, with the error that it states."""

    name: str
    value: float
    error: float


def claims(point: Point) -> list[Claim]:
    """Return variances, correlations and slopes of a point, by every route there is."""
    found = untied_mean_field(
        point.cell, point.parameters, input_correlation=point.input_correlation
    )
    return [
        *(Claim(f"q {k}", q, 0.0) for k, q in found.preactivation_variances.items()),
        *(Claim(f"c {k}", c, 0.0) for k, c in found.correlations.items()),
        Claim("chi1", found.chi1, 0.0),
        Claim("chi", found.chi, 0.0),
    ]


def law_of(point: Point, weights: str):
    """Return the law of the singular values of one step, of few sites."""
    return singular_value_law(
        point.cell, point.parameters, weights=weights, steps=1, sites=512, tolerance=1e-4
    )
