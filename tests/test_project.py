"""What the files of the project promise about each other."""

import ast
import contextlib
import importlib
import io
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import rmt_jacobian

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = sorted((ROOT / "rmt_jacobian").rglob("*.py"))
MODULES = sorted(module.name for module in pkgutil.iter_modules(rmt_jacobian.__path__))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def source_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_readme_shows_the_command_that_ci_runs() -> None:
    command = text(".ci/run").splitlines()[-1]
    assert command.startswith("python3 -m venv .venv && ")
    assert command in text("README.md").splitlines()


def test_readme_shows_the_command_that_verifies() -> None:
    command = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/rmt-jacobian verify"
    assert command in text("README.md").splitlines()


def test_version_is_the_same_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert rmt_jacobian.__version__ == version
    assert f"## [{version}]" in text("CHANGELOG.md")
    assert f"version: {version}" in text("CITATION.cff").splitlines()


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_module_is_under_500_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 500


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_module_never_executes_text(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        place = f"{name} at line {node.lineno}"
        assert name not in {"eval", "exec", "pickle.load", "pickle.loads"}, place
        assert name.split(".")[-1] != "parse_expr", place
        if name.split(".")[-1] == "sympify":  # which evaluates strings, unless it is strict
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            assert options.get("strict") == "True", f"{place} needs strict=True"


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_data_classes_are_frozen(path: Path) -> None:
    open_ones = {"AverageBook", "Chain", "SitesOnCircle", "LapCounter"}  # which fill as they work
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name not in open_ones:
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            assert all(
                "frozen=True" in text for text in decorators if text.startswith("dataclass")
            ), f"{node.name} at line {node.lineno}"


def test_import_is_light() -> None:
    heavy = {"sympy", "matplotlib", "torch", "keras", "jax", "flax", "equinox"}
    code = f"import sys, rmt_jacobian; print(*sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_top_level_names_resolve() -> None:
    assert len(set(rmt_jacobian.__all__)) == len(rmt_jacobian.__all__)
    for name in rmt_jacobian.__all__:
        assert getattr(rmt_jacobian, name) is not None
    assert set(rmt_jacobian.__all__) <= set(dir(rmt_jacobian))


def test_every_public_name_is_in_one_group_of_the_reference() -> None:
    groups = tomllib.loads(text("docs/api_groups.toml"))["group"]
    grouped = sorted(name for group in groups for name in group["names"])
    named = re.findall(r"^    (\w+) as \1,$", text("rmt_jacobian/__init__.pyi"), re.MULTILINE)
    expected = sorted(set(named) - set(MODULES))
    missing, unknown = set(expected) - set(grouped), set(grouped) - set(expected)
    assert not missing, f"put into a group of docs/api_groups.toml: {sorted(missing)}"
    assert not unknown, f"in docs/api_groups.toml, but not public: {sorted(unknown)}"
    assert grouped == expected, "a name is in two groups of docs/api_groups.toml"


@pytest.mark.parametrize("name", MODULES)
def test_module_declares_its_public_names(name: str) -> None:
    module = importlib.import_module(f"rmt_jacobian.{name}")
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert not public.startswith("_")
        assert getattr(module, public) is not None


def test_architecture_page_lists_the_modules_in_the_order_of_the_contract() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    expected = [each.strip("() ") for layer in reversed(layers) for each in layer.split("|")]
    expected = [layer for layer in expected if layer in MODULES]
    listed = re.findall(r"^\| `(\w+)(?:\.py|/)` \|", text("docs/architecture.md"), re.MULTILINE)
    assert listed == expected
    assert sorted(listed) == MODULES


@pytest.mark.slow
def test_readme_example_runs(capsys):
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    exec(compile(block[1], "README.md", "exec"), {})  # our own file
    numbers = re.search(r"^([\d.]+) ([\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    assert numbers is not None
    exact, free = numbers.groups()
    assert f"{float(exact):.2f} and {float(free):.2f}" in block[1]


@pytest.mark.slow
def test_the_code_of_the_page_on_asking_runs_line_by_line() -> None:
    """Each block for itself, after the first; drawings go to axes that nobody shows."""
    import matplotlib as mpl

    mpl.use("Agg")
    page = (ROOT / "docs" / "asking.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in blocks:
            exec(compile(block, "asking.md", "exec"), names)  # our own file
    assert "minimalrnn" in printed.getvalue()
    assert names["rj"].compare(names["values"], names["law"]).verdict == "agrees"  # pyright: ignore


def test_no_public_function_has_the_name_of_a_module_beside_it() -> None:
    """Which one ``package.name`` is would hang on the order of imports."""
    for name in rmt_jacobian.__all__:
        member = getattr(rmt_jacobian, name)
        home = getattr(member, "__module__", "")
        function = callable(member) and not isinstance(member, ModuleType)
        if function and home.startswith("rmt_jacobian."):
            package = home.rpartition(".")[0]
            folder = ROOT / package.replace(".", "/")
            assert not (folder / f"{name}.py").exists(), name
