"""Quantities over a grid of hyperparameters: heat maps, or lines where there is one axis."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError

__all__ = ["plot_map", "plot_sweep", "sweep_figure"]

_LABELS = {
    "chi_1": r"$\chi_1$, growth rate of gradients",
    "growth_rate": r"growth rate $m_1^{1/T}$",
    "timescale": r"timescale $\tau$ in steps",
    "variance": r"variance of $J J^{\mathsf{T}}$",
    "relative_variance": r"$m_2 / m_1^2 - 1$ of $J J^{\mathsf{T}}$",
    "spectral_radius": "spectral radius of one step",
}
_CRITICAL = {
    "chi_1": r"$\chi_1 = 1$",
    "growth_rate": r"$m_1^{1/T} = 1$",
    "spectral_radius": "radius 1",
}
_WIDE = 30.0  # ratio of the largest to the least value at which colours follow the logarithm
_COLOR, _LINE = "#0072b2", "#d55e00"


def plot_map(
    ax: Axes,
    axes: Mapping[str, Sequence[float]],
    values: np.ndarray,
    name: str,
    *,
    critical: tuple[str, np.ndarray] | None = None,
) -> Axes:
    r"""Draw a quantity over two hyperparameters, and the line where another one is 1.

    Parameters
    ----------
    ax
        Where to draw.
    axes
        Names and values of the two hyperparameters, the first along and the second upwards.
    values
        Of the quantity, shape of the grid; what is nan stays blank, and infinity is drawn black.
    name
        Of the quantity.
    critical
        Name and values of the quantity whose contour at 1 is drawn; by default none.
    """
    if len(axes) != 2:
        raise ParameterError(f"a map needs 2 axes, not {len(axes)}: fix other parameters")
    (along, x), (upwards, y) = axes.items()
    finite = values[np.isfinite(values)]
    norm, colors = (_centred(finite), "RdBu_r") if name in _CRITICAL else (_norm(finite), "viridis")
    shown = np.ma.masked_invalid(values).T
    mesh = ax.pcolormesh(x, y, shown, norm=norm, cmap=colors, shading="nearest", rasterized=True)
    if np.isinf(values).any():
        beyond = np.ma.masked_where(~np.isinf(values.T), np.ones(values.T.shape))
        ax.pcolormesh(x, y, beyond, cmap="gray", vmin=1, vmax=2, shading="nearest")
    ax.figure.colorbar(mesh, ax=ax, label=_LABELS.get(name, name))
    if critical is not None:
        _draw_critical(ax, x, y, *critical)
    for values_along, set_scale in ((x, ax.set_xscale), (y, ax.set_yscale)):
        if _is_logarithmic(values_along):
            set_scale("log")
    ax.set_xlabel(along)
    ax.set_ylabel(upwards)
    return ax


def _draw_critical(
    ax: Axes, x: Sequence[float], y: Sequence[float], name: str, values: np.ndarray
) -> None:
    finite = values[np.isfinite(values)]
    if min(values.shape) < 2 or not finite.size or not finite.min() < 1 < finite.max():
        return
    ax.contour(x, y, np.ma.masked_invalid(values).T, levels=[1.0], colors=_LINE, linewidths=1.8)
    ax.plot([], [], color=_LINE, linewidth=1.8, label=_CRITICAL[name])
    ax.legend(loc="upper right", fontsize="small", framealpha=0.9)


def plot_sweep(ax: Axes, axis: str, x: Sequence[float], values: np.ndarray, name: str) -> Axes:
    """Draw a quantity over one hyperparameter; a gap is left where it is nan.

    Parameters
    ----------
    ax
        Where to draw.
    axis, x
        Name and values of the hyperparameter.
    values
        Of the quantity.
    name
        Of the quantity.
    """
    ax.plot(
        x, np.where(np.isfinite(values), values, np.nan), marker="o", markersize=3, color=_COLOR
    )
    if name in _CRITICAL:
        ax.axhline(1.0, color=_LINE, linestyle="--", linewidth=1.0)
    if _is_logarithmic(x):
        ax.set_xscale("log")
    ax.set_xlabel(axis)
    ax.set_ylabel(_LABELS.get(name, name))
    return ax


def sweep_figure(
    axes: Mapping[str, Sequence[float]], maps: Mapping[str, np.ndarray], title: str
) -> Figure:
    """Draw quantities over one or two hyperparameters, one panel each, under a title.

    The contour at 1 is that of chi_1, of the growth rate or of the spectral radius: a panel's own,
    or the first of them that is there.  Points without an answer are blank, and counted below.

    Parameters
    ----------
    axes
        Names and values of the hyperparameters.
    maps
        Values of each quantity by name, shape of the grid.
    title
        Of the figure.

    Raises
    ------
    ParameterError
        If there are more than two axes, or none.

    Examples
    --------
    >>> figure = sweep_figure({"weight_std": [1, 2]}, {"chi_1": np.array([0.5, 1.5])}, "vanilla")
    >>> figure.axes[0].get_xlabel()
    'weight_std'
    """
    if len(axes) not in (1, 2):
        raise ParameterError(
            f"a grid of {len(axes)} axes cannot be drawn: one or two can; read the store with "
            "xarray.open_zarr and choose a slice"
        )
    columns = min(len(maps), 2)
    rows = math.ceil(len(maps) / columns)
    figure = Figure(figsize=(5.6 * columns, 4.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (name, values) in zip(panels, maps.items(), strict=False):
        if len(axes) == 1:
            ((axis, x),) = axes.items()
            plot_sweep(ax, axis, x, values, name)
        else:
            plot_map(ax, axes, values, name, critical=_critical(name, maps))
        if note := _note(values):
            ax.set_title(note, fontsize="small")
    for ax in panels[len(maps) :]:
        ax.set_visible(False)
    figure.suptitle(title)
    return figure


def _critical(name: str, maps: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray] | None:
    chosen = [each for each in (name, *_CRITICAL) if each in _CRITICAL and each in maps]
    return (chosen[0], maps[chosen[0]]) if chosen else None


def _note(values: np.ndarray) -> str:
    blank, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    parts = [f"{blank} of {values.size} points without an answer (blank)"] * (blank > 0)
    parts += [f"infinite at {infinite} points"] * (infinite > 0)
    return ", ".join(parts)


def _norm(finite: np.ndarray) -> Normalize:
    if not finite.size:
        return Normalize(0, 1)
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > _WIDE * low:
        return LogNorm(low, high)
    return Normalize(low, high)


def _centred(finite: np.ndarray) -> Normalize:
    """Return a scale with 1, where gradients keep their norm, in the middle."""
    if not finite.size:
        return Normalize(0, 2)
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > _WIDE * low:
        reach = max(high, 1 / low)
        return LogNorm(1 / reach, reach)
    reach = max(high - 1, 1 - low) or 1.0
    return Normalize(1 - reach, 1 + reach)


def _is_logarithmic(values: Sequence[float]) -> bool:
    """Tell values that are evenly spaced on a logarithm, and far apart, from others."""
    if len(values) < 3 or min(values) <= 0 or max(values) < 10 * min(values):
        return False
    steps = np.diff(np.log(values))
    return bool(np.ptp(steps) <= 1e-6 * abs(steps[0]))
