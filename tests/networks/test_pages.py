"""The code of the pages on networks of one's own runs as it stands."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

import rmt_jacobian as rj

ROOT = Path(__file__).parents[2]


def printed_by(blocks: list[str], names: dict[str, object]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in blocks:
            exec(compile(block, "page", "exec"), names)  # our own file
    return printed.getvalue()


def test_the_page_on_networks() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/networks.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    out = printed_by(blocks, names)
    assert "update: weight_std" in out
    assert "layer 1: " in out
    path = names["path"]
    assert isinstance(path, rj.Trajectory)
    assert np.all(np.isfinite(path.log_singular_values(30)))


@pytest.mark.slow
def test_the_gru_of_the_readme() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    found = [each for each in blocks if "rj.torch." in each]
    assert len(found) == 2
    names: dict[str, object] = {"rj": rj}
    out = printed_by(found, names)
    assert "like independent entries" in out
    assert "now" in out
    assert isinstance(names["monitor"], rj.torch.Monitor)
