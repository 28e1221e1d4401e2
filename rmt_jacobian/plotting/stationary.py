"""The stationary law of a site: densities of its preactivations and of its states."""

import math

import numpy as np
from matplotlib.axes import Axes

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.mean_field import StationaryLaw
from rmt_jacobian.plotting.laws import axes_or_own

__all__ = ["draw_stationary_law"]

_PREACTIVATIONS = ("#0072b2", "#56b4e9", "#009e73", "#cc79a7")
_STATES = ("#d55e00", "#e69f00")
_DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)))  # where two densities are one
_POINTS, _REACH = 400, 4.0  # standard deviations to either side
_TALLEST = 3.0  # times the highest density of a preactivation, where a state piles up


def draw_stationary_law(law: StationaryLaw, ax: Axes | None = None) -> Axes:
    r"""Draw the densities of the variables of a site.

    Preactivations are Gaussian, :math:`e_k \sim N(\mu_k, q_k)`; states are shown as histograms over
    sites that stand for the law.  What does not vary is a vertical line.

    Parameters
    ----------
    law
        Of untied or tied networks, or of networks at rest.
    ax
        Where to draw; by default the present axes of pyplot.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rmt_jacobian.mean_field import stationary
    >>> draw_stationary_law(stationary("minimalrnn"), Figure().subplots()).get_ylabel()
    'density over sites'
    """
    axes = axes_or_own(ax)
    heights = [_preactivation(law, k, axes) for k in range(len(law.cell.preactivations))]
    sites = law.sites()
    shares = to_numpy(sites.weights)
    heights += [
        min(_state(str(name), to_numpy(values), shares, _STATES[k % len(_STATES)], axes),
            _TALLEST * max(heights, default=0.0) or math.inf)
        for k, (name, values) in enumerate(zip(law.cell.states, sites.states, strict=True))
    ]  # fmt: skip
    axes.set_title(f"{law.cell.name}, {law.dynamics.replace('_', ' ')}", fontsize="medium")
    axes.set_xlabel("value")
    axes.set_ylabel("density over sites")
    axes.set_ylim(0, 1.1 * (max(heights) or 1.0))
    if not any(heights):
        axes.set_xlim(-1, 1)
    axes.legend(fontsize="small")
    return axes


def _preactivation(law: StationaryLaw, k: int, ax: Axes) -> float:
    """Draw the density of a preactivation, and return its greatest height."""
    name, colour = law.cell.preactivations[k].name, _PREACTIVATIONS[k % len(_PREACTIVATIONS)]
    mean, variance = law.parameters[name].bias_mean, law.variances[name]
    if variance <= 0:
        ax.axvline(mean, color=colour, linewidth=1.4, label=f"{name}: {mean:.3g}")
        return 0.0
    x = mean + math.sqrt(variance) * np.linspace(-_REACH, _REACH, _POINTS)
    density = np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    ax.plot(x, density, color=colour, linewidth=1.4, linestyle=_DASHES[k % len(_DASHES)],
            label=f"preactivation {name}")  # fmt: skip
    return float(density.max())


def _state(name: str, values: np.ndarray, shares: np.ndarray, colour: str, ax: Axes) -> float:
    """Draw the histogram of a state, and return its greatest height."""
    if np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())):
        ax.axvline(float(values[0]), color=colour, linestyle="--", linewidth=1.4,
                   label=f"state {name}: {values[0]:.3g}")  # fmt: skip
        return 0.0
    bins = round(2 * len(values) ** (1 / 3))  # the rule of Rice
    density, edges = np.histogram(values, bins=bins, weights=shares, density=True)
    ax.stairs(density, edges, color=colour, linewidth=1.2, label=f"state {name}")
    return float(density.max())
