"""The table of m_1 and m_2 for cells that have no printed formula, and its numbers as data."""

from collections.abc import Sequence

from rmt_jacobian.comparison.formats import estimate, number, z_score
from rmt_jacobian.comparison.rows import Comparison, Row

__all__ = ["MOMENT_NOTE", "TIED_NOTE", "count_of_moments", "moment_table", "tied_table"]

_HEADER = (
    "weights", "T", "", "sampled", "exact", "z", "z sites", "sampled/paired", "z", "free steps",
    "z", "verdict",
)  # fmt: skip

MOMENT_NOTE = (
    "z is (theory - sampled) in standard errors; 3 still agrees, 4 fails. sampled is what the "
    "samples say of infinite width: the theory on many sites that were drawn without W, times "
    "sampled over paired, the theory on the sites of the networks. exact is the limit, with the "
    "error of the sites that stand for it; it stands if it agrees with sampled, z sites with the "
    "theory on the drawn sites alone, and that theory with the samples; free steps is the "
    "S-transform route, which assumes that the steps are free of each other. verdict: on exact / "
    "paired / free steps; unknown where a moment leaves the range of floating-point numbers."
)

_TIED_HEADER = (
    "weights", "T", "", "sampled", "untied", "z", "tied", "z", "sampled/paired", "z", "verdict",
)  # fmt: skip

TIED_NOTE = (
    "networks that keep their weights: sampled is their raw mean, with what finite width may do to "
    "it, 0.5 T / N of m_1 and 2 T / N of m_2, in its error; untied is the limit of fresh weights, "
    "tied that of shared ones by dynamical mean field "
    "theory, and paired the theory of shared weights on the paths of the drawn sites. verdict: on "
    "untied / tied / paired, of which tied stands if paired does too; beyond 40 steps m_2 of the "
    "latter two is not known."
)


def moment_table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the header and two lines for each row, m_1 and m_2."""
    return [_HEADER, *(_line(row, name, m) for row in rows for name, m in _moments(row))]


def _moments(row: Row) -> list[tuple[str, Comparison]]:
    return [("m_1", row.mean), ("m_2", row.second_moment)]


def _line(row: Row, name: str, moment: Comparison) -> tuple[str, ...]:
    z, measured = moment.z(), moment.measured
    return (
        row.weights,
        str(row.steps),
        name,
        estimate(measured.limit.value, measured.limit.standard_error),
        estimate(moment.exact, moment.limit_error),
        z_score(z["exact"]),
        z_score(z["exact on sites"]),
        estimate(measured.ratio.value, measured.ratio.standard_error),
        z_score(z["paired"]),
        number(moment.s_transform),
        z_score(z["s_transform"]),
        " / ".join(word or "-" for word in row.of_moment(moment).values()),
    )


def tied_table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the header and two lines for each row of networks that keep their weights."""
    return [_TIED_HEADER, *(_tied_line(row, name, m) for row in rows for name, m in _moments(row))]


def _tied_line(row: Row, name: str, moment: Comparison) -> tuple[str, ...]:
    z, measured, words = moment.z(), moment.measured, row.of_moment(moment)
    tied, error = moment.best
    return (
        row.weights,
        str(row.steps),
        name,
        estimate(measured.limit.value, measured.limit.standard_error),
        number(moment.exact),
        z_score(z["exact"]),
        estimate(tied, error),
        z_score(z["tied"]),
        estimate(measured.ratio.value, measured.ratio.standard_error),
        z_score(z["paired"]),
        " / ".join(words[name] or "-" for name in ("untied", "tied", "paired")),
    )


def count_of_moments(rows: Sequence[Row]) -> str:
    """Say in one sentence how many moments each theory passes."""
    verdicts = [row.of_moment(moment) for row in rows for _, moment in _moments(row)]
    words = [
        f"{name} agrees in {sum(v[name] == 'agrees' for v in verdicts)} of {len(verdicts)} moments"
        for name in verdicts[0]
    ]
    return f"In short: {', '.join(words)}."
