"""One question for the stationary law, against quadrature, plain simulation and each other."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq

import rmt_jacobian as rj
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError


def _average(function, mean: float, q: float) -> float:
    def integrand(z: float) -> float:
        return function(mean + math.sqrt(q) * z) * math.exp(-z * z / 2)

    return quad(integrand, -12, 12, limit=300, epsabs=1e-13)[0] / math.sqrt(2 * math.pi)


VANILLA = {"weight_std": 1.4, "input_std": 0.6, "bias_mean": 0.5, "input_variance": 0.8}


def test_vanilla_by_quadrature() -> None:
    law = rj.stationary("vanilla", VANILLA)
    fixed = 0.6**2 * 0.8
    q = brentq(
        lambda q: 1.4**2 * _average(lambda e: math.tanh(e) ** 2, 0.5, q) + fixed - q, 0.3, 4.0,
        xtol=1e-13,
    )  # fmt: skip
    growth = 1.4**2 * _average(lambda e: math.cosh(e) ** -4, 0.5, q)
    assert law.variances["candidate"] == pytest.approx(q, rel=1e-9)
    assert law.growth_rate == pytest.approx(growth, rel=1e-9)
    assert law.growth_over(7) == pytest.approx(growth, rel=1e-9)
    assert law.timescale == pytest.approx(-1 / math.log(growth), rel=1e-8)
    (h,), (e,) = rj.vanilla.states, rj.vanilla.gates
    assert law.state_squares["h"] == pytest.approx((q - fixed) / 1.4**2, rel=1e-9)
    assert law.average(sp.cos(3 * e)) == pytest.approx(
        math.exp(-9 * q / 2) * math.cos(1.5), abs=1e-10
    )
    assert law.average(h**2 * sp.tanh(e) ** 2) == pytest.approx(law.state_squares["h"] ** 2)
    numbers = {"variances", "state_squares", "source_squares", "growth_rate", "timescale",
               "variance_timescale"}  # fmt: skip
    assert set(law.exact) == set(law.errors) == numbers


def test_averages_are_those_of_sites_within_their_error() -> None:
    law = rj.stationary("lstm", {"input_std": 1.0, "weight_std": 1.5})
    h, c = rj.lstm.states
    forget = rj.lstm.gates[0]
    sites = law.sites(2**16, seed=9)
    for expression in (sp.tanh(c) ** 2, h * sp.tanh(c), sp.cos(forget + c)):
        value, error = law.average_with_error(expression)
        assert 0 < error < 0.02
        assert abs(value - sites.average(expression)) < 2 * error + 1e-3
    assert "variances" not in law.exact


def test_frozen_biases_belong_to_the_site() -> None:
    values = {"input_std": 1.0, "update.bias_std": 1.5}
    frozen = rj.stationary("gru", values, biases="frozen")
    redrawn = rj.stationary("gru", values, biases="redrawn")
    assert frozen.parameters.bias_kind == "frozen"
    z = rj.gru.gates[0]
    for law in (frozen, redrawn):  # an average over one step does not tell
        q = law.variances["update"]
        expected = _average(lambda e: 1 / (1 + math.exp(-e)) ** 2, 0.0, q)
        value, error = law.average_with_error((1 / (1 + sp.exp(-z))) ** 2)
        assert value == pytest.approx(expected, abs=max(3 * error, 1e-9))
    assert frozen.state_squares["h"] != pytest.approx(redrawn.state_squares["h"], rel=1e-3)


def test_pairs() -> None:
    law = rj.stationary("gru", {"input_std": 1.0})
    pair, same = law.pair(0.5), law.pair()
    assert law.pair(0.5) is pair
    assert set(same.correlations.values()) == {1.0}
    assert same.chi == pytest.approx(law.growth_rate)
    assert 0 < pair.correlations["candidate"] < 1
    assert pair.chi < same.chi
    assert pair.errors["chi"] < 0.01
    assert repr(pair).startswith("<two gru, inputs 0.5: c update 0.")


def test_a_tied_network() -> None:
    point = {"weight_std": 1.5, "input_std": 0.0, "bias_std": 0.0}
    law = rj.stationary("vanilla", point, dynamics="tied", sites=4096)
    # Sompolinsky, Crisanti and Sommers in discrete time: the variance is the untied one.
    untied = rj.stationary("vanilla", point)
    q, error = law.variances["candidate"], law.errors["variances"]["candidate"]
    assert abs(q - untied.variances["candidate"]) < 2 * error + 0.01 * q
    assert law.sites().count == 4096
    (e,) = rj.vanilla.gates
    value, scatter = law.average_with_error(sp.tanh(e) ** 2)
    assert abs(value - law.state_squares["h"]) < 2 * scatter + 0.02
    assert 0 < law.correlation_time < 2
    assert repr(law).startswith("<tied vanilla: q candidate ")


def test_at_rest() -> None:
    law = rj.stationary("gru", {"input_std": 0.0}, dynamics="at_rest")
    assert [point.vanishes for point in law.points] == [True, False]
    assert law.point is law.points[-1]
    assert law.state_squares["h"] == pytest.approx(law.average(rj.gru.states[0] ** 2))
    assert law.spectral_radius == pytest.approx(rj.eigenvalue_law(law).spectral_radius, rel=0.01)
    assert law.stable == (law.spectral_radius < 1)


def test_every_law_takes_a_state_or_a_cell_by_name() -> None:
    point = {"input_std": 1.0}
    law = rj.stationary("gru", point)
    one = rj.singular_value_law(law, weights="gaussian", steps=2, sites=128)
    two = rj.singular_value_law("GRU", point, weights="gaussian", steps=2, sites=128)
    assert one.ppf(0.7) == two.ppf(0.7)
    assert rj.eigenvalue_law(law, sites=256).spectral_radius == pytest.approx(
        rj.eigenvalue_law(rj.gru, point, sites=256).spectral_radius
    )
    a, b = (
        rj.moments(*network, weights="orthogonal", steps=3, sites=256)
        for network in ((law,), ("gru", point))
    )
    assert (a.mean, a.second_moment) == (b.mean, b.second_moment)


def test_moments_with_their_errors() -> None:
    law = rj.stationary("gru", {"input_std": 1.0})
    found = rj.moments(law, weights="gaussian", steps=5, sites=1024)
    assert abs(found.mean - law.growth_over(5) ** 5) < 2 * found.mean_error + 1e-3 * found.mean
    many = rj.moments(law, weights="gaussian", steps=5, sites=2**14, seed=3)
    assert abs(found.second_moment - many.second_moment) < 3 * found.second_moment_error
    exact = rj.moments("minimalrnn", weights="orthogonal", steps=4)
    recursion = rj.exact_second_moment(rj.minimalrnn)
    parameters = rj.Parameters.of(rj.minimalrnn)
    assert exact.is_exact
    assert exact.second_moment == pytest.approx(
        recursion.evaluate(parameters, weights="orthogonal", steps=4)
    )


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: rj.stationary("gru", dynamics="frozen"), ParameterError, "'untied', 'tied'"),
        (lambda: rj.stationary("gru", biases="still"), ParameterError, "'frozen' or 'redrawn'"),
        (
            lambda: rj.stationary("gru", dynamics="tied", biases="redrawn"),
            HypothesisError,
            "keeps its biases",
        ),
        (lambda: rj.stationary("gruu"), ParameterError, "gru"),
        (lambda: rj.stationary("gru", {"update.weigth_std": 1}), ParameterError, "weight_std"),
        (lambda: rj.stationary("gru", sites=2.5), ParameterError, "sites"),
        (lambda: rj.stationary("vanilla").average("h**2"), ParameterError, "sympy expression"),
        (
            lambda: rj.stationary("vanilla").average(sp.Symbol("foo")),
            ParameterError,
            "foo is no variable of a site",
        ),
        (
            lambda: rj.lyapunov.lyapunov_exponents(
                rj.stationary("gru", dynamics="at_rest"), weights="gaussian", quantiles=[0.5]
            ),
            HypothesisError,
            "untied weights",
        ),
        (
            lambda: rj.eigenvalue_law(rj.stationary("vanilla"), {"weight_std": 1}),
            ParameterError,
            "has its own parameters",
        ),
        (
            lambda: rj.eigenvalue_law(rj.stationary("vanilla").sites(16), {"weight_std": 1}),
            ParameterError,
            "sites alone",
        ),
    ],
)
def test_what_is_refused(call, error, said: str) -> None:
    with pytest.raises(error) as refused:
        call()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_former_names_say_where_they_went() -> None:
    with pytest.warns(DeprecationWarning, match=r"use rmt_jacobian\.stationary"):
        former = rj.untied_state
    assert former is rj.mean_field.untied_state
    assert "untied_state" not in dir(rj)
    assert np.all([hasattr(rj, name) for name in rj.__all__])


def test_errors_of_averages_hold_what_the_variances_miss() -> None:
    """E[e^2] is a variance, so that both must have an error of one size."""
    h, e, x = sp.symbols("h e x", real=True)
    cell = rj.Cell("slow", (h,), x, (rj.Preactivation("g", e, h),), (sp.tanh(h / 2 + e),))
    law = rj.stationary(cell, {"weight_std": 0.88, "input_std": 0.1, "bias_mean": 0.0,
                               "bias_std": 0.0, "input_variance": 1.0})  # fmt: skip
    value, error = law.average_with_error(e**2)
    stated = law.errors["variances"]["g"]
    assert abs(value - law.variances["g"]) < 2 * (error + stated)
    assert error > stated / 3


def test_jumps_have_a_growth_rate_with_an_error() -> None:
    h, e, x = sp.symbols("h e x", real=True)
    cell = rj.Cell(
        "jumping", (h,), x, (rj.Preactivation("g", e, h),),
        (sp.tanh(h / 2 + e) + sp.Heaviside(e) / 2,),
    )  # fmt: skip
    law = rj.stationary(cell, {"weight_std": 1.0, "input_std": 0.5, "bias_mean": 0.0,
                               "bias_std": 0.0, "input_variance": 1.0})  # fmt: skip
    assert math.isfinite(law.growth_rate)
    assert 0 < law.errors["growth_rate"] < 0.01
    assert "growth_rate" not in law.exact
    assert law.same.chi == math.inf


def test_a_tolerance_is_that_of_the_stated_error() -> None:
    point = {"weight_std": 1.5, "input_std": 0.3}
    law = rj.stationary("vanilla", point, dynamics="tied", sites=2048, tolerance=4e-3)
    q = law.variances["candidate"]
    assert law.errors["variances"]["candidate"] <= 4e-3 * q
    assert rj.eigenvalue_law(law).spectral_radius > 0  # on the 2048 sites that there are
    with pytest.raises(ParameterError, match=r"solved for on 2048 sites, not 4096"):
        rj.eigenvalue_law(law, sites=4096)


def test_errors_where_terms_cancel_are_those_of_the_terms() -> None:
    rest = rj.stationary("gru", {"input_std": 0.0}, dynamics="at_rest")
    (h,) = rj.gru.states
    z = rj.gru.gates[0]
    free = rj.stationary("minimalrnn")
    (e,) = rj.minimalrnn.gates
    for law, odd in ((rest, h), (free, sp.tanh(e)), (rest, sp.tanh(z))):
        value, error = law.average_with_error(odd)
        assert abs(value) <= error + 1e-15
        assert 1e-14 < error < 1e-6


def test_a_fixed_point_is_refused_what_does_not_select_it() -> None:
    with pytest.raises(ParameterError, match=r"law\.points"):
        rj.stationary("gru", dynamics="at_rest", start_variance=0.0)
    with pytest.raises(ConvergenceError, match="larger tolerance"):
        rj.stationary("gru", {"input_std": 0.0}, dynamics="at_rest", tolerance=1e-15)


@pytest.mark.parametrize("name", list(rj._FORMER))
def test_every_former_name_is_there(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"rmt_jacobian.{name} goes"):
        assert callable(getattr(rj, name))


def test_one_point_is_solved_once() -> None:
    point = rj.Parameters.of(rj.vanilla, {"weight_std": 1.2345})
    assert rj.stationary(rj.vanilla, point).state is rj.mean_field.untied_state(rj.vanilla, point)


@pytest.mark.parametrize("count", [0, -3, 2.5, True])
def test_no_count_of_sites(count) -> None:
    laws = [rj.stationary("vanilla"), rj.stationary("gru", {"input_std": 0}, dynamics="at_rest")]
    for ask in (laws[0].sites, laws[1].sites, lambda n: laws[0].history(2, n)):
        with pytest.raises(ParameterError, match="count must be a whole number above 0"):
            ask(count)
    with pytest.raises(ParameterError, match="sites must be a whole number above 0"):
        rj.singular_value_law("vanilla", weights="gaussian", steps=1, sites=count)
