# -*- coding: utf-8 -*-
"""Compares training on a CPU with trl's defaults and with a plain loop.

    python benchmarks/training.py

Every arm trains a fresh LoRA adapter of one seed on the embedded model in
4 bits, with the same rows in each optimizer step: `ours` as this package does
it, its account of each step included, `trl` with SFTTrainer's defaults and
padded batches of four, `trl without checkpointing` the same but for what these
defaults compute twice, `plain` with transformers' Trainer and the model's own
loss over full logits. Each measurement is a process of its own, the arms come
in turn. Nothing is written unless every run of every arm had the same losses
and a gradient for every tensor of the adapter. Writes
reports/embedded_training.json. Nothing else should run on the machine meanwhile.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedded import describe_machine, write_report

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

if TYPE_CHECKING:
    from transformers import Trainer

    from local_llm.trained_weights import AdapterWeights
    from local_llm.training_rows import TrainingRows

ROWS_OF_A_STEP = 4
WARM_UP = 1
STEPS = 6
ROUNDS = 3
MAX_TOKENS = 512
EQUAL_TOKENS = 96
"""Of every row in the workload where packing gains nothing."""

ADAPTER = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0}
COMMON: dict[str, Any] = {
    "learning_rate": 2e-4,
    "lr_scheduler_type": "constant",
    "max_steps": WARM_UP + STEPS,
    "per_device_train_batch_size": ROWS_OF_A_STEP,
    "train_sampling_strategy": "sequential",
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "seed": 7,
}
LOSS_TOLERANCE = 0.02
"""Of an arm's losses against the plain ones; the arms round differently."""

WORKLOADS = ("mixed", "equal")


def main() -> None:
    """Measure all arms, or one in this process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arm", choices=ARMS)
    parser.add_argument("--workload", choices=WORKLOADS)
    chosen = parser.parse_args()
    if chosen.arm:
        print(json.dumps(measure(chosen.arm, chosen.workload)))
        return
    figures: dict[str, Any] = {
        "command": "python benchmarks/training.py",
        "machine": describe_machine(),
        "steps_timed": STEPS,
        "rows_of_a_step": ROWS_OF_A_STEP,
    }
    for workload in WORKLOADS:
        figures[workload] = compare(workload)
        write_report("training", figures)


def compare(workload: str) -> dict[str, Any]:
    """Measure the arms in turn and put them beside each other."""
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for number in range(ROUNDS):
        for arm in ARMS:
            found[arm].append(_in_a_process(arm, workload))
            one = found[arm][-1]
            print(workload, number, arm, one["tokens_per_s"], one["peak_gb"])
    check_gradients(found)
    check_losses(found)
    speeds = {arm: _spread(found[arm], "tokens_per_s") for arm in ARMS}
    peaks = {arm: _spread(found[arm], "peak_gb") for arm in ARMS}

    return {
        "tokens_of_a_step": found["ours"][0]["tokens_of_a_step"],
        "labelled_share": found["ours"][0]["labelled_share"],
        "arms": {arm: found[arm][0]["how"] for arm in ARMS},
        "tokens_per_s": speeds,
        "peak_gb": peaks,
        "speed_to": _ratios(speeds),
        "peak_to": _ratios(peaks),
        "losses": {arm: found[arm][0]["losses"] for arm in ARMS},
        "tensors_with_gradient": {
            arm: found[arm][0]["tensors_with_gradient"] for arm in ARMS
        },
    }


def _ratios(figure: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Ours to that of each other arm."""
    ours = figure["ours"]["median"]
    return {
        arm: round(ours / one["median"], 2)
        for arm, one in figure.items()
        if arm != "ours"
    }


def _in_a_process(arm: str, workload: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--arm", arm, "--workload", workload],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _spread(runs: Sequence[Mapping[str, Any]], key: str) -> dict[str, float]:
    values = [run[key] for run in runs]
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
    }


def check_gradients(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse to compare arms that do not train the whole adapter."""
    for arm, runs in found.items():
        for number, run in enumerate(runs, start=1):
            alive, tensors = run["tensors_with_gradient"], run["tensors"]
            if alive != tensors:
                sys.exit(
                    f"{arm}, round {number}: {alive} of {tensors} tensors "
                    "had a gradient",
                )


def check_losses(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse to compare arms that do not compute the same."""
    plain = found["plain"][0]["losses"]
    for arm, runs in found.items():
        for number, run in enumerate(runs, start=1):
            pairs = zip(run["losses"], plain, strict=True)
            for step, (one, other) in enumerate(pairs, start=1):
                # Written so that one that is no number is refused as well.
                if not abs(one - other) <= LOSS_TOLERANCE * abs(other):
                    sys.exit(
                        f"{arm}, round {number}: loss {one} at step {step}, "
                        f"plain {other}",
                    )


# -- one arm -----------------------------------------------------------------


def measure(arm: str, workload: str) -> dict[str, Any]:
    """Train with one arm; its speed, its peak and what shows it is real."""
    weights, rows = _prepare(workload)
    with tempfile.TemporaryDirectory() as folder, weights.trainable():
        trainer = ARMS[arm](weights, rows, Path(folder))
        clock = _clock(trainer, weights)
        how = _describe(trainer, weights)
        _reset_peak()
        trainer.train()
        peak = _peak_bytes()
    order = [len(row["input_ids"]) for row in rows.rows]
    timed = order[WARM_UP * ROWS_OF_A_STEP : len(clock.seconds) * 4]
    return {
        "tokens_per_s": round(sum(timed) / sum(clock.seconds[WARM_UP:]), 1),
        "peak_gb": round(peak / 1e9, 2),
        "losses": [
            round(entry["loss"], 4)
            for entry in trainer.state.log_history
            if "loss" in entry
        ],
        "tensors_with_gradient": clock.alive,
        "tensors": len(weights.parameters()),
        "how": how,
        "tokens_of_a_step": round(sum(timed) / STEPS),
        "labelled_share": round(rows.trained_tokens / rows.tokens, 3),
    }


def _describe(
    trainer: "Trainer",
    weights: "AdapterWeights",
) -> dict[str, Any]:
    """In which numbers an arm computes, what it computes twice, and how its
    rows lie in a batch."""
    arguments = trainer.args
    autocast = [one for one in ("bf16", "fp16") if getattr(arguments, one)]
    in_one_line = getattr(arguments, "padding_free", False)
    return {
        "number_format": str(weights.base.model.dtype).removeprefix("torch."),
        "autocast": autocast[0] if autocast else "off",
        "gradient_checkpointing": bool(arguments.gradient_checkpointing),
        "batches": "in one line" if in_one_line else "padded",
    }


def _prepare(workload: str) -> tuple["AdapterWeights", "TrainingRows"]:
    """The embedded model with a fresh adapter, and the rows in order."""
    import os

    from local_llm.adapters import add_adapter
    from local_llm.base_model import LoadRequest, load_base_model
    from local_llm.chat_datasets import load_chat_data
    from local_llm.surroundings import cache_folder
    from local_llm.trained_weights import AdapterWeights
    from local_llm.training_rows import render_rows

    request = LoadRequest("embedded:gemma-3-270m", cache_folder(os.environ))
    base = load_base_model(request)
    data = load_chat_data(str(PROJECT / "data/assistant_conversations.json"))
    rows = render_rows(base.chat_format, data.train, MAX_TOKENS)
    needed = (WARM_UP + STEPS) * ROWS_OF_A_STEP
    # The longest rows come first: the peak of a run is that of its longest
    # batch, and the warm-up is not timed.
    chosen = sorted(rows.rows, key=_length)[-ROWS_OF_A_STEP:] + rows.rows
    if workload == "equal":
        chosen = [_cut(row) for row in chosen if _is_long_enough(row)]
    weights = AdapterWeights(base, add_adapter(base, ADAPTER, seed=7))
    chosen = [chosen[i % len(chosen)] for i in range(needed)]
    return weights, type(rows)(chosen, 0, [])


def _length(row: Mapping[str, list[int]]) -> int:
    return len(row["input_ids"])


def _is_long_enough(row: Mapping[str, list[int]]) -> bool:
    return _length(row) >= EQUAL_TOKENS


def _cut(row: Mapping[str, list[int]]) -> dict[str, list[int]]:
    return {key: values[:EQUAL_TOKENS] for key, values in row.items()}


def _clock(trainer: "Trainer", weights: "AdapterWeights") -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Times the steps and sees at the last whether gradients live."""

        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.alive = 0
            self._began = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self._began = time.perf_counter()

        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            now = time.perf_counter()
            gradients = [one.grad for one in weights.parameters().values()]
            self.alive = sum(
                one is not None and bool(one.any()) for one in gradients
            )
            self._began += time.perf_counter() - now  # no part of the step

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self._began)

    clock = Clock()
    trainer.add_callback(clock)
    return clock


def _reset_peak() -> None:
    """Let Linux measure the process's peak from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(one for one in status.splitlines() if "VmHWM" in one)
    return int(line.split()[1]) * 1024


def _ours(
    weights: "AdapterWeights",
    rows: "TrainingRows",
    folder: Path,
) -> "Trainer":
    from local_llm.settings import FineTuneSettings
    from local_llm.stop_signals import StopRequest
    from local_llm.training import TrainingRun
    from local_llm.training_history import TrainingHistory
    from local_llm.training_progress import Progress
    from local_llm.training_rows import TrainingRows

    arguments = {k: v for k, v in COMMON.items() if k != "use_cpu"}
    settings = FineTuneSettings(training_args=arguments)
    nothing = TrainingRows([], 0, [])
    history = TrainingHistory()
    run = TrainingRun(weights, rows, nothing, settings, folder, history)
    trainer = run.build_trainer()
    trainer.add_callback(
        Progress(trainer, lambda step: None, StopRequest(), None),
    )
    return trainer


def _trl(
    weights: "AdapterWeights",
    rows: "TrainingRows",
    folder: Path,
    **changes: Any,
) -> "Trainer":
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(
        model=weights.module,
        args=SFTConfig(
            output_dir=str(folder),
            dataset_kwargs={"skip_prepare_dataset": True},
            **COMMON,
            **changes,
        ),
        train_dataset=Dataset.from_list(rows.rows),
        processing_class=weights.base.tokenizer,
    )


def _plain(
    weights: "AdapterWeights",
    rows: "TrainingRows",
    folder: Path,
) -> "Trainer":
    from datasets import Dataset
    from transformers import (
        DataCollatorForSeq2Seq,
        Trainer,
        TrainingArguments,
    )

    tokenizer = weights.base.tokenizer
    return Trainer(
        model=weights.module,
        args=TrainingArguments(
            output_dir=str(folder),
            remove_unused_columns=False,
            **COMMON,
        ),
        train_dataset=Dataset.from_list(rows.rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )


ARMS = {
    "ours": _ours,
    "trl": _trl,
    "trl without checkpointing": partial(_trl, gradient_checkpointing=False),
    "plain": _plain,
}


if __name__ == "__main__":
    main()
