"""Mutation testing: whether the tests notice that one operator of the package is another.

A seeded sample of mutants, spread over the folders of the package in proportion to their size.
Each is made in a copy of the tree, and the fast tests of its folder run, those that name its module
first, with its doctests; if it survives, those of the folders that import it.  Testers on the
package index mutate whole modules, or run the whole suite for each mutant; one run of this suite
takes minutes.
"""

import argparse
import ast
import math
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mutant", "mutants_of", "sample", "survivors"]

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = Path(__file__).with_name("accepted_mutants.txt")
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "_build", "generated", "notebooks", "figures"
)
FIRST_TIMEOUT = 900.0  # seconds, of the tests without a mutation
PYTEST = ("-m", "pytest", "-x", "-q", "-m", "not slow and not gpu", "-p", "no:benchmark",
          "-p", "no:cacheprovider", "-p", "no:randomly")  # fmt: skip

ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")}
COMPARISONS = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
}
SWAPS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum",
         "argmin": "argmax", "argmax": "argmin"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One replacement in one file: the bytes from ``start`` to ``stop`` become ``after``."""

    path: str
    line: int
    start: int
    stop: int
    after: str
    old_line: str
    new_line: str

    @property
    def folder(self) -> str:
        """The part of the package that it lies in."""
        return Path(self.path).parts[1].removesuffix(".py")

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is called in the list of accepted survivors."""
        return self.path, self.old_line, self.new_line

    def applied(self, source: bytes) -> bytes:
        """Return the mutated source."""
        return source[: self.start] + self.after.encode() + source[self.stop :]


class _Finder(ast.NodeVisitor):
    """Collect the replacements of one source, as (start, stop, text)."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.found: list[tuple[int, int, str]] = []

    def start(self, node: ast.expr) -> int:
        return self.lines[node.lineno - 1] + node.col_offset

    def stop(self, node: ast.expr) -> int:
        return self.lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def between(self, left: ast.expr, right: ast.expr, old: str, *new: str) -> None:
        """Replace the operator that stands between two operands, and is no part of a comment."""
        low, high = self.stop(left), self.start(right)
        text = re.sub(rb"#[^\n]*", lambda match: b" " * len(match[0]), self.source[low:high])
        at = low + text.index(old.encode())
        self.found += [(at, at + len(old), text) for text in new]

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in ARITHMETIC:
            self.between(node.left, node.right, *ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            if type(op) in COMPARISONS:
                old, new = COMPARISONS[type(op)]
                self.between(left, right, old, *new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, old, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub | ast.Not):
            length = 1 if isinstance(node.op, ast.USub) else len("not ")
            self.found.append((self.start(node), self.start(node) + length, ""))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value, place = node.value, (self.start(node), self.stop(node))
        if isinstance(value, bool):
            self.found.append((*place, str(not value)))
        elif isinstance(value, int):
            self.found += [(*place, str(value + step)) for step in (1, -1) if value + step >= 0]

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name in SWAPS:
            stop = self.stop(node.func)
            self.found.append((stop - len(name), stop, SWAPS[name]))
        if name not in {"warn", "cast", "TypeVar"}:
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and "TypeAlias" not in ast.unparse(node.annotation):
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if part is not None:
                self.visit(part)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) != "__all__":
            self.generic_visit(node)

    def _skip(self, node: ast.AST) -> None:
        """Leave out messages."""

    visit_Raise = visit_JoinedStr = _skip


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """Return every mutant of one file."""
    source = path.read_bytes()
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    name, found = path.relative_to(root).as_posix(), []
    for start, stop, after in sorted(finder.found):
        line = source.count(b"\n", 0, start)
        mutated = source[:start] + after.encode() + source[stop:]
        old, new = (text.splitlines()[line].decode().strip() for text in (source, mutated))
        found.append(Mutant(name, line + 1, start, stop, after, old, new))
    return found


def sample(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw mutants from every folder in proportion to its size, and one at least."""
    rng = random.Random(seed)
    folders: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        folders.setdefault(mutant.folder, []).append(mutant)
    heaps = [rng.sample(heap, len(heap)) for _, heap in sorted(folders.items())]
    ranked = [
        (len(heap) / (2 * n + 1) if n else math.inf, mutant)  # the quotients of Sainte-Lague
        for heap in heaps
        for n, mutant in enumerate(heap)
    ]
    ranked.sort(key=lambda pair: -pair[0])
    return sorted((mutant for _, mutant in ranked[:count]), key=lambda mutant: mutant.folder)


def tests_of(folder: str, root: Path) -> list[str]:
    """Return the tests that mirror a folder, or a file, of the package."""
    places = (root / "tests" / folder, root / "tests" / f"test_{folder}.py")
    return [place.relative_to(root).as_posix() for place in places if place.exists()]


def importers(folder: str, package: Path) -> list[str]:
    """Return the folders and files of a package that import one of them."""
    pattern = re.compile(rf"^\s*(from|import) {package.name}\.{folder}\b", re.MULTILINE)
    names = {
        path.relative_to(package).parts[0].removesuffix(".py")
        for path in package.rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    return sorted(names - {folder, "__init__"})


def stages(mutant: Mutant, root: Path, near: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Return folders and what to run of their tests, the most likely to notice first.

    Those of the folder of the mutant only, if ``near``.
    """
    names = {Path(mutant.path).stem} | set(_public(root / mutant.path))
    files = [path for place in tests_of(mutant.folder, root) for path in _files(root / place)]
    named = {path: names & set(re.findall(r"\w+", path.read_text("utf-8"))) for path in files}
    mirror = f"test_{Path(mutant.path).stem}"
    naming = [path for path in files if named[path]]
    naming.sort(key=lambda path: (path.stem != mirror, -len(named[path])))
    yield mutant.folder, [mutant.path, *(path.relative_to(root).as_posix() for path in naming)]
    yield mutant.folder, [path.relative_to(root).as_posix() for path in files if not named[path]]
    if near:
        return
    for folder in importers(mutant.folder, (root / mutant.path).parents[_depth(mutant)]):
        yield folder, tests_of(folder, root)


def _depth(mutant: Mutant) -> int:
    return len(Path(mutant.path).parts) - 2


def _public(path: Path) -> list[str]:
    listed = re.search(r"^__all__ = \[(.*?)\]", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return re.findall(r'"(\w+)"', listed[1]) if listed else []


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.glob("test_*.py"))


def _log(tree: Path) -> Path:
    """Return where the tests of a tree say what they found."""
    return tree.with_name(f"{tree.name}.txt")


def run_tests(targets: list[str], tree: Path, timeout: float) -> str:
    """Return whether the tests of a tree pass, fail, or take too long."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "MKL", "OMP")}
    options = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with _log(tree).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *PYTEST, *targets], cwd=tree, env=os.environ | threads | options,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "timeout"
    return "survived" if code in {0, 5} else "killed"  # 5: there are no tests


def verdict(mutant: Mutant, tree: Path, limits: dict[str, float], near: bool = False) -> str:
    """Mutate a tree, run the tests within the time of their folder, and put the tree back."""
    path = tree / mutant.path
    source = path.read_bytes()
    path.write_bytes(mutant.applied(source))
    try:
        for folder, targets in stages(mutant, tree, near):
            limit = limits.get(folder, FIRST_TIMEOUT)
            found = run_tests(targets, tree, limit) if targets else "survived"
            if found != "survived":
                return found
        return "survived"
    finally:
        path.write_bytes(source)


def accepted(path: Path = ACCEPTED) -> dict[tuple[str, str, str], str]:
    """Return the reasons of the survivors that no test can notice, or need not.

    Three lines each: the path and the reason, the line after a minus, and its mutant after a plus.
    """
    if not path.exists():
        return {}
    rows = [line for line in path.read_text("utf-8").splitlines() if line and line[0] != "#"]
    reasons = {}
    for head, old, new in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        place, reason = head.split(": ", 1)
        reasons[place, old.removeprefix("- "), new.removeprefix("+ ")] = reason
    return reasons


def survivors(
    mutants: list[Mutant],
    root: Path,
    processes: int = 1,
    out: Path | None = None,
    near: bool = False,
) -> list[Mutant]:
    """Try mutants in copies of a tree, print a table, and return the survivors.

    Every folder is tried by itself, after its tests without a mutation.
    """
    reasons, rows, limits = accepted(), [], {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(processes):
            trees.put(shutil.copytree(root, Path(place) / str(number), ignore=LEFT_OUT))

        def in_a_tree(mutant: Mutant) -> tuple[Mutant, str]:
            tree = trees.get()
            try:
                return mutant, verdict(mutant, tree, limits, near)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(processes) as pool:
            for folder in sorted({mutant.folder for mutant in mutants}):
                own = [mutant for mutant in mutants if mutant.folder == folder]
                limits[folder] = _time_limit(own, Path(place) / "0")
                for mutant, found in pool.map(in_a_tree, own):
                    found = "accepted" if found == "survived" and mutant.key in reasons else found
                    rows.append((mutant, found))
                    print(_row(mutant, found), flush=True)
    summary = _summary(rows)
    print(summary)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join([*(_row(*row) for row in rows), summary, ""]), encoding="utf-8")
    return [mutant for mutant, found in rows if found == "survived"]


def _time_limit(mutants: list[Mutant], tree: Path) -> float:
    """Return what the tests of mutants of one folder may take: three times what they take now."""
    folder, begun = mutants[0].folder, time.monotonic()
    targets = [*tests_of(folder, tree), *sorted({mutant.path for mutant in mutants})]
    if run_tests(targets, tree, FIRST_TIMEOUT) != "survived":
        said = "\n".join(_log(tree).read_text("utf-8").splitlines()[-5:])
        raise SystemExit(f"the tests of {folder} fail without a mutation: mend them first\n{said}")
    return 60 + 3 * (time.monotonic() - begun)


def _summary(rows: list[tuple[Mutant, str]]) -> str:
    """Return what became of the mutants of every folder, and of all."""
    folders = sorted({mutant.folder for mutant, _ in rows})
    kinds = [(f, [found for mutant, found in rows if mutant.folder == f]) for f in folders]
    kinds.append(("all", [found for _, found in rows]))
    lines = []
    for folder, found in kinds:
        counts = sorted(Counter(found).items())
        listed = ", ".join(f"{count} {name}" for name, count in counts)
        lines.append(f"{folder}: {len(found)} mutants: {listed}")
    return "\n".join(lines)


def _row(mutant: Mutant, found: str) -> str:
    place = f"{mutant.path}:{mutant.line}"
    return f"{found:9} {place}\n          - {mutant.old_line}\n          + {mutant.new_line}"


def main() -> None:
    """Run the sample that the arguments ask for; fail if a mutant survives without a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=120, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", action="append", help="a folder of the package; repeatable")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "mutants.txt")
    parser.add_argument("--near", action="store_true", help="no tests of the folders that import")
    options = parser.parse_args()
    paths = sorted((ROOT / "rmt_jacobian").rglob("*.py"))
    found = [mutant for path in paths for mutant in mutants_of(path, ROOT)]
    found = [m for m in found if m.folder not in {"__init__", "__main__"}]
    if options.folder:
        found = [mutant for mutant in found if mutant.folder in options.folder]
    chosen = sample(found, options.count, options.seed)
    left = survivors(chosen, ROOT, options.processes, options.out, options.near)
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
