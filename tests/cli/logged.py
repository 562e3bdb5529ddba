"""What an inspection keeps of its verdicts."""

from pathlib import Path

import polars as pl


def logged_rows(out: Path) -> int:
    """How many verdicts the folder of an inspection holds."""
    return pl.read_parquet(out / "verdicts.parquet").height
