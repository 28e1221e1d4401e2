import numpy as np
import pytest
from matplotlib.figure import Figure

from rmt_jacobian.cells import Parameters, lstm, vanilla
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import Sites
from rmt_jacobian.plotting.eigenvalues import eigenvalue_figure, plot_eigenvalues

ZERO = np.zeros(1)
VALUES = np.array([0.3, 0.1 + 0.2j, 0.1 - 0.2j])


def labels(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_points_boundary_and_unit_circle_are_drawn():
    parameters = Parameters.of(vanilla, weight_std=1.5, input_std=0, input_variance=1)
    law = eigenvalue_law(Sites.of(vanilla, parameters, [ZERO], [ZERO]))
    (ax,) = eigenvalue_figure(law, VALUES, "disk").axes
    assert ax.get_title() == "disk"
    assert ax.get_aspect() == 1
    assert labels(ax) == ["unit circle", "sampled, 3", "boundary of the law"]
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert drawn["sampled, 3"] == pytest.approx(np.column_stack([VALUES.real, VALUES.imag]))
    assert np.hypot(*drawn["unit circle"].T) == pytest.approx(1)
    assert np.hypot(*drawn["boundary of the law"].T) == pytest.approx(1.5)
    assert ax.get_xlim()[1] > 1.5


@pytest.mark.parametrize(
    ("largest", "ticks"), [(1.0, [-1, -0.5, 0, 0.5, 1]), (3.6, [-4, -2, 0, 2, 4])]
)
def test_ticks_are_few_and_round(largest, ticks):
    ax = plot_eigenvalues(Figure().subplots(), sampled=np.array([largest]))
    for axis in (ax.xaxis, ax.yaxis):
        shown = [tick for tick in axis.get_majorticklocs() if abs(tick) <= 4]
        assert [t for t in shown if abs(t) < 1.2 * largest] == pytest.approx(
            [t for t in ticks if abs(t) < 1.2 * largest]
        )


def test_atoms_and_several_curves_have_one_entry_each():
    sites = Sites.of(lstm, Parameters.of(lstm, input_std=0), [ZERO, ZERO], [ZERO] * 4)
    ax = plot_eigenvalues(Figure().subplots(), law=eigenvalue_law(sites, weights="orthogonal"))
    assert labels(ax) == ["unit circle", "boundary of the law", "atom at 0: mass 0.5"]


def test_nothing_to_draw():
    with pytest.raises(ParameterError, match="no eigenvalues"):
        plot_eigenvalues(Figure().subplots())
    with pytest.raises(ParameterError, match="finite"):
        plot_eigenvalues(Figure().subplots(), sampled=np.array([np.nan]))
