"""What every command shares: files checked before any work, settings, tables, completion."""

import csv
import json
import os
import subprocess
import sys
import threading

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


SMALL = ("--width", 8, "--samples", 2, "--steps", 2, "--out", "x.npz")


@pytest.mark.parametrize(
    ("point", "note"),
    [
        (("vanilla", "-p", "input_std=1", "-p", "input_variance=0"),
         "input_std has no effect: input_variance is 0"),
        (("vanilla", "-p", "input_std=0", "-p", "input_variance=2"),
         "input_variance has no effect: input_std is 0"),
        (("gru", "-p", "input_std=0", "-p", "input_variance=2"),
         "input_variance has no effect: every input_std is 0"),
        (("vanilla", "-p", "weight_std=1", "-p", "candidate.weight_std=2"),
         "weight_std has no effect: candidate.weight_std has the last word"),
        (("minimalrnn", "-p", "input_std=0", "-p", "input_variance=2"), None),
        (("vanilla", "-p", "input_variance=0", "-p", "bias_std=1"), None),
        (("gru", "-p", "bias_mean=1", "-p", "reset.bias_mean=2"), None),
    ],
)  # fmt: skip
def test_a_value_without_effect_is_noted(run, point, note):
    status, out, err = run("spectrum", *point, *SMALL)
    assert status == 0
    notes = [line for line in err.splitlines() if line.startswith("rmt-jacobian")]
    assert notes == ([] if note is None else [f"rmt-jacobian: {note}"])
    assert "no effect" not in out


def test_a_value_of_a_file_without_effect_is_noted(run, tmp_path):
    (tmp_path / "point.toml").write_text("input_std = 1\ninput_variance = 0\n")
    status, out, err = run("mean-field", "vanilla", "--config", "point.toml", "--json", "-")
    assert (status, json.loads(out)["cell"]) == (0, "vanilla")
    assert err.splitlines()[-1] == "rmt-jacobian: input_std has no effect: input_variance is 0"


def test_a_file_of_values_is_read_once(run, tmp_path):
    """A pipe, such as the shell makes of <(...), can be read no second time."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("weight_std = 1.5\n",))
    writer.start()
    status, out, err = run("mean-field", "vanilla", "--config", "pipe", "--json", "-")
    writer.join()
    assert status == 0, err
    assert json.loads(out)["parameters"]["weight_std"] == 1.5


@pytest.mark.parametrize(
    ("content", "assigned", "message"),
    [
        ("weight_std = -1", "bias_mean=1", "--config: point.toml: weight_std"),
        ("weight_std = 1", "bias_mean=nan", "rmt-jacobian: bias_mean"),
        ("weight_std = -1", "bias_mean=nan", "rmt-jacobian: "),
        ("input_variance = 1", "input_variance=0.5", None),
        ("weight_std = -1", "weight_std=1", None),
    ],
)
def test_who_has_given_a_wrong_value(run, tmp_path, content, assigned, message):
    (tmp_path / "point.toml").write_text(content)
    variance = () if "variance" in content else ("-p", "input_variance=0.5")
    status, _, err = run(
        "mean-field", "vanilla", "--config", "point.toml", "-p", assigned, *variance,
        "--inputs", "tanh",
    )  # fmt: skip
    assert status == (0 if message is None else 2), err
    assert (message or "") in err
