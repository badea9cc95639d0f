# -*- coding: utf-8 -*-
"""A finished fine-tuning run: what identifies it, its report, its folder.

Puts together what data, training and reports know; trains nothing. Raises
CheckpointError.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from . import adapters, atomic_files, reports
from .base_model import BaseModel
from .chat_datasets import ChatData
from .model_sources import DEFAULT_QUANTIZATION
from .reports import Demonstration, Reply, RunReport
from .settings import FineTuneSettings
from .training import TrainingResult


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
    quantization = settings.bnb_config
    if quantization is None:  # an empty one loads unquantized weights
        quantization = DEFAULT_QUANTIZATION
    return reports.run_key(
        base=base.fingerprint,
        quantization=quantization,
        data=data.fingerprint,
        # Another tokenizer or template makes other rows of the same data.
        first_row=base.chat_format.render(data.train[0].turns).ids,
        lora=settings.lora_config,
        training=settings.training_args,
        max_seq_length=settings.max_seq_length,
        continued_from=continued_from,
    )


def build_report(
    key: str,
    base: BaseModel,
    data: ChatData,
    settings: FineTuneSettings,
    result: TrainingResult,
    replies: Mapping[str, tuple[Reply, Reply]],
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
    """
    return RunReport(
        key=key,
        base={
            "name": base.name,
            "fingerprint": base.fingerprint,
            "device": str(base.device),
            "dtype": str(base.model.dtype),
        },
        data=_describe_data(data, result),
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
    )


def publish(
    base: BaseModel,
    adapter: str,
    report: RunReport,
    folder: Path,
) -> None:
    """Leave a finished run: adapter, tokenizer and template, report.

    Raises:
        `CheckpointError`: It cannot be written; nothing has changed then.
    """
    with atomic_files.sealed_folder(folder) as partial:
        adapters.save_adapter(base, adapter, partial)
        base.tokenizer.save_pretrained(partial)
        reports.write_report(partial, report)


def _describe_data(data: ChatData, result: TrainingResult) -> dict:
    rows = result.train_rows
    return {
        "source": data.source,
        "fingerprint": data.fingerprint,
        "summary": data.summary(),
        "formats": data.formats,
        "drops": data.drop_counts(),
        "tokens": rows.tokens,
        "trained_tokens": rows.trained_tokens,
        "shortened": rows.shortened,
        "without_answer": rows.without_answer,
    }
