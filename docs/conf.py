# Sphinx configuration.  Two kinds of pages are made here, each time the documentation is built:
# the notebooks, copied from the top of the project so that they can stand in the table of
# contents, and one page per module from its __all__.

import importlib
import importlib.util
import inspect
import shutil
import tomllib
import typing
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

project = "rmt_jacobian"
author = "The rmt_jacobian authors"
copyright = "2026, the rmt_jacobian authors"
release = METADATA["project"]["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_nb",
    "numpydoc",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"rmt_jacobian {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # a cache would not notice that the package has changed
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

autosummary_generate = False  # the pages are written below
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
suppress_warnings = ["ref.footnote"]  # numpydoc lists references that no sentence cites


def copy_notebooks() -> None:
    """Copy the notebooks to where Sphinx can see them."""
    target = DOCS / "notebooks"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.md")):
        if "format_name: myst" not in path.read_text(encoding="utf-8"):
            raise ValueError(f"{path.name} has no jupytext header and would not be run")
        shutil.copy(path, target)


def is_type_alias(member: object) -> bool:
    """Tell whether a name stands for a type expression; autodoc cannot describe those."""
    return typing.get_origin(member) is not None


def directive(name: str, member: object) -> list[str]:
    """Return the lines that document one public name."""
    if inspect.ismodule(member):
        return [f".. automodule:: {member.__name__}", "   :members:", ""]
    if inspect.isclass(member):
        kind = "autoexception" if issubclass(member, BaseException) else "autoclass"
        return [f".. {kind}:: {name}", "   :members:", "   :show-inheritance:", ""]
    if callable(member) and inspect.isroutine(inspect.unwrap(member)):
        return [f".. autofunction:: {name}", ""]
    if is_type_alias(member):
        return [f".. py:data:: {name}", f"   :value: {inspect.formatannotation(member)}", ""]
    return [f".. autodata:: {name}", "   :no-value:", ""]


def api_page(qualified: str) -> str:
    """Return the page of one module: its docstring, a table, and every public name."""
    module = importlib.import_module(qualified)
    members = {name: getattr(module, name) for name in module.__all__}
    lines = [qualified, "=" * len(qualified), "", f".. automodule:: {qualified}", ""]
    lines += [f".. currentmodule:: {qualified}", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {name}" for name, member in members.items() if not is_type_alias(member)]
    lines.append("")
    for name, member in members.items():
        lines += directive(name, member)
    return "\n".join(lines)


def write_api_pages() -> None:
    """Write one page per module, in the order of the layers, and the list of the pages."""
    target = DOCS / "api" / "generated"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    layers = METADATA["tool"]["importlinter"]["contracts"][0]["layers"]
    pages = []
    for name in (layer.strip("()") for layer in reversed(layers)):
        qualified = f"{project}.{name}"
        if name == "cli" or importlib.util.find_spec(qualified) is None:
            continue  # the command line has a page of its own
        (target / f"{name}.rst").write_text(api_page(qualified), encoding="utf-8")
        pages.append(f"api/generated/{name}")
    toctree = ["```{toctree}", ":maxdepth: 1", "", *pages, "```", ""]
    (target / "toctree.txt").write_text("\n".join(toctree), encoding="utf-8")


copy_notebooks()
write_api_pages()
