"""Every task of the project: ``nox`` runs the default ones, ``nox -s NAME`` runs one.

The tasks run in the environment that nox itself is installed in.  Arguments after ``--`` go to
the tool, for instance ``nox -s tests -- -m "not slow" tests/freeprob``.
"""

import atexit
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "layers", "docs", "tests"]  # the tests end the output

ROOT = Path(__file__).parent
NOTEBOOK_TIMEOUT = 600  # seconds for one cell
# Two processes with two BLAS threads each wait for one another most of the time on two cores.
PYTHONS = ("3.11", "3.12", "3.13")
KERNELS = ("Haswell", "SkylakeX", "Zen")  # of OpenBLAS, which differ in the last bits
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def python(session: nox.Session, *arguments: str, **options: object) -> None:
    """Run this interpreter, so that the environment need not be activated."""
    session.run(sys.executable, *arguments, external=True, **options)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    python(session, "-m", "ruff", "check", *session.posargs)
    python(session, "-m", "ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package with pyright."""
    environment = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # no notice about newer versions
    python(
        session,
        "-m",
        "pyright",
        "--pythonpath",
        sys.executable,
        *session.posargs,
        env=environment,
    )


@nox.session
def layers(session: nox.Session) -> None:
    """Check that no module imports from one above it."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    python(session, "-c", command, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, which runs every notebook, and open it in a browser."""
    build = ROOT / "docs" / "_build"
    shutil.rmtree(build, ignore_errors=True)
    options = ["-W", "--keep-going", "-b", "html", "-d", str(build / "doctrees")]
    python(session, "-m", "sphinx", *options, *session.posargs, "docs", str(build / "html"))
    if shutil.which("chromium") and shutil.which("chromedriver"):
        options = ["-q", "-p", "no:benchmark", "--site", str(build / "html")]
        python(session, "-m", "pytest", *options, "tests/test_site.py")
    else:
        session.log("no chromium with chromedriver: the pages were not opened in a browser")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run every notebook from top to bottom and discard what it prints."""
    import jupytext
    from nbclient import NotebookClient

    paths = sorted((ROOT / "notebooks").glob("*.md"))
    if not paths:
        session.error("there is no notebook in notebooks/")
    for path in paths:
        session.log(f"running {path.relative_to(ROOT)}")
        NotebookClient(
            jupytext.read(path),
            timeout=NOTEBOOK_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
        ).execute()
    session.log(f"{len(paths)} notebooks ran")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time the package and print a table."""
    options = ["--benchmark-only", "--benchmark-columns=min,median,stddev,rounds"]
    python(session, "-m", "pytest", "benchmarks", *options, *session.posargs)


@nox.session
def comparison(session: nox.Session) -> None:
    """Print the table of this package beside the obvious loop and its peers, and of costs."""
    python(session, "-m", "benchmarks", *session.posargs)


@nox.session
def sweep(session: nox.Session) -> None:
    """Compare random cells at random points with an independent simulation; about ten minutes."""
    python(session, "-m", "benchmarks.adversarial", *session.posargs, env=ONE_BLAS_THREAD)


@nox.session
def processors(session: nox.Session) -> None:
    """Run the tests as on other processors, and with two threads of linear algebra."""
    runs = [{**ONE_BLAS_THREAD, "OPENBLAS_CORETYPE": kernel} for kernel in KERNELS]
    for environment in [*runs, dict.fromkeys(ONE_BLAS_THREAD, "2")]:
        session.log(" ".join(f"{name}={value}" for name, value in environment.items()))
        options = ["-n", "2", "-q", "-p", "no:benchmark"]
        python(session, "-m", "pytest", *options, *session.posargs, env=environment)


@nox.session
def pythons(session: nox.Session) -> None:
    """Run the fast tests on every supported Python that is found, each in a fresh environment."""
    options = ["-n", "2", "-q", "-p", "no:benchmark", "-m", "not slow"]
    missing = []
    for version in PYTHONS:
        found = interpreter(version)
        if found is None:
            missing.append(version)
            continue
        folder = ROOT / ".cache" / "pythons" / version
        session.run(found, "-m", "venv", "--clear", str(folder), external=True)
        own = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
        session.run(own, "-m", "pip", "install", "-q", "-e", ".[test]", external=True)
        session.run(own, "-m", "pytest", *options, *session.posargs, external=True,
                    env=ONE_BLAS_THREAD)  # fmt: skip
    if missing:
        session.error(f"no interpreter was found for Python {', '.join(missing)}: install them")


def interpreter(version: str) -> str | None:
    """Return a Python of that version, on the path or among those of pyenv; None without one."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    known = sorted(versions.glob(f"{version}.*/bin/python"))
    for command in (sys.executable, f"python{version}", *map(str, reversed(known))):
        if shutil.which(command) is None:
            continue
        asked = [command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return command
    return None


@nox.session
def mutants(session: nox.Session) -> None:
    """Change single operators of the package, and see that the fast tests notice."""
    python(session, "-m", "benchmarks.mutants", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and the doctests on two processes."""
    report = ROOT / ".cache" / "pytest.xml"
    report.unlink(missing_ok=True)
    atexit.register(repeat_counts, report)
    # The benchmark plugin warns that it cannot time on several processes, and warnings are errors.
    options = ["-n", "2", "-p", "no:benchmark", f"--junitxml={report}"]
    python(session, "-m", "pytest", *options, *session.posargs, env=ONE_BLAS_THREAD)


@nox.session
def thorough(session: nox.Session) -> None:
    """Run the tests at more points, seeds and sizes that the usual run leaves out."""
    options = ["-n", "2", "-p", "no:benchmark", "--thorough", "-m", "thorough"]
    python(session, "-m", "pytest", *options, *session.posargs, env=ONE_BLAS_THREAD)


def repeat_counts(report: Path) -> None:
    """Repeat the counts of pytest below the table that nox prints when it ends."""
    if not report.exists():
        return
    counts = next(ET.parse(report).getroot().iter("testsuite")).attrib
    total, failed, errors, skipped = (
        int(counts[key]) for key in ("tests", "failures", "errors", "skipped")
    )
    line = f"{total - failed - errors - skipped} passed, {skipped} skipped"
    line = f"{failed} failed, {errors} errors, {line}" if failed or errors else line
    print(f" {line} in {float(counts['time']):.2f}s ".center(80, "="), flush=True)
