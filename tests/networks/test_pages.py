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


def of_page(*, having: str = "", without: tuple[str, ...] = ()) -> list[str]:
    page = (ROOT / "docs/networks.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return [each for each in blocks if having in each and not any(one in each for one in without)]


def test_the_page_on_networks() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    blocks = of_page(without=("keras", "jax"))
    assert len(blocks) == 4
    names: dict[str, object] = {}
    out = printed_by(blocks, names)
    assert "update: weight_std" in out
    assert "layer 1: " in out
    path = names["path"]
    assert isinstance(path, rj.Trajectory)
    assert np.all(np.isfinite(path.log_singular_values(30)))


@pytest.mark.parametrize(
    ("having", "libraries"), [("keras", ("jax", "keras")), ("jax", ("jax", "flax"))]
)
# Of Keras's own variables, when it copies them.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_page_on_networks_of_other_libraries(having: str, libraries: tuple[str, ...]) -> None:
    for library in libraries:
        pytest.importorskip(library, reason=f"{library} is not installed")
    blocks = of_page(having=having)
    assert len(blocks) == 2
    names: dict[str, object] = {"np": np, "rj": rj}
    assert float(printed_by(blocks, names)) < 1
    assert "critical" in str(names["report"])


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
