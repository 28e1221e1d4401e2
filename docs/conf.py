# Sphinx configuration.  Made here each time the documentation is built: the notebooks, copied from
# the top of the project so that they can stand in the table of contents; the pages of the
# reference, one for each name and one for each module; and a copy of MathJax, so that pages need
# no network.

import shutil
import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_ext"))

from api_pages import write_api_pages  # noqa: E402
from bundled_mathjax import bundle_mathjax  # noqa: E402

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
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "_bundle", "node_modules"]
html_theme = "furo"
html_static_path = ["_static", "_bundle"]
html_css_files = ["pages.css"]
html_js_files = [("ledger.js", {"defer": "defer"})]
html_title = f"rmt_jacobian {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

mathjax_path = "mathjax/tex-svg.js"
mathjax4_config = {
    "loader": {
        "paths": {"fonts": "[mathjax]/fonts"},
        "load": ["a11y/assistive-mml"],  # hidden MathML, for readers of the screen
    },
    "options": {  # speech needs a worker, which no page opened from a disk may start
        "enableSpeech": False,
        "enableBraille": False,
        "enableExplorer": False,
        "enableEnrichment": False,
        "menuOptions": {
            "settings": {"speech": False, "braille": False, "enrich": False, "assistiveMml": True}
        },
    },
    "output": {"displayOverflow": "scroll"},
}
copybutton_exclude = ".linenos, .gp, .go"  # of a session, what was typed and not what was printed

nb_execution_mode = "force"  # a cache would not notice that the package has changed
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

add_module_names = False  # the title of the page has it, and signatures stay short
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


copy_notebooks()
write_api_pages(DOCS, METADATA["tool"]["importlinter"]["contracts"][0]["layers"])
bundle_mathjax(DOCS, DOCS / "_bundle" / "mathjax")
