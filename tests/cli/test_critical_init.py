"""``rmt-jacobian critical-init`` for gated cells."""

import json

import pytest

from rmt_jacobian.cli import main
from rmt_jacobian.cli.critical_init import with_error

FIXED = [
    "-p", "update.bias_mean=1", "-p", "update.weight_std=0.5", "-p", "reset.weight_std=0.5",
    "--steps", "2",
]  # fmt: skip


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["critical-init", *arguments])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


def test_what_was_tried_and_what_kind_of_point_it_is(run):
    status, out, err = run("gru", *FIXED, "--json", "-")
    assert status == 0
    found = json.loads(out)
    assert found["solved_for"] == ["candidate.weight_std"]
    assert found["parameters"]["update.weight_std"] == 0.5
    assert found["growth_rate"] == pytest.approx(1, abs=1e-8)
    assert found["growth_error"] == 0  # averages of a GRU are closed forms
    assert found["minimum"] is True
    assert found["binding"] == {}
    assert 0 < found["variance_error"] < 0.05 * found["relative_variance"]
    names = [each["name"] for each in found["starts"]]
    assert found["start"] in names
    assert "PyTorch uniform, rescaled" in names
    assert "the growth rate alone determines the one that is free." in err
    assert "chosen" in err
    assert "+-" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["gru", "-p", "update.weight_std=1", "--free", "update.weight_std"],
            "update.weight_std is both fixed, at 1, and free: leave out one of the two",
        ),
        (["gru", "--free", "update.bias_std"], "bias_std cannot be solved for"),
        (["lstm", "--free", "update.weight_std"], "no parameter 'update.weight_std'"),
        (["lstm", "--free", "forget.bias_mean"], "a weight_std must be free"),
        (["lstm", "-p", "weight_std=1"], "a weight_std must be free"),
    ],
)
def test_contradictions_get_one_line(run, tmp_path, arguments, words):
    status, out, err = run(*arguments, "--json", "found.json")
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert not (tmp_path / "found.json").exists()


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (13.6063, 0.0169, "13.606 +- 0.017"),
        (1.0, 0.0, "1"),
        (1234.5, 25.0, "1234 +- 25"),
        (0.99998, 1.3e-4, "0.99998 +- 0.00013"),
        (2.0, float("inf"), "2"),
    ],
)
def test_digits_follow_the_error(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.slow
def test_shared_weights(run):
    # A cell of one preactivation is asked for by its hyperparameters too.
    point = ["-p", "input_std=2", "-p", "bias_mean=2", "-p", "input_variance=0.46"]
    options = ["--tied", "--horizon", "20", "--steps", "2", "--json", "-"]
    status, out, err = run("minimalrnn", *point, *options)
    assert status == 0
    found = json.loads(out)
    assert found["solved_for"] == ["weight_std"]
    assert (found["dynamics"], found["growth_steps"]) == ("tied", 20)
    assert found["growth_rate"] == pytest.approx(1, abs=1e-4)
    assert found["critical_untied"]["name"] == "critical for fresh weights"
    assert found["critical_untied"]["growth_error"] > 0
    assert "growth, 20 steps" in err
    assert "critical for fresh weights" in err
    assert "growth in the end" in err


def test_a_horizon_belongs_to_shared_weights(run):
    status, out, err = run("gru", "--horizon", "20")
    assert (status, out) == (2, "")
    assert "--horizon belongs to shared weights: add --tied, or leave it out" in err
