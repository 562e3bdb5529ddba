"""edgekd: from a folder of good images to a measured anomaly detector beside the line."""

__version__ = "0.1.0"
