"""``rmt-jacobian freeness`` as a user types it."""

import json

import pytest

from rmt_jacobian.cli import main

SMALL = ["--width", 48, "--steps", 3, "--samples", 4]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["freeness", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


def test_text_has_both_tables_and_json_both_tests(run, tmp_path):
    status, out, _ = run("vanilla", *SMALL, "--json", "found.json")
    assert status == 0
    assert out.count("over the diagonal") == 2
    assert out.count("verdict:") == 3
    content = json.loads((tmp_path / "found.json").read_text())
    assert (content["steps"], content["width"], content["samples"]) == (3, 48, 4)
    names = ["m_1", "m_2", "alternating", "overlap"]
    for kind, verdict in (("untied", "free"), ("tied", "neither")):
        assert [row["name"] for row in content[kind]["rows"]] == names
        assert content[kind]["verdict"] == verdict
    assert content["shared"]["verdict"] == "not rejected"


def test_json_on_standard_output_is_all_of_it(run):
    status, out, err = run("minimalrnn", *SMALL, "--weights", "orthogonal", "--json", "-")
    assert status == 0
    assert json.loads(out)["weights"] == "orthogonal"
    assert "verdict" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["minimalrnn", "--steps", 1], "steps"),
        (["minimalrnn", "--samples", 1], "samples"),
        (["nonesuch"], "nonesuch"),
        (["vanilla", "-p", "weight_std=0", "-p", "bias_mean=0"], "zero"),
    ],
)
def test_bad_input_gets_one_line(run, arguments, words):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err.splitlines()[-1]
