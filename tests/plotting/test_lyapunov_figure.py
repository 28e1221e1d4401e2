import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting import lyapunov_figure, plot_exponents

X = (np.arange(10) + 0.5) / 10
NEWMAN = np.log(1 - X) / 2


def labels(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_theory_samples_and_their_errors_are_drawn_and_named():
    figure = lyapunov_figure(
        X,
        "Newman",
        sampled=NEWMAN + 0.1,
        standard_error=np.full(10, 0.05),
        theory=NEWMAN,
        largest_theory=0.0,
    )
    (ax,) = figure.axes
    assert ax.get_title() == "Newman"
    assert "quantile" in ax.get_xlabel()
    assert "Lyapunov" in ax.get_ylabel()
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["sampled"].get_ydata() == pytest.approx(NEWMAN + 0.1)
    assert drawn["theory"].get_ydata() == pytest.approx(NEWMAN)
    band = ax.collections[0].get_paths()[0].vertices
    assert np.ptp(band[np.isclose(band[:, 0], X[4]), 1]) == pytest.approx(0.2)
    assert labels(ax) == ["sampled", "± 2 standard errors", "theory", "largest by theory"]


def test_infinite_exponents_and_missing_errors_are_left_out():
    exponents = np.where(X > 0.9, -np.inf, NEWMAN)
    ax = plot_exponents(
        X, Figure().subplots(), sampled=exponents, standard_error=np.full(10, np.nan)
    )
    assert np.isnan(ax.lines[0].get_ydata()[-1])
    assert not ax.collections
    assert labels(ax) == ["sampled"]


def test_nothing_to_draw():
    with pytest.raises(ParameterError, match="no exponents"):
        plot_exponents(X, Figure().subplots())
