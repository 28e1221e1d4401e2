"""What is said to change nothing changes no bit of a sampled spectrum; all else does."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, cell_named, gru, lstm, vanilla
from rmt_jacobian.cells.effects import idle, set_by, unread
from rmt_jacobian.sampling import sample_singular_values

POINTS = {
    "no input": {"input_variance": 0.0, "input_std": 1.0},
    "no V": {"input_variance": 1.0, "input_std": 0.0},
    "neither": {"input_variance": 0.0, "input_std": 0.0},
    "both": {"input_variance": 1.0, "input_std": 1.0},
}


def spectrum(cell, parameters):
    return sample_singular_values(
        cell, parameters, weights="gaussian", steps=2, width=6, samples=1, seed=3
    )


@pytest.mark.parametrize(
    ("name", "where"),
    [
        *((name, where) for name in ("vanilla", "minimalrnn") for where in POINTS),
        ("gru-reset-after", "both"),
        *(
            pytest.param("gru-reset-after", where, marks=pytest.mark.thorough)
            for where in ("no input", "no V", "neither")
        ),
    ],
)
def test_what_is_idle_and_nothing_else_changes_no_bit(name, where):
    cell = cell_named(name)
    point = Parameters.of(
        cell, {"weight_std": 1.3, "bias_mean": 0.2, "bias_std": 0.5, **POINTS[where]}
    )
    before = spectrum(cell, point)
    own = point.named()
    found = idle(cell, point, list(own))
    assert set(found) <= {"input_variance"} | {each for each in own if each.endswith("input_std")}
    for each, value in own.items():
        alone = spectrum(cell, point.with_values({each: value + 0.7}))
        if each in found:
            assert np.array_equal(alone, before), each
        elif where != "neither" and (name, where) != ("minimalrnn", "no input"):
            # While both are 0 each is idle, and a minimalRNN without input is at rest at 0.
            assert not np.array_equal(alone, before), each


@pytest.mark.filterwarnings("ignore::rmt_jacobian.errors.RoundingWarning")  # J loses rank
@pytest.mark.parametrize(
    "name", ["minimalrnn", "gru", pytest.param("lstm-peephole", marks=pytest.mark.thorough)]
)
def test_preactivations_that_no_state_reads_change_no_bit(name):
    cell = cell_named(name)
    point = Parameters.of(
        cell, {"weight_std": 1.3, "bias_mean": 0.2, "bias_std": 0.5, "input_std": 1.0}
    )
    silent = [each for each in point.named() if each.endswith("weight_std")]
    for zero in silent:
        there = point.with_values({zero: 0.0})
        before = spectrum(cell, there)
        for each in cell.preactivations:
            moved = there.with_values({f"{each.name}.bias_mean": 0.9})
            same = np.array_equal(spectrum(cell, moved), before)
            assert same == (each.name in unread(cell, there)), (zero, each.name)


def test_one_reset_gate_is_unread_without_the_weights_it_gates():
    assert unread(gru, Parameters.of(gru, {"candidate.weight_std": 0.0})) == {"reset"}
    assert unread(lstm, Parameters.of(lstm, weight_std=0.0)) == set()


def test_a_name_for_all_groups_is_idle_where_each_has_its_own():
    point = Parameters.of(gru)
    own = list(set_by(gru, "bias_mean"))
    assert idle(gru, point, ["bias_mean", *own[:2]]) == {}
    assert list(idle(gru, point, ["bias_mean", *own])) == ["bias_mean"]
    assert idle(vanilla, Parameters.of(vanilla), ["weight_std", "candidate.weight_std"]) == {
        "weight_std": "candidate.weight_std has the last word"
    }
