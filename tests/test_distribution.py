"""The wheel and the source distribution, as they are built from this tree."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import rmt_jacobian
from rmt_jacobian.cells import minimalrnn

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def run(*arguments: object, cwd: Path) -> str:
    found = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def built(kind: str, source: Path, folder: Path) -> Path:
    run("-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the source distribution gives, as an installer without wheels makes it."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return built("wheel", source, tmp_path_factory.mktemp("wheel"))


def test_both_bear_the_version(sdist: Path, wheel: Path) -> None:
    assert sdist.name == f"rmt_jacobian-{rmt_jacobian.__version__}.tar.gz"
    assert wheel.name == f"rmt_jacobian-{rmt_jacobian.__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    packaged = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "rmt_jacobian").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == packaged
    assert "rmt_jacobian/py.typed" in held


def test_the_source_distribution_holds_the_tests_and_the_documentation(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "tests/test_distribution.py", "docs/conf.py"} <= names


def test_what_is_installed_from_the_wheel_works(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel)
    run(*pip, cwd=tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(target)!r}); import rmt_jacobian as rj; "
        "print(rj.__file__, rj.stationary('minimalrnn').growth_rate); "
        "from rmt_jacobian.cli import main; main(['derive', 'vanilla', '--variance'])"
    )
    place, chi, *text = run("-P", "-c", program, cwd=tmp_path).split()
    assert Path(place).is_relative_to(target)
    here = rmt_jacobian.stationary(minimalrnn).growth_rate
    assert float(chi) == pytest.approx(here, rel=1e-12)
    assert text
