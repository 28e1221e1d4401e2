"""The tool that asks whether tests would notice a changed operator."""

from pathlib import Path

import pytest

from benchmarks.mutants import Mutant, accepted, mutants_of, sample, survivors

SOURCE = '''"""Docstring with 1 + 1 and a < b."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import path

__all__ = ["clipped"]


def clipped(x: int = 3, flag: bool = True) -> "int":
    """Return 2 * 3."""
    if x < 0 and not flag:  # 1 < 2
        raise ValueError(f"{x + 1} is below {-1}")
    # é is two bytes
    return max(x, -x) * (
        2  # * twice
        - 1
    )
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "small" / "part").mkdir(parents=True)
    (tmp_path / "small" / "__init__.py").touch()
    (tmp_path / "small" / "part" / "__init__.py").touch()
    (tmp_path / "small" / "part" / "clip.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\nmarkers = ['slow', 'gpu']\n"
    )
    (tmp_path / "tests" / "part").mkdir(parents=True)
    (tmp_path / "tests" / "part" / "test_clip.py").write_text(
        "from small.part.clip import clipped\n\n\ndef test_size():\n    assert clipped(-2) == 2\n"
    )
    return tmp_path


def found(tree: Path) -> list[Mutant]:
    return mutants_of(tree / "small" / "part" / "clip.py", tree)


def test_operators_are_replaced_and_text_is_left_alone(tree: Path) -> None:
    replaced = {(mutant.old_line, mutant.new_line) for mutant in found(tree)}
    condition = "if x < 0 and not flag:  # 1 < 2"
    size = "return max(x, -x) * ("
    signature = 'def clipped(x: int = 3, flag: bool = True) -> "int":'
    assert replaced == {
        (condition, "if x <= 0 and not flag:  # 1 < 2"),
        (condition, "if x >= 0 and not flag:  # 1 < 2"),
        (condition, "if x < 1 and not flag:  # 1 < 2"),
        (condition, "if x < 0 or not flag:  # 1 < 2"),
        (condition, "if x < 0 and flag:  # 1 < 2"),
        (size, "return min(x, -x) * ("),
        (size, "return max(x, x) * ("),
        (size, "return max(x, -x) / ("),
        ("2  # * twice", "3  # * twice"),
        ("2  # * twice", "1  # * twice"),
        ("- 1", "+ 1"),
        ("- 1", "- 2"),
        ("- 1", "- 0"),
        (signature, signature.replace("3", "4")),
        (signature, signature.replace("3", "2")),
        (signature, signature.replace("True", "False")),
    }


@pytest.mark.slow
def test_only_what_no_test_notices_survives(tree: Path) -> None:
    wanted = ("return max(x, x) * (", "return max(x, -x) / (", "if x <= 0 and not flag:  # 1 < 2")
    chosen = [mutant for mutant in found(tree) if mutant.new_line in wanted]
    out = tree / "table.txt"
    left = survivors(chosen, tree, out=out)
    # max(-2, -2) is noticed; neither a division by 1 nor the bound at 0 is.
    assert {mutant.new_line for mutant in left} == {wanted[1], wanted[2]}
    assert out.read_text().splitlines()[-1] == "all: 3 mutants: 1 killed, 2 survived"
    assert (tree / "small" / "part" / "clip.py").read_text(encoding="utf-8") == SOURCE


def test_a_sample_is_fixed_by_its_seed_and_spread_over_folders(tree: Path) -> None:
    (tree / "small" / "other.py").write_text("def f(x):\n    return x + 1\n")
    mutants = found(tree) + mutants_of(tree / "small" / "other.py", tree)
    chosen = sample(mutants, 6, seed=3)
    assert chosen == sample(mutants, 6, seed=3)
    assert chosen != sample(mutants, 6, seed=4)
    assert len(set(chosen)) == 6
    # 16 against 3: one each whatever their sizes, and the second of the few after 16 / 15 > 3 / 3.
    for count, of_other in ((2, 1), (9, 1), (10, 2), (19, 3), (30, 3)):
        folders = [mutant.folder for mutant in sample(mutants, count, seed=3)]
        assert len(folders) == min(count, 19)
        assert folders.count("other") == of_other


@pytest.mark.slow
def test_tests_that_fail_without_a_mutation_are_refused(tree: Path) -> None:
    (tree / "tests" / "part" / "test_clip.py").write_text("def test():\n    assert False\n")
    with pytest.raises(SystemExit, match=r"(?s)part fail without a mutation.*test_clip\.py::test"):
        survivors(found(tree)[:1], tree)


def test_accepted_mutants_are_mutants_of_the_package() -> None:
    """A reason whose line has changed says nothing any more."""
    root = Path(__file__).parents[1]
    reasons = accepted()
    keys = {
        mutant.key
        for place in {place for place, _, _ in reasons}
        for mutant in mutants_of(root / place, root)
    }
    assert set(reasons) <= keys
    assert all(reasons.values())
