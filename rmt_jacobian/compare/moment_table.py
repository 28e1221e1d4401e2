"""The table of m_1 and m_2 for cells that have no printed formula, and its numbers as data."""

import math
from collections.abc import Sequence
from typing import Any

from rmt_jacobian.compare.formats import estimate, number, z_score
from rmt_jacobian.compare.rows import Comparison, Row

__all__ = ["MOMENT_NOTE", "count_of_moments", "moment_json", "moment_table"]

_HEADER = (
    "weights", "T", "", "sampled", "exact", "z", "sampled/paired", "z", "free steps", "z",
    "verdict",
)  # fmt: skip

MOMENT_NOTE = (
    "exact is the limit of infinite width, with the error of the sites that stand for it, and its "
    "z counts the noise of the drawn sites; paired is the theory on the drawn sites, which leaves "
    "the noise of the W alone; free steps is the S-transform route, which assumes that the steps "
    "are free of each other. z is (theory - sampled) in standard errors, T/N allowed for; 3 still "
    "agrees, 4 fails. verdict: on exact / paired / free steps; unknown where a moment leaves "
    "the range of floating-point numbers."
)


def moment_table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the header and two lines for each row, m_1 and m_2."""
    return [_HEADER, *(_line(row, name, m) for row in rows for name, m in _moments(row))]


def _moments(row: Row) -> list[tuple[str, Comparison]]:
    first = [] if row.first_moment is None else [("m_1", row.first_moment)]
    return [*first, ("m_2", row.second_moment)]


def _line(row: Row, name: str, moment: Comparison) -> tuple[str, ...]:
    z, ratio = moment.z(), moment.paired_ratio
    return (
        row.weights,
        str(row.steps),
        name,
        estimate(moment.sampled.value, moment.sampled.standard_error),
        estimate(moment.exact, moment.limit_error),
        z_score(moment.limit_z),
        estimate(ratio.value, ratio.standard_error),
        z_score(z["paired"]),
        number(moment.s_transform),
        z_score(z["s_transform"]),
        " / ".join(row.of_moment(moment).values()),
    )


def count_of_moments(rows: Sequence[Row]) -> str:
    """Say in one sentence how many moments each theory passes."""
    verdicts = [row.of_moment(moment) for row in rows for _, moment in _moments(row)]
    words = [
        f"{name} agrees in {sum(v[name] == 'agrees' for v in verdicts)} of {len(verdicts)} moments"
        for name in ("exact", "paired", "free steps")
    ]
    return f"In short: {', '.join(words)}."


def moment_json(moment: Comparison) -> dict[str, Any]:
    """Return what the table adds to a comparison."""
    ratio = moment.paired_ratio
    values = {
        "exact_error": moment.limit_error,
        "exact_z": moment.limit_z,
        "paired_ratio": ratio.value,
        "paired_ratio_error": ratio.standard_error,
    }
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
