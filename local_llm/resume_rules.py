# -*- coding: utf-8 -*-
"""What an unfinished run is made of, and what of it may change at a resume.

A table says it for every part, and what it does not name must stay the same.
Reads no files and trains nothing. Raises CheckpointError with every forbidden
change at once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from .errors import CheckpointError

_NOT_SET = "not set"
_SHOWN = 40  # characters of a value in a message
_SECTIONS = (
    "lora_config",
    "bnb_config",
    "training_args",
    "options",
    "libraries",
)


class Rule(Enum):
    """What may become of a part; the value is how a reader is told."""

    SAME = "must stay the same"
    DATA = "must stay the same, unless the change is accepted"
    MAJOR = "must keep its major version"
    LARGER = "may grow"
    FREE = "may change"


RULES: Mapping[str, Rule] = {
    "data": Rule.DATA,
    "first_row": Rule.DATA,
    "libraries.torch": Rule.MAJOR,
    "libraries.transformers": Rule.MAJOR,
    "libraries.trl": Rule.MAJOR,
    "libraries.peft": Rule.MAJOR,
    "libraries.*": Rule.FREE,
    "training_args.max_steps": Rule.LARGER,
    "training_args.num_train_epochs": Rule.LARGER,
    "training_args.eval_*": Rule.FREE,
    "training_args.per_device_eval_batch_size": Rule.FREE,
    "training_args.activation_checkpointing*": Rule.FREE,
    "training_args.gradient_checkpointing*": Rule.FREE,
    "training_args.log_*": Rule.FREE,
    "training_args.logging_*": Rule.FREE,
    "training_args.report_to": Rule.FREE,
    "training_args.run_name": Rule.FREE,
    "training_args.project": Rule.FREE,
    "training_args.trackio_*": Rule.FREE,
    "training_args.disable_tqdm": Rule.FREE,
    "training_args.save_*": Rule.FREE,
    "training_args.*": Rule.SAME,
    "options.early_stopping*": Rule.FREE,
    "options.*": Rule.SAME,
    "lora_config.*": Rule.SAME,
    "bnb_config.*": Rule.SAME,
    "base": Rule.SAME,
    "processes": Rule.SAME,
    "continued_from": Rule.SAME,
    "*": Rule.SAME,
}
"""By pattern; the first that fits counts."""


class DataChanged(CheckpointError):
    """Nothing but the data of an unfinished run is another now."""


@dataclass(frozen=True)
class RunRecord:
    """What a run is made of.

    Attributes:
        base (`str`):
            The fingerprint of the base model.
        data (`str`):
            The fingerprint of the conversations, train and held out.
        first_row (`Sequence[int]`):
            The ids of the first row: another tokenizer or template makes
            other rows of the same conversations.
        lora_config, bnb_config, training_args (`Mapping[str, Any] | None`):
            As in the settings, with the project's defaults filled in.
        options (`Mapping[str, Any]`):
            Whatever else of the settings changes what is learned.
        libraries (`Mapping[str, str]`):
            The versions of the libraries by their names.
        processes (`int`):
            How many train together.
        continued_from (`str | None`):
            The key of the run whose adapter is trained on.
    """

    base: str
    data: str
    first_row: Sequence[int]
    lora_config: Mapping[str, Any] | None
    bnb_config: Mapping[str, Any] | None
    training_args: Mapping[str, Any]
    options: Mapping[str, Any]
    libraries: Mapping[str, str]
    processes: int = 1
    continued_from: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The record in values that JSON can hold."""
        values: dict[str, Any] = json.loads(
            json.dumps(asdict(self), default=str),
        )
        return values


def record_from(values: Mapping[str, Any]) -> RunRecord:
    """The record that `RunRecord.as_dict` was called on.

    Args:
        values (`Mapping[str, Any]`):
            May hold more; that is not looked at.

    Raises:
        `CheckpointError`: A part is missing or of another kind.
    """
    names = [field.name for field in fields(RunRecord)]
    problems = [f"no {name}" for name in names if name not in values]
    problems += [
        f"{name} is not an object"
        for name in _SECTIONS
        if not isinstance(values.get(name), Mapping | None)
    ]
    if problems:
        raise CheckpointError(
            f"the record of the unfinished run: {', '.join(problems)}",
            fix="start anew with --overwrite, which keeps it aside",
        )
    return RunRecord(**{name: values[name] for name in names})


def compare(
    old: RunRecord,
    new: RunRecord,
    *,
    accept_data_change: bool = False,
) -> list[str]:
    """See that a run may go on with what is there now.

    Args:
        old (`RunRecord`):
            What the run began with.
        new (`RunRecord`):
            What it would go on with.
        accept_data_change (`bool`, optional):
            Whether the rest of the run may use other data.

    Returns:
        `list[str]`: One line for each change, all of them allowed; to be
            kept with the record.

    Raises:
        `CheckpointError`: What changed may not; every such change is named.
            `DataChanged` where it is the data alone.
    """
    changes, forbidden = [], []
    for name, before, after in _differences(old.as_dict(), new.as_dict()):
        rule = rule_for(name)
        change = f"{name}: {_shown(before)} -> {_shown(after)}"
        changes.append(change)
        accepted = rule is Rule.DATA and accept_data_change
        if not accepted and not _ALLOWED[rule](before, after):
            forbidden.append(f"{change} ({rule.value})")
    if forbidden:
        raise _refusal(forbidden)
    return changes


def rule_for(name: str) -> Rule:
    """The rule for a part, for example `training_args.learning_rate`."""
    return next(
        rule for pattern, rule in RULES.items() if fnmatchcase(name, pattern)
    )


def rules_as_markdown() -> str:
    """The table of the rules, as the README shows it."""
    lines = ["| at a resume | part of the run |", "|---|---|"]
    for rule in reversed(Rule):
        names = [f"`{one}`" for one, found in RULES.items() if found is rule]
        lines.append(f"| {rule.value} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def _differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    prefix: str = "",
) -> Iterator[tuple[str, Any, Any]]:
    """The parts that differ: name, before and after, sections taken apart."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, _NOT_SET), new.get(name, _NOT_SET)
        both = isinstance(before, Mapping) and isinstance(after, Mapping)
        if both and name in _SECTIONS and not prefix:
            yield from _differences(before, after, f"{name}.")
        elif before != after:
            yield f"{prefix}{name}", before, after


def _is_larger(before: Any, after: Any) -> bool:
    """Whether a limit that was set has grown; -1 says that none is set."""
    numbers = all(type(one) in (int, float) for one in (before, after))
    return numbers and 0 < before < after


def _is_of_same_major(before: Any, after: Any) -> bool:
    return str(before).partition(".")[0] == str(after).partition(".")[0]


_ALLOWED: Mapping[Rule, Callable[[Any, Any], bool]] = {
    Rule.SAME: lambda before, after: False,
    Rule.DATA: lambda before, after: False,
    Rule.MAJOR: _is_of_same_major,
    Rule.LARGER: _is_larger,
    Rule.FREE: lambda before, after: True,
}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _refusal(forbidden: Sequence[str]) -> CheckpointError:
    lines = "".join(f"\n  - {one}" for one in forbidden)
    message = f"the unfinished run cannot go on with other settings:{lines}"
    if all(one.startswith(("data:", "first_row:")) for one in forbidden):
        return DataChanged(
            message,
            fix="bring the data back, or accept it with --accept-data-change",
        )
    return CheckpointError(
        message,
        fix="undo these changes, or start anew with --overwrite",
    )
