import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting import (
    log_spectrum_figure,
    plot_exponent_law,
    plot_log_singular_values,
)
from rmt_jacobian.sampling import LogSpectra

VALUES = np.array([[10.0, 0.0, -20.0, -400.0], [12.0, 1.0, -30.0, -np.inf]])
ERRORS = np.array([[0.0, 0.0, 0.0, np.inf], [0.0, 0.0, 0.0, 0.0]])
FOUND = LogSpectra(VALUES, ERRORS, steps=10)


def test_bars_are_the_fraction_of_known_values_per_step():
    ax = plot_log_singular_values(FOUND, Figure().subplots(), bins=7)
    heights, edges, _ = ax.patches[0].get_data()
    assert edges[[0, -1]] == pytest.approx([-3.0, 1.2])
    assert np.sum(heights * np.diff(edges)) == pytest.approx(6 / 8)
    assert "of 8: 1 zero, 1 not resolved, left out" in ax.get_xlabel()
    assert "density" in ax.get_ylabel()


def test_nothing_is_said_of_what_is_not_missing():
    whole = LogSpectra(VALUES[:, :3], ERRORS[:, :3], steps=10)
    assert "left out" not in plot_log_singular_values(whole, Figure().subplots()).get_xlabel()


def test_law_has_the_density_of_its_quantiles():
    """Linear Gaussian steps: e^lambda is triangular, so that p = 2 exp(2 lambda) below 0."""
    x = (np.arange(4000) + 0.5) / 4000
    exponents = np.log(1 - x) / 2
    exponents[-5:] = -np.inf
    ax = Figure().subplots()
    ax.set_xlim(-2, 0.5)
    plot_exponent_law(x, exponents, ax)
    at, density = ax.lines[0].get_data()
    assert density == pytest.approx(2 * np.exp(2 * at), rel=2e-2)
    assert ax.get_xlim() == (-2, 0.5)


def test_whole_figure_names_its_parts():
    x = np.array([0.2, 0.5, 0.8])
    law = np.array([1.0, -1.0, -2.0])
    (ax,) = log_spectrum_figure(FOUND, "four values", quantiles=x, exponents=law).axes
    assert ax.get_title() == "four values"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "sampled, 2 × 4",
        "law of long products",
    ]
    assert ax.lines[0].get_data()[1] == pytest.approx([0.15, 0.3])


def test_what_cannot_be_drawn_is_refused():
    ax = Figure().subplots()
    with pytest.raises(ParameterError, match="bins"):
        plot_log_singular_values(FOUND, ax, bins=0)
    nothing = LogSpectra(np.full((1, 2), -np.inf), np.zeros((1, 2)), steps=3)
    with pytest.raises(ParameterError, match="nothing to draw"):
        plot_log_singular_values(nothing, ax)
    with pytest.raises(ParameterError, match="two finite"):
        plot_exponent_law(np.array([0.2, 0.8]), np.array([0.0, -np.inf]), ax)
