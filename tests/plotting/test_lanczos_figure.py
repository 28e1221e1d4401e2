"""Figures of spectra by Lanczos quadrature."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.plotting import lanczos_figure, plot_lanczos_cdf, plot_lanczos_density
from rmt_jacobian.sampling import GaussQuadrature, LanczosSpectrum, lanczos_recurrences


def spectrum_of(s: np.ndarray, vectors: int, steps: int = 25) -> LanczosSpectrum:
    v = np.random.default_rng(0).standard_normal((len(s), vectors))
    found = lanczos_recurrences(lambda q: (s * s)[:, None] * q, v, steps)
    return LanczosSpectrum((tuple(GaussQuadrature(c) for c in found),), len(s))


S = QuarterCircle().ppf((np.arange(2000) + 0.5) / 2000)


def test_density_and_law_lie_on_each_other() -> None:
    ax = plot_lanczos_density(spectrum_of(S, 3), Figure().subplots(), law=QuarterCircle())
    sampled, law = (line.get_ydata() for line in ax.get_lines())
    assert np.abs(sampled - law).max() < 0.1
    assert ax.get_yscale() == "linear"
    assert "resolution" in ax.get_xlabel()
    assert "1 network × 3 vectors" in ax.get_legend().get_texts()[0].get_text()


def test_a_single_vector_has_no_errors_to_draw() -> None:
    ax = plot_lanczos_density(spectrum_of(S, 1), Figure().subplots())
    assert not ax.collections
    ax = plot_lanczos_cdf(spectrum_of(S, 1), Figure().subplots())
    assert len(ax.collections) == 1  # the bounds
    assert ax.get_xscale() == "linear"


def test_most_values_below_the_resolution() -> None:
    s = np.concatenate([10.0 ** -np.linspace(3, 60, 1900), np.linspace(0, 10, 100)])
    figure = lanczos_figure(spectrum_of(s, 4), "a long product", law=None)
    density, cdf = figure.axes
    assert density.get_yscale() == "log"
    assert cdf.get_xscale() == "log"
    middle = cdf.get_lines()[0].get_ydata()
    assert np.isnan(middle[0])  # nothing is known there
    assert middle[-1] == pytest.approx(1, abs=0.01)
    assert figure.get_suptitle() == "a long product"


def test_the_law_of_the_cumulative_function_is_drawn_as_it_is() -> None:
    ax = plot_lanczos_cdf(spectrum_of(S, 2), Figure().subplots(), law=QuarterCircle(), log=True)
    line = ax.get_lines()[1]
    assert line.get_ydata() == pytest.approx(QuarterCircle().cdf(line.get_xdata()))
