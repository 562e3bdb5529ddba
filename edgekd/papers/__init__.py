"""What the systems' papers print: their tables, their misprints, and their figures to be set beside one's own."""

from edgekd.paper_setups import PaperSetup
from edgekd.papers.errata import misprints
from edgekd.papers.rows import PaperValue, paper_value
from edgekd.papers.tables import TABLES, list_tables, missing_tables, table

__all__ = [
    "TABLES",
    "PaperSetup",
    "PaperValue",
    "list_tables",
    "misprints",
    "missing_tables",
    "paper_value",
    "table",
]
