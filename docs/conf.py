"""The documentation as a site: `make docs` writes it to build/docs."""

project = "rna_predict"
author = "The rna_predict authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["conf.py"]
html_theme = "furo"
html_title = "rna_predict"
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # pages link files of the repository as well, which the site does not hold
highlight_language = "bash"
