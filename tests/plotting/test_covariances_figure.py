import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.cells import Parameters, lstm
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.tied.steady_state import tied_steady_state
from rmt_jacobian.plotting.covariances import covariance_figure, plot_covariances

LAGS = np.arange(5)
DECAY = np.exp(-LAGS / 2)


def test_theory_is_a_line_with_its_band_and_samples_have_error_bars():
    ax = plot_covariances(
        LAGS, DECAY, Figure().subplots(), theory_error=np.full(5, 0.1), sampled=DECAY[:3] + 0.2,
        sampled_error=np.full(3, 0.05), label="h",
    )  # fmt: skip
    line, points = ax.lines[0], ax.lines[1]
    assert line.get_label() == "h"
    assert line.get_ydata() == pytest.approx(DECAY)
    assert points.get_xdata() == pytest.approx([0, 1, 2])
    assert points.get_ydata() == pytest.approx(DECAY[:3] + 0.2)
    band, bars = ax.collections
    corners = band.get_paths()[0].vertices
    assert np.ptp(corners[np.isclose(corners[:, 0], 2), 1]) == pytest.approx(0.4)
    assert [np.ptp(bar[:, 1]) for bar in bars.get_segments()] == pytest.approx([0.2] * 3)
    assert "lag" in ax.get_xlabel()


def test_every_state_and_preactivation_is_drawn_and_named():
    values = {"weight_std": 0.5, "input_std": 1.0, "input_variance": 1.0}
    found = tied_steady_state(lstm, Parameters.of(lstm, values), sites=1024, lags=4)
    sampled = found.state_covariances[:, :3] + 0.01
    figure = covariance_figure(found, "LSTM", sampled=sampled, sampled_error=0 * sampled + 0.01)
    left, right = figure.axes

    def names(ax):
        return [text.get_text() for text in ax.get_legend().get_texts()]

    assert names(left) == ["$h$", "$c$", "networks, ± 2 standard errors"]
    assert [name.split(",")[0] for name in names(right)] == [
        "forget", "input", "output", "candidate",
    ]  # fmt: skip
    q = found.preactivation_variances[2]
    assert f"q$ = {q:.3g}" in names(right)[2]
    assert right.lines[2].get_ydata() == pytest.approx(found.preactivation_covariances[2] / q)
    assert figure.get_suptitle() == "LSTM"


@pytest.mark.parametrize(
    "wrong",
    [{"theory_error": DECAY[:2]}, {"sampled": np.ones(6)},
     {"sampled": DECAY, "sampled_error": DECAY[:2]}],
)  # fmt: skip
def test_shapes_that_do_not_agree(wrong):
    with pytest.raises(ParameterError):
        plot_covariances(LAGS, DECAY, Figure().subplots(), **wrong)
