from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.comparison import Comparison, Estimate, Measured, Verification, verify
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting import plot_ratio, plot_second_moment, verification_figure

STEPS = (1, 2, 5)


def small(cell, **options) -> Verification:
    options = {"steps": STEPS, "width": 24, "samples": 4, "workers": 1, "spectra": False, **options}
    return verify(cell, Parameters.of(cell), **options)


@pytest.fixture(scope="module")
def found() -> Verification:
    return small(minimalrnn)


def measured(value, error) -> Measured:
    found = Estimate(value, error)
    return Measured(found, value, Estimate(1.0, error / value), found, found)


def axes():
    return Figure().subplots()


def data_lines(ax) -> dict[str, np.ndarray]:
    """Heights of the lines that the legend names, without the verdict after the colon."""
    return {
        str(line.get_label()).split(":")[0]: np.asarray(line.get_ydata())
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


def test_each_theory_is_a_line_and_the_samples_have_bars(found):
    ax = plot_second_moment(found, "gaussian", axes())
    rows = [row for row in found.rows if row.weights == "gaussian"]
    lines = data_lines(ax)
    assert set(lines) == {"printed, Chen 2018 eq. (12)", "S-transform", "exact"}
    np.testing.assert_array_equal(lines["exact"], [row.second_moment.exact for row in rows])
    (bars,) = ax.containers
    np.testing.assert_array_equal(
        bars.lines[0].get_ydata(), [row.second_moment.measured.limit.value for row in rows]
    )
    assert bars.has_yerr


def test_axes_are_named_and_ticks_are_the_sampled_steps(found):
    for draw in (plot_second_moment, plot_ratio):
        ax = draw(found, "orthogonal", axes())
        assert "$T$" in ax.get_xlabel()
        assert ax.get_ylabel()
        assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "5"]


def test_axes_are_returned(found):
    ax = axes()
    assert plot_second_moment(found, "gaussian", ax) is ax
    assert plot_ratio(found, "gaussian", ax) is ax


def test_ratio_is_theory_over_the_sample_without_site_noise(found):
    ax = plot_ratio(found, "orthogonal", axes())
    rows = [row for row in found.rows if row.weights == "orthogonal"]
    moments = [row.second_moment for row in rows]
    expected = [m.s_transform / m.measured.limit.value for m in moments]
    np.testing.assert_allclose(data_lines(ax)["S-transform"], expected)
    wide, narrow = ax.collections
    for band, width in ((wide, 2), (narrow, 1)):
        heights = band.get_paths()[0].vertices[:, 1]
        m = moments[-1].measured.limit
        assert heights.max() >= 1 + width * m.standard_error / m.value - 1e-12
    assert wide.get_paths()[0].vertices[:, 1].max() > narrow.get_paths()[0].vertices[:, 1].max()


def test_legend_says_what_the_samples_decide(found):
    sampled = Comparison(10.0, 20.0, 30.0, measured(30.0, 1.0))
    rows = tuple(replace(row, second_moment=sampled) for row in found.rows)
    ax = plot_ratio(replace(found, rows=rows), "gaussian", axes())
    texts = {text.get_text() for text in ax.get_legend().get_texts()}
    assert "exact: agrees, max |z| = 0.0" in texts
    assert "printed, Chen 2018 eq. (12): fails, max |z| = 20.0" in texts


def test_figure_has_a_column_for_each_ensemble(found):
    figure = verification_figure(found)
    assert len(figure.axes) == 4
    titles = {ax.get_title() for ax in figure.axes[:2]}
    assert titles == {"Gaussian W", "Orthogonal W"}
    assert "minimalrnn" in figure.get_suptitle()
    assert "weight_std = 6.88" in figure.get_suptitle()


def test_vanilla_has_no_printed_line():
    figure = verification_figure(small(vanilla, weights=["orthogonal"]))
    assert len(figure.axes) == 2
    for ax in figure.axes:
        assert set(data_lines(ax)) >= {"S-transform", "exact"}
        assert not any(name.startswith("printed") for name in data_lines(ax))


def test_one_number_of_steps_and_tied_weights():
    figure = verification_figure(small(minimalrnn, weights=["gaussian"], steps=[3], tied=True))
    figure.draw_without_rendering()
    upper, lower = figure.axes
    assert "tied" in upper.get_title()
    assert [label.get_text() for label in lower.get_xticklabels()] == ["3"]
    low, high = lower.get_xlim()
    assert low < 3 < high


def test_wide_ranges_get_logarithmic_axes():
    found = small(vanilla, weights=["gaussian"], steps=[1, 60])
    sampled = Comparison(None, 1e3, 1e3, measured(1e3, 1.0))
    rows = (found.rows[0], replace(found.rows[1], second_moment=sampled))
    ax = plot_second_moment(replace(found, rows=rows), "gaussian", axes())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_missing_ensemble_is_named():
    found = small(vanilla, weights=["gaussian"], steps=[1])
    with pytest.raises(ParameterError, match="choose from gaussian"):
        plot_ratio(found, "orthogonal", axes())
