"""``rmt-jacobian derive`` for cells with several states and preactivations."""

import json

import pytest

from rmt_jacobian.cells import Parameters, lstm
from rmt_jacobian.mean_field import untied_state
from rmt_jacobian.pencils import product_moments_of


def test_the_variance_of_the_lstm_is_that_of_its_chain(run):
    status, out, _ = run(
        "derive", "lstm", "--variance", "-p", "input_std=1", "--weights", "orthogonal",
        "--json", "-",
    )  # fmt: skip
    assert status == 0
    state = untied_state(lstm, Parameters.of(lstm).with_values(input_std=1.0))
    expected = product_moments_of(state, "orthogonal", 1).variance
    assert json.loads(out)["value"] == pytest.approx(expected, rel=0.01)


def test_shared_weights_add_a_term(run):
    status, out, err = run("derive", "minimalrnn", "--tied", "--steps", 2)
    assert (status, err) == (0, "")
    assert "2*sigma_w**2*E(A_1)*E(A_2*B_1*B_2)" in out
    status, out, _ = run("derive", "leaky", "--tied", "--steps", 2, "--json", "-")
    assert status == 0
    content = json.loads(out)
    assert "leak" in content["extra"]
    assert content["symbols"] == {"C": "1 - tanh(h)**2"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", 5], "1 to 4 steps"),
        (["--steps", "T"], "whole number"),
        (["--moment", 2], "--moment 1"),
        (["--weights", "gaussian"], "leave out"),
        (["-p", "weight_std=2"], "leave out"),
    ],
)
def test_what_shared_weights_have_no_expression_for(run, arguments, words):
    status, out, err = run("derive", "minimalrnn", "--tied", *arguments)
    assert (status, out) == (2, "")
    assert words in err


@pytest.mark.parametrize("cell", ["gru", "gru-reset-after", "lstm-peephole"])
def test_every_cell_has_moments(run, cell):
    status, out, err = run("derive", cell, "--moment", 2)
    assert (status, err) == (0, "")
    assert "sigma_candidate" in out
    assert "average over sites" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["gru", "--moment", 2, "--steps", 3],
        ["lstm", "--variance", "--steps", "T"],
        ["lstm", "--moment", 2, "--steps", 3, "--route", "s-transform"],
    ],
)
def test_many_steps_are_refused_with_what_to_use_instead(run, arguments):
    status, out, err = run("derive", *arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "rmt_jacobian.moments" in err
