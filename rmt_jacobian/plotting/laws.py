"""Densities of laws on the line."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.laws import Law

__all__ = ["axes_or_own", "law_figure", "plot_law"]

_POINTS = 800
_TALLEST = 0.98  # quantile of the heights that is shown whole; a hard edge goes beyond


def axes_or_own(ax: Axes | None) -> Axes:
    """Return the axes, or those of pyplot, which alone shows them in a notebook."""
    if isinstance(ax, Axes):
        return ax
    if ax is not None:
        raise ParameterError(f"ax must be axes of matplotlib, not {ax!r}")
    from matplotlib import pyplot as plt

    return plt.gca()


def plot_law(law: "Law", ax: Axes) -> Axes:
    """Draw the density of a law, and its atoms as arrows with their masses.

    Parameters
    ----------
    law
        Any law.
    ax
        Where to draw.
    """
    heights = [np.empty(0)]
    for low, high in law.support_intervals():
        angle = np.linspace(0, np.pi, _POINTS + 2)[1:-1]
        x = low + (high - low) * np.sin(angle / 2) ** 2
        density = np.asarray(law.pdf(x))
        ax.plot(x, density, color="#0072b2", linewidth=1.4)
        ax.fill_between(x, density, color="#56b4e9", alpha=0.3)
        heights.append(density[np.isfinite(density)])
    every = np.concatenate(heights)
    top = 1.1 * float(np.quantile(every, _TALLEST)) if every.size else 1.0
    for location, mass in law.atoms():
        ax.annotate(
            f"{mass:.3g}", (location, 0), (location, 0.9 * top), ha="center",
            arrowprops={"arrowstyle": "<-", "color": "#d55e00"}, color="#d55e00",
        )  # fmt: skip
        ax.plot([location], [0], color="none")  # which the limits of the axis take in
    ax.set_xlabel("$x$")
    ax.set_ylabel("density")
    ax.set_ylim(0, top)
    return ax


def law_figure(law: "Law", title: str) -> Figure:
    """Draw the density of a law under a title.

    Examples
    --------
    >>> from rmt_jacobian.laws import Semicircle
    >>> law_figure(Semicircle(), "a semicircle").axes[0].get_title()
    'a semicircle'
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    plot_law(law, figure.subplots()).set_title(title)
    return figure
