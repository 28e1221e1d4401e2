"""Densities and cumulative functions by Lanczos quadrature, with their errors, over a law."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.plotting.spectra import DrawableLaw
from rmt_jacobian.sampling import LanczosSpectrum, SmoothedSpectrum

__all__ = ["lanczos_figure", "plot_lanczos_cdf", "plot_lanczos_density"]

_SAMPLED, _LAW = "#0072b2", "#d55e00"
_POINTS = 600
_BELOW = 1e-3  # of the end of the spectrum: where a logarithmic axis starts
_UNKNOWN = 0.25  # bounds further apart than that leave no point estimate to draw
_STEEP = 100.0  # ratio of the highest density to the median one: a logarithmic scale from there


def plot_lanczos_density(
    spectrum: LanczosSpectrum, ax: Axes, *, law: DrawableLaw | None = None
) -> Axes:
    """Draw the density of the singular values at the resolution of the Lanczos steps.

    Parameters
    ----------
    spectrum
        Of one network or more.
    ax
        Where to draw.
    law
        A law of singular values; it is smoothed by the same kernel.

    Notes
    -----
    The band is two standard errors of vectors and networks.
    """
    end = _end(spectrum, law)
    s = np.linspace(0.0, 0.999 * end, _POINTS)
    density, error = spectrum.density_with_error(s, scale=end)
    resolution = float(spectrum.smoothed(scale=end).resolution(0.0))
    ax.plot(s, density, color=_SAMPLED, linewidth=1.4, label=f"sampled, {_counts(spectrum)}")
    if np.isfinite(error).all():
        ax.fill_between(s, density - 2 * error, density + 2 * error, color=_SAMPLED, alpha=0.25,
                        linewidth=0, label="± 2 standard errors")  # fmt: skip
    if law is not None:
        smoothed = SmoothedSpectrum.of_law(law, scale=end, order=spectrum.order)
        ax.plot(s, smoothed.pdf(s), color=_LAW, linewidth=1.6, linestyle="--",
                label="law, smoothed alike")  # fmt: skip
    if density.max() > _STEEP * np.median(density) > 0:
        ax.set_yscale("log")
        # a tenth of one singular value of all networks within the resolution
        ax.set_ylim(bottom=0.1 / (spectrum.networks * spectrum.dimension * resolution))
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlim(0, end)
    ax.set_xlabel(rf"singular value $s$ of $J$; resolution {resolution:.2g} at $s = 0$")
    ax.set_ylabel("density of $s$, smoothed")
    ax.legend(fontsize="small")
    return ax


def plot_lanczos_cdf(
    spectrum: LanczosSpectrum, ax: Axes, *, law: DrawableLaw | None = None, log: bool | None = None
) -> Axes:
    """Draw the cumulative function between its strict bounds.

    Parameters
    ----------
    spectrum
        Of one network or more.
    ax
        Where to draw.
    law
        A law of singular values, as it is.
    log
        Whether the axis of s is logarithmic; by default it is where half of the values or more lie
        below the resolution.

    Notes
    -----
    The middle of the bounds is drawn where they are less than a quarter apart.
    """
    end = _end(spectrum, law)
    resolution = float(spectrum.smoothed(scale=end).resolution(0.0))
    if log is None:
        log = bool(spectrum.cdf(resolution) > 0.5)
    s = np.geomspace(_BELOW * end, end, _POINTS) if log else np.linspace(0.0, end, _POINTS)
    lower, upper = spectrum.cdf_bounds(s)
    middle, error = spectrum.cdf_with_error(s)
    middle = np.where(upper - lower < _UNKNOWN, middle, np.nan)
    ax.fill_between(s, lower, upper, color=_SAMPLED, alpha=0.2, linewidth=0, step="mid",
                    label=f"bounds of {spectrum.steps} Lanczos steps")  # fmt: skip
    if np.isfinite(error).all():
        ax.fill_between(s, middle - 2 * error, middle + 2 * error, color=_SAMPLED, alpha=0.5,
                        linewidth=0, label="± 2 standard errors")  # fmt: skip
    ax.plot(s, middle, color=_SAMPLED, linewidth=1.2, label="their middle")
    if law is not None:
        ax.plot(s, law.cdf(s), color=_LAW, linewidth=1.6, linestyle="--", label="law")
    if log:
        ax.set_xscale("log")
        ax.axvline(resolution, color="#999999", linewidth=0.8, linestyle=":", label="resolution")
    ax.set_xlim(s[0], end)
    ax.set_ylim(max(0.0, float(lower[0]) - 0.05) if log else 0.0, 1.02)
    ax.set_xlabel("singular value $s$ of $J$")
    ax.set_ylabel("fraction of singular values up to $s$")
    ax.legend(fontsize="small")
    return ax


def _end(spectrum: LanczosSpectrum, law: DrawableLaw | None) -> float:
    """Return a scale that holds the spectrum, and the law where it is bounded."""
    top = 0.0 if law is None else float(law.ppf(1.0))
    return max(spectrum.scale, 1.001 * top if np.isfinite(top) else 0.0)


def _counts(spectrum: LanczosSpectrum) -> str:
    networks = "network" if spectrum.networks == 1 else "networks"
    return f"{spectrum.networks} {networks} × {spectrum.vectors} vectors"


def lanczos_figure(
    spectrum: LanczosSpectrum, title: str, *, law: DrawableLaw | None = None
) -> Figure:
    """Draw density and cumulative function side by side.

    Examples
    --------
    >>> from rmt_jacobian.sampling import GaussQuadrature, lanczos_recurrences
    >>> (found,) = lanczos_recurrences(lambda v: np.arange(9) * v, np.ones(9), 4)
    >>> spectrum = LanczosSpectrum(((GaussQuadrature(found),),), 9)
    >>> len(lanczos_figure(spectrum, "nine values").axes)
    2
    """
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_lanczos_density(spectrum, left, law=law)
    plot_lanczos_cdf(spectrum, right, law=law)
    figure.suptitle(title)
    return figure
