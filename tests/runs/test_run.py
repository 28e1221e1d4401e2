"""Specifications of runs."""

import pytest

from rmt_jacobian.cells import Parameters, gru, minimalrnn, vanilla, vanilla_cell
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.runs import Axis, Ensemble, Grid, Run, Sweep, read_run

ENSEMBLE = 'cell = "gru"\nweights = "gaussian"\nsteps = 2\nwidth = 16\nsamples = 3\n'


@pytest.fixture
def read(tmp_path):
    def of(text):
        path = tmp_path / "spec.toml"
        path.write_text(text)
        return read_run(path)

    return of


def test_an_ensemble(read):
    run = read(ENSEMBLE + "seed = 9\ntied = true\n[parameters.update]\nbias_mean = 1\n")
    assert run.work == Ensemble("gaussian", 2, 16, 3, seed=9, tied=True)
    assert run.cell == gru
    # What is not given is taken from the typical point of the cell.
    assert run.parameters == Parameters.of(gru).with_values({"update.bias_mean": 1.0})
    assert run.layout().shape_of("singular_values") == (3, 16)


def test_a_name_without_a_group_speaks_for_all_groups(read):
    run = read(ENSEMBLE + '[parameters]\nweight_std = 2.5\n"reset.weight_std" = 1.5\n')
    named = run.parameters.named()
    assert [named[f"{group}.weight_std"] for group in ("update", "reset", "candidate")] == [
        2.5, 1.5, 2.5,
    ]  # fmt: skip


def test_a_grid(read):
    run = read(
        ENSEMBLE + "[grid]\nweight_std = [1.0, 2.0]\n"
        "update.bias_mean = { from = -1, to = 1, points = 3 }\n"
    )
    assert run.layout().tasks == {"weight_std": 2, "update.bias_mean": 3, "sample": 3}
    at = run.parameters_at((1, 2, 0)).named()
    assert (at["update.weight_std"], at["candidate.weight_std"]) == (2.0, 2.0)
    assert (at["update.bias_mean"], at["reset.bias_mean"]) == (1.0, 0.0)
    assert len(list(run.layout().indices())) == 18


def test_a_logarithmic_range():
    axis = Axis.of("weight_std", {"from": 0.01, "to": 100, "points": 5, "spacing": "log"})
    assert axis.values == pytest.approx((0.01, 0.1, 1, 10, 100))


def test_a_sweep(read):
    run = read(
        'cell = "vanilla"\nquantity = ["chi_1", "variance"]\nsteps = 4\nweights = "orthogonal"\n'
        "[grid]\nweight_std = [1.0, 2.0]\n"
    )
    assert run.work == Sweep(("chi_1", "variance"), weights="orthogonal", steps=4)
    assert run.layout().shape_of("variance") == (2,)


WRONG = {
    "widht = 3": "no key 'widht': did you mean width?",
    "weight_std = 3": r"move it into the table \[parameters\]",
    "frequency = 3": "known: cell, quantity",
    "sites = 100": "sites has no effect on sampled spectra",
    "[parameters]\nweigth_std = 1": "did you mean weight_std",
    "[parameters]\nweight_std = -1": "must be >= 0",
    '[parameters]\nweight_std = "1"': "parameters.weight_std must be a number, not '1'",
    "[parameters]\nweight_std = true": "must be a number",
    "[parameters]\nweight_std = [1, 2]": r"a list belongs into \[grid\]",
    "[grid]\nweight_std = 1": "must be a list of numbers, or a table",
    "[grid]\nweight_std = []": "different numbers in order",
    "[grid]\nweight_std = [1, 1]": "different numbers in order",
    "[grid]\nweight_std = [1, 'a']": "must hold numbers, not 'a'",
    "[grid]\nweight_std = [1, inf]": "must hold finite numbers",
    "[grid]\nweight_std = [-1, 1]": "must be >= 0",
    "[grid]\nspeed = [1, 2]": "no parameter 'speed'",
    "[grid]\nweight_std = { from = 1, to = 2 }": "weight_std needs points",
    "[grid]\nweight_std = { from = 1, to = 2, points = 1 }": "a whole number above 1",
    "[grid]\nweight_std = { from = 1, to = 2, points = 3, step = 1 }": "has no 'step'",
    "[grid]\nweight_std = { from = 0, to = 2, points = 3, spacing = 'log' }": "ends above 0",
    "[grid]\nweight_std = { from = 0, to = 2, points = 3, spacing = 'odd' }": "linear",
    "parameters = 3": "parameters must be a table",
    "seed = -1": "seed must be a whole number, at least 0",
    "seed = 1.5": "seed must be a whole number",
    "tied = 1": "tied must be true or false",
    "inputs = 'odd'": "input",
    "biases = 'odd'": "biases must be one of frozen, redrawn, not 'odd'",
    "spectrum = 'odd'": "unknown spectrum 'odd': use one of plain, log",
    "device = 'tpu'": "unknown device 'tpu'",
    "dtype = 'float16'": "unknown dtype",
    "a = ": "is not valid TOML",
    "[parameters]\nweight_std = 1\n[grid]\nweight_std = [1, 2]": r"both in \[parameters\] and",
    "[parameters]\ninput_variance = 0\n[grid]\ninput_std = [1, 2]": "input_variance is 0; leave",
    "[parameters]\nupdate.bias_mean = 1\n[grid]\nbias_mean = [1, 2]": "grid.bias_mean sets it too",
    "[parameters]\nbias_std = 1\nupdate.bias_std = 2\nreset.bias_std = 3\n[grid]\n"
    "candidate.bias_std = [1, 2]": "parameters.bias_std has no effect",
}

# Axes that matter somewhere, if not everywhere.
RIGHT = {
    "[grid]\ninput_std = [0, 1]\ninput_variance = [0, 1]": 4,
    "[parameters]\ninput_std = 0\n[grid]\nupdate.input_std = [0, 1]": 2,
    "[parameters]\ninput_std = 0\nreset.input_std = 1\n[grid]\ninput_variance = [1, 2]": 2,
    "[grid]\nbias_mean = [0, 1]\nupdate.bias_mean = [0, 1]": 4,
    "[parameters]\nbias_mean = 1\n[grid]\nupdate.bias_mean = [0, 1]": 2,
    "[grid]\ncandidate.weight_std = [0, 1]\nreset.weight_std = [1, 2]": 4,
}


@pytest.mark.parametrize("text", RIGHT)
def test_axes_that_change_something_are_taken(read, text):
    assert len(list(read(ENSEMBLE + text).layout().indices())) == 3 * RIGHT[text]


def test_the_input_itself_matters_to_the_minimalrnn(read):
    text = "[parameters]\ninput_std = 0\n[grid]\ninput_variance = [0.5, 1]"
    assert read(ENSEMBLE.replace("gru", "minimalrnn") + text).grid.shape == (2,)
    with pytest.raises(ParameterError, match=r"grid.input_variance has no effect: input_std is 0"):
        read(ENSEMBLE.replace("gru", "vanilla") + text)


@pytest.mark.parametrize("text", WRONG)
def test_wrong_lines_are_refused(read, text):
    with pytest.raises(ParameterError, match=WRONG[text]) as refused:
        read(ENSEMBLE + text + "\n")
    assert "spec.toml" in str(refused.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("weights = 'odd'", "unknown weights 'odd'"),
        ("steps = 0", "steps must be a whole number, at least 1"),
        ("width = 'wide'", "width must be a whole number"),
        ("samples = true", "samples must be a whole number"),
        ("cell = 'gruu'", "did you mean gru"),
        ("cell = 3", "write cell ="),
    ],
)
def test_wrong_values_are_refused(read, line, message):
    key = line.split(" ")[0]
    kept = "\n".join(each for each in ENSEMBLE.splitlines() if not each.startswith(key))
    with pytest.raises(ParameterError, match=message):
        read(f"{kept}\n{line}\n")


@pytest.mark.parametrize("key", ["weights", "steps", "width", "samples", "cell"])
def test_what_is_missing_is_named(read, key):
    kept = "\n".join(each for each in ENSEMBLE.splitlines() if not each.startswith(key))
    with pytest.raises(ParameterError, match="missing"):
        read(kept)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('quantity = "chi"', "unknown quantity 'chi': use one or more of spectrum, chi_1"),
        ("quantity = 3", "a name or a list of names"),
        ("quantity = []", "one or more"),
        ('quantity = ["chi_1", "chi_1"]', "different"),
        ('quantity = "chi_1"\nwidth = 8', "width has no effect on quantities of the theory"),
        ('quantity = "variance"\nweights = "fast-gaussian"', "have the same limits"),
        ('quantity = "spectral_radius"\ndynamics = "odd"', "untied, tied, fixed-point"),
        ('quantity = "timescale"\ninput_correlation = 2', r"\[-1, 1\]"),
        ('quantity = "chi_1"\nsites = 3', "at least 64"),
    ],
)
def test_wrong_sweeps_are_refused(read, lines, message):
    with pytest.raises(ParameterError, match=message):
        read(f'cell = "gru"\n{lines}\n')


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ParameterError, match=r"cannot read .*No such file"):
        read_run(tmp_path / "none.toml")


def test_a_specification_survives_json(read):
    import json

    run = read(ENSEMBLE + "[grid]\nweight_std = [0.1, 0.30000000000000004]\n")
    named = run.named()
    assert json.loads(json.dumps(named)) == named
    assert named["grid"] == {"weight_std": [0.1, 0.30000000000000004]}
    assert "equations" not in named


def test_a_cell_of_ones_own_is_recorded_by_its_equations():
    def run(activation):
        cell = vanilla_cell(activation, name="mine")
        work = Ensemble("gaussian", 1, 4, 1)
        return Run(cell, Parameters.of(cell, weight_std=1, input_std=0, input_variance=1), work)

    assert run("tanh").named()["equations"]["h"] == "tanh(e)"
    assert run("tanh").named() != run("erf").named()


def test_axes_must_differ():
    axis = Axis("weight_std", (1.0, 2.0))
    with pytest.raises(ParameterError, match="twice"):
        Grid((axis, axis))
    with pytest.raises(ParameterError, match="coarser"):
        Grid(tuple(Axis(name, tuple(range(200))) for name in ("a", "b", "c")))


def test_samples_are_those_of_the_spectrum_command():
    """Without a grid, sample k of a seed is the same network everywhere in the package."""
    from rmt_jacobian.sampling import sample_singular_values

    point = Parameters.of(minimalrnn)
    work = Ensemble("orthogonal", steps=3, width=12, samples=4, seed=6)
    together = sample_singular_values(
        minimalrnn, point, weights="orthogonal", steps=3, width=12, samples=4, seed=6, workers=1
    )
    for k in range(4):
        found = work.tasks(minimalrnn, point, (k,))["singular_values"]()
        assert found.tolist() == together[k].tolist()


def test_samples_differ_between_points_and_samples():
    work = Ensemble("gaussian", steps=1, width=6, samples=2)
    point = Parameters.of(vanilla)
    found = {
        tuple(work.tasks(vanilla, point, index)["singular_values"]())
        for index in [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1)]
    }
    assert len(found) == 6


def test_log_spectra_agree_with_plain_ones_and_say_how_well_they_are_known():
    import numpy as np

    point = Parameters.of(vanilla, weight_std=0.9, input_std=0.1, input_variance=1)
    plain = Ensemble("orthogonal", steps=5, width=10, samples=1)
    logs = Ensemble("orthogonal", steps=5, width=10, samples=1, spectrum="log")
    tasks = logs.tasks(vanilla, point, (0,))
    values = tasks["log_singular_values"]()
    expected = np.log(plain.tasks(vanilla, point, (0,))["singular_values"]())
    assert values == pytest.approx(expected, abs=1e-10)
    errors = tasks["log_errors"]()
    assert errors.shape == values.shape
    assert np.all((errors > 0) & (errors < 1e-10))
    assert set(logs.results(vanilla)) == set(tasks)
