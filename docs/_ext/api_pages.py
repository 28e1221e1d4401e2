"""The pages of the reference: one for each name of the package, and one for each module."""

import importlib
import importlib.util
import inspect
import re
import shutil
import tomllib
import typing
from pathlib import Path

__all__ = ["write_api_pages"]

PACKAGE = "rmt_jacobian"


def is_type_alias(member: object) -> bool:
    """Tell whether a name stands for a type expression; autodoc cannot describe those."""
    return typing.get_origin(member) is not None


def is_cell(member: object) -> bool:
    """Tell whether a name is one of the cells, whose equations say what it is."""
    return type(member).__name__ == "Cell"


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


def titled(title: str, mark: str = "=") -> list[str]:
    """Return the lines of a heading in reStructuredText."""
    return [title, mark * len(title), ""]


def module_page(qualified: str, elsewhere: set[str]) -> str:
    """Return the page of one module: its docstring, a table, and what has no page of its own."""
    module = importlib.import_module(qualified)
    members = {name: getattr(module, name) for name in module.__all__}
    lines = [*titled(qualified), f".. automodule:: {qualified}", ""]
    lines += [f".. currentmodule:: {qualified}", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {name}" for name, member in members.items() if not is_type_alias(member)]
    lines.append("")
    for name, member in members.items():
        if name not in elsewhere:
            lines += directive(name, member)
    return "\n".join(lines)


def home_of(name: str) -> str:
    """Return the module below the package that has a name of the package in its ``__all__``."""
    for module in vars(importlib.import_module(PACKAGE))["__all__"]:
        found = importlib.util.find_spec(f"{PACKAGE}.{module}")
        if found is not None:
            home = importlib.import_module(f"{PACKAGE}.{module}")
            if name in home.__all__:
                return f"{PACKAGE}.{module}"
    raise LookupError(f"no module of {PACKAGE} has {name!r} in its __all__")


def name_page(name: str) -> str:
    """Return the page of one name of the package; it is described there and nowhere else."""
    member = getattr(importlib.import_module(PACKAGE), name)
    home = home_of(name)
    lines = [*titled(name), f"``rmt_jacobian.{name}``, defined in :py:mod:`{home}`.", ""]
    lines += [f".. currentmodule:: {home}", ""]
    lines += cell_description(name, member) if is_cell(member) else directive(name, member)
    return "\n".join(lines)


def cell_description(name: str, cell: typing.Any) -> list[str]:
    """Return the lines that document a cell: what it reads, and its equations."""
    lines = [f".. py:data:: {name}", f"   :type: {PACKAGE}.cells.Cell", ""]
    lines += [f"   {cell_summary(cell)}", "", "   Preactivations", ""]
    for each in cell.preactivations:
        reads = latex(each.source) if each.source != 0 else "no state"
        also = " and the input" if each.reads_input else ""
        lines.append(f"   - ``{each.name}``, {latex(each.symbol)}: reads {reads}{also}")
    lines += ["", "   Next values of the states", ""]
    for state, update in zip(cell.states, cell.updates, strict=True):
        lines.append(f"   - {latex(state)} becomes {latex(update)}")
    return [*lines, ""]


def latex(expression: object) -> str:
    """Return an expression as inline mathematics; the logistic function is sigma, as elsewhere."""
    import sympy as sp

    return f":math:`{sp.latex(expression)}`".replace(r"\operatorname{sigmoid}", r"\sigma")


def cell_summary(cell: typing.Any) -> str:
    """Return one sentence on a cell."""
    states = ", ".join(str(state) for state in cell.states)
    noun = "state" if len(cell.states) == 1 else "states"
    return f"The cell ``{cell.name}``, with the {noun} {states}."


def summary(name: str) -> str:
    """Return the first sentence on a name of the package, as Markdown."""
    member = getattr(importlib.import_module(PACKAGE), name)
    paragraph = (inspect.getdoc(member) or "").split("\n\n")[0]
    sentence = cell_summary(member) if is_cell(member) else " ".join(paragraph.split())
    return re.sub(r":math:`([^`]*)`", r"$\1$", sentence).replace("|", "\\|")


def group_section(group: dict[str, typing.Any], folder: str) -> list[str]:
    """Return the section of one group: what it is for, a table of its names, and their pages."""
    lines = [f"## {group['title']}", "", group["about"], "", "| | |", "|---|---|"]
    for name in group["names"]:
        lines.append(f"| {{py:obj}}`{name} <{home_of(name)}.{name}>` | {summary(name)} |")
    pages = [f"{folder}/{name}" for name in group["names"]]
    return [*lines, "", "```{toctree}", ":hidden:", "", *pages, "```", ""]


def write_api_pages(docs: Path, layers: list[str]) -> None:
    """Write all pages, the list of names by task, and that of modules from low to high."""
    target = docs / "api" / "generated"
    shutil.rmtree(target, ignore_errors=True)
    (target / "names").mkdir(parents=True)
    groups = tomllib.loads((docs / "api_groups.toml").read_text(encoding="utf-8"))["group"]
    own_page = {(home_of(name), name) for group in groups for name in group["names"]}
    sections: list[str] = []
    for group in groups:
        sections += group_section(group, "api/generated/names")
        for name in group["names"]:
            (target / "names" / f"{name}.rst").write_text(name_page(name), encoding="utf-8")
    (target / "groups.txt").write_text("\n".join(sections), encoding="utf-8")
    pages = []
    modules = [layer.strip("()") for layer in reversed(layers) if not layer.startswith("_")]
    for name in modules:
        qualified = f"{PACKAGE}.{name}"
        if name == "cli" or importlib.util.find_spec(qualified) is None:
            continue  # the command line has a page of its own
        elsewhere = {each for home, each in own_page if home == qualified}
        page = module_page(qualified, elsewhere)
        (target / f"{name}.rst").write_text(page, encoding="utf-8")
        pages.append(f"api/generated/{name}")
    toctree = ["```{toctree}", ":maxdepth: 1", "", *pages, "```", ""]
    (target / "modules.txt").write_text("\n".join(toctree), encoding="utf-8")
