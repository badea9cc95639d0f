# -*- coding: utf-8 -*-
"""Results as the three files that people keep: figures, page and picture.

Measures nothing. Raises CheckpointError where they cannot be written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from local_llm import atomic_files

from .columns import STEP_COLUMNS, Column
from .paper_results import PaperRow
from .result_picture import write_picture
from .result_tables import results_page
from .results import Results, write_results


def write_result_files(
    folder: Path,
    name: str,
    results: Results,
    columns: Sequence[Column] = STEP_COLUMNS,
    references: Mapping[str, Sequence[PaperRow]] | None = None,
) -> Path:
    """Write figures, picture and page, of one name with three endings.

    Args:
        folder (`Path`):
            Where.
        name (`str`):
            Of the files, without an ending.
        results (`Results`):
            What was measured.
        columns (`Sequence[Column]`, optional):
            What tables and picture show.
        references (`Mapping[str, Sequence[PaperRow]] | None`, optional):
            Rows of the paper, by the part that they belong to.

    Returns:
        `Path`: The page.
    """
    picture = write_picture(folder / f"{name}.png", results, columns)
    page = results_page(
        results,
        columns,
        references,
        None if picture is None else picture.name,
    )
    with atomic_files.whole_file(folder / f"{name}.md") as partial:
        partial.write_text(page, encoding="utf-8")
    write_results(folder / f"{name}.json", results)
    return folder / f"{name}.md"
