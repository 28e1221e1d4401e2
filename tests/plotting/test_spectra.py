import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting import plot_singular_values, spectrum_figure


def area(ax) -> float:
    heights, edges, _ = ax.patches[0].get_data()
    return float(np.sum(heights * np.diff(edges)))


@pytest.fixture
def quarter_circle() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.linalg.svd(rng.standard_normal((5, 60, 60)) / np.sqrt(60), compute_uv=False)


def test_density_is_normalised_and_named(quarter_circle):
    ax = plot_singular_values(quarter_circle, Figure().subplots())
    assert area(ax) == pytest.approx(1)
    assert ax.get_xlabel() == "singular value $s$ of $J$"
    assert ax.get_ylabel() == "density of $s$"


def test_number_of_bins(quarter_circle):
    ax = plot_singular_values(quarter_circle, Figure().subplots(), bins=17)
    assert len(ax.patches[0].get_data().values) == 17


def test_many_orders_of_magnitude_are_drawn_as_logarithms(quarter_circle):
    ax = plot_singular_values(quarter_circle**4, Figure().subplots())
    assert "log" in ax.get_xlabel()
    assert area(ax) == pytest.approx(1)
    low, high = ax.patches[0].get_data().edges[[0, -1]]
    assert low == pytest.approx(np.log10(quarter_circle.min() ** 4))
    assert high == pytest.approx(np.log10(quarter_circle.max() ** 4))


def test_choice_of_scale_can_be_overruled(quarter_circle):
    assert "log" in plot_singular_values(quarter_circle, Figure().subplots(), log=True).get_xlabel()
    ax = plot_singular_values(quarter_circle**4, Figure().subplots(), log=False)
    assert "log" not in ax.get_xlabel()


def test_rounding_noise_is_left_out_and_counted():
    values = np.array([[1.0, 1e-3, 1e-5, 1e-20], [2.0, 1e-2, 1e-6, 0.0]])
    ax = plot_singular_values(values, Figure().subplots(), log=True)
    assert "2 of 8" in ax.get_xlabel()
    assert area(ax) == pytest.approx(6 / 8)


def test_all_values_equal():
    figure = spectrum_figure(np.full((2, 4), 3.0), "three times an orthogonal matrix")
    assert area(figure.axes[0]) == pytest.approx(1)
    assert figure.axes[0].get_title() == "three times an orthogonal matrix"


@pytest.mark.parametrize("values", [[], [[-1.0]], [np.nan], [np.inf]])
def test_values_out_of_domain(values):
    with pytest.raises(ParameterError, match="singular values must be"):
        plot_singular_values(np.array(values), Figure().subplots())


def test_other_arguments_out_of_domain():
    with pytest.raises(ParameterError, match="bins"):
        plot_singular_values(np.ones(3), Figure().subplots(), bins=0)
    with pytest.raises(ParameterError, match="log=False"):
        plot_singular_values(np.zeros(3), Figure().subplots(), log=True)
