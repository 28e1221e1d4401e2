"""Second moments of J J^T: every route and the samples, as numbers and as ratios."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    LogLocator,
    NullLocator,
    StrMethodFormatter,
)

from rmt_jacobian.comparison import Comparison, Row, Verification, verdict_of_all
from rmt_jacobian.errors import ParameterError

__all__ = ["plot_ratio", "plot_second_moment", "plot_shared", "verification_figure"]

_STEPS = r"number of steps $T$"
_SECOND_MOMENT = r"second moment $m_2$ of $J J^{\mathsf{T}}$"
# Larger ranges are drawn on a logarithmic scale.
_LINEAR_RANGE = 20.0
_LINEAR_STEPS = 25.0
_FEW_DECADES = 1e4


@dataclass(frozen=True)
class _Route:
    """How one theory is read from a comparison and drawn; colours are those of Okabe and Ito."""

    key: str
    label: str
    of: Callable[[Comparison], float | None]
    color: str
    line: str
    marker: str


_TIED = _Route("tied", "tied", lambda c: c.tied, "#009e73", "-", "o")
_EXACT = _Route("exact", "exact", lambda c: c.exact, "#0072b2", "-", "s")
_ROUTES = (
    _TIED,
    _EXACT,
    _Route("s_transform", "S-transform", lambda c: c.s_transform, "#e69f00", "--", "D"),
    _Route("printed", "printed, Chen 2018 eq. (12)", lambda c: c.printed, "#d55e00", ":", "^"),
)


def plot_second_moment(found: Verification, weights: str, ax: Axes) -> Axes:
    """Draw m_2 against T: one line for each theory, sampled means with standard errors.

    The theories are printed (where there is one), S-transform and exact; sampled is what the
    samples say of infinite width, as in the table of the report.  The scale is logarithmic where
    the numbers span more than a factor 20.

    Parameters
    ----------
    found
        What :func:`~rmt_jacobian.comparison.verify` returned.
    weights
        One of its ensembles.
    ax
        Where to draw.

    Raises
    ------
    ParameterError
        If the ensemble was not sampled.
    """
    rows = _rows(found, weights)
    moments = [row.second_moment for row in rows]
    steps = [row.steps for row in rows]
    # As in the table: what the samples say of infinite width, and not the raw mean of few sites.
    estimates = [moment.measured.limit for moment in moments]
    heights = [each.value for each in estimates]
    errors = [each.standard_error for each in estimates]
    ax.errorbar(
        steps, heights, yerr=errors, fmt="o", color="black", markerfacecolor="white",
        markersize=9, capsize=5, label="sampled, ± 1 standard error", zorder=3,
    )  # fmt: skip
    for route in _drawn(rows):
        values = [float(route.of(moment) or 0.0) for moment in moments]
        heights += values
        _line(ax, route, steps, values, _label(found, route))
    positive = [height for height in heights if height > 0]
    if len(positive) == len(heights) and max(heights) > _LINEAR_RANGE * min(heights):
        _log_axis(ax, max(heights) / min(heights))
    _steps_axis(ax, steps)
    ax.set_ylabel(_SECOND_MOMENT)
    ax.legend(loc="best")
    return ax


def _label(found: Verification, route: _Route) -> str:
    """Return the name of a route; with shared weights the others are those of fresh ones."""
    untied = found.tied and route is not _TIED
    return f"{route.label}, fresh weights" if untied else route.label


def plot_shared(found: Verification, weights: str, ax: Axes) -> Axes:
    """Draw m_1 against T of networks that keep their weights beside those that draw new ones.

    Parameters
    ----------
    found, weights, ax
        As in :func:`plot_second_moment`; ``found`` holds networks of both kinds.

    Raises
    ------
    ParameterError
        If the ensemble was not sampled.
    """
    fresh = [
        row for row in _rows(found, weights) if row.steps <= max(r.steps for r in found.shared)
    ]
    kept = sorted((row for row in found.shared if row.weights == weights), key=lambda r: r.steps)
    for rows, marker, name in ((fresh, "o", "fresh"), (kept, "v", "shared")):
        sampled = [row.mean.measured.limit for row in rows]
        ax.errorbar(
            [row.steps for row in rows], [each.value for each in sampled],
            yerr=[each.standard_error for each in sampled], fmt=marker, color="black",
            markerfacecolor="white", markersize=9, capsize=5, zorder=3,
            label=f"sampled, {name} weights",
        )  # fmt: skip
    theories = ((_EXACT, fresh, "exact"), (_TIED, kept, "tied"))
    for (route, rows, key), name in zip(theories, ("fresh", "shared"), strict=True):
        values = [float(route.of(row.mean) or 0.0) for row in rows]
        scores = [z for row in rows for z in row.mean.scores()[key]]
        _line(ax, route, [row.steps for row in rows], values,
              f"theory, {name} weights: {_words(scores)}")  # fmt: skip
    _steps_axis(ax, [row.steps for row in fresh])
    ax.set_ylabel(r"mean squared singular value $m_1$")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize="small")
    return ax


def plot_ratio(found: Verification, weights: str, ax: Axes) -> Axes:
    r"""Draw every theory divided by the sampled m_2, with the noise of the drawn sites removed.

    The bands around 1 are one and two standard errors wide.  The legend says what the samples
    decide, from the largest \|z\| over the numbers of steps.

    Parameters
    ----------
    found, weights, ax
        As in :func:`plot_second_moment`.

    Raises
    ------
    ParameterError
        If the ensemble was not sampled.
    """
    rows = _rows(found, weights)
    estimates = [row.second_moment.measured.limit for row in rows]
    steps = np.array([float(row.steps) for row in rows])
    relative = np.array([e.standard_error / (abs(e.value) or 1.0) for e in estimates])
    edges = (steps, relative) if len(rows) > 1 else (steps * [0.7, 1.4], relative.repeat(2))
    for width, shade, label in ((2, 0.12, "± 2 standard errors"), (1, 0.25, "± 1 standard error")):
        ax.fill_between(
            edges[0], 1 - width * edges[1], 1 + width * edges[1], color="black", alpha=shade,
            linewidth=0, label=label,
        )  # fmt: skip
    ax.axhline(1, color="black", linewidth=0.8)
    for route in _drawn(rows):
        ratios = [
            float(route.of(row.second_moment) or 0.0) / (estimate.value or math.nan)
            for row, estimate in zip(rows, estimates, strict=True)
        ]
        _line(
            ax, route, steps.tolist(), ratios, f"{_label(found, route)}: {_judgement(rows, route)}"
        )
    _steps_axis(ax, [row.steps for row in rows])
    ax.set_ylabel("theory / sampled, site noise removed")
    # Below the axes, because inside them it would hide the lines that fail.
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize="small")
    return ax


def verification_figure(found: Verification) -> Figure:
    """Draw a verification: for each ensemble m_2 against T, and below it theory over sample.

    Where networks that keep their weights were sampled too, m_1 of both kinds follows.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.comparison import verify
    >>> found = verify(vanilla, Parameters.of(vanilla), weights=["gaussian"], steps=[1, 2],
    ...                width=16, samples=4, workers=1)
    >>> len(verification_figure(found).axes)
    2
    """
    ensembles = list(dict.fromkeys(row.weights for row in found.rows))
    columns, rows = len(ensembles), 3 if found.shared else 2
    figure = Figure(figsize=(5.6 * columns + 0.6, 4.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey="row", squeeze=False)
    for column, weights in enumerate(ensembles):
        plot_second_moment(found, weights, axes[0, column]).set_xlabel("")
        axes[0, column].set_title(f"{weights.capitalize()} W{', tied' if found.tied else ''}")
        plot_ratio(found, weights, axes[1, column])
        if found.shared:
            plot_shared(found, weights, axes[2, column])
    figure.suptitle(_title(found, 66 * columns), fontsize="medium")
    return figure


def _rows(found: Verification, weights: str) -> list[Row]:
    rows = [row for row in found.rows if row.weights == weights]
    if not rows:
        known = ", ".join(dict.fromkeys(row.weights for row in found.rows))
        raise ParameterError(f"no samples with {weights!r} weights to draw: choose from {known}")
    return sorted(rows, key=lambda row: row.steps)


def _drawn(rows: list[Row]) -> list[_Route]:
    return [r for r in _ROUTES if all(r.of(row.second_moment) is not None for row in rows)]


def _line(ax: Axes, route: _Route, steps: list, values: list[float], label: str) -> None:
    ax.plot(
        steps, values, linestyle=route.line, marker=route.marker, markersize=5,
        markerfacecolor="none" if route.line == "--" else route.color, color=route.color,
        label=label, zorder=4,
    )  # fmt: skip


def _judgement(rows: list[Row], route: _Route) -> str:
    """Say in words what the worst deviation of a route means."""
    return _words([z for row in rows for z in row.second_moment.scores()[route.key]])


def _words(scores: list[float]) -> str:
    word = verdict_of_all(scores)
    return word if word == "unknown" else f"{word}, max |z| = {max(map(abs, scores)):.1f}"


def _steps_axis(ax: Axes, steps: list[int]) -> None:
    """Name the axis and put its ticks at the numbers of steps that were sampled."""
    if max(steps) > _LINEAR_STEPS * min(steps):
        ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(steps))
    ax.xaxis.set_major_formatter(FixedFormatter([str(T) for T in steps]))
    ax.xaxis.set_minor_locator(NullLocator())
    if len(set(steps)) == 1:
        ax.set_xlim(0.5 * steps[0], 1.6 * steps[0])
    ax.set_xlabel(_STEPS)


def _log_axis(ax: Axes, span: float) -> None:
    """Make the scale logarithmic, with plain numbers at its ticks where it has few decades."""
    ax.set_yscale("log")
    if span < _FEW_DECADES:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_locator(NullLocator())


def _title(found: Verification, characters: int) -> str:
    named = ", ".join(f"{key} = {value:g}" for key, value in found.state.parameters.named().items())
    sampled = (
        f"{found.samples} networks of width N = {found.width} for each ensemble, "
        f"seed {found.seed}{', tied weights' if found.tied else ''}"
    )
    return "\n".join(
        fill(line, characters) for line in (f"{found.state.cell.name}: {named}", sampled)
    )
