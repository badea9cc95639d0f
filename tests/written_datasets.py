# -*- coding: utf-8 -*-
"""Datasets as files, written the way their name ends; short rows for them."""

import csv
import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

Content = Any
"""Rows of any kind; a text or bytes are written as they are."""


def message(role: object, content: object, **more: object) -> dict[str, Any]:
    """One of OpenAI's messages."""
    return {"role": role, "content": content, **more}


def said(speaker: object, value: object) -> dict[str, Any]:
    """One of ShareGPT's turns."""
    return {"from": speaker, "value": value}


def lima(*texts: object) -> dict[str, Any]:
    """A row of LIMA."""
    return {"conversations": list(texts)}


def messages(*turns: object, **more: object) -> dict[str, Any]:
    """A row of messages."""
    return {"messages": list(turns), **more}


def sharegpt(*turns: object, **more: object) -> dict[str, Any]:
    """A row of ShareGPT."""
    return {"conversations": list(turns), **more}


def alpaca(instruction: object, output: object, **more: object) -> dict:
    """A row of Alpaca."""
    return {"instruction": instruction, "output": output, **more}


def pair(prompt: object, completion: object) -> dict[str, Any]:
    """A row of prompt and completion."""
    return {"prompt": prompt, "completion": completion}


GOOD = lima("good question", "good answer")


def write_files(folder: Path, files: Mapping[str, Content]) -> None:
    """Write each file in the form that its name asks for."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(name, content))


def as_bytes(name: str, content: Content) -> bytes:
    """The bytes of a file of that name."""
    if name.endswith(".gz") and not isinstance(content, bytes):
        return gzip.compress(as_bytes(name.removesuffix(".gz"), content))
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode("utf-8")
    if name.endswith(".parquet"):
        return _parquet(content)
    if name.endswith((".csv", ".tsv")):
        return _table(content, "\t" if name.endswith(".tsv") else ",")
    if name.endswith(".jsonl"):
        return "\n".join(json.dumps(row) for row in content).encode()
    return json.dumps(content).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    names = _names(rows)
    table = {name: [row.get(name) for row in rows] for name in names}
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(table), sink)
    return sink.getvalue()


def _table(rows: list[dict[str, Any]], delimiter: str) -> bytes:
    """Lists and objects as JSON, as most programs export them."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, _names(rows), delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: (
                    json.dumps(value)
                    if isinstance(value, list | dict)
                    else value
                )
                for name, value in row.items()
            },
        )
    return sink.getvalue().encode("utf-8")


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))
