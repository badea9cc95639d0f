# -*- coding: utf-8 -*-
"""A finished fine-tuning run: what identifies it, its report, its folder.

Puts together what data, training and reports know; trains nothing. Raises
CheckpointError.
"""

import contextlib
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import (
    atomic_files,
    checkpoints,
    model_card,
    processes,
    report_pages,
    reports,
)
from .base_model import BaseModel
from .chat_datasets import ChatData, Drop
from .errors import CheckpointError, LocalLLMError
from .known_licences import UNKNOWN
from .library_defaults import DEFAULT_QUANTIZATION
from .licences import find_licence, hub_id
from .reports import Demonstration, Reply, RunReport
from .resume_rules import RunRecord, record_from
from .settings import FineTuneSettings
from .surroundings import Surroundings
from .trackers import TRACKER_LOGS
from .trained_weights import TrainedWeights
from .training import TrainingResult
from .training_arguments import chosen_training

_WITHOUT_EFFECT = (
    "disable_tqdm",
    "log_",
    "logging_",
    "project",
    "report_to",
    "run_name",
    "save_",
    "trackio_",
)
"""Beginnings of the training arguments that change nothing of the result."""


def run_key(
    base: BaseModel,
    data: ChatData,
    settings: FineTuneSettings,
    continued_from: str | None,
) -> str:
    """Equal for runs of the very same base, data, settings and start.

    Args:
        base (`BaseModel`):
            The model that is fine-tuned.
        data (`ChatData`):
            What it learns from.
        settings (`FineTuneSettings`):
            How.
        continued_from (`str | None`):
            The key of the run whose adapter is trained on.
    """
    return _key_of(run_record(base, data, settings, continued_from))


def _key_of(run: RunRecord) -> str:
    record = run.as_dict()
    # Other versions of the libraries make the same run, as far as known; and
    # who has trained in several processes talks with it in one.
    del record["libraries"], record["processes"]
    record["training_args"] = {
        name: value
        for name, value in record["training_args"].items()
        if not name.startswith(_WITHOUT_EFFECT)
    }
    return reports.run_key(**record)


def run_record(
    base: BaseModel,
    data: ChatData,
    settings: FineTuneSettings,
    continued_from: str | None,
) -> RunRecord:
    """What a run is made of, to compare at a resume; see `run_key`."""
    number_format = str(base.model.dtype)
    if settings.trains_all_weights:  # a copy of their own, see load_request
        number_format = "torch.float32"
    quantization = settings.bnb_config
    if quantization is None:  # an empty one loads unquantized weights
        quantization = DEFAULT_QUANTIZATION
    return RunRecord(
        base=base.fingerprint,
        data=data.fingerprint,
        # Another tokenizer or template makes other rows of the same data.
        first_row=base.chat_format.render(data.train[0].turns).ids,
        lora_config=settings.lora_config,
        bnb_config=quantization,
        training_args=chosen_training(settings),
        options={
            "max_seq_length": settings.max_seq_length,
            "early_stopping_patience": settings.early_stopping_patience,
            "number_format": number_format,
            "trains_all_weights": settings.trains_all_weights,
        },
        libraries=reports.library_versions(),
        processes=processes.count(),
        continued_from=continued_from,
    )


def discard_unfinished(folder: Path, key: str) -> None:
    """Delete what a kill after publishing has left of a finished run.

    Another run that did not finish, or one that somebody is at, stays.

    Args:
        folder (`Path`):
            Where the run stands finished.
        key (`str`):
            See `run_key`.
    """
    unfinished = checkpoints.unfinished_folder(folder)
    if not unfinished.exists():
        checkpoints.discard(unfinished)
    if not checkpoints.is_unfinished(unfinished):
        return
    with (
        contextlib.suppress(CheckpointError),
        checkpoints.claimed(unfinished),
    ):
        record = record_from(checkpoints.read_record(unfinished))
        if _key_of(record) == key:
            checkpoints.discard(unfinished)


def build_report(
    key: str,
    base: BaseModel,
    data: ChatData,
    settings: FineTuneSettings,
    result: TrainingResult,
    replies: Mapping[str, tuple[Reply, Reply]],
    surroundings: Surroundings,
    changes: Sequence[str] = (),
) -> RunReport:
    """Put together the report of a run.

    Args:
        key (`str`):
            See `run_key`.
        base (`BaseModel`):
            The model that was fine-tuned.
        data (`ChatData`):
            What it learned from.
        settings (`FineTuneSettings`):
            How.
        result (`TrainingResult`):
            What training did.
        replies (`Mapping[str, tuple[Reply, Reply]]`):
            Demonstration prompts with the replies before and after.
        surroundings (`Surroundings`):
            Where the paths of the data begin, and as whom the hub is read.
        changes (`Sequence[str]`, optional):
            What was changed where the run was resumed.
    """
    sources = _describe_sources(data, surroundings)
    return RunReport(
        key=key,
        base=_describe_base(base),
        data=_describe_data(data, result, sources),
        settings=asdict(settings),
        losses=[list(point) for point in result.losses],
        held_out_before=result.held_out_before,
        held_out_after=result.held_out_after,
        steps=result.steps,
        tokens=result.tokens_seen,
        seconds=result.seconds,
        tokens_per_second=result.tokens_per_second,
        peak_memory_bytes=result.peak_memory_bytes,
        demonstrations=[
            Demonstration(prompt, before, after)
            for prompt, (before, after) in replies.items()
        ],
        versions=reports.library_versions(),
        held_out_losses=[list(point) for point in result.held_out_losses],
        best_step=result.best_step,
        stopped_early=result.stopped_early,
        resumed_at=list(result.resumed_at),
        notes=list(result.notes),
        licences=_licences(base, sources, surroundings),
        changes=list(changes),
        is_whole_model=settings.trains_all_weights,
    )


def publish(
    weights: TrainedWeights,
    report: RunReport,
    folder: Path,
    unfinished: Path,
) -> None:
    """Leave a finished run: weights, tokenizer and template, report.

    Raises:
        `CheckpointError`: It cannot be written; nothing has changed then.
    """
    with atomic_files.sealed_folder(folder) as partial:
        _write_model(weights, partial, folder)
        reports.write_report(partial, report)
        for logs in unfinished.glob(TRACKER_LOGS):
            shutil.copytree(logs, partial / TRACKER_LOGS)
        report_pages.write_pages(partial, report, folder)
        model_card.write_card(partial, report)


def _write_model(weights: TrainedWeights, partial: Path, folder: Path) -> None:
    try:
        weights.publish(partial)
        weights.base.tokenizer.save_pretrained(partial)
    except LocalLLMError:
        raise
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(
            f"cannot write {folder.absolute()}: {error}",
            fix="free some disk space, then go on with --resume: what was "
            "trained is saved",
        ) from error


def _describe_base(base: BaseModel) -> dict[str, str]:
    end_of_turn = base.chat_format.end_of_turn_id
    pinned = {"revision": base.revision} if base.revision else {}
    return {
        "name": base.name,
        **pinned,
        "fingerprint": base.fingerprint,
        "device": str(base.device),
        "dtype": str(base.model.dtype),
        "end_of_turn": str(base.tokenizer.convert_ids_to_tokens(end_of_turn)),
    }


def _describe_data(
    data: ChatData,
    result: TrainingResult,
    sources: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    rows, held_out = result.train_rows, result.held_out_rows
    tokens, trained = rows.tokens, rows.trained_tokens
    return {
        "source": data.source,
        "sources": sources,
        "fingerprint": data.fingerprint,
        "summary": data.summary(),
        "rows": data.rows_kept,
        "multi_turn": data.multi_turn,
        "train_rows": len(set(data.train)) - len(rows.without_answer),
        "epoch_rows": len(rows.rows),
        "held_out_rows": len(held_out.rows),
        "formats": data.formats,
        "drops": data.drop_counts(),
        "drop_places": _places(data.drops),
        "adjustments": data.adjustments,
        "skipped_files": list(data.skipped_files),
        "tokens": tokens,
        "trained_tokens": trained,
        "trained_share": trained / tokens if tokens else 0.0,
        "longest_row": max(
            (len(row["input_ids"]) for row in rows.rows),
            default=0,
        ),
        "shortened": rows.shortened,
        "without_answer": rows.without_answer,
        "held_out_shortened": held_out.shortened,
        "held_out_without_answer": held_out.without_answer,
    }


def _places(drops: Sequence[Drop]) -> dict[str, list[str]]:
    """All places of each reason to leave a row out."""
    places: dict[str, list[str]] = defaultdict(list)
    for drop in drops:
        places[drop.reason].append(drop.where)
    return dict(places)


def _describe_sources(
    data: ChatData,
    surroundings: Surroundings,
) -> list[dict[str, Any]]:
    """Each source with its licence; one of several configs is asked once."""
    folder, token = surroundings.folder, surroundings.token
    licences = {
        origin: find_licence("dataset", origin, folder, token)
        for origin in dict.fromkeys(one.origin for one in data.sources)
    }
    return [
        {
            "name": one.name,
            "hub_id": hub_id(one.origin, folder),
            "licence": licences[one.origin].name,
            "licence_found_in": licences[one.origin].where,
            "weight": one.weight,
            "rows": one.rows,
            "in_epoch": one.in_epoch,
        }
        for one in data.sources
    ]


def _licences(
    base: BaseModel,
    sources: Sequence[Mapping[str, Any]],
    surroundings: Surroundings,
) -> dict[str, str]:
    folder, token = surroundings.folder, surroundings.token
    of_base = find_licence("model", base.name, folder, token)
    of_data = dict.fromkeys(one["licence"] for one in sources)
    places = dict.fromkeys(one["licence_found_in"] for one in sources)
    return {
        "base": of_base.name,
        "base_found_in": of_base.where,
        "data": "; ".join(of_data) or UNKNOWN,
        "data_found_in": "; ".join(filter(None, places)),
    }
