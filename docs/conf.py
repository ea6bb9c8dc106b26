"""Sphinx: API pages from the docstrings of the code (`make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

project = "routepact"
author = "The routepact founders"
copyright = "The routepact founders, MIT licence"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "notebooks"]
html_theme = "alabaster"
html_theme_options = {"description": "City traffic in which travellers pay each other for better routes.", "page_width": "70rem"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
