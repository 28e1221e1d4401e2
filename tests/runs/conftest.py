"""Small runs, and folders as bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.runs import Ensemble, Run


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that reads every file below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    return read


@pytest.fixture
def run() -> Run:
    """Return an ensemble of six small networks."""
    work = Ensemble("orthogonal", steps=3, width=8, samples=6, seed=3)
    return Run(minimalrnn, Parameters.of(minimalrnn), work)
