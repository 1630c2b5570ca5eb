"""How the pages of this folder become a site: ``make docs``."""

project = "Running totals"
author = "The project's contributors"
copyright = "the project's contributors, under the MIT licence"  # noqa: A001 - Sphinx's name for it

extensions = ["myst_parser"]
# The anchors that GitHub gives to headings, so that links work there and on the site.
myst_heading_anchors = 3
# An answer on a page may have … where something is left out, which is no JSON then.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "Running totals"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
