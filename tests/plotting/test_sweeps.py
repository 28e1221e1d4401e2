import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting import plot_map, plot_sweep, sweep_figure

X, Y = [0.5, 1.0, 1.5, 2.0], [0.0, 1.0, 2.0]
CHI = np.add.outer(np.array(X), 0.1 * np.array(Y))  # 1 between the columns


def test_a_map_names_its_axes_and_shows_the_critical_line():
    ax = plot_map(Figure().subplots(), {"weight_std": X, "bias_mean": Y}, CHI, "chi_1",
                  critical=("chi_1", CHI))  # fmt: skip
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight_std", "bias_mean")
    (entry,) = ax.get_legend().get_texts()
    assert "chi_1" in entry.get_text()
    mesh = next(each for each in ax.collections if isinstance(each, QuadMesh))
    assert np.asarray(mesh.get_array()) == pytest.approx(CHI.T)  # the second axis goes upwards
    (contour,) = [each for each in ax.collections if not isinstance(each, QuadMesh)]
    x, y = contour.get_paths()[0].vertices.T
    assert x + 0.1 * y == pytest.approx(np.ones_like(x))


def test_no_line_where_there_is_none():
    ax = plot_map(Figure().subplots(), {"a": X, "b": Y}, CHI, "chi_1", critical=("chi_1", CHI + 9))
    assert ax.get_legend() is None


def test_blank_points_are_counted():
    values = CHI.copy()
    values[0, 0], values[1, 2], values[2, 2] = np.nan, np.nan, np.inf
    figure = sweep_figure({"a": X, "b": Y}, {"timescale": values, "chi_1": CHI}, "GRU")
    panels = [ax for ax in figure.axes if ax.get_xlabel() == "a"]
    assert [ax.get_title() for ax in panels] == [
        "2 of 12 points without an answer (blank), infinite at 1 points", "",
    ]  # fmt: skip
    mesh = next(each for each in panels[0].collections if isinstance(each, QuadMesh))
    assert np.ma.getmaskarray(mesh.get_array()).sum() == 3
    # The line of chi_1 is drawn into the other panel too.
    assert [ax.get_legend().get_texts()[0].get_text() for ax in panels] == [r"$\chi_1 = 1$"] * 2
    assert figure.get_suptitle() == "GRU"


def test_nothing_but_blanks():
    figure = sweep_figure({"a": X, "b": Y}, {"variance": np.full((4, 3), np.nan)}, "none")
    assert figure.axes[0].get_title().startswith("12 of 12 points")


def test_logarithms_where_they_serve():
    x = [0.01, 0.1, 1.0, 10.0]
    values = np.outer(np.array(x), [1.0, 2.0, 3.0])
    figure = sweep_figure({"a": x, "b": Y}, {"variance": values}, "")
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.axes[1].get_yscale() == "log"  # of the colours


def test_one_axis_gives_lines_with_gaps():
    values = np.array([0.5, np.nan, 1.5, 2.0])
    ax = plot_sweep(Figure().subplots(), "weight_std", X, values, "chi_1")
    assert ax.get_xlabel() == "weight_std"
    assert np.isnan(ax.lines[0].get_ydata()).sum() == 1
    assert list(ax.lines[1].get_ydata()) == [1, 1]


def test_other_numbers_of_axes_are_refused():
    with pytest.raises(ParameterError, match="a grid of 3 axes cannot be drawn"):
        sweep_figure({"a": X, "b": Y, "c": X}, {"chi_1": np.zeros((4, 3, 4))}, "")
    with pytest.raises(ParameterError, match="a map needs 2 axes"):
        plot_map(Figure().subplots(), {"a": X}, CHI, "chi_1")
