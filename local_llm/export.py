# -*- coding: utf-8 -*-
"""Makes something that works elsewhere of a finished run.

Run `python -m local_llm.export RUN` with `--merge`, `--gguf` or `--push`.
Puts the steps in order; what they do is done elsewhere. Exit codes: 0, 2 for
input that must be corrected, 3 for an environment that lacks something, 130
and 143 after a signal, 1 for a bug.
"""

import argparse
import importlib.util
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .errors import (
    EXIT_BUG,
    CheckpointError,
    ConfigError,
    LocalLLMError,
    WeightsError,
)

if TYPE_CHECKING:
    from pydantic import SecretStr

    from .finished_runs import RunFolder
    from .hub_access import HubRepository
    from .model_sources import LoadRequest

GGUF_BYTES = {"f16": 2.0, "q8_0": 34 / 32}
"""Of each weight; a block of 32 in q8_0 has a scale of 16 bits."""

MERGED_BYTES = {"float32": 4.0, "bfloat16": 2.0}

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_SMALL_FILES = ("*.json", "*.jinja", "*.model")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    signal.signal(signal.SIGTERM, _terminated)
    _configure_output(arguments.debug)
    try:
        export(arguments)
        return 0
    except LocalLLMError as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing was left behind", file=sys.stderr)
        return 128 + signal.SIGINT
    # Whatever is left is a fault of the program; a traceback helps nobody
    # who has not asked for one.
    except Exception as error:  # noqa: BLE001
        if arguments.debug:
            raise
        what = f"bug: {type(error).__name__}: {error}"
        fix = "run it with --debug and report it"
        print(f"{what}\n  fix: {fix}", file=sys.stderr)
        return EXIT_BUG


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m local_llm.export",
        description="Make something that works elsewhere of a finished run.",
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="the folder of a finished run")
    add("--merge", action="store_true", help="a whole model: base + adapter")
    add(
        "--gguf",
        choices=tuple(GGUF_BYTES),
        help="a GGUF file with an Ollama Modelfile",
    )
    add(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: RUN-merged, or RUN-gguf)",
    )
    add(
        "--dtype",
        choices=tuple(MERGED_BYTES),
        default="float32",
        help="of the merged weights: float32 keeps every reply, bfloat16 "
        "takes half the space and rounds (default: float32)",
    )
    add(
        "--base",
        metavar="MODEL",
        help="where the base model is, if not where the run was trained",
    )
    add(
        "--push",
        metavar="OWNER/NAME",
        help="upload to the Hugging Face hub what is made, else the run",
    )
    add("--private", action="store_true", help="into a private repository")
    add("--debug", action="store_true", help="show tracebacks and warnings")
    return parser.parse_args(argv)


def export(wanted: argparse.Namespace) -> None:
    """Check, make, upload.

    Args:
        wanted (`argparse.Namespace`):
            What `parse_arguments` gives.

    Raises:
        `ConfigError`: The arguments contradict each other or the run.
        `CheckpointError`: The run is not whole, or nothing can be written.
        `ModelAccessError`: The hub refuses.
        `WeightsError`: Base and adapter do not give a model.
    """
    _check_arguments(wanted)
    from .finished_runs import read_run_folder
    from .hub_upload import check_upload, upload_folder

    # Without "..", so that a folder beside it has a name.
    run = read_run_folder(Path(os.path.abspath(wanted.run)))
    _check_run(run, wanted)
    repository = _repository(wanted.push) if wanted.push else None
    if repository is not None:
        check_upload(repository)
    made = _make(run, wanted)
    if repository is not None:
        folder = made or run.folder
        _say(f"uploading {folder}")
        visibility = "private" if wanted.private else None
        _say(f"uploaded: {upload_folder(folder, repository, visibility)}")


def _check_arguments(wanted: argparse.Namespace) -> None:
    problems = []
    if not (wanted.merge or wanted.gguf or wanted.push):
        problems.append("nothing to do: give --merge, --gguf or --push")
    if wanted.to and not (wanted.merge or wanted.gguf):
        problems.append("--to is for what --merge or --gguf write")
    if wanted.private and not wanted.push:
        problems.append("--private is for --push")
    if wanted.push and not _REPOSITORY.fullmatch(wanted.push):
        problems.append(f"--push: wanted OWNER/NAME, found {wanted.push!r}")
    if problems:
        raise ConfigError("local_llm.export", problems)
    if wanted.gguf and importlib.util.find_spec("gguf") is None:
        raise WeightsError(
            "--gguf needs the package gguf, which is not installed",
            fix="pip install gguf",
        )


def _check_run(run: "RunFolder", wanted: argparse.Namespace) -> None:
    if wanted.merge and run.holds == "model":
        raise ConfigError(
            str(run.folder),
            ["--merge: it holds a whole model, there is nothing to merge"],
            fix="use --gguf or --push, or load the folder as it is",
        )


def _repository(repo_id: str) -> "HubRepository":
    from .hub_access import HubRepository
    from .hub_token import hub_token

    return HubRepository("model", repo_id, token=_secret(hub_token()))


def _make(run: "RunFolder", wanted: argparse.Namespace) -> Path | None:
    """Write what is wanted; None where that is nothing."""
    if not (wanted.merge or wanted.gguf):
        return None
    end = "merged" if wanted.merge else "gguf"
    target = wanted.to or run.folder.with_name(f"{run.folder.name}-{end}")
    _check_target(target)
    if not wanted.debug:
        _hide_bars_of_libraries()
    request = _request(run, wanted)
    _check_room(request, run, wanted, target)
    if wanted.merge:
        _write_merged(run, request, wanted, target)
    else:
        _write_gguf(run, request, wanted, target)
    _say(f"written: {target}")
    return target


def _check_target(target: Path) -> None:
    from .disk_room import check_writable

    if target.exists():
        raise CheckpointError(
            f"{target.absolute()} is there already",
            fix="remove or rename it, or choose another folder with --to",
        )
    check_writable(target)


def _request(run: "RunFolder", wanted: argparse.Namespace) -> "LoadRequest":
    """The base model of an adapter; of a whole model, the model itself."""
    from .finished_runs import unquantized_base
    from .hub_token import hub_token
    from .surroundings import cache_folder

    itself = str(run.folder) if run.holds == "model" else None
    return unquantized_base(
        run,
        itself or wanted.base,
        wanted.dtype,
        cache_folder(os.environ),
        _secret(hub_token()),
    )


def _check_room(
    request: "LoadRequest",
    run: "RunFolder",
    wanted: argparse.Namespace,
    target: Path,
) -> None:
    from .merged_model import check_disk, check_memory, count_parameters

    parameters = count_parameters(request, _say)
    each = GGUF_BYTES.get(wanted.gguf, 0.0)
    if run.holds == "adapter":
        check_memory(request, parameters)
        each += MERGED_BYTES[wanted.dtype]
    check_disk(target, int(parameters * each))


def _write_merged(
    run: "RunFolder",
    request: "LoadRequest",
    wanted: argparse.Namespace,
    target: Path,
) -> None:
    from .atomic_files import sealed_folder
    from .export_cards import write_merged_card
    from .merged_model import write_merged_model

    with sealed_folder(target) as partial:
        write_merged_model(run.folder, request, partial, _say)
        write_merged_card(run.folder, request.source, wanted.dtype, partial)
        if wanted.gguf:
            _add_gguf(partial, run, wanted.gguf, partial)


def _write_gguf(
    run: "RunFolder",
    request: "LoadRequest",
    wanted: argparse.Namespace,
    target: Path,
) -> None:
    from .atomic_files import sealed_folder
    from .export_cards import write_gguf_card
    from .merged_model import write_merged_model

    with (
        sealed_folder(target) as partial,
        tempfile.TemporaryDirectory(
            prefix=f".{target.name}.merged-",
            dir=partial.parent,
        ) as scratch,
    ):
        merged = run.folder
        if run.holds == "adapter":
            merged = Path(scratch)
            write_merged_model(run.folder, request, merged, _say)
        name = _add_gguf(merged, run, wanted.gguf, partial)
        write_gguf_card(run.folder, request.source, name, partial)


def _add_gguf(model: Path, run: "RunFolder", kind: str, folder: Path) -> str:
    """Write the GGUF file of a model and its Modelfile; the file's name."""
    from .gguf_export import write_gguf
    from .ollama import write_modelfile

    name = f"{run.folder.name}-{kind}.gguf"
    _say(f"writing {name}")
    write_gguf(model, folder / name, kind)
    # The Modelfile is written where the template is, which may be the folder
    # of the run: that one is sealed, so a copy of the small files it is.
    with tempfile.TemporaryDirectory() as scratch:
        for pattern in _SMALL_FILES:
            for file in model.glob(pattern):
                shutil.copyfile(file, Path(scratch) / file.name)
        modelfile = write_modelfile(Path(scratch), name)
        shutil.copyfile(modelfile, folder / modelfile.name)
    return name


def _secret(token: "SecretStr | None") -> str | None:
    return token.get_secret_value() if token is not None else None


def _say(text: str) -> None:
    print(text, flush=True)


def _configure_output(debug: bool) -> None:
    """Let the libraries' own notices through only for debugging."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING)
    if debug:
        return
    warnings.simplefilter("ignore")
    for name in ("bitsandbytes", "transformers", "peft", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _hide_bars_of_libraries() -> None:
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
