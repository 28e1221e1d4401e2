"""Outliers are told, and do not squeeze the view; growth rates are coloured about 1."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.plotting import plot_eigenvalues, plot_map, plot_singular_values

BULK = np.random.default_rng(0).uniform(0.5, 1.5, 400)


def test_an_outlier_among_singular_values_is_an_arrow():
    ax = plot_singular_values(np.append(BULK, 30.0), Figure().subplots())
    assert ax.get_xlim()[1] < 2
    assert [text.get_text() for text in ax.texts] == ["1 value at 30"]


def test_without_outliers_there_is_no_arrow():
    assert not plot_singular_values(BULK, Figure().subplots()).texts


def test_an_outlier_among_eigenvalues_is_a_note():
    values = np.append(BULK * np.exp(1j * np.arange(400)), 12.0)
    ax = plot_eigenvalues(Figure().subplots(), sampled=values)
    assert ax.get_xlim()[1] < 2
    assert "1 of 401 outside the view" in ax.texts[0].get_text()
    assert "12+0i" in ax.texts[0].get_text()


@pytest.mark.parametrize("values", [[[0.5, 0.9], [1.1, 3.0]], [[0.01, 0.5], [1.0, 20.0]]])
def test_a_map_of_growth_rates_is_centred_at_one(values):
    axes = {"weight_std": [1.0, 2.0], "bias_mean": [0.0, 1.0]}
    ax = plot_map(Figure().subplots(), axes, np.array(values), "chi_1")
    assert ax.collections[0].norm(1.0) == pytest.approx(0.5)
