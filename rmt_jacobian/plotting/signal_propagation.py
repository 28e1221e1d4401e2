"""Figure 1 of Chen et al. (2018): correlations of two networks in time and against the bias."""

from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from rmt_jacobian.comparison import CorrelationPath, SampledPath, SignalPropagation

__all__ = ["chen2018_figure1"]

_TIME, _BIAS = r"step $t$", r"bias mean $\mu_b$"
_CORRELATION = r"correlation $c^t$"
# At most so many paths are drawn in one panel.
_PATHS = 7
# Deviations below this are not drawn.
_FLOOR = 1e-4
# Timescales above this many steps are off the panel.
_LONGEST = 2e3
_TIED = "#d55e00"
_DASHES = (0, (6, 4))
_GREY = "dimgrey"  # in legends, for lines that come in the colours of the bias means


def chen2018_figure1(found: SignalPropagation) -> Figure:
    r"""Draw the five panels of the figure from computed paths and fixed points.

    (a) c^t by theory over untied samples; (b) tied over untied samples, and the
    theory of tied weights; (c) c* against the bias
    mean; (d) \|c* - c^t\| after the switch, with the linearised dynamics; (e) the timescale.

    Parameters
    ----------
    found
        What :func:`~rmt_jacobian.comparison.signal_propagation` returned.

    Notes
    -----
    Panels a, b and d draw at most seven of the bias means, evenly spread.  Bands and bars are two
    standard errors.  In panel d samples within two standard errors of c* are left out: they only
    show the noise.  Infinite timescales, at the critical point, run out of panel e at its top.

    References
    ----------
    :cite:t:`Chen2018`, Figure 1.
    """
    figure = Figure(figsize=(15, 9), layout="constrained")
    panels = figure.subplots(2, 3)
    drawn = _spread_out(found.paths)
    colors = dict(zip(drawn, _colors(len(drawn)), strict=True))
    _untied(found, colors, panels[0, 0])
    _tied(found, colors, panels[0, 1])
    _fixed_points(found, panels[0, 2])
    _linearised(found, colors, panels[1, 0])
    _timescales(found, panels[1, 1])
    _key(found, colors, panels[1, 2])
    return figure


def _spread_out(paths: tuple[CorrelationPath, ...]) -> list[int]:
    """Return the indices of at most _PATHS paths, the first and the last among them."""
    count = min(_PATHS, len(paths))
    return np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int)).tolist()


def _colors(count: int) -> list[Any]:
    # Neighbours must differ in hue; the ends of the map are too dark to tell apart from black.
    return list(matplotlib.colormaps["turbo"](np.linspace(0.06, 0.94, count)))


def _untied(found: SignalPropagation, colors: dict[int, Any], ax: Axes) -> None:
    for k, color in colors.items():
        path = found.paths[k]
        _sampled(ax, found.times, path.untied, color)
        ax.plot(found.times, path.theory, color="black", linestyle="--", linewidth=1.0)
    _time_axes(found, ax, "a  theory and untied samples")
    _legend(ax, "lower right", [_untied_entry(), _entry("theory", "black", "--", 1.0)])


def _tied(found: SignalPropagation, colors: dict[int, Any], ax: Axes) -> None:
    for k, color in colors.items():
        path = found.paths[k]
        _sampled(ax, found.times, path.untied, color)
        if path.tied is not None:
            ax.plot(found.times, path.tied.mean, color=color, linestyle=":", linewidth=2.0)
        if path.tied_theory is not None:
            ax.plot(found.times, path.tied_theory, color="black", linestyle="--", linewidth=1.0)
    sampled = any(path.tied is not None for path in found.paths)
    _time_axes(found, ax, "b  tied and untied samples" if sampled else "b  no tied samples taken")
    entries = [_untied_entry()]
    if sampled:
        entries += [_entry("tied samples", _GREY, ":", 2.0),
                    _entry("theory of tied weights", "black", "--", 1.0)]  # fmt: skip
    _legend(ax, "lower right", entries)


def _sampled(ax: Axes, times: np.ndarray, path: SampledPath, color: Any) -> None:
    low, high = path.mean - 2 * path.standard_error, path.mean + 2 * path.standard_error
    ax.fill_between(times, low, high, color=color, alpha=0.25, linewidth=0)
    ax.plot(times, path.mean, color=color, linewidth=1.8)


def _time_axes(found: SignalPropagation, ax: Axes, title: str) -> None:
    ax.axvline(found.switch, color="grey", linewidth=0.8)
    ax.set(xlabel=_TIME, ylabel=_CORRELATION, title=title)


def _fixed_points(found: SignalPropagation, ax: Axes) -> None:
    curve, last = found.curves[0], found.times[-1]
    ax.plot(curve.bias_means, curve.limits, color="black", label=r"theory, $c^*$")
    means = [path.bias_mean for path in found.paths]
    finite = [path.theory[-1] for path in found.paths]
    ax.plot(means, finite, color="black", linestyle="", marker="x", label=f"theory, t = {last}")
    _ends(ax, means, [path.untied for path in found.paths], "o", "#0072b2", "untied samples")
    if all(path.tied is not None for path in found.paths):
        tied = [path.tied for path in found.paths if path.tied is not None]
        _ends(ax, means, tied, "D", _TIED, "tied samples")
    _mark_transitions(found, ax)
    title = rf"c  samples at $t = {last}$ and $c^*$, equal inputs"
    ax.set(xlabel=_BIAS, ylabel=r"$c^t$ and its limit $c^*$", title=title)
    ax.legend(loc="lower left")


def _ends(
    ax: Axes, means: list[float], paths: list[SampledPath], marker: str, color: str, label: str
) -> None:
    heights = [path.mean[-1] for path in paths]
    errors = [2 * path.standard_error[-1] for path in paths]
    ax.errorbar(
        means, heights, yerr=errors, fmt=marker, color=color, markerfacecolor="none",
        markersize=8, capsize=3, label=label,
    )  # fmt: skip


def _linearised(found: SignalPropagation, colors: dict[int, Any], ax: Axes) -> None:
    first = found.switch - 1
    elapsed = np.arange(found.times.size - first)
    for k, color in colors.items():
        path = found.paths[k]
        ax.plot(elapsed, np.abs(path.limit - path.theory[first:]), color=color, linewidth=1.2)
        line = found.linearised(path)
        if line is not None:
            ax.plot(elapsed, line, color="black", linestyle="--", linewidth=1.0)
        distance = np.abs(path.limit - path.untied.mean[first:])
        seen = (distance > 2 * path.untied.standard_error[first:]) & (elapsed % 3 == 0)
        ax.plot(elapsed[seen], distance[seen], color=color, linestyle="", marker="o", markersize=4)
    ax.set_yscale("log")
    ax.set_ylim(_FLOOR, 1.5)
    ax.set(
        xlabel=rf"steps since the switch, $t - {found.switch}$",
        ylabel=r"$|c^* - c^t|$",
        title=r"d  approach to $c^*$ after the switch",
    )
    dots = Line2D([], [], color=_GREY, linestyle="", marker="o", markersize=4)
    dots.set_label("untied samples")
    linear = _entry(r"linearised, $A\,e^{-(t - t_0)/\tau}$", "black", "--", 1.0)
    _legend(ax, "upper right", [dots, _entry("theory, full map", _GREY, "-", 1.2), linear])


def _timescales(found: SignalPropagation, ax: Axes) -> None:
    styles = (("#000000", "-"), ("#009e73", "--"), ("#cc79a7", "-."))
    for curve, (color, line) in zip(found.curves, styles, strict=True):
        # An infinite timescale becomes a point above the panel, so that the line leaves it.
        heights = np.minimum(curve.timescales, 10 * _LONGEST)
        ax.plot(
            curve.bias_means, heights, color=color, linestyle=line,
            label=rf"$\Sigma_{{12}} = {curve.input_correlation:g}$",
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(0.2, _LONGEST)
    _mark_transitions(found, ax)
    ax.set(
        xlabel=_BIAS, ylabel=r"timescale $\tau$ in steps", title=r"e  timescale of $c^t \to c^*$"
    )
    ax.legend(loc="upper left")


def _mark_transitions(found: SignalPropagation, ax: Axes) -> None:
    for transition in found.transitions:
        style = "-" if transition.continuous else _DASHES
        ax.axvline(transition.bias_mean, color="grey", linewidth=0.8, linestyle=style)


def _key(found: SignalPropagation, colors: dict[int, Any], ax: Axes) -> None:
    """Fill an empty panel with what the others share: colours, upright lines, settings."""
    ax.set_axis_off()
    means = [
        _entry(rf"$\mu_b = {found.paths[k].bias_mean:g}$", color, "-", 3.0)
        for k, color in colors.items()
    ]
    upright = [_entry(f"a, b: inputs are equal from $t = {found.switch}$ on", "grey", "-", 0.8)]
    kinds = {transition.continuous for transition in found.transitions}
    if True in kinds:
        upright.append(_entry(r"c, e: critical point, $\chi_1 = 1$", "grey", "-", 0.8))
    if False in kinds:
        upright.append(_entry(r"c, e: $\chi_1$ jumps across 1", "grey", _DASHES, 0.8))
    ax.add_artist(_legend(ax, "upper left", means, title="a, b, d: bias mean"))
    ax.legend(handles=upright, loc="center left", bbox_to_anchor=(0.0, 0.3), frameon=False)
    ax.text(0.02, 0.0, _settings(found), transform=ax.transAxes, va="bottom")


def _untied_entry() -> Line2D:
    return _entry("untied samples, ± 2 standard errors", _GREY, "-", 1.8)


def _entry(label: str, color: Any, style: Any, width: float) -> Line2D:
    return Line2D([], [], color=color, linestyle=style, linewidth=width, label=label)


def _legend(ax: Axes, where: Any, entries: list[Line2D], **options: Any) -> Legend:
    return ax.legend(handles=entries, loc=where, **options)


def _settings(found: SignalPropagation) -> str:
    named = found.parameters.named()
    values = ", ".join(f"{key} = {value:g}" for key, value in named.items() if key != "bias_mean")
    return (
        fill(f"{found.cell.name}: {values}", 52) + "\n"
        f"{found.samples} pairs of width N = {found.width} for each point, seed {found.seed}"
    )
