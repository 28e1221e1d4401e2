import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.plotting import phase_diagram_figure, plot_gru_phases

BORN = [[1.9, 5.38], [1.5, 74.4], [1.7, 13.0]]
EDGE = [[1.6, 26.0], [3.9, 2.6], [6.546, 0.0]]


def test_all_curves_are_drawn_and_named():
    figure = phase_diagram_figure(BORN, EDGE, "GRU")
    (ax,) = figure.axes
    assert ax.get_title() == "GRU"
    assert "candidate.weight_std" in ax.get_xlabel()
    assert "reset.weight_std" in ax.get_ylabel()
    assert ax.get_yscale() == "log"
    drawn = {line.get_label(): line for line in ax.lines}
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(drawn) == sorted(named)
    assert drawn[r"$a_h = \sqrt{2}$"].get_xdata() == pytest.approx([math.sqrt(2)] * 2)
    assert drawn["$a_h = 2$"].get_xdata() == pytest.approx([2, 2])
    born = drawn[r"$a_r^*(a_h)$: two fixed points appear"]
    assert born.get_xydata() == pytest.approx(np.array(sorted(BORN)))
    edge = drawn[r"$\rho_0 = \sqrt{2}$: edge of marginal stability"].get_xydata()
    assert edge[:2] == pytest.approx(np.array(EDGE[:2]))
    assert 0 < edge[2, 1] < ax.get_ylim()[0]  # a_r = 0 leaves the axis at the bottom


def test_regions_are_labelled():
    ax = plot_gru_phases(BORN, EDGE, Figure().subplots())
    words = " ".join(text.get_text() for text in ax.texts)
    for name in ("only the zero", "three fixed points", "marginal", "zero unstable"):
        assert name in words


def test_curves_may_be_missing():
    ax = plot_gru_phases([], [], Figure().subplots())
    assert len(ax.lines) == 4
