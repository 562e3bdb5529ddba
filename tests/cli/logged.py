"""What an inspection keeps of its verdicts."""

import sqlite3
from pathlib import Path

from edgekd.run_folder import VERDICTS_FILE


def logged_rows(out: Path) -> int:
    """How many verdicts the folder of an inspection holds."""
    connection = sqlite3.connect(out / VERDICTS_FILE)
    try:
        return int(connection.execute("SELECT count(*) FROM verdict").fetchone()[0])
    finally:
        connection.close()
