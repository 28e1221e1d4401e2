"""Second moments over many steps: reference values, sampled networks, and both routes."""

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st
from scipy.optimize import brentq

from rmt_jacobian.cells import Cell, Parameters, Preactivation, minimalrnn, sigmoid, vanilla
from rmt_jacobian.derive import (
    Derivation,
    PairedMoments,
    diagonal_valued_recursion,
    exact_mean,
    exact_second_moment,
    exact_variance,
    one_step_moment,
    one_step_variance,
    printed_second_moment,
    s_transform_moment,
    s_transform_variance,
)
from rmt_jacobian.derive.quantities import Shorthand
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import SiteLaw, site_law
from tests.cells.two_gates import biased_gate, leaky, reads_the_state, two_gates
from tests.derive.matrix_free import diagonals, product_moments, stationary
from tests.in_turn import in_turn
from tests.mean_field.points import POINTS, Point

# Values computed independently of this package.
REFERENCE = json.loads(Path(__file__).with_name("minimalrnn_moments.json").read_text())
CELLS = [minimalrnn, vanilla, leaky("1/5"), biased_gate]
CLOSED_FORMS = CELLS[:3]  # that of the last takes half a minute


@pytest.mark.parametrize("entry", REFERENCE, ids=lambda entry: f"mu_b={entry['bias_mean']}")
def test_reference_values(entry: dict) -> None:
    names = ("weight_std", "input_std", "input_variance", "bias_mean")
    parameters = Parameters.of(minimalrnn, {name: entry[name] for name in names})
    law, known = site_law(minimalrnn, parameters), entry["mean_field"]
    found = {
        "Q": law.state_variance,
        "q": law.preactivation_variance,
        "chi1": law.chi1,
        "mu1": law.direct_gain,
        "mu2": parameters.only.weight_std**2 * law.weight_gain,
        "H4": law.state_moment(4),
    }
    assert found == pytest.approx(known, rel=1e-8)
    for row in entry["second_moment"]:
        weights, T = row["weights"], row["steps"]
        free = s_transform_moment(minimalrnn, 2).evaluate(law, weights=weights, steps=T)
        exact = exact_second_moment(minimalrnn).evaluate(law, weights=weights, steps=T)
        mean = exact_mean(minimalrnn).evaluate(law, weights=weights, steps=T)
        assert mean == pytest.approx(row["mean"], rel=1e-8)
        assert exact == pytest.approx(row["exact"], rel=1e-8)
        assert free == pytest.approx(row["s_transform"], rel=1e-8)
        printed = printed_second_moment(law, weights=weights, steps=T)
        assert printed == pytest.approx(row["printed"], rel=1e-8)


ALSO_PAIRED = ["saturated", "leaky", "biased gate", "random biases"]  # see below


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.thorough) if name in ALSO_PAIRED else name
        for name in POINTS
        if name != "long memory"
    ],
)
def test_moments_of_wide_networks(name: str) -> None:
    point, rng, width, T = POINTS[name], np.random.default_rng(21), 2**15, 4
    law = site_law(point.cell, point.parameters)
    found: dict[str, list] = {"gaussian": [], "orthogonal": []}
    for _ in range(12):
        start = stationary(point, law.preactivation_variance, width, rng)
        for weights, rows in found.items():
            rows.append(product_moments(point, start, T, weights, rng))
    for weights, rows in found.items():
        mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(12)
        expected = [law.chi1**T, diagonal_valued_recursion(point.cell).evaluate(
            law, weights=weights, steps=T)]  # fmt: skip
        # Student's t with 11 degrees of freedom is beyond 5.5 once in 5000; the bias of order
        # T^2 / N is far below that.
        assert (abs(mean - expected) < 5.5 * error + 1e-10).all()


@cache
def paired_over_sites(name: str, T: int, weights: str, samples: int) -> tuple[np.ndarray, ...]:
    """Paired theory on independent sites drawn from the mean field, without any matrix."""
    point, width = POINTS[name], 2**15
    law = site_law(point.cell, point.parameters)
    group, rng, rows = point.parameters.only, np.random.default_rng(31), []
    for _ in range(samples):
        h = stationary(point, law.preactivation_variance, width, rng)
        theory = PairedMoments.identity(h)
        for _ in range(T):
            x = point.inputs(rng, (width,))
            q = (
                group.weight_std**2 * np.mean(h**2)
                + group.input_std**2 * np.mean(x**2)
                + group.bias_std**2
            )
            e = group.bias_mean + math.sqrt(q) * rng.standard_normal(width)
            A, B = diagonals(point, h, x, e)
            theory = theory.step(
                A,
                B,
                weight_variance=group.weight_std**2,
                s_1=-1.0 if weights == "gaussian" else 0.0,
            )
            h = point.update(h, x, e)
        rows.append((theory.mean, theory.second_moment))
    return np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(samples)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights"),
    in_turn(ALSO_PAIRED, ["gaussian", "orthogonal"]),
)
def test_the_recursion_against_the_paired_theory(name: str, weights: str) -> None:
    point, T = POINTS[name], 8
    mean, error = paired_over_sites(name, T, weights, 10)
    law = site_law(point.cell, point.parameters)
    second = diagonal_valued_recursion(point.cell).evaluate(law, weights=weights, steps=T)
    assert (abs(mean - [law.chi1**T, second]) < 5.5 * error + 1e-9).all()


VALUES = {
    "weight_std": st.floats(0.0, 12.0),
    "input_std": st.floats(0.05, 5.0),
    "bias_mean": st.floats(-3.0, 5.0),
    "bias_std": st.floats(0.0, 3.0),
    "input_variance": st.floats(0.05, 2.0),
}


@pytest.mark.slow
@settings(max_examples=20)
@given(
    cell=st.sampled_from([minimalrnn, vanilla]),
    values=st.fixed_dictionaries(VALUES),
    steps=st.integers(1, 40),
    weights=st.sampled_from(["gaussian", "orthogonal"]),
)
def test_closed_form_against_the_recursion(
    cell: Cell, values: dict[str, float], steps: int, weights: str
) -> None:
    if cell is vanilla and values["weight_std"] < 0.01:
        return  # 0/0, see below
    law = site_law(cell, Parameters.of(cell, values))
    iterated = diagonal_valued_recursion(cell).evaluate(law, weights=weights, steps=steps)
    closed = exact_second_moment(cell).evaluate(law, weights=weights, steps=steps)
    assert closed == pytest.approx(iterated, rel=1e-10, abs=0)
    variance = exact_variance(cell).evaluate(law, weights=weights, steps=steps)
    assert variance == pytest.approx(
        iterated - law.chi1 ** (2 * steps), rel=1e-8, abs=1e-9 * closed
    )


@cache
def law_next_to_the_critical_point(distance: float) -> SiteLaw:
    values = {"input_std": 1.39, "input_variance": 0.46}

    def excess(weight_std: float) -> float:
        parameters = Parameters.of(minimalrnn, values, weight_std=weight_std)
        return site_law(minimalrnn, parameters).chi1 - 1 - distance

    weight_std = brentq(excess, 5.0, 8.0, xtol=1e-15)
    return site_law(minimalrnn, Parameters.of(minimalrnn, values, weight_std=weight_std))


@pytest.mark.parametrize("distance", [-1e-6, 1e-6, 1e-9, 1e-12, 0.0])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_closed_form_next_to_the_critical_point(distance: float, steps: int) -> None:
    law = law_next_to_the_critical_point(distance)
    iterated = diagonal_valued_recursion(minimalrnn).evaluate(law, steps=steps)
    closed = exact_second_moment(minimalrnn).evaluate(law, steps=steps)
    assert closed == pytest.approx(iterated, rel=1e-10, abs=0)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_without_weights_only_the_gates_are_left(cell: Cell) -> None:
    parameters = Parameters.of(cell, weight_std=0, input_std=1.5, input_variance=0.5)
    law = site_law(cell, parameters)
    fourth = law.average(cell.state_derivatives[0][0] ** 4)
    for T in (1, 2, 7):
        iterated = diagonal_valued_recursion(cell).evaluate(law, steps=T)
        assert iterated == pytest.approx(fourth**T, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_one_step_by_every_route(cell: Cell, weights: str) -> None:
    parameters = Parameters.of(
        cell, weight_std=1.7, input_std=0.8, bias_mean=0.3, bias_std=0.4, input_variance=0.5
    )
    law = site_law(cell, parameters)
    expected = one_step_moment(cell, 2).evaluate(law, weights=weights)
    routes = [diagonal_valued_recursion(cell), s_transform_moment(cell, 2)]
    if cell in CLOSED_FORMS:
        routes.append(exact_second_moment(cell))
    for route in routes:
        found = route.evaluate(law, weights=weights, steps=1)
        assert found == pytest.approx(expected, rel=1e-12)
    spread = one_step_variance(cell).evaluate(law, weights=weights)
    assert spread == pytest.approx(expected - law.chi1**2, rel=1e-11)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("T", [2, 9])
def test_a_constant_gate_is_free(weights: str, T: int) -> None:
    # A scalar commutes with everything: successive Jacobians of the leaky cell are free.
    point = POINTS["leaky"]
    exact = diagonal_valued_recursion(point.cell).evaluate(
        point.parameters, weights=weights, steps=T
    )
    free = s_transform_moment(point.cell, 2).evaluate(point.parameters, weights=weights, steps=T)
    assert exact == pytest.approx(free, rel=1e-11)


def spelled_out(derivation: Derivation) -> sp.Expr:
    expression = derivation.expression
    for _ in range(3):
        for symbol, quantity in derivation.symbols.items():
            if isinstance(quantity, Shorthand):
                expression = expression.subs(symbol, quantity.expression)
    return expression


def test_the_vanilla_variance_is_the_known_one() -> None:
    # (sigma_w^2 mu_1)^{2T} T (mu_2 / mu_1^2 - 1 - s_1) with mu_k = E[phi'^{2k}]
    mu_1, mu_2, s_1 = sp.symbols("E_B2 E_B4 s_1", real=True)
    sigma, T = sp.Symbol("sigma_w", positive=True), sp.Symbol("T", positive=True, integer=True)
    bracket = mu_2 / mu_1**2 - 1 - s_1
    for derivation in (exact_variance(vanilla), s_transform_variance(vanilla)):
        found = spelled_out(derivation)
        for steps in (1, 2, 3, 7):
            expected = (sigma**2 * mu_1) ** (2 * steps) * steps * bracket
            assert sp.simplify(found.subs(T, steps) - expected) == 0


def test_the_vanilla_averages_are_those_of_its_slope() -> None:
    parameters = Parameters.of(vanilla, weight_std=1.4, input_std=0.3, input_variance=1)
    law = site_law(vanilla, parameters)
    slope = 1 - sp.tanh(vanilla.gates[0]) ** 2
    mu_1, mu_2 = law.average(slope**2), law.average(slope**4)
    for weights, s_1 in (("gaussian", -1), ("orthogonal", 0)):
        found = exact_variance(vanilla).evaluate(law, weights=weights, steps=6)
        expected = (1.96 * mu_1) ** 12 * 6 * (mu_2 / mu_1**2 - 1 - s_1)
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_s_transform_route_of_the_weights_alone(k: int) -> None:
    # A linear network: Fuss-Catalan moments for Gaussian weights, 1 for orthogonal ones.
    h, x, e = sp.symbols("h x e", real=True)
    linear = Cell("linear", (h,), x, (Preactivation("a", e, h),), (e,))
    derivation = s_transform_moment(linear, k)
    for T in (1, 2, 5):
        values = {"sigma_w": 1, "T": T, "s_1": -1, "s_2": 1}
        symbols = {symbol: values[symbol.name] for symbol in derivation.symbols}
        fuss_catalan = sp.binomial((T + 1) * k, k) / (T * k + 1)
        assert derivation.expression.subs(symbols) == fuss_catalan
        haar = {**symbols, sp.Symbol("s_1", real=True): 0, sp.Symbol("s_2", real=True): 0}
        assert derivation.expression.subs(haar) == 1


@pytest.mark.parametrize(
    "derive",
    [
        exact_mean,
        exact_second_moment,
        exact_variance,
        s_transform_variance,
        one_step_variance,
        lambda cell: s_transform_moment(cell, 3),
        lambda cell: one_step_moment(cell, 4),
    ],
)
@pytest.mark.parametrize("cell", CLOSED_FORMS, ids=lambda cell: cell.name)
def test_text_reads_back_and_every_symbol_has_a_meaning(derive, cell: Cell) -> None:
    derivation = derive(cell)
    meanings = derivation.meanings()
    assert all(meanings.values())
    read = sp.sympify(derivation.text())
    assert {symbol.name for symbol in read.free_symbols} <= set(meanings)
    by_name = {symbol.name: symbol for symbol in derivation.symbols}
    renamed = read.subs({symbol: by_name[symbol.name] for symbol in read.free_symbols})
    values = {symbol: 1.1 + 0.13 * k for k, symbol in enumerate(derivation.symbols)}
    values[sp.Symbol("T", positive=True, integer=True)] = 3
    difference = (renamed - derivation.expression).subs(values)
    assert float(difference) == pytest.approx(
        0, abs=1e-9 * abs(float(derivation.expression.subs(values)))
    )
    assert derivation.latex()


def test_a_direct_part_that_reads_the_state_is_refused() -> None:
    with pytest.raises(HypothesisError, match="previous state"):
        diagonal_valued_recursion(reads_the_state)
    with pytest.raises(HypothesisError):
        exact_second_moment(reads_the_state)


def test_cells_with_two_gates_are_refused() -> None:
    with pytest.raises(HypothesisError):
        diagonal_valued_recursion(two_gates)


@pytest.mark.parametrize("steps", [0, -3, 2.5, None])
def test_steps_out_of_domain(steps: object) -> None:
    law = site_law(vanilla, Parameters.of(vanilla))
    with pytest.raises((ParameterError, TypeError)):
        exact_second_moment(vanilla).evaluate(law, steps=steps)  # pyright: ignore
    with pytest.raises((ParameterError, TypeError)):
        diagonal_valued_recursion(vanilla).evaluate(law, steps=steps)  # pyright: ignore


def test_unknown_weights() -> None:
    with pytest.raises(ParameterError, match="gaussian"):
        exact_second_moment(vanilla).evaluate(Parameters.of(vanilla), weights="haar", steps=2)


def in_double_precision(derivation: Derivation, law, **given) -> float:
    """The printed formula as a reader would compute it, shorthands first."""
    values = {
        symbol: derivation._number(symbol, quantity, law, "gaussian", given.get("steps"))
        for symbol, quantity in derivation.symbols.items()
        if not isinstance(quantity, Shorthand)
    }
    waiting = derivation.shorthands()
    while waiting:
        for symbol, expression in list(waiting.items()):
            if expression.free_symbols <= values.keys():
                symbols = tuple(expression.free_symbols)
                function = sp.lambdify(symbols, expression, modules="math")
                values[symbol] = float(function(*(values[s] for s in symbols)))
                del waiting[symbol]
    symbols = tuple(derivation.expression.free_symbols)
    function = sp.lambdify(symbols, derivation.expression, modules="math")
    return float(function(*(values[symbol] for symbol in symbols)))


@pytest.mark.parametrize("distance", [0.0, 1e-15, -1e-12, 1e-9, 1e-6])
def test_the_printed_formula_keeps_its_digits_at_criticality(distance: float) -> None:
    """It was divided by chi_1 - 1; a recursion in exact fractions of the same averages is not."""
    names = {"input_std": 4.8, "bias_mean": 4.0, "input_variance": 0.46}

    def excess(weight_std: float) -> float:
        given = Parameters.of(minimalrnn, names, weight_std=weight_std)
        return site_law(minimalrnn, given).chi1 - 1 - distance

    weight_std = brentq(excess, 3.0, 9.0, xtol=1e-15, rtol=1e-15)
    law = site_law(minimalrnn, Parameters.of(minimalrnn, names, weight_std=weight_std))
    for steps in (1, 5, 40):
        iterated = diagonal_valued_recursion(minimalrnn).evaluate(law, steps=steps)
        for derivation in (
            exact_second_moment(minimalrnn),
            exact_second_moment(minimalrnn).at_steps(steps),
        ):
            found = in_double_precision(derivation, law, steps=steps)
            assert found == pytest.approx(iterated, rel=1e-11)


def test_the_sum_over_the_steps_is_named_and_has_its_limit() -> None:
    variance = exact_variance(minimalrnn)
    (symbol,) = (s for s in variance.symbols if s.name == "sum_chi_1")
    assert "t = 0, ..., T - 1" in variance.meanings()["sum_chi_1"]
    growth = sp.Symbol("chi_1", positive=True)
    for chi in (1, sp.Rational(1, 2), 3):
        given = variance.shorthands()[symbol].subs(
            {growth: chi, sp.Symbol("T", positive=True, integer=True): 7}
        )
        assert given == sum(sp.sympify(chi) ** t for t in range(7))


def minimalrnn_with_symbols(names: str) -> Cell:
    h, x, e = sp.symbols(names, real=True)
    update = sigmoid(e) * h + (1 - sigmoid(e)) * x
    return Cell(f"with {names}", (h,), x, (Preactivation("update", e, h),), (update,))


@pytest.mark.parametrize(
    "names",
    [
        "d m_1 T",
        "s_1 sigma_w chi_1",
        *(pytest.param(each, marks=pytest.mark.thorough) for each in ("x h z", "A B G", "F G A")),
    ],
)
def test_the_names_of_symbols_do_not_matter(names: str) -> None:
    cell = minimalrnn_with_symbols(names)
    values = {"weight_std": 6.88, "input_std": 1.39, "input_variance": 0.46}
    for derive in (one_step_variance, s_transform_variance, exact_variance):
        found = derive(cell).evaluate(Parameters.of(cell, values), steps=5)
        expected = derive(minimalrnn).evaluate(Parameters.of(minimalrnn, values), steps=5)
        assert found == pytest.approx(expected, rel=1e-11)


def test_point_helper_matches_the_cells() -> None:
    """The updates written by hand are those of the cells under test."""
    rng = np.random.default_rng(0)
    h, x, e = rng.normal(size=(3, 4))
    for point in POINTS.values():
        assert isinstance(point, Point)
        symbols = (*point.cell.states, point.cell.input, *point.cell.gates)
        f = sp.lambdify(
            symbols, point.cell.updates[0], [{"sigmoid": lambda v: 1 / (1 + np.exp(-v))}, "numpy"]
        )
        assert f(h, x, e) == pytest.approx(point.update(h, x, e), rel=1e-13)


def test_laws_of_other_cells_are_refused() -> None:
    law = site_law(vanilla, Parameters.of(vanilla))
    for found in (exact_second_moment(minimalrnn), diagonal_valued_recursion(minimalrnn)):
        with pytest.raises(ParameterError, match="that of 'vanilla', not of 'minimalrnn'"):
            found.evaluate(law, steps=2)


@pytest.mark.parametrize("find", [exact_mean, exact_second_moment, exact_variance])
def test_frozen_biases_of_a_cell_with_memory_are_refused(find):
    """With them a site that keeps its state keeps it: at T = 10 the formula is off by 1e4."""
    values = {"weight_std": 1, "input_std": 1, "input_variance": 1, "bias_std": 2}
    frozen = Parameters.of(minimalrnn, values, bias_kind="frozen")
    with pytest.raises(HypothesisError, match=r"redrawn.*moments"):
        find(minimalrnn).evaluate(frozen, steps=10)
    find(minimalrnn).evaluate(frozen.with_values({"bias_std": 0}), steps=10)
    # Without memory the steps are free of each other, whatever the biases do.
    p = Parameters.of(vanilla, values, bias_kind="frozen")
    fresh = find(vanilla).evaluate(replace(p, bias_kind="redrawn"), steps=10)
    assert find(vanilla).evaluate(p, steps=10) == pytest.approx(fresh, rel=0.05)
