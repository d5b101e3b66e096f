"""Sphinx: what cannot be said in the text is generated from the code."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import s3filters  # noqa: E402

project = "s3filters"
copyright = "the s3filters authors"
release = version = s3filters.__version__

extensions = ["sphinx.ext.autodoc", "extensions.operations"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "S3 for storage that people already have",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
autodoc_member_order = "bysource"
nitpicky = False
