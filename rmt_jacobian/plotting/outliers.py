"""Few values far from all others: the view leaves them out, and a mark at its edge tells them."""

import numpy as np
from matplotlib.axes import Axes

__all__ = ["bulk_limits", "mark_outliers"]

_FEW = 0.01  # of all values, beyond which they are no outliers
_FAR = 1.0  # widths of the bulk, from the 1st to the 99th percentile, beyond its end


def bulk_limits(values: np.ndarray) -> tuple[float, float]:
    """Return least and largest value but for outliers.

    Examples
    --------
    >>> bulk_limits(np.array([*range(200), 5000.0]))
    (0.0, 199.0)
    """
    low, high = np.quantile(values, [_FEW, 1 - _FEW])
    reach = _FAR * (high - low)
    near = values[(values >= low - reach) & (values <= high + reach)]
    if reach <= 0 or near.size < (1 - _FEW) * values.size:
        return float(values.min()), float(values.max())
    return float(near.min()), float(near.max())


def mark_outliers(values: np.ndarray, limits: tuple[float, float], ax: Axes) -> None:
    """Draw an arrow at either edge of the axes beyond which there are values, and tell them.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> mark_outliers(np.array([0.0, 1.0, 50.0]), (0.0, 1.0), ax)
    >>> ax.texts[0].get_text()
    '1 value at 50'
    """
    for beyond, end, inner in (
        (values[values < limits[0]], 0.0, 0.12),
        (values[values > limits[1]], 1.0, 0.88),
    ):
        if not beyond.size:
            continue
        low, high = float(beyond.min()), float(beyond.max())
        where = f"at {low:.3g}" if low == high else f"from {low:.3g} to {high:.3g}"
        ax.annotate(
            f"{beyond.size} value{'s' * (beyond.size > 1)} {where}",
            (end, 0.35), (inner, 0.35), xycoords="axes fraction", va="center",
            ha="left" if end == 0 else "right", fontsize="small", color="#d55e00",
            arrowprops={"arrowstyle": "->", "color": "#d55e00"},
        )  # fmt: skip
