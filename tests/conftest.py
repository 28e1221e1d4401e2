"""Fixtures and settings that all tests share."""

import os
import warnings
from pathlib import Path
from typing import Any

import array_api_compat.numpy
import array_api_strict
import pytest
import scipy.linalg
from hypothesis import settings
from threadpoolctl import threadpool_limits

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports matplotlib
# Test processes share the cores; BLAS threads of several of them only wait for one another.  The
# limit is that of the libraries that are loaded, hence of SciPy's too.
assert scipy.linalg
threadpool_limits(int(os.environ.get("OPENBLAS_NUM_THREADS", "1")))

# A shared machine can stall any single example; the time of the whole suite is what is watched.
settings.register_profile("local", deadline=None)
if "CI" not in os.environ:  # hypothesis has its own profile there: no deadline, fixed examples
    settings.load_profile("local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that run the thorough tests too, and that name a built documentation."""
    parser.addoption("--thorough", action="store_true", help="run the thorough tests as well")
    parser.addoption("--site", type=Path, help="built documentation to open in a browser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the thorough tests, except where they are asked for."""
    if config.getoption("--thorough"):
        return
    left = [item for item in items if "thorough" in item.keywords]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if "thorough" not in item.keywords]


def _cupy_or_skip() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy warns where it finds no CUDA
        cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
        import array_api_compat.cupy
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    if devices == 0:
        pytest.skip("no CUDA device")
    return array_api_compat.cupy


@pytest.fixture(
    params=["numpy", "array_api_strict", "torch", pytest.param("cupy", marks=pytest.mark.gpu)],
)
def xp(request: pytest.FixtureRequest) -> Any:
    """Return an array namespace: NumPy, the strict reference, PyTorch, CuPy with a GPU."""
    if request.param == "numpy":
        return array_api_compat.numpy
    if request.param == "array_api_strict":
        return array_api_strict
    if request.param == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
        import array_api_compat.torch as found

        return found
    return _cupy_or_skip()


# Comparisons are relative unless a test names an absolute tolerance: the 1e-12 that pytest allows
# by itself decides those of small numbers.
type(pytest.approx(1.0)).DEFAULT_ABSOLUTE_TOLERANCE = 0.0
