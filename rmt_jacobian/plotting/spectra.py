"""Histograms of sampled singular values."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError

__all__ = ["plot_singular_values", "spectrum_figure"]

# Wider bulks, measured between the 5th and the 95th percentile, are drawn as log10 s.
_LINEAR_RANGE = 100.0
# Relative to the largest value of the same product; smaller ones are rounding noise.
_ROUNDING = 1e-16


def plot_singular_values(
    values: np.ndarray, ax: Axes, *, bins: int = 60, log: bool | None = None
) -> Axes:
    """Draw the density of sampled singular values s of J.

    Parameters
    ----------
    values
        Singular values, shape (samples, N) or (N,); each row comes from one product.
    ax
        Where to draw.
    bins
        Number of bins.
    log
        Whether to draw the density of log10 s instead of that of s.  By default it is done where
        the bulk, from the 5th to the 95th percentile, spans more than a factor 100, as it does
        for products of several steps.

    Notes
    -----
    On the logarithmic axis values below 1e-16 of the largest of their product are rounding noise
    and are left out; the label of the axis then says how many.  The density counts them, so that
    its area is the fraction that is drawn.

    Raises
    ------
    ParameterError
        If there are no values, or some are negative or not finite, or bins is below 1.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    if not (values.size and np.isfinite(values).all() and (values >= 0).all()):
        raise ParameterError("singular values must be finite numbers >= 0, at least one of them")
    if bins < 1:
        raise ParameterError(f"bins must be a whole number above 0, not {bins}")
    above = values[values > _ROUNDING * values.max(axis=-1, keepdims=True)]
    if log is None:
        log = _spread(values) > _LINEAR_RANGE
    if log and not above.size:
        raise ParameterError("all singular values are 0: use log=False")
    drawn = np.log10(above) if log else values.ravel()
    heights, edges = np.histogram(drawn, bins=bins)
    density = heights / (values.size * np.diff(edges))
    ax.stairs(density, edges, fill=True, color="#56b4e9", alpha=0.7)
    ax.stairs(density, edges, color="#0072b2", linewidth=1.0)
    label = (
        r"$\log_{10} s$, $s$ the singular values of $J$" if log else r"singular value $s$ of $J$"
    )
    if missing := values.size - drawn.size:
        label += f"\n({missing} of {values.size} below rounding, left out)"
    ax.set_xlabel(label)
    ax.set_ylabel(r"density of $\log_{10} s$" if log else r"density of $s$")
    ax.set_ylim(bottom=0)
    return ax


def _spread(values: np.ndarray) -> float:
    """Return the ratio of the 95th to the 5th percentile."""
    low, high = np.quantile(values, [0.05, 0.95])
    return float(high / low) if low > 0 else np.inf if high > 0 else 1.0


def spectrum_figure(values: np.ndarray, title: str) -> Figure:
    """Draw a histogram of singular values under a title.

    Examples
    --------
    >>> figure = spectrum_figure(np.array([[1.0, 1.5, 2.0]]), "three values")
    >>> figure.axes[0].get_title()
    'three values'
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    plot_singular_values(values, figure.subplots()).set_title(title)
    return figure
