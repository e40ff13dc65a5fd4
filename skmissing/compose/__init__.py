"""Conversion of tables to X and back, and transformers per modality."""

from skmissing._sources import scan_table
from skmissing.compose._mudata import from_anndata, from_mudata, to_mudata
from skmissing.compose._per_modality import PerModality
from skmissing.compose._tables import (
    TableReport,
    align,
    from_tables,
    mark_missing,
    split_tables,
)

__all__ = [
    "PerModality",
    "TableReport",
    "align",
    "from_anndata",
    "from_mudata",
    "from_tables",
    "mark_missing",
    "scan_table",
    "split_tables",
    "to_mudata",
]
