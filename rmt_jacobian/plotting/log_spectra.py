"""Histograms of log singular values per step, and the law of Lyapunov exponents over them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import LogSpectra

__all__ = ["log_spectrum_figure", "plot_exponent_law", "plot_log_singular_values"]


def plot_log_singular_values(
    found: LogSpectra, ax: Axes, *, bins: int = 60, label: str | None = None
) -> Axes:
    r"""Draw the density of :math:`\frac1T \log s` of sampled products.

    Parameters
    ----------
    found
        The sampled values.
    ax
        Where to draw.
    bins
        Number of bins.
    label
        For the legend.

    Notes
    -----
    Exact zeros and values that are not resolved are left out; the label of the axis says how many.
    The density counts them, so that its area is the fraction that is drawn.

    Raises
    ------
    ParameterError
        If bins is below 1, or no value is finite and resolved.
    """
    check_counts(bins=bins)
    zeros = np.isneginf(found.values)
    shown = found.exponents[found.resolved & ~zeros]
    if not shown.size:
        raise ParameterError("no singular value is resolved and not 0: there is nothing to draw")
    heights, edges = np.histogram(shown, bins=bins)
    density = heights / (found.values.size * np.diff(edges))
    ax.stairs(density, edges, fill=True, color="#56b4e9", alpha=0.7, label=label)
    ax.stairs(density, edges, color="#0072b2", linewidth=1.0)
    ax.set_xlabel(r"$\frac{1}{T} \log s$, $s$ the singular values of $J$" + _missing(found, zeros))
    ax.set_ylabel(r"density of $\frac{1}{T} \log s$")
    ax.set_ylim(bottom=0)
    return ax


def _missing(found: LogSpectra, zeros: np.ndarray) -> str:
    counts = {"zero": int(zeros.sum()), "not resolved": int((~found.resolved).sum())}
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    return f"\n(of {zeros.size}: {', '.join(parts)}, left out)" if parts else ""


def plot_exponent_law(
    quantiles: np.ndarray, exponents: np.ndarray, ax: Axes, *, label: str = "law of long products"
) -> Axes:
    r"""Draw the density of a law of exponents given by its quantiles.

    .. math:: p(\lambda) = -\frac{dx}{d\lambda}

    Parameters
    ----------
    quantiles, exponents
        x from the top, increasing, and :math:`\lambda(x)`; those that are not finite are left out.
    ax
        Where to draw; its horizontal limits stay.
    label
        For the legend.

    Raises
    ------
    ParameterError
        If fewer than two exponents are finite.
    """
    finite = np.isfinite(exponents)
    if finite.sum() < 2:
        raise ParameterError("a density needs at least two finite exponents")
    x, exponent = quantiles[finite], exponents[finite]
    apart = np.diff(exponent) < 0  # an atom has no density
    middle = (exponent[1:] + exponent[:-1]) / 2
    density = np.diff(x)[apart] / -np.diff(exponent)[apart]
    limits = ax.get_xlim()
    ax.plot(middle[apart], density, color="#d55e00", linewidth=1.8, label=label)
    ax.set_xlim(limits)
    return ax


def log_spectrum_figure(
    found: LogSpectra,
    title: str,
    *,
    quantiles: np.ndarray | None = None,
    exponents: np.ndarray | None = None,
    bins: int = 60,
) -> Figure:
    """Draw log singular values per step under a title, and the law they approach if it is given.

    Parameters
    ----------
    found
        The sampled values.
    title
        Of the figure.
    quantiles, exponents
        The law of the Lyapunov exponents, as in :func:`plot_exponent_law`.
    bins
        Number of bins.

    Examples
    --------
    >>> found = LogSpectra(np.array([[3.0, 1.0, -2.0]]), np.zeros((1, 3)), steps=10)
    >>> log_spectrum_figure(found, "three values").axes[0].get_title()
    'three values'
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = figure.subplots()
    samples, count = found.values.shape
    plot_log_singular_values(found, ax, bins=bins, label=f"sampled, {samples} × {count}")
    if quantiles is not None and exponents is not None:
        top = 1.4 * ax.get_ylim()[1]  # an edge of the law may run out of the panel
        plot_exponent_law(quantiles, exponents, ax)
        ax.set_ylim(0, top)
    ax.legend(fontsize="small")
    ax.set_title(title)
    return figure
