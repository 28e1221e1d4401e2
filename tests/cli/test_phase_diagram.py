"""``rmt-jacobian phase-diagram`` as a user types it."""

import json
import math

import click
import pytest

from rmt_jacobian.cells import Parameters, gru
from rmt_jacobian.cli import _status
from rmt_jacobian.cli.phase_diagram import phase_diagram_command
from rmt_jacobian.mean_field import fixed_points


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command inside the group, whose exit codes are part of what is tested."""
    from rmt_jacobian import cli

    group = click.Group("rmt-jacobian", commands={"phase-diagram": phase_diagram_command})
    monkeypatch.setattr(cli, "_commands", group)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = _status(["phase-diagram", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_bifurcations_that_were_asked_for(run, tmp_path):
    status, out, err = run(
        "gru", "--candidate-std", 1.5, "--candidate-std", 1.9, "--json", "found.json"
    )
    assert (status, err) == (0, "")
    content = json.loads((tmp_path / "found.json").read_text())
    assert [a for a, _ in content["bifurcation"]] == [1.5, 1.9]
    assert [r for _, r in content["bifurcation"]] == pytest.approx([74.49, 5.381], rel=1e-3)
    assert content["cell"] == "gru"
    assert content["version"]
    assert "5.381" in out


def test_default_grid_and_figure(run, tmp_path):
    status, out, err = run("gru", "--json", "-", "--figure", "found.png")
    assert status == 0
    content = json.loads(out)
    stds = [a for a, _ in content["bifurcation"]]
    assert stds == sorted(stds)
    assert len(stds) > 30
    assert math.sqrt(2) < stds[0] < 1.42
    assert 1.99 < stds[-1] < 2
    thresholds = [r for _, r in content["bifurcation"]]
    assert thresholds == sorted(thresholds, reverse=True)
    edge = content["marginal_edge"]
    assert edge[-1] == pytest.approx([6.546, 0.0], abs=5e-4)
    assert [a for a, _ in edge] == sorted(a for a, _ in edge)
    assert "wrote found.png" in err
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_has_its_own_curve(run):
    status, _, _ = run("gru", "--candidate-std", 1.7, "--figure", "found.svg")
    assert status == 0


@pytest.mark.parametrize("candidate_std", [1.4, 2.0, 2.5, -1.7, "nan"])
def test_where_nothing_appears(run, candidate_std, tmp_path):
    status, out, err = run("gru", "--candidate-std", candidate_std, "--json", "found.json")
    assert status == 2
    assert "strictly between sqrt(2) and 2" in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not (tmp_path / "found.json").exists()


@pytest.mark.parametrize("cell", ["lstm", "vanilla", "gru-reset-after"])
def test_other_cells_are_refused(run, cell):
    status, _, err = run(cell)
    assert status == 2
    assert "only that of gru" in err


BAD = [
    (["gruu"], "did you mean gru?"),
    (["gru", "--candidate-std", "much"], "'much' is not a valid float"),
    (["gru", "--candidate-std", "inf"], "strictly between sqrt(2) and 2"),
    (["gru", "--figure", "found.bmp"], ".png, .pdf or .svg"),
    (["gru", "--figure", "file/found.png"], "cannot write"),
    (["gru", "--json", "file/found.json"], "cannot write"),
    (["gru", "--json", "."], "it is a folder"),
    (["gru", "-p", "weight_std=1"], "No such option"),
    (["gru", "lstm"], "unexpected extra argument"),
    ([], "Missing argument 'CELL'"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_arguments(run, tmp_path, arguments, words):
    (tmp_path / "file").write_text("a file, no folder")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_bifurcation_against_the_fixed_points_themselves(run):
    """Just below the threshold only zero solves the equations, just above two others do."""
    status, out, _ = run("gru", "--candidate-std", 1.8, "--json", "-")
    assert status == 0
    ((a_h, threshold),) = json.loads(out)["bifurcation"]
    base = {"update.weight_std": 1.0, "candidate.weight_std": a_h, "input_std": 0.0}
    counts = [
        len(fixed_points(gru, Parameters.of(gru, {**base, "reset.weight_std": a_r},
                                            input_variance=1.0)))
        for a_r in (0.99 * threshold, 1.01 * threshold)
    ]  # fmt: skip
    assert counts == [1, 3]
