"""Reports: HTML pages, their charts and texts."""
