"""A verification as a table for the terminal, as Markdown and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rmt_jacobian.comparison.formats import aligned, estimate, markdown_table, number, z_score
from rmt_jacobian.comparison.measured import WidthPair
from rmt_jacobian.comparison.moment_table import (
    MOMENT_NOTE,
    TIED_NOTE,
    count_of_moments,
    moment_table,
    tied_table,
)
from rmt_jacobian.comparison.rows import Comparison, Row
from rmt_jacobian.comparison.spectra import SpectrumComparison
from rmt_jacobian.comparison.verification import Verification
from rmt_jacobian.mean_field import UntiedState
from rmt_jacobian.provenance import run_metadata

__all__ = ["to_json", "to_markdown", "to_text"]

_EXACT_SCORES = ("z", "z sites", "z W")
_HEADER = (
    "weights", "T", "printed", "z", "S-transform", "z", "exact", *_EXACT_SCORES, "sampled",
    "verdict",
)  # fmt: skip
_MOMENTS = "## Moments, (1/dN) E tr (J Jᵀ)ᵏ"
_SILENT = 1e-12  # a mean square of the states below it is that of states that are 0
_SPECTRUM_HEADER = ("spectrum", "KS", "null", "Wasserstein-1", "null", "verdict")


def to_text(found: Verification) -> str:
    """Return the table of moments, and that of spectra, aligned for a terminal."""
    if found.tied:
        table = tied_table(found.rows)
    elif found.state.site_law is not None:
        table = [_HEADER, *((*_cells(row)[:-1], _short_verdict(row)) for row in found.rows)]
    else:
        table = moment_table(found.rows)
    lines = [_headline(found), "", *aligned(table), ""]
    if found.shared:
        kept = aligned(tied_table(found.shared))
        lines += ["half as many networks, which keep their weights:", *kept, ""]
    if found.spectra:
        lines += [*aligned(_spectrum_table(found.spectra)), ""]
    return "\n".join([*lines, *_notes(found)])


def to_markdown(found: Verification, *, figure: str | None = None) -> str:
    """Return the whole report as Markdown.

    Parameters
    ----------
    figure
        File name of the figure, relative to the report.
    """
    parts = [f"# Spectrum of J Jᵀ: {found.state.cell.name}", _headline(found)]
    if figure:
        parts.append(f"![second moment of J Jᵀ against the number of steps]({figure})")
    if found.tied:
        parts += [_MOMENTS, markdown_table(tied_table(found.rows))]
    elif found.state.site_law is not None:
        parts += _moments_of_one_matrix(found)
    else:
        parts += [_MOMENTS, markdown_table(moment_table(found.rows))]
    if found.shared:
        parts += ["## Half as many networks, which keep their weights",
                  markdown_table(tied_table(found.shared))]  # fmt: skip
    parts += ["## Variance, m_2 - m_1²", _table_of([row.variance for row in found.rows], found)]
    if found.s_1 or found.state.site_law is not None:
        parts += _s_1_section(found)
    if found.differences:
        parts += [
            "## Orthogonal minus Gaussian W, second moment",
            markdown_table(
                [
                    ("T", "exact", "measured", "z"),
                    *(
                        (str(d.steps), number(d.exact), estimate(d.measured.value,
                         d.measured.standard_error), z_score(d.z))
                        for d in found.differences
                    ),
                ]
            ),
        ]  # fmt: skip
    if found.spectra:
        parts += ["## Spectra", markdown_table(_spectrum_table(found.spectra))]
    parts.append("\n".join(f"- {note}" for note in _notes(found)))
    return "\n\n".join(parts) + "\n"


def _moments_of_one_matrix(found: Verification) -> list[str]:
    return [
        "## Second moment, (1/N) E tr (J Jᵀ)²",
        markdown_table([_HEADER, *(_cells(row) for row in found.rows)]),
        "## Mean, (1/N) E tr J Jᵀ",
        _table_of([row.mean for row in found.rows], found),
        "## Raw means over the networks, and the theory on their sites",
        markdown_table(
            [
                ("weights", "T", "m_2, sampled", "paired", "m_1, sampled", "paired"),
                *(_raw_cells(row) for row in found.rows),
            ]
        ),
    ]


def _s_1_section(found: Verification) -> list[str]:
    return [
        "## s₁ of W Wᵀ, measured from one-step products",
        markdown_table(
            [
                ("weights", "exact", "measured", "z"),
                *(
                    (s.weights, number(s.exact), estimate(s.measured.value,
                     s.measured.standard_error), z_score(s.measured.z(s.exact)))
                    for s in found.s_1
                ),
            ]
        ),
    ]  # fmt: skip


def to_json(found: Verification) -> dict[str, Any]:
    """Return the verification as plain data; numbers that are not finite become null."""
    state = found.state
    return {
        "cell": state.cell.name,
        "parameters": state.parameters.named(),
        "settings": {
            "width": found.width,
            "samples": found.samples,
            "seed": found.seed,
            "tied": found.tied,
            "inputs": state.parameters.input_kind,
        },
        "metadata": run_metadata(found.seed, device=found.device, dtype=found.dtype),
        "hypotheses": found.hypotheses,
        "mean_field": _mean_field_json(state),
        "rows": _rows_json(found.rows),
        **({"shared_weights": _rows_json(found.shared)} if found.shared else {}),
        "s_1": [
            {
                "weights": s.weights,
                "exact": s.exact,
                "sampled": s.measured.value,
                "standard_error": s.measured.standard_error,
            }
            for s in found.s_1
        ],
        "orthogonal_minus_gaussian": [
            {
                "steps": d.steps,
                "exact": d.exact,
                "sampled": d.measured.value,
                "standard_error": d.measured.standard_error,
                "z": _finite(d.z),
            }
            for d in found.differences
        ],
        "spectra": [{**asdict(row), "verdict": row.verdict} for row in found.spectra],
    }


def _rows_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "weights": row.weights,
            "steps": row.steps,
            "mean": _comparison_json(row, row.mean),
            "second_moment": _comparison_json(row, row.second_moment),
            "variance": _comparison_json(row, row.variance),
            "verdict": row.verdict,
        }
        for row in rows
    ]


def _mean_field_json(state: UntiedState) -> dict[str, Any]:
    law = state.site_law
    if law is not None:
        return {
            "preactivation_variance": law.preactivation_variance,
            "state_variance": law.state_variance,
            "chi1": law.chi1,
        }
    return {
        "preactivation_variance": _variances(state),
        "state_variance": _state_squares(state),
    }


def _variances(state: UntiedState) -> dict[str, float]:
    names = (name for name, _ in state.parameters.groups)
    return dict(zip(names, state.preactivation_variances, strict=True))


def _state_squares(state: UntiedState) -> dict[str, float]:
    return dict(zip(map(str, state.cell.states), state.state_squares, strict=True))


def _comparison_json(row: Row, found: Comparison) -> dict[str, Any]:
    measured, z = found.measured, found.z()
    values = {
        **found.routes,
        "exact_error": found.limit_error,
        **({} if found.tied is None else {"tied_error": found.tied_error}),
        "paired": measured.paired,
        "sampled": measured.sampled.value,
        "standard_error": measured.sampled.standard_error,
        "paired_ratio": measured.ratio.value,
        "paired_ratio_error": measured.ratio.standard_error,
        "on_sites": measured.on_sites.value,
        "on_sites_error": measured.on_sites.standard_error,
        "limit": measured.limit.value,
        "limit_error": measured.limit.standard_error,
    }
    return {
        **{name: _finite(value) for name, value in values.items()},
        "z": {name.replace(" ", "_"): _finite(value) for name, value in z.items()},
        "raw_z": {name: _finite(value) for name, value in found.raw_z().items()},
        "verdicts": row.of_moment(found),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _headline(found: Verification) -> str:
    state = found.state
    values = ", ".join(f"{name} = {value:g}" for name, value in state.parameters.named().items())
    return (
        f"{state.cell.name}: {values}\n"
        f"mean field: {_mean_field_words(state)}\n"
        f"{found.samples} networks of width {found.width} for each ensemble, seed {found.seed}"
        f"{', tied weights' if found.tied else ''}"
    )


def _mean_field_words(state: UntiedState) -> str:
    law = state.site_law
    if law is not None:
        return (
            f"q* = {law.preactivation_variance:.6g}, Q* = {law.state_variance:.6g}, "
            f"chi_1 = {law.chi1:.6g}"
        )
    squares = _state_squares(state)
    words = [f"q({name}) = {q:.4g}" for name, q in _variances(state).items()]
    words += [f"E[{name}^2] = {square:.4g}" for name, square in squares.items()]
    silent = max(squares.values()) < _SILENT
    return ", ".join(words) + "; the states fall silent: inputs would wake them" * silent


def _notes(found: Verification) -> list[str]:
    s_1 = "; ".join(
        f"{s.weights} {estimate(s.measured.value, s.measured.standard_error)}, exact {s.exact:g}"
        for s in found.s_1
    )
    if found.tied:
        notes = [count_of_moments(found.rows), TIED_NOTE]
        others = "the variance m_2 - m_1^2"
    elif found.state.site_law is not None:
        notes = _notes_on_one_matrix(found)
        others = "m_1 and the variance m_2 - m_1^2; the first table is of m_2"
    else:
        notes = [count_of_moments(found.rows), MOMENT_NOTE, _finite_width_note(found)]
        others = "the variance m_2 - m_1^2"
    if found.shared:
        notes += [f"keeping their weights: {count_of_moments(found.shared)}", TIED_NOTE]
    if found.without_shared:
        notes.append(f"no networks that keep their weights: {found.without_shared}")
    notes.append(f"The report has {others}.")
    if s_1:
        notes.append(f"s_1 measured from one-step products: {s_1}.")
    if any(row.second_moment.printed is not None for row in found.rows):
        notes.append(
            "printed is the right-hand side of eq. (12) of Chen et al. (2018), read as a second "
            "moment."
        )
    if found.differences:
        pairs = "; ".join(
            f"T = {d.steps}: {estimate(d.measured.value, d.measured.standard_error)}, "
            f"exact {number(d.exact)}"
            for d in found.differences
        )
        notes.append(f"orthogonal minus Gaussian: {pairs}.")
    notes += [f"no law of the spectrum of {reason}" for reason in found.without_law]
    if found.spectra:
        percent = 100 * found.spectra[0].quantile
        notes.append(
            f"spectra are the singular values of {found.spectra[0].samples} networks; null is what "
            f"{percent:g} % of right laws stay below at this width and number; the verdict is that "
            "of KS, the Kolmogorov-Smirnov distance."
        )
    return [*notes, found.hypotheses]


def _notes_on_one_matrix(found: Verification) -> list[str]:
    return [
        _count(found.rows),
        "z is (theory - sampled) in standard errors; 3 still agrees, 4 fails. sampled is what the "
        "samples say of infinite width: the theory on many sites that were drawn without W, times "
        "sampled over paired, the theory on the sites of the networks. exact claims both, and "
        "stands only if both hold: z sites compares it with the theory on those sites alone, z W "
        "the theory on drawn sites with the samples.",
        _finite_width_note(found),
        "verdict: on printed / S-transform / exact.",
    ]


def _finite_width_note(found: Verification) -> str:
    """Say what finite width does, and what is done about it."""
    widths = WidthPair.below(found.width)
    return (
        f"Sampled over paired is extrapolated to infinite width from widths {widths.narrow} and "
        f"{widths.wide}; what is left, T^2 / ({widths.narrow} x {widths.wide}), is in its error."
    )


def _count(rows: Sequence[Row]) -> str:
    """Say in one sentence how many rows each route passes."""
    words = []
    for name in ("printed", "S-transform", "exact"):
        verdicts = [word for row in rows if (word := row.verdicts[name]) is not None]
        if verdicts:
            words.append(f"{name} agrees in {verdicts.count('agrees')} of {len(verdicts)} rows")
    return f"In short: {', '.join(words)}."


def _cells(row: Row) -> tuple[str, ...]:
    moment, z = row.second_moment, row.second_moment.z()
    return (
        row.weights,
        str(row.steps),
        "-" if moment.printed is None else number(moment.printed),
        z_score(z["printed"]),
        number(moment.s_transform),
        z_score(z["s_transform"]),
        number(moment.exact),
        *_exact_scores(moment),
        estimate(moment.measured.limit.value, moment.measured.limit.standard_error),
        row.verdict,
    )


def _exact_scores(moment: Comparison) -> list[str]:
    z = moment.z()
    return [z_score(z[name]) for name in ("exact", "exact on sites", "paired")]


def _table_of(moments: Sequence[Comparison], found: Verification) -> str:
    """Return the table of one moment of every row."""
    header = ("weights", "T", "exact", *_EXACT_SCORES, "sampled", "verdict")
    lines = [
        (
            row.weights,
            str(row.steps),
            number(moment.exact),
            *_exact_scores(moment),
            estimate(moment.measured.limit.value, moment.measured.limit.standard_error),
            moment.verdicts["exact"] or "",
        )
        for row, moment in zip(found.rows, moments, strict=True)
    ]
    return markdown_table([header, *lines])


def _raw_cells(row: Row) -> tuple[str, ...]:
    cells = [row.weights, str(row.steps)]
    for moment in (row.second_moment, row.mean):
        raw = moment.measured.sampled
        cells += [estimate(raw.value, raw.standard_error), number(moment.measured.paired)]
    return tuple(cells)


def _short_verdict(row: Row) -> str:
    """Return the verdicts on printed, S-transform and exact alone, which fit into a terminal."""
    return " / ".join(word or "-" for word in row.verdicts.values())


def _spectrum_table(spectra: Sequence[SpectrumComparison]) -> list[tuple[str, ...]]:
    return [
        _SPECTRUM_HEADER,
        *(
            (
                row.label,
                f"{row.ks:.2g}",
                f"{row.ks_null:.2g}",
                f"{row.wasserstein:.2g}",
                f"{row.wasserstein_null:.2g}",
                row.verdict,
            )
            for row in spectra
        ),
    ]
