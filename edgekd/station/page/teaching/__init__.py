"""A detector taught at the line: from images of good parts to a released recipe."""
