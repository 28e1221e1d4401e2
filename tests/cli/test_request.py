"""What every command shares: files checked before any work, settings, tables, completion."""

import csv
import json
import os
import subprocess
import sys

import pytest

from rmt_jacobian.cells import CELL_NAMES, Parameters, gru

LAW = ("--law", "semicircle(1)", "--law", "semicircle(2)", "--add", "--points", "16")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convolve", *LAW, "--json", "a.png", "--figure", "a.png"), "are the same file, a.png"),
        (("convolve", *LAW, "--json", "a", "--csv", "./a"), "are the same file, "),
        (("convolve", *LAW, "--json", "-", "--csv", "-"), "cannot both go to standard output"),
        (("convolve", *LAW, "--csv", "."), "it is a folder"),
        (("spectrum", "vanilla", "--out", "x.npz", "--json", "x.npz"), "are the same file, "),
        (("verify", "--out", "r", "--json", "r/report.json"), "--json and --out both write"),
        (("density", "gru", "--config", "a.toml", "--json", "a.toml"), "are the same file, "),
    ],
)
def test_files_are_checked_against_each_other(run, tmp_path, arguments, words):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_table_holds_the_columns_of_the_json(run):
    status, _, err = run("convolve", *LAW, "--csv", "law.csv", "--json", "law.json")
    assert (status, err) == (0, "")
    with open("law.csv", newline="") as file:
        names, *rows = csv.reader(file)
    with open("law.json") as file:
        content = json.load(file)
    assert names == ["x", "density"]
    for column, name in zip(zip(*rows, strict=True), names, strict=True):
        assert list(map(float, column)) == content[name]


def test_a_table_on_standard_output_is_alone_there(run):
    status, out, err = run("mean-field", "vanilla", "--csv", "-")
    assert status == 0
    assert out.splitlines()[0] == "name,value,error"
    assert "q*" in err


@pytest.mark.parametrize("biases", ["frozen", "redrawn"])
def test_settings_say_all_that_an_answer_depends_on(run, biases):
    point = ("-p", "update.bias_std=0.5", "-p", "input_variance=0.5", "--biases", biases)
    status, _, err = run(
        "spectrum", "gru", *point, "--inputs", "tanh", "--width", 4, "--samples", 2, "--steps", 2,
        "--weights", "orthogonal", "--seed", 3, "--tied", "--out", "x.npz", "--json", "x.json",
    )  # fmt: skip
    assert status == 0, err
    with open("x.json") as file:
        found = json.load(file)
    expected = {"cell": "gru", "biases": biases, "inputs": "tanh", "width": 4, "samples": 2,
                "steps": 2, "weights": "orthogonal", "seed": 3, "tied": True, "log": False,
                "dtype": "float64", "device": "cpu"}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert (
        found["parameters"]
        == Parameters.of(gru, {"update.bias_std": 0.5, "input_variance": 0.5}).named()
    )
    assert not {"json", "out", "figure", "csv", "workers"} & set(found)


def completed(*words):
    line = ["rmt-jacobian", *words]
    done = subprocess.run(
        [sys.executable, "-c", "from rmt_jacobian.cli import main; main()"],
        env={**os.environ, "_RMT_JACOBIAN_COMPLETE": "bash_complete",
             "COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(line) - 1)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [item.partition(",")[2] for item in done.stdout.split()]


def test_a_shell_completes_cells_and_parameters():
    assert completed("density", "g") == [name for name in CELL_NAMES if name.startswith("g")]
    own = [f"{name}=" for name in Parameters.of(gru).named() if name.startswith("res")]
    assert len(own) > 3
    assert completed("density", "gru", "-p", "res") == own
    assert completed("density", "gru", "-p", "bias_") == ["bias_mean=", "bias_std="]
