import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.comparison import compare_spectrum
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import FreePoisson, MarchenkoPastur, PointMasses, QuarterCircle
from rmt_jacobian.plotting import (
    overlay_figure,
    plot_law,
    plot_singular_values,
    spectrum_figure,
)


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


def test_an_overlay_shows_the_whole_histogram_from_zero(quarter_circle):
    (ax,) = overlay_figure(quarter_circle, QuarterCircle(), "Gaussian").axes
    low, high = ax.get_ylim()
    assert low == 0
    assert high > ax.patches[0].get_data().values.max()


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


def law_line(ax) -> tuple[np.ndarray, np.ndarray]:
    (line,) = (line for line in ax.lines if line.get_label() == "law")
    return line.get_xdata(), np.nan_to_num(line.get_ydata())


def legend_text(ax) -> list[str]:
    legend = ax.get_legend()
    return [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]


@pytest.mark.parametrize("options", [{}, {"log": True}, {"symmetric": True}], ids=str)
def test_law_over_samples_has_their_area_and_their_distances(quarter_circle, options):
    figure = overlay_figure(quarter_circle, QuarterCircle(), "Gaussian W", **options)
    (ax,) = figure.axes
    x, density = law_line(ax)
    assert np.trapezoid(density, x) == pytest.approx(1, abs=0.01)
    assert area(ax) == pytest.approx(1)
    if options.get("symmetric"):
        assert np.interp(-1.0, x, density) == pytest.approx(QuarterCircle().pdf(1.0) / 2, rel=1e-3)
        assert "\\pm s" in ax.get_xlabel()
    title, *labels = legend_text(ax)
    found = compare_spectrum(QuarterCircle(), quarter_circle)
    assert f"KS {found.ks:.2g} (99 % null {found.ks_null:.2g}): agrees" in title
    assert labels == ["sampled, 5 × 60", "law"]
    assert ax.get_title() == "Gaussian W"


def test_atoms_are_stems_as_high_as_their_bars():
    values = np.array([[0.0, 1.0, 1.2, 3.0], [0.0, 0.8, 1.4, 3.0]])
    law = PointMasses([0.0, 1.0, 3.0], [0.25, 0.5, 0.25])
    ax = plot_singular_values(values, Figure().subplots(), bins=15)
    plot_law(LawWithAtoms(law), ax, bin_width=0.2)
    stems = [line for line in ax.lines if line.get_label().startswith("atom")]
    assert [stem.get_xdata()[0] for stem in stems] == [0.0, 1.0, 3.0]
    assert [stem.get_ydata()[1] for stem in stems] == pytest.approx([1.25, 2.5, 1.25])
    assert stems[0].get_label() == "atom at 0: mass 0.25"
    symmetric = plot_singular_values(values, Figure().subplots(), symmetric=True)
    plot_law(LawWithAtoms(law), symmetric, symmetric=True, bin_width=0.2)
    tops = {line.get_xdata()[0]: line.get_ydata()[1] for line in symmetric.lines[1:]}
    assert tops == pytest.approx({0.0: 1.25, 1.0: 1.25, -1.0: 1.25, 3.0: 0.625, -3.0: 0.625})


def test_the_bar_of_an_atom_does_not_dwarf_the_rest():
    rng = np.random.default_rng(0)
    values = np.sqrt(np.concatenate([np.zeros(250), MarchenkoPastur(0.75).rvs(750, rng)]))[None]
    law = FreePoisson(0.75)
    (ax,) = overlay_figure(values**2, law, "a quarter zero", log=False).axes
    heights = ax.patches[0].get_data().values
    assert ax.get_ylim()[1] == pytest.approx(1.4 * heights[1:].max())
    (stem,) = (line for line in ax.lines if line.get_label().startswith("atom"))
    assert stem.get_ydata()[1] == pytest.approx(heights[1:].max())


def test_an_atom_at_zero_has_no_place_on_a_logarithmic_axis_but_an_entry():
    values = np.array([[0.0, 1.0, 10.0, 1e3]])
    law = LawWithAtoms(PointMasses([0.0, 10.0], [0.25, 0.75]))
    (ax,) = overlay_figure(values, law, "atoms", log=True).axes
    assert "atom at 0: mass 0.25" in legend_text(ax)
    assert "1 of 4" in ax.get_xlabel()


def test_symmetric_spectra_have_no_logarithm(quarter_circle):
    with pytest.raises(ParameterError, match="log=False"):
        plot_singular_values(quarter_circle, Figure().subplots(), log=True, symmetric=True)


class LawWithAtoms:
    """Point masses with a density, which is 0."""

    def __init__(self, law: PointMasses) -> None:
        self.atoms, self.cdf, self.ppf = law.atoms, law.cdf, law.ppf

    def pdf(self, x):
        return np.zeros_like(x)
