"""Samples as datasets: names of dimensions, values, and what was asked for."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.sampling import sample_log_singular_values

POINT = {"input_std": 1.0}
ASKED = {"weights": "gaussian", "width": 6, "samples": 3, "seed": 5, "workers": 1}


def test_singular_values_are_an_array_and_a_dataset():
    pytest.importorskip("xarray", reason="xarray is not installed")
    values = rj.sample_singular_values("gru", POINT, steps=2, **ASKED)
    found = values.to_xarray()
    assert found.singular_values.dims == ("network", "value")
    assert found.singular_values.values.tolist() == values.tolist()
    assert "singular values" in found.singular_values.attrs["long_name"]
    assert int(found.step) == found.attrs["steps"] == 2
    assert (found.attrs["cell"], found.attrs["seed"], found.attrs["tied"]) == ("gru", 5, 0)
    again = rj.Parameters.of(rj.gru, json.loads(found.attrs["parameters"]))
    assert again == rj.Parameters.of(rj.gru, POINT)


def test_what_is_computed_from_samples_is_an_ordinary_array():
    values = rj.sample_singular_values("gru", POINT, steps=1, **ASKED)
    assert type(values**2) is type(values.mean(axis=0)) is type(np.stack([values])) is np.ndarray
    assert type(values.max()) is np.float64
    assert repr(values) == repr(np.array(values))
    with pytest.raises(rj.ParameterError, match="and not of a part"):
        values[:2].to_xarray()
    copied = pickle.loads(pickle.dumps(values))
    assert copied.settings == values.settings
    assert copied.tolist() == values.tolist()
    assert pickle.loads(pickle.dumps(values[0])).tolist() == values[0].tolist()


def test_eigenvalues_of_a_cell_of_ones_own_bring_its_equations():
    pytest.importorskip("xarray", reason="xarray is not installed")
    cell = replace(rj.vanilla, name="own", updates=tuple(f / 2 for f in rj.vanilla.updates))
    values = rj.sample_eigenvalues(cell, POINT, **{**ASKED, "seed": np.random.SeedSequence(3)})
    found = values.to_xarray()
    assert found.eigenvalues.dtype == complex
    assert found.eigenvalues.shape == (3, 6)
    assert json.loads(found.attrs["equations"])["h"] == "tanh(e)/2"
    assert "entropy=3" in found.attrs["seed"]
    assert found.attrs["dynamics"] == "tied"


def test_moments_over_networks_and_steps():
    pytest.importorskip("xarray", reason="xarray is not installed")
    moments = rj.sample_moments("gru", POINT, steps=[4, 1], spectra_at=[4], spectra=2, **ASKED)
    found = moments.to_xarray()
    assert found["mean"].dims == ("network", "step")
    assert found.step.values.tolist() == [1, 4]
    assert found["second_moment"].sel(step=4).values.tolist() == (
        moments.second_moment[:, 1].tolist()
    )
    spectra = found["singular_values"]
    assert spectra.dims == ("network", "step", "value")
    assert spectra.sel(step=4)[:2].values.tolist() == moments.singular_values[4].tolist()
    assert np.isnan(spectra.sel(step=1)).all()
    assert np.isnan(spectra[2]).all()


def test_exponents_and_logarithms():
    pytest.importorskip("xarray", reason="xarray is not installed")
    sampled = rj.sample_lyapunov("gru", POINT, steps=5, **ASKED)
    found = sampled.to_xarray()
    assert found.exponents.values.tolist() == sampled.exponents.tolist()
    assert found.exponents.attrs["units"] == "1/step"
    assert found.coords["quantile"].values.tolist() == sampled.quantiles.tolist()
    assert found.attrs["transient"] == 0
    logs = sample_log_singular_values("gru", POINT, steps=2, **ASKED)
    assert logs.to_xarray().log_singular_values.values.tolist() == logs.values.tolist()


def test_a_dataset_is_written_to_a_file(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    sampled = rj.sample_moments("gru", POINT, steps=[1, 2], **ASKED).to_xarray()
    sampled.to_netcdf(tmp_path / "moments.nc", engine="scipy")
    with xarray.open_dataset(tmp_path / "moments.nc", engine="scipy") as read:
        assert read["mean"].values.tolist() == sampled["mean"].values.tolist()
        assert read.attrs["parameters"] == sampled.attrs["parameters"]


def test_without_xarray_it_says_what_to_install():
    code = """
import sys
sys.modules["xarray"] = None
import rmt_jacobian as rj
values = rj.sample_eigenvalues("gru", weights="gaussian", width=4, samples=2, workers=1)
try:
    values.to_xarray()
except rj.ParameterError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "to_xarray needs xarray: pip install 'rmt-jacobian[xarray]'\n"
