"""How the cost of one evaluation of a chain grows with its steps and its sites; draws a figure.

Run as ``python -m benchmarks.cost_of_a_sweep docs/figures/cost_of_a_sweep.png``.
"""

import argparse
import time

import numpy as np
from matplotlib.figure import Figure

from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory
from rmt_jacobian.plotting import save_figure

_STEPS = (5, 10, 20, 50, 100, 200)
_SITES = (256, 512, 1024, 2048, 4096, 8192)
_POINTS = np.array([0.5 + 0.1j, 1.0 + 0.1j])


def seconds(steps, sites, what):
    """Return the least time of one evaluation at two spectral points, per point."""
    rng = np.random.default_rng(0)
    history = SiteHistory.of(rng.random((steps, sites)), rng.standard_normal((steps, sites)))
    chain = ProductChain(history, GaussianWeights(1.0))
    sigma = np.full((len(_POINTS), chain.blocks), -0.3j)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        getattr(chain, what)(_POINTS, sigma)
        times.append(time.perf_counter() - start)
    return min(times) / len(_POINTS)


def _drawn(ax, sizes, times, label, colour):
    exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    ax.loglog(sizes, 1e3 * np.array(times), "o-", color=colour, label=f"{label}: {exponent:.2f}")
    print(f"{label}: exponent {exponent:.2f}, {1e3 * times[0]:.3g} to {1e3 * times[-1]:.3g} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure")
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for what, label, colour in (
        ("averages", "averages", "#0072b2"),
        ("responses", "with the derivative", "#d55e00"),
    ):
        _drawn(left, _STEPS, [seconds(T, 1024, what) for T in _STEPS], label, colour)
        _drawn(right, _SITES, [seconds(20, n, what) for n in _SITES], label, colour)
    left.set(xlabel="steps $T$ (1024 sites)", ylabel="milliseconds at one point")
    right.set(xlabel="sites ($T = 20$)")
    for ax, sizes in ((left, _STEPS), (right, _SITES)):
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.minorticks_off()
        ax.legend(title="fitted exponent", fontsize="small", title_fontsize="small")
    save_figure(figure, parser.parse_args().figure)


if __name__ == "__main__":
    main()
