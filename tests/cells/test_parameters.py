import dataclasses
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, strategies as st

from rmt_jacobian.cells import (
    Parameters,
    PreactivationParameters,
    cell_and_parameters,
    cell_named,
    compile_cell,
    gru,
    gru_reset_after,
    leaky,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.cells.parameter_names import GROUP_FIELDS
from rmt_jacobian.errors import ParameterError, SpecificationError
from tests.cells.two_gates import two_gates

positive = st.floats(0, 1e6)


@given(st.tuples(positive, positive, st.floats(-1e6, 1e6), positive, positive))
def test_named_values_read_back(values: tuple[float, ...]) -> None:
    names = ("weight_std", "input_std", "bias_mean", "bias_std", "input_variance")
    given_values = dict(zip(names, values, strict=True))
    parameters = Parameters.of(minimalrnn, **given_values)
    assert parameters.named() == given_values
    assert Parameters.of(minimalrnn, parameters.named()) == parameters


def test_groups_by_name_go_before_values_for_all() -> None:
    named = {"reset.weight_std": 3, "candidate.bias_mean": -1, "weight_std": 2}
    parameters = Parameters.of(two_gates, named, input_std=1, input_variance=0.5)
    assert [parameters[g].weight_std for g in ("reset", "candidate")] == [3, 2]
    assert [parameters[g].bias_mean for g in ("reset", "candidate")] == [0, -1]
    assert Parameters.of(two_gates, parameters.named()) == parameters


def test_the_point_of_the_cell_fills_the_gaps() -> None:
    assert Parameters.of(minimalrnn).only.weight_std == 6.88
    assert Parameters.of(minimalrnn, input_std=1).named() == {
        **Parameters.of(minimalrnn).named(),
        "input_std": 1.0,
    }
    found = Parameters.of(gru, {"weight_std": 2, "reset.weight_std": 5}, input_std=0)
    assert [group.weight_std for _, group in found.groups] == [2, 5, 2]


@pytest.mark.parametrize("missing", ["weight_std", "input_std", "input_variance"])
def test_missing_values_are_named(missing: str) -> None:
    values = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0}
    del values[missing]
    with pytest.raises(ParameterError, match=f"two gates needs {missing}"):
        Parameters.of(two_gates, values)


def test_other_values_are_checked_like_the_first() -> None:
    point = Parameters.of(gru, input_std=0)
    assert point.with_values({"update.weight_std": 4})["update"].weight_std == 4
    with pytest.raises(ParameterError, match="'weigth_std': did you mean weight_std"):
        point.with_values({"weigth_std": 3})
    with pytest.raises(ParameterError, match="bias_mean must be a number"):
        point.with_values(bias_mean="much")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ParameterError, match="has no W, leave it out"):
        Parameters.of(gru_reset_after, input_std=0).with_values({"candidate_input.weight_std": 1})


def test_a_cell_without_typical_values_asks_for_them() -> None:
    with pytest.raises(ParameterError, match="two gates needs weight_std"):
        Parameters.of(two_gates)


@pytest.mark.parametrize("name", ["weight_std", "input_std", "bias_std", "input_variance"])
@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf, -math.inf])
def test_values_out_of_domain(name: str, value: float) -> None:
    values = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0, name: value}
    with pytest.raises(ParameterError, match=name):
        Parameters.of(vanilla, values)


def test_a_bias_mean_may_be_negative_but_not_infinite() -> None:
    values = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0}
    assert Parameters.of(vanilla, values, bias_mean=-3).only.bias_mean == -3
    with pytest.raises(ParameterError, match="bias_mean"):
        Parameters.of(vanilla, values, bias_mean=math.nan)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("weight_sd", "did you mean weight_std"),
        ("updat.weight_std", "did you mean update.weight_std"),
        ("weight_std.update", "did you mean update.weight_std"),
        ("forget.weight_std", "its preactivations are update"),
        ("zzz", "known: weight_std"),
    ],
)
def test_unknown_names_get_a_hint(name: str, hint: str) -> None:
    values = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0, name: 1.0}
    with pytest.raises(ParameterError, match=hint):
        Parameters.of(minimalrnn, values)


@pytest.mark.parametrize("value", [math.nan, -1.0])
def test_a_number_out_of_its_domain_is_named_as_it_was_given(value: float) -> None:
    values = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0}
    with pytest.raises(ParameterError, match=r"^candidate\.weight_std"):
        Parameters.of(two_gates, {**values, "candidate.weight_std": value})
    with pytest.raises(ParameterError, match=r"^weight_std"):
        Parameters.of(two_gates, {**values, "weight_std": value})
    with pytest.raises(ParameterError, match=r"^reset\.input_std"):
        Parameters.of(two_gates, values).with_values({"reset.input_std": value})


def test_a_parameter_that_a_preactivation_cannot_have() -> None:
    with pytest.raises(ParameterError, match="'candidate_input' has no W, leave it out"):
        Parameters.of(gru_reset_after, {"candidate_input.weight_std": 1.0}, input_std=0)


@pytest.mark.parametrize("value", ["two", None, [1.0]])
def test_values_that_are_not_numbers(value: object) -> None:
    with pytest.raises(ParameterError, match="weight_std must be a number"):
        Parameters.of(vanilla, weight_std=value, input_std=1, input_variance=1)  # pyright: ignore


def test_with_values_replaces_in_every_group() -> None:
    parameters = Parameters.of(two_gates, weight_std=2, input_std=1, input_variance=0.5)
    changed = parameters.with_values(weight_std=3.0, input_variance=0.25)
    assert [group.weight_std for _, group in changed.groups] == [3.0, 3.0]
    assert changed.input_variance == 0.25
    assert changed["reset"].input_std == 1.0
    with pytest.raises(ParameterError, match="weight_std"):
        parameters.with_values(weight_std=-1.0)


def test_tanh_inputs_have_a_variance_below_one() -> None:
    with pytest.raises(ParameterError, match="below 1"):
        Parameters.of(vanilla, input_kind="tanh")


@given(positive, positive, positive, positive, positive, st.floats(-1, 1))
def test_preactivation_covariance(w: float, v: float, b: float, y: float, r: float, c: float):
    group = Parameters.of(vanilla, weight_std=w, input_std=v, bias_std=b, input_variance=0.5).only
    expected = np.array([w, v, b]) ** 2 @ np.array([y * c, r * c, 1.0])
    size = np.array([w, v, b]) ** 2 @ np.array([y, r, 1.0])
    assert group.preactivation_covariance(y * c, r * c) == pytest.approx(
        expected, abs=4e-16 * size + 1e-300
    )
    assert group.preactivation_variance(y, r) == group.preactivation_covariance(y, r)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GRUX", "unknown cell 'GRUX': did you mean gru"),
        ("vanilla:linaer", "unknown activation 'linaer': did you mean linear"),
        ("minimalrnn:relu", "has no activation to choose"),
        (3, "a cell must be one of rmt_jacobian or its name, such as 'gru', not 3"),
    ],
)
def test_names_of_cells(name: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        cell_named(name)
    assert cell_named(gru) is gru
    assert cell_named("Minimal RNN") is minimalrnn
    assert cell_named("GRU:Linear").name == "gru:identity"


def test_the_names_of_a_group_are_its_fields():
    assert tuple(each.name for each in dataclasses.fields(PreactivationParameters)) == GROUP_FIELDS


def test_constants_of_a_cell():
    point = Parameters.of(leaky, weight_std=2)
    assert point.constants == (("leak", 0.5),)
    assert point.with_values(leak=0.25).named()["leak"] == 0.25
    assert Parameters.of(leaky, point.named()) == point
    with pytest.raises(ParameterError, match="did you mean leak"):
        Parameters.of(leaky, leek=0.25)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        Parameters.of(leaky, leak=-1)
    with pytest.raises(ParameterError, match="constants leak"):
        Parameters.of(vanilla).check_cell(leaky)
    slow = leaky.at({"leak": 0.125})
    assert Parameters.of(slow).constants == (("leak", 0.125),)  # what was put in stays
    assert cell_and_parameters(slow)[0] == slow
    assert cell_and_parameters(slow, point)[0] == leaky.at(point.constants)
    other = dataclasses.replace(leaky.constants[0], symbol=sp.Symbol("bias_std"))
    with pytest.raises(SpecificationError, match="cannot be called 'bias_std'"):
        dataclasses.replace(leaky, constants=(*leaky.constants, other))
    assert leaky.at({"leak": 1}).memory == ()  # without a memory it is a vanilla network of rates
    with pytest.raises(SpecificationError, match="needs numbers for leak"):
        compile_cell(leaky)
