"""One network: singular values of every W beside the quarter circle, and those of its products."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.networks import BesideTheory, Network
from rmt_jacobian.plotting.log_spectra import plot_log_singular_values
from rmt_jacobian.sampling import LogSpectra

__all__ = ["inspection_figure", "plot_weight_spectra"]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_BARS, _COARSE, _POINTS = 40, 20, 400  # coarse: four outlines one over another


def plot_weight_spectra(network: Network, ax: Axes) -> Axes:
    r"""Draw the singular values of every W, over :math:`\sigma_w`, beside the quarter circle.

    Parameters
    ----------
    network
        The network.
    ax
        Where to draw.

    Raises
    ------
    ParameterError
        If every W is zero.

    Examples
    --------
    >>> network = Network.sample("gru", width=16, seed=0)
    >>> ax = plot_weight_spectra(network, Figure().subplots())
    >>> [each.get_text() for each in ax.get_legend().get_texts()]
    ['update', 'reset', 'candidate', 'independent entries']
    """
    spectra = {}
    for name, W in network.recurrent.items():
        values = np.linalg.svd(W, compute_uv=False)
        std = float(np.linalg.norm(values)) / np.sqrt(len(values))
        if std > 0:
            spectra[name] = values / std
    if not spectra:
        raise ParameterError("every W is zero: there is nothing to draw")
    end = max(2.0, *(float(values[0]) for values in spectra.values()))
    for (name, values), colour in zip(spectra.items(), _COLOURS, strict=False):
        heights, edges = np.histogram(values, bins=_COARSE, range=(0.0, 1.02 * end), density=True)
        ax.stairs(heights, edges, color=colour, linewidth=1.4, label=name)
        ax.plot(values[0], 0, marker="v", color=colour, clip_on=False, markersize=6)
    s = np.linspace(0, 2, _POINTS)
    density = np.asarray(QuarterCircle(2.0).pdf(s))
    ax.plot(s, density, color="black", linewidth=1.8, linestyle="--", label="independent entries")
    ax.set_xlabel(r"$s / \sigma_w$, $s$ the singular values of $W$ (triangles: the largest)")
    ax.set_ylabel(r"density of $s / \sigma_w$")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize="small")
    return ax


def inspection_figure(
    network: Network, found: LogSpectra, title: str, *, beside: BesideTheory | None = None
) -> Figure:
    """Draw the weights of a network, and the singular values of its products, side by side.

    Parameters
    ----------
    network
        The network.
    found
        The logarithms of the singular values of T steps.
    title
        Of the figure.
    beside
        The law of random networks; it is drawn over the spectrum that it was compared with.

    Examples
    --------
    >>> found = LogSpectra(np.array([[3.0, 1.0, -2.0]]), np.zeros((1, 3)), steps=10)
    >>> len(inspection_figure(Network.sample("gru", width=8, seed=0), found, "a GRU").axes)
    2
    """
    figure = Figure(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_weight_spectra(network, left)
    if beside is None:
        plot_log_singular_values(found, right, bins=_BARS)
        right.set_title(f"T = {found.steps}", fontsize="medium")
    else:
        beside.plot(right)
        right.set_title(f"T = {beside.steps}", fontsize="medium")
    figure.suptitle(title)
    return figure
