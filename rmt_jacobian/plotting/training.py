"""The spectrum of a network over its training."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting.laws import axes_or_own

if TYPE_CHECKING:
    from rmt_jacobian.networks.monitor import SpectrumMonitor

__all__ = ["plot_monitor"]

_BLUE, _ORANGE = "#0072b2", "#d55e00"


def plot_monitor(monitor: "SpectrumMonitor", ax: Axes | None = None) -> Axes:
    r"""Draw what a monitor found: log singular values and the growth of gradients over training.

    Parameters
    ----------
    monitor
        That was called at least once.
    ax
        Where to draw; by default a figure of its own.

    Notes
    -----
    Log singular values are per step, :math:`(\log s) / T`: a band between the outermost
    quantiles and a line for each between. The right axis has the growth of squared gradients a
    step. Both are 0 and 1, on one line, where gradients keep their size.

    Raises
    ------
    ParameterError
        If nothing was measured yet.
    """
    records = monitor.records
    if not records:
        raise ParameterError("the monitor was not called yet: there is nothing to draw")
    ax = axes_or_own(ax)
    at = np.array([each["step"] for each in records])
    levels = sorted(monitor.quantiles)
    lines = {
        p: np.array([each[f"log_singular_value_{100 * p:g}%"] for each in records]) / monitor.steps
        for p in levels
    }
    if len(levels) > 1:
        label = f"{100 * levels[0]:g} % to {100 * levels[-1]:g} %"
        ax.fill_between(at, lines[levels[0]], lines[levels[-1]], color=_BLUE, alpha=0.2, lw=0,
                        label=label)  # fmt: skip
    for p in levels[1:-1] or levels[:1]:
        label = "median" if p == 0.5 else f"{100 * p:g} %"
        ax.plot(at, lines[p], color=_BLUE, marker=".", label=label)
    growth = np.log([each["growth_rate"] for each in records]) / 2
    ax.plot(at, growth, color=_ORANGE, marker=".", label="root mean square (gradients)")
    ax.axhline(0, color="0.4", lw=0.8, ls="--")
    ax.set_xlabel("training step")
    ax.set_ylabel(rf"$(\log s) / T$, $T = {monitor.steps}$")
    right = ax.secondary_yaxis("right", functions=(_growth, _exponent))
    right.set_ylabel("growth of squared gradients a step")
    ax.legend()
    return ax


def _growth(exponent: Any) -> Any:
    """Return by what squares grow a step."""
    return np.exp(2 * np.asarray(exponent))


def _exponent(growth: Any) -> Any:
    """Return the exponent of a growth of squares."""
    return np.log(np.maximum(growth, np.finfo(float).tiny)) / 2
