"""The figures of Can, Krishnamurthy and Schwab (2020) at small sizes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field import fixed_points
from rmt_jacobian.plotting import can2020_panels
from rmt_jacobian.plotting.can2020 import can2020_figure1, can2020_figure2_right
from rmt_jacobian.plotting.can2020_panels import plot_slow_modes, plot_tied_eigenvalues


@pytest.mark.slow
def test_figure1():
    figure = can2020_figure1(
        width=48, sites=960, gains=(1.0, 2.0), reset_gains=(1.0, 10.0), update_gains=(10.0,),
        at_rest=[(2.0, 1.0)],
    )  # fmt: skip
    titles = [ax.get_title() for ax in figure.axes]
    assert [title[0] for title in titles] == list("abecdf")
    assert [title[0] for title in titles if "fixed point" in title] == ["b"]
    radii = figure.axes[2].lines
    assert radii[0].get_ydata()[1] > radii[0].get_ydata()[0]
    assert all(ax.get_legend() is not None for ax in figure.axes)


def test_slow_modes_of_an_lstm():
    ax = plot_slow_modes(
        Figure().subplots(), lstm, Parameters.of(lstm, input_std=0), "forget", (30.0,), width=80
    )
    theory, sampled = ax.lines
    expected = np.interp(sampled.get_xdata(), theory.get_xdata(), theory.get_ydata())
    assert sampled.get_ydata() == pytest.approx(expected, abs=0.1)


@pytest.mark.thorough
def test_the_law_is_that_of_the_steady_state():
    parameters = Parameters.of(gru, input_std=0).with_values({"candidate.weight_std": 3.0})
    ax = Figure().subplots()
    assert plot_tied_eigenvalues(ax, gru, parameters, width=30, sites=960) is ax
    assert ax.get_legend() is not None


def test_no_other_law_is_drawn_where_the_steady_state_is_not_found(monkeypatch):
    monkeypatch.setattr(can2020_panels, "_LONGEST", 64)
    parameters = Parameters.of(gru, input_std=0).with_values({"candidate.weight_std": 3.0})
    ax = Figure().subplots()
    with pytest.raises(ConvergenceError, match="longest_period"):
        plot_tied_eigenvalues(ax, gru, parameters, width=30, sites=960)
    plot_tied_eigenvalues(ax, gru, parameters, width=30, sites=960, at_rest=True)
    assert ax.get_legend() is not None


def test_figure2_right():
    figure = can2020_figure2_right(width=40, sites=512, update_gains=(2.0, 5.0))
    exact, line = figure.axes[1].lines
    assert exact.get_ydata()[-1] == line.get_ydata()[-1]
    point = fixed_points(
        gru,
        Parameters.of(gru, input_std=0).with_values(
            {"update.weight_std": 1.0, "reset.weight_std": 2.0}
        ),
    )[-1]
    assert exact.get_ydata()[0] == pytest.approx(point.edge_beyond_memory())
