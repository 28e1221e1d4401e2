"""Laws that draw themselves, and values of a user beside a law."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import MarchenkoPastur, Semicircle

W = np.random.default_rng(0).standard_normal((2, 100, 100)) / 10
VALUES = np.linalg.svd(W, compute_uv=False)


@pytest.mark.parametrize(
    ("law", "label"),
    [
        (Semicircle(), "$x$"),
        (MarchenkoPastur(4.0), "$x$"),
        (rj.lyapunov_law("vanilla", {"weight_std": 2.0}, weights="gaussian"), "Lyapunov"),
    ],
)
def test_laws_draw_their_density(law, label: str) -> None:
    ax = law.plot(Figure().subplots())
    assert ax.get_xlabel().startswith(label)
    x, y = ax.lines[0].get_data()
    inside = (x > x[0]) & (x < x[-1])
    assert y[inside] == pytest.approx(law.pdf(x[inside]))
    assert ax.get_ylabel() == "density"


@pytest.mark.parametrize("squared", [False, True])
def test_a_law_of_singular_values_is_drawn_over_its_decades(squared: bool) -> None:
    law = rj.singular_value_law(
        "minimalrnn", weights="gaussian", steps=3, sites=128, squared=squared
    )
    ax = law.plot(Figure().subplots())
    assert r"\log" in ax.get_xlabel()
    x, y = ax.lines[0].get_data()
    assert y == pytest.approx(law.pdf(10**x) * 10**x * np.log(10))
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02)
    assert repr(law).startswith("<squared" if squared else "<singular values of 3 steps on ")


def test_values_beside_a_law() -> None:
    found = rj.compare(VALUES, "quarter-circle(2)")
    assert (found.samples, found.width, found.verdict) == (2, 100, "agrees")
    assert rj.compare(VALUES[0], "quarter-circle(3)").verdict == "fails"
    ax = rj.plot(VALUES, "quarter-circle(2)", Figure().subplots(), title="two matrices")
    assert ax.get_title() == "two matrices"
    assert "KS" in ax.get_legend().get_title().get_text()


def test_without_axes_it_is_drawn_where_pyplot_draws() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure()
    assert Semicircle().plot().figure is figure
    plt.close(figure)


def test_a_table_for_notebooks() -> None:
    html = MarchenkoPastur(4.0)._repr_html_()
    assert "atom at 0" in html
    assert "mass 0.75" in html
    assert (
        "&lt;" in rj.lyapunov_law("vanilla", {"weight_std": 2.0}, weights="gaussian")._repr_html_()
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, -0.5], "below 0"),
        ([1.0, np.nan], "not finite"),
        ([1.0 + 1j], "real numbers"),
        (["a"], "real numbers"),
        ([], "real numbers"),
        ([[1.0, 2.0], [3.0]], "one length"),
        (np.ones((2, 2, 2)), "shape"),
    ],
)
def test_what_is_no_spectrum_is_refused(values, said: str) -> None:
    for ask in (rj.compare, rj.plot):
        with pytest.raises(ParameterError, match=said) as refused:
            ask(values, "quarter-circle(2)")
        assert "\n" not in str(refused.value)


def test_a_law_says_how_many_states_a_site_has() -> None:
    law = rj.singular_value_law("lstm", {"input_std": 1.0}, weights="gaussian", steps=1, sites=64)
    assert law.states == 2
    values = np.ones((2, 40))
    assert rj.compare(values, law).width == 20
    ax = rj.plot(values, law, Figure().subplots())
    null = rj.compare(values, law).ks_null
    assert f"{null:.2g}" in ax.get_legend().get_title().get_text()
    assert rj.singular_value_law("vanilla", weights="gaussian", steps=1, sites=64).states == 1


def test_what_is_left_out_is_still_said() -> None:
    ax = rj.plot([1.0, 2.0, 3.0, 0.0, 0.0], "quarter-circle(2)", Figure().subplots(), log=True)
    assert "2 of 5 below rounding" in ax.get_xlabel()


def test_showing_a_law_does_not_solve_for_it() -> None:
    law = rj.singular_value_law("minimalrnn", weights="gaussian", steps=2, sites=64)
    assert law._repr_html_().startswith("<pre>&lt;singular values of 2 steps")
    law.median()
    assert "median" in law._repr_html_()


@pytest.mark.parametrize("law", [None, 3, [1.0]])
def test_what_is_no_law_is_refused(law) -> None:
    for ask in (rj.compare, rj.plot):
        with pytest.raises(ParameterError, match="a law has cdf and ppf"):
            ask(VALUES, law)
