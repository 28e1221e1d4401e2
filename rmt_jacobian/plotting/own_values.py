"""Singular values that a user brings, drawn beside a law."""

from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from rmt_jacobian.comparison import checked_values
from rmt_jacobian.laws import parse_law
from rmt_jacobian.plotting.spectra import DrawableLaw, plot_overlay

__all__ = ["plot"]


def plot(
    values: ArrayLike,
    law: DrawableLaw | str,
    ax: Axes | None = None,
    *,
    bins: int = 60,
    log: bool | None = None,
    title: str = "",
) -> Axes:
    """Draw a histogram of singular values, the law over it, and their distances in the legend.

    Parameters
    ----------
    values
        Shape (N,), or (networks, N).
    law
        Their law, or its notation, such as ``"quarter-circle(2)"``.
    ax
        Where to draw; by default the present axes of pyplot.
    bins, log
        The number of bars, and whether they are of log10 s; by default where the values spread
        over orders of magnitude.
    title
        Of the axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> plot([0.5, 1.0, 1.5], "quarter-circle(1)", Figure().subplots()).get_xlabel()
    '$s$'
    """
    known = parse_law(law) if isinstance(law, str) else law
    drawn = plot_overlay(checked_values(values), known, _axes(ax), bins=bins, log=log)
    drawn.set_xlabel(r"$\log_{10} s$" if "log" in drawn.get_ylabel() else "$s$")
    if title:
        drawn.set_title(title)
    return drawn


def _axes(ax: Axes | None) -> Axes:
    """Return the axes, or those of pyplot, which alone shows them in a notebook."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.gca()
