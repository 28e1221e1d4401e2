"""Histograms of sampled singular values, and the densities of laws over them."""

from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.comparison import SpectrumComparison, compare_spectrum
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting.outliers import bulk_limits, mark_outliers

__all__ = ["DrawableLaw", "overlay_figure", "plot_law", "plot_singular_values", "spectrum_figure"]

# Wider bulks, measured between the 5th and the 95th percentile, are drawn as log10 s.
_LINEAR_RANGE = 100.0
# Relative to the largest value of the same product; smaller ones are rounding noise.
_ROUNDING = 1e-16
_LAW = "#d55e00"
_POINTS = 1001  # of the line of a density
# A hard edge runs out of the panel at this multiple of the highest bar; the legend fits above.
_HEADROOM = 1.4


class DrawableLaw(Protocol):
    """What is asked of a law that is drawn and compared; atoms are drawn if it has the method."""

    def pdf(self, x: Any, /) -> Any:
        """Return the density at x."""
        ...

    def cdf(self, x: Any, /) -> Any:
        """Return the mass up to and including x."""
        ...

    def ppf(self, p: Any, /) -> Any:
        """Return the quantile of p."""
        ...


def plot_singular_values(
    values: np.ndarray,
    ax: Axes,
    *,
    bins: int = 60,
    log: bool | None = None,
    symmetric: bool = False,
    label: str | None = None,
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
    symmetric
        Whether to draw s and -s with half of the mass each, as the eigenvalues of the Hermitian
        matrix with J and its transpose off the diagonal; the scale is linear then.
    label
        For the legend.

    Notes
    -----
    On the logarithmic axis values below 1e-16 of the largest of their product are rounding noise
    and are left out; the label of the axis then says how many.  The density counts them, so that
    its area is the fraction that is drawn.  Few values far from all others are no bar of their own:
    an arrow at the edge tells how many they are, and where.

    Raises
    ------
    ParameterError
        If there are no values, or some are negative or not finite, or bins is below 1, or a
        symmetric spectrum is to have a logarithmic scale.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    if not (values.size and np.isfinite(values).all() and (values >= 0).all()):
        raise ParameterError("singular values must be finite numbers >= 0, at least one of them")
    check_counts(bins=bins)
    if symmetric and log:
        raise ParameterError("a symmetric spectrum has no logarithm: use log=False")
    above = values[values > _ROUNDING * values.max(axis=-1, keepdims=True)]
    if log is None:
        log = not symmetric and _spread(values) > _LINEAR_RANGE
    if log and not above.size:
        raise ParameterError("all singular values are 0: use log=False")
    drawn = np.log10(above) if log else values.ravel()
    missing = values.size - drawn.size
    if symmetric:
        drawn, bins = np.concatenate([drawn, -drawn]), bins | 1  # 0 in the middle of a bar
    limits = bulk_limits(drawn)
    heights, edges = np.histogram(drawn, bins=bins, range=limits)
    density = heights / ((drawn.size + missing) * np.diff(edges))
    ax.stairs(density, edges, fill=True, color="#56b4e9", alpha=0.7, label=label)
    ax.stairs(density, edges, color="#0072b2", linewidth=1.0)
    name = (
        r"$\log_{10} s$, $s$ the singular values of $J$"
        if log
        else (
            r"$\pm s$, $s$ the singular values of $J$"
            if symmetric
            else r"singular value $s$ of $J$"
        )
    )
    if missing:
        name += f"\n({missing} of {values.size} below rounding, left out)"
    ax.set_xlabel(name)
    variable = r"\log_{10} s" if log else r"\pm s" if symmetric else "s"
    ax.set_ylabel(f"density of ${variable}$")
    ax.set_ylim(bottom=0)
    mark_outliers(drawn, limits, ax)
    return ax


def _spread(values: np.ndarray) -> float:
    """Return the ratio of the 95th to the 5th percentile."""
    low, high = np.quantile(values, [0.05, 0.95])
    return float(high / low) if low > 0 else np.inf if high > 0 else 1.0


def plot_law(
    law: DrawableLaw,
    ax: Axes,
    *,
    log: bool = False,
    symmetric: bool = False,
    bin_width: float | None = None,
    tallest_stem: float = np.inf,
) -> Axes:
    """Draw the density of a law of singular values s over what the axes show.

    Parameters
    ----------
    law
        With ``pdf``, ``cdf`` and ``ppf``; its ``atoms()``, if it has any, are drawn as stems.
    ax
        Where to draw; its horizontal limits stay.
    log
        Whether the axis is that of log10 s.
    symmetric
        Whether the law is reflected, half of the mass on either side.
    bin_width
        Of the histogram below: stems are as high as the bar that their mass fills.  By default
        a sixtieth of the axis.
    tallest_stem
        Stems end here at the latest; the legend has their mass.
    """
    low, high = ax.get_xlim()
    x = np.linspace(low, high, _POINTS)
    s = 10.0**x if log else np.abs(x) if symmetric else x
    with np.errstate(divide="ignore", over="ignore"):
        density = np.asarray(law.pdf(s)) * (s * np.log(10) if log else 0.5 if symmetric else 1.0)
    ax.plot(x, np.where(np.isfinite(density), density, np.nan), color=_LAW, linewidth=1.8,
            label="law", zorder=3)  # fmt: skip
    bin_width = (high - low) / 60 if bin_width is None else bin_width
    for location, mass in getattr(law, "atoms", tuple)():
        places = _places(location, log, symmetric)
        height = min(mass / bin_width / max(1, len(places)), tallest_stem)
        label = f"atom at {location:.3g}: mass {mass:.3g}"
        for place in places or (np.nan,):  # which only makes the entry
            ax.plot([place, place], [0, height], color=_LAW, linewidth=1.8, marker="o",
                    markevery=[1], label=label, zorder=3)  # fmt: skip
            label = "_"  # one entry for both sides
    ax.set_xlim(low, high)
    return ax


def _places(location: float, log: bool, symmetric: bool) -> tuple[float, ...]:
    """Return where on the axis an atom stands; nowhere, for one at 0 on a logarithmic axis."""
    if log:
        return (float(np.log10(location)),) if location > 0 else ()
    return (location, -location) if symmetric and location != 0 else (location,)


def overlay_figure(
    values: np.ndarray,
    law: DrawableLaw,
    title: str,
    *,
    bins: int = 60,
    log: bool | None = None,
    symmetric: bool = False,
    comparison: SpectrumComparison | None = None,
) -> Figure:
    """Draw a law over a histogram of sampled singular values, with their distances.

    Parameters
    ----------
    values
        Singular values, shape (samples, N).
    law
        Their law.
    title
        Of the figure.
    bins, log, symmetric
        As in :func:`plot_singular_values`.
    comparison
        The distances, if they have been computed before.

    Examples
    --------
    >>> from rmt_jacobian.laws import QuarterCircle
    >>> figure = overlay_figure(np.array([[0.5, 1.0, 1.5]]), QuarterCircle(), "three values")
    >>> figure.axes[0].get_title()
    'three values'
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    ax = figure.subplots()
    plot_overlay(values, law, ax, bins=bins, log=log, symmetric=symmetric, comparison=comparison)
    ax.set_title(title)
    return figure


def plot_overlay(
    values: np.ndarray,
    law: DrawableLaw,
    ax: Axes,
    *,
    bins: int = 60,
    log: bool | None = None,
    symmetric: bool = False,
    comparison: SpectrumComparison | None = None,
) -> Axes:
    """Draw a law over a histogram of sampled singular values, with their distances.

    Parameters
    ----------
    values, law, bins, log, symmetric, comparison
        As in :func:`overlay_figure`.
    ax
        Where to draw.
    """
    rows = np.atleast_2d(np.asarray(values, dtype=float))
    label = f"sampled, {rows.shape[0]} × {rows.shape[1]}"
    plot_singular_values(rows, ax, bins=bins, log=log, symmetric=symmetric, label=label)
    bars, edges, _ = ax.patches[0].get_data()  # pyright: ignore[reportAttributeAccessIssue]
    logarithmic = "log" in ax.get_ylabel()
    top = _HEADROOM * _highest_bar(bars, edges, law, logarithmic, symmetric)
    plot_law(
        law, ax, log=logarithmic, symmetric=symmetric, bin_width=edges[1] - edges[0],
        tallest_stem=top / _HEADROOM,
    )  # fmt: skip
    ax.set_ylim(0, top)
    found = comparison or compare_spectrum(law, rows)
    legend = ax.legend(title=_distances(found), title_fontsize="small", fontsize="small")
    legend.get_title().set_multialignment("left")
    return ax


def _highest_bar(
    bars: np.ndarray, edges: np.ndarray, law: DrawableLaw, log: bool, symmetric: bool
) -> float:
    """Return the height of the highest bar, those of atoms left out: they would dwarf the rest."""
    kept = bars.copy()
    for location, _ in getattr(law, "atoms", tuple)():
        for place in _places(location, log, symmetric):
            # Rounding may put the values of an atom on either side of an edge.
            near = (edges[:-1] <= place + 1e-9) & (edges[1:] >= place - 1e-9)
            kept[near] = 0
    return float(kept.max() or bars.max())


def _distances(found: SpectrumComparison) -> str:
    percent = f"{100 * found.quantile:g} % null"
    return (
        f"KS {found.ks:.2g} ({percent} {found.ks_null:.2g}): {found.verdict}\n"
        f"Wasserstein-1 {found.wasserstein:.2g} ({percent} {found.wasserstein_null:.2g})"
    )


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
