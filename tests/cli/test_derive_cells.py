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
