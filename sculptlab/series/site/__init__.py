"""The web site: executed pages and the documents of the repository as HTML files that need no network, script or kernel."""
