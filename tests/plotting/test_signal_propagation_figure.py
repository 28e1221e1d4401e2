import pytest

from rmt_jacobian.comparison import SignalPropagation, signal_propagation
from rmt_jacobian.plotting import chen2018_figure1


def small(**options) -> SignalPropagation:
    settings = {"steps": 14, "switch": 5, "width": 24, "samples": 2, "resolution": 3, "workers": 1}
    return signal_propagation(**{"bias_means": [-2, 0, 2], **settings, **options})


@pytest.fixture(scope="module")
def found() -> SignalPropagation:
    return small()


def labelled(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_five_panels_are_named(found):
    figure = chen2018_figure1(found)
    figure.draw_without_rendering()
    panels = figure.axes[:5]
    assert [panel.get_title()[0] for panel in panels] == list("abcde")
    assert all(panel.get_xlabel() and panel.get_ylabel() for panel in panels)
    assert all(labelled(panel) for panel in panels)


def test_theory_and_samples_are_drawn_for_every_bias_mean(found):
    a, b, c, d, e = chen2018_figure1(found).axes[:5]
    steps = found.times.size
    in_time = [line for line in a.lines if len(line.get_xdata()) == steps]
    assert sum(line.get_linestyle() == "--" for line in in_time) == 3
    assert sum(line.get_linestyle() == "-" for line in in_time) == 3
    assert len(a.collections) == 3  # bands
    assert sum(line.get_linestyle() == ":" for line in b.lines) == 3
    assert labelled(c) == ["theory, $c^*$", "theory, t = 14", "untied samples", "tied samples"]
    assert {len(bars.lines[0].get_xdata()) for bars in c.containers} == {3}
    assert len(d.lines) == 3 * 3
    assert len(labelled(e)) == 3


def test_timescales_that_diverge_leave_the_panel_at_its_top(found):
    e = chen2018_figure1(found).axes[4]
    equal_inputs = e.lines[0]
    assert max(equal_inputs.get_ydata()) > e.get_ylim()[1]


def test_one_bias_mean_without_tied_networks():
    figure = chen2018_figure1(small(bias_means=[3.0], with_tied=False))
    figure.draw_without_rendering()
    assert figure.axes[1].get_title() == "b  no tied samples taken"
    assert "tied samples" not in labelled(figure.axes[2])


def test_at_most_seven_paths_are_drawn_and_both_ends_are_among_them():
    found = small(bias_means=range(-4, 5), with_tied=False, steps=6)
    key = chen2018_figure1(found).axes[5]
    means = [text.get_text() for text in key.artists[0].get_texts()]
    assert len(means) == 7
    assert (means[0], means[-1]) == (r"$\mu_b = -4$", r"$\mu_b = 4$")
