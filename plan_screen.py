# -*- coding: utf-8 -*-
"""What the program shows of a run before it begins: examples, and a plan.

Trained text is coloured, and in brackets where there are no colours. Loads no
weights. Raises the errors of planning.
"""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_llm.estimates import gigabytes
from screen import printable

if TYPE_CHECKING:
    from local_llm.local_model import LocalModel
    from local_llm.planning import Fit, Preview, RunPlan
    from local_llm.preview import PreviewRow
    from local_llm.run_folders import ExistingRun
    from local_llm.training_rows import TrainingRows

TRAINED_STYLE = "bold green"
TRAINED_MARKS = ("[[", "]]")

_PARTS = {
    "process": "Python and libraries",
    "mapped": "file of the weights, mapped",
    "weights": "weights",
    "adapter": "adapter",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "head": "logits",
    "overhead": "kernels and allocator",
}


def look_ahead(
    local: "LocalModel",
    console: Console,
    examples: int | None,
    processes: int | None,
    existing_run: "ExistingRun" = "refuse",
) -> None:
    """Show examples, a plan or both; no weights are loaded.

    Args:
        local (`LocalModel`):
            The model of the settings.
        console (`Console`):
            Where to show them.
        examples (`int | None`):
            How many; None for none.
        processes (`int | None`):
            How many would train together; None for no plan.
        existing_run (`ExistingRun`, optional):
            What the run would do with one that is there already.

    Raises:
        `TrainingError`: The run would not fit; the plan was shown.
        `CheckpointError`: Its folder cannot be written, or something is in
            the way; the plan was shown.
    """
    from local_llm.planning import plan_run, preview_run

    settings, surroundings = local.settings, local.surroundings
    if examples is not None:
        show_preview(console, preview_run(settings, surroundings, examples))
    if processes is not None:
        plan = plan_run(settings, surroundings, processes)
        show_plan(console, plan)
        plan.require_fit()
        local.check_output(existing_run)


def show_preview(console: Console, preview: "Preview") -> None:
    """Show training examples, what is under the loss marked."""
    in_colour = _has_colours(console)
    for number, row in enumerate(preview.shown, 1):
        console.print()
        title = f"example {number}: {row.where}"
        console.rule(Text(printable(title)), align="left", style="dim")
        console.print(_example(row, in_colour), soft_wrap=True)
        console.print(Text(_share_of(row), "dim"), soft_wrap=True)
    console.print()
    _say(console, preview.source)
    _say(console, _counts(preview.rows))
    console.print(_legend(in_colour), soft_wrap=True)


def show_plan(console: Console, plan: "RunPlan") -> None:
    """Show what a run will do and need."""
    console.print()
    console.rule(Text("dry run"), align="left", style="dim")
    for line in _facts(plan):
        _say(console, line)
    console.print()
    console.print(_memory_table(plan))
    console.print()
    for line in _needs(plan):
        _say(console, line)


def _example(row: "PreviewRow", in_colour: bool) -> Text:
    text = Text()
    opening, closing = ("", "") if in_colour else TRAINED_MARKS
    for span in row.spans:
        if span.is_trained:
            marked = f"{opening}{printable(span.text)}{closing}"
            text.append(marked, TRAINED_STYLE)
        else:
            text.append(printable(span.text))
    text.rstrip()
    return text


def _share_of(row: "PreviewRow") -> str:
    cut = ", cut to the longest length" if row.is_shortened else ""
    return (
        f"{row.trained_tokens:,} of {row.tokens:,} tokens under the loss "
        f"({row.trained_share:.0%}){cut}"
    )


def _counts(rows: "TrainingRows") -> str:
    share = rows.trained_tokens / rows.tokens
    parts = [
        f"{len(rows.rows):,} rows to train on, {rows.tokens:,} tokens, "
        f"{rows.trained_tokens:,} under the loss ({share:.0%})",
    ]
    return ", ".join([*parts, *_cuts(rows)])


def _cuts(rows: "TrainingRows") -> list[str]:
    parts = []
    if rows.shortened:
        parts.append(f"{rows.shortened:,} cut to the longest length")
    if rows.without_answer:
        count, first = len(rows.without_answer), rows.without_answer[0]
        named = first if count == 1 else f"the first: {first}"
        parts.append(f"{count:,} left out by that ({named})")
    return parts


def _legend(in_colour: bool) -> Text:
    if in_colour:
        return Text("this colour", TRAINED_STYLE).append(
            " is what the model learns to say",
            "default not bold",
        )
    opening, closing = TRAINED_MARKS
    return Text(f"{opening}between these{closing} is what the model learns")


def _facts(plan: "RunPlan") -> list[str]:
    shape, schedule = plan.shape, plan.schedule
    rows = f"{schedule.rows_at_once} rows"
    if schedule.accumulation > 1:
        rows += f" x {schedule.accumulation} accumulated"
    if schedule.processes > 1:
        rows += f" x {schedule.processes} processes"
    held = shape.bits and f"in {shape.bits}-bit, else in "
    dtype = str(shape.dtype).removeprefix("torch.")
    checkpointing = "on" if plan.is_checkpointed else "off"
    return [
        f"data: {plan.data}",
        f"rows: {_counts(plan.rows)}",
        ", ".join(
            [f"held out: {len(plan.held_out.rows):,} rows"]
            + _cuts(plan.held_out),
        ),
        f"longest row: {plan.longest_row:,} tokens; longest batch: "
        f"{schedule.longest.tokens:,}",
        f"steps: {schedule.steps:,} of {rows}, {schedule.epochs:.1f} epochs, "
        f"{schedule.tokens:,} tokens",
        f"model: {plan.model}, {_count(shape.weights)} weights "
        f"{held or 'in '}{dtype}, {_count(shape.trained)} trained, on "
        f"{shape.device}",
        f"gradient checkpointing: {checkpointing} "
        f"({plan.checkpointing_reason})",
    ]


def _memory_table(plan: "RunPlan") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("memory at the peak")
    table.add_column("estimate", justify="right")
    for name, count in plan.memory.parts().items():
        if count:
            table.add_row(_PARTS[name], gigabytes(count))
    total = Text(gigabytes(plan.memory.total), "bold")
    table.add_row(Text("together", "bold"), total)
    return table


def _needs(plan: "RunPlan") -> list[str]:
    time = plan.time
    tightest = plan.fits[0]
    return [
        *(_fit(one, plan) for one in sorted(plan.fits, key=_what)),
        f"time: about {_duration(time.seconds)} of training here "
        f"({time.tokens_per_second:,.0f} tokens/s; half or double is possible)",
        f"tightest: {tightest.what}, {tightest.share:.0%} of what is free",
        "it will fit" if _all_fit(plan) else "it will not fit",
    ]


def _fit(fit: "Fit", plan: "RunPlan") -> str:
    text = f"{fit.what}: {gigabytes(fit.needed)} of {gigabytes(fit.free)} free"
    if fit.what == "memory" and plan.memory.mapped:
        return f"{text} (mapped pages can be taken back)"
    if fit.what == "disk":
        return (
            f"{text} (checkpoints {gigabytes(plan.disk.checkpoints)}, run "
            f"{gigabytes(plan.disk.run)})"
        )
    return text


def _what(fit: "Fit") -> bool:
    return fit.what != "memory"


def _all_fit(plan: "RunPlan") -> bool:
    return all(one.fits for one in plan.fits)


def _count(number: int) -> str:
    if number >= 1e9:
        return f"{number / 1e9:.1f} billion"
    return f"{number / 1e6:.1f} million"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _has_colours(console: Console) -> bool:
    return bool(
        console.is_terminal and console.color_system and not console.no_color,
    )


def _say(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)
