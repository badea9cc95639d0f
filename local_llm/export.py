# -*- coding: utf-8 -*-
"""Makes something that works elsewhere of a finished run.

Run `python -m local_llm.export RUN` with `--merge`, `--gguf` or `--push`.
Puts the steps in order; what they do is done elsewhere. Exit codes: 0, 2 for
input that must be corrected, 3 for an environment that lacks something, 129,
130 and 143 after a signal, 1 for a bug.
"""

import argparse
import contextlib
import importlib.util
import logging
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .errors import (
    EXIT_BUG,
    ConfigError,
    LocalLLMError,
    ModelAccessError,
    WeightsError,
)
from .stop_signals import STOP_SIGNALS

if TYPE_CHECKING:
    from pydantic import SecretStr

    from .export_folders import Export
    from .finished_runs import RunFolder
    from .hub_access import HubRepository

_COMMAND = ("python", "-m", "local_llm.export")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    _end_in_order_on_signals()
    _configure_output(arguments.debug)
    try:
        export(arguments)
        return 0
    except LocalLLMError as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        left = str(error) or "nothing was left behind"
        print(f"interrupted; {left}", file=sys.stderr)
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
    add(
        "run",
        type=Path,
        metavar="RUN",
        help="the folder of a finished run, or with --push of an export",
    )
    add("--merge", action="store_true", help="a whole model: base + adapter")
    add(
        "--gguf",
        choices=("f16", "q8_0"),
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
        choices=("float32", "bfloat16"),
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
    from .export_cards import check_card
    from .finished_runs import read_run_folder

    if not wanted.debug:
        _silence_libraries()
    # Without "..", so that a folder beside it has a name.
    run = read_run_folder(Path(os.path.abspath(wanted.run)))
    _check_run(run, wanted)
    check_card(run.folder)
    planned = _planned(run, wanted)
    repository = _prepared_repository(wanted)
    if planned is not None:
        _write(planned, repository)
    if repository is not None:
        folder = run.folder if planned is None else planned.target
        _upload(folder, repository, wanted)


def _check_arguments(wanted: argparse.Namespace) -> None:
    makes = wanted.merge or wanted.gguf
    problems = []
    if not (makes or wanted.push):
        problems.append("nothing to do: give --merge, --gguf or --push")
    problems += [
        f"--{name} is for what --merge or --gguf write"
        for name in ("to", "base", "dtype")
        if getattr(wanted, name) and not makes
    ]
    if wanted.private and not wanted.push:
        problems.append("--private is for --push")
    if wanted.push:
        problems += _problems_of(wanted.push)
    if problems:
        raise ConfigError("local_llm.export", problems)
    if wanted.gguf and importlib.util.find_spec("gguf") is None:
        raise WeightsError(
            "--gguf needs the package gguf, which is not installed",
            fix="pip install gguf",
        )


def _problems_of(repository: str) -> list[str]:
    """What the hub would not take as the name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if repository.count("/") != 1:
        return [f"--push: wanted OWNER/NAME, found {repository!r}"]
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        return [f"--push: {error}"]
    return []


def _check_run(run: "RunFolder", wanted: argparse.Namespace) -> None:
    if run.holds == "adapter":
        return
    if run.holds == "gguf" and (wanted.merge or wanted.gguf):
        raise ConfigError(
            str(run.folder),
            ["it holds a GGUF file, nothing more can be made of it"],
            fix="use --push, or give the folder that it was made of",
        )
    problems = [
        f"--{name}: {why}"
        for name, why in (
            ("merge", "there is nothing to merge"),
            ("base", "it needs none"),
            ("dtype", "its weights stay as they are"),
        )
        if getattr(wanted, name)
    ]
    if problems:
        raise ConfigError(
            f"{run.folder}, which holds a whole model",
            problems,
            fix="use --gguf or --push, or load the folder as it is",
        )


def _planned(run: "RunFolder", wanted: argparse.Namespace) -> "Export | None":
    """What is to be written, checked; None where nothing is."""
    if not (wanted.merge or wanted.gguf):
        return None
    from .export_folders import Export, check_export
    from .finished_runs import unquantized_base
    from .hub_token import hub_token
    from .surroundings import cache_folder

    dtype = wanted.dtype or "float32"
    end = "merged" if wanted.merge else "gguf"
    target = wanted.to or run.folder.with_name(f"{run.folder.name}-{end}")
    planned = Export(
        run=run,
        request=unquantized_base(
            run,
            str(run.folder) if run.holds == "model" else wanted.base,
            dtype,
            cache_folder(os.environ),
            _secret(hub_token()),
        ),
        target=Path(os.path.abspath(target)),
        merges=wanted.merge,
        gguf=wanted.gguf,
        dtype=dtype,
        progress=_say,
    )
    check_export(planned)
    return planned


def _prepared_repository(
    wanted: argparse.Namespace,
) -> "HubRepository | None":
    """The repository to upload to, which is there; None where none is."""
    if not wanted.push:
        return None
    from .hub_access import HubRepository
    from .hub_token import hub_token
    from .hub_upload import prepare_repository

    token = _secret(hub_token())
    repository = HubRepository("model", wanted.push, token=token)
    prepare_repository(repository, "private" if wanted.private else None)
    return repository


def _write(planned: "Export", repository: "HubRepository | None") -> None:
    from .export_folders import write_export

    left = "nothing was left behind"
    if repository is not None:
        left += f" but the repository {repository.repo_id}"
    with _leaving(left):
        write_export(planned)
    _say(f"written: {planned.target}")


def _upload(
    folder: Path,
    repository: "HubRepository",
    wanted: argparse.Namespace,
) -> None:
    from .hub_upload import upload_files
    from .public_files import public_files

    private = ["--private"] if wanted.private else []
    again = [*_COMMAND, folder, "--push", repository.repo_id, *private]
    fix = f"upload {folder} with: {shlex.join(map(str, again))}"
    left = f"{folder} and the repository {repository.repo_id} are there\n"
    _say(f"uploading {folder}")
    try:
        with _leaving(f"{left}  fix: {fix}"):
            files = public_files(folder)
            page = upload_files(files, repository, f"Upload {folder.name}")
    except ModelAccessError as error:
        error.fix = f"{error.fix}; then {fix}"
        raise
    _say(f"uploaded: {page}")


@contextlib.contextmanager
def _leaving(what: str) -> Iterator[None]:
    """Let an interruption say what is there all the same."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(what) from error


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


def _silence_libraries() -> None:
    """What they set up when they are imported, so not before."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    hub_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _end_in_order_on_signals() -> None:
    """Let what is half written be deleted; Ctrl-C does so anyway."""
    for number in STOP_SIGNALS:
        # Ignored is what nohup wants.
        is_ignored = signal.getsignal(number) is signal.SIG_IGN
        if number != signal.SIGINT and not is_ignored:
            signal.signal(number, _terminated)


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
