# -*- coding: utf-8 -*-
"""What the programs show: lines, progress, comparisons, errors.

Writes to the terminal, or plain lines where there is none. Knows no models.
"""

import contextlib
import logging
import math
import re
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from local_llm.errors import LocalLLMError
from local_llm.settings_file import masked

if TYPE_CHECKING:
    from local_llm.doctor import Finding
    from local_llm.reports import Reply, RunReport
    from local_llm.surroundings import Listener
    from local_llm.training_progress import Step

_LINES_WITHOUT_TERMINAL = 10
"""How many lines of training progress a log gets."""

_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]",
)
"""Control characters but the tab and the line break, and those that change
the direction of what follows them."""


def printable(text: str) -> str:
    """A text without the characters that a terminal obeys, not shows."""
    return _OBEYED.sub("", text)


class MaskedFormatter(logging.Formatter):
    """Formats log lines with every token and password in them masked."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback that it may have."""
        return masked(super().format(record))


class Screen:
    """The terminal of a program.

    Args:
        console (`Console | None`, optional):
            Where to write; standard output if empty.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    def say(self, text: str) -> None:
        """Show a line."""
        self.console.print(_verbatim(text), soft_wrap=True)

    def title(self, text: str) -> None:
        """Begin a part of the output."""
        self.console.print()
        self.console.rule(_verbatim(text), align="left", style="dim")

    def document(self, page: Path) -> None:
        """Show a page that was written, and where it stands.

        Without a terminal its Markdown is shown as it is: a table that is
        fitted into 80 columns is hard to read for people and programs.
        """
        text = page.read_text(encoding="utf-8")
        if self.console.is_terminal:
            self.console.print(Markdown(printable(text)))
        else:
            self.say(text)
        self.say(f"written: {page.absolute()}")

    def error(self, error: LocalLLMError) -> None:
        """Show what went wrong and what to do."""
        text = _verbatim(masked(f"error: {error}"), style="red")
        self.console.print(text, soft_wrap=True)

    def bug(self, error: Exception) -> None:
        """Show a fault of the program itself, without a traceback."""
        what = masked(f"bug: {type(error).__name__}: {error}")
        self.say(f"{what}\n  fix: run it with --debug and report it")

    def listener(self) -> "Listener":
        """Shows a line when something long begins."""
        from local_llm.surroundings import Listener

        return Listener(on_status=self.say)

    def traceback(self, error: Exception) -> None:
        """Show where an error comes from; libraries quote what they sent."""
        text = "".join(traceback.format_exception(error))
        sys.stderr.write(masked(text))

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator["Listener"]:
        """Show what is being done, and for how long.

        Args:
            what (`str`):
                Until the listener is told more.
        """
        from local_llm.surroundings import Listener

        if not self.console.is_terminal:
            yield Listener(on_status=self.say)
            return
        with self._bar() as bar:
            task = bar.add_task(what, total=None)
            yield Listener(
                on_status=lambda text: bar.update(
                    task,
                    description=printable(text),
                ),
            )

    @contextlib.contextmanager
    def loading(self) -> Iterator["Listener"]:
        """Show what is being loaded, and for how long."""
        start = time.monotonic()
        with self.working("loading") as listener:
            yield listener
        self.say(f"loaded in {time.monotonic() - start:.0f} s")

    @contextlib.contextmanager
    def training(self) -> Iterator["Listener"]:
        """Show steps and loss while a model is fine-tuned, or several one
        after the other."""
        from local_llm.surroundings import Listener

        if not self.console.is_terminal:
            yield Listener(on_status=self.say, on_step=self._say_step)
            return
        with self._step_bar() as bar:
            shown = _StepBar(bar)
            yield Listener(on_status=shown.begin, on_step=shown.step)

    def replies(self, replies: Mapping[str, "Reply"]) -> None:
        """Show prompts and the replies to them."""
        for prompt, reply in replies.items():
            self._quote(prompt, reply)

    def compare(
        self,
        before: Mapping[str, "Reply"],
        after: Mapping[str, "Reply"],
    ) -> None:
        """Show replies before and after fine-tuning, side by side."""
        table = Table(show_lines=True, expand=True)
        table.add_column("prompt", ratio=1)
        table.add_column(f"before: {_ended(before)}", ratio=3)
        table.add_column(f"after: {_ended(after)}", ratio=3)
        for prompt, reply in before.items():
            table.add_row(
                _verbatim(prompt),
                _with_ending(reply),
                _with_ending(after[prompt]),
            )
        self.console.print(table)

    def report(self, report: "RunReport") -> None:
        """Show what came out of a finished run, a line each."""
        from local_llm.report_words import change, endings, kept, perplexity

        before, after = report.held_out_before, report.held_out_after
        if before is not None and after is not None:
            self.say(
                f"held-out loss {before:.2f} before, {after:.2f} after "
                f"({change(before, after)}; perplexity {perplexity(before)} "
                f"before, {perplexity(after)} after)",
            )
        for line in (kept(report), endings(report), *report.notes):
            if line:
                self.say(line)
        self.say(
            f"{report.steps} steps, {report.tokens:,} tokens, "
            f"{report.seconds:.0f} s, {report.tokens_per_second:.0f} "
            f"tokens/s, peak memory {report.peak_memory_bytes / 1e9:.1f} GB",
        )

    def findings(self, findings: Iterable["Finding"]) -> None:
        """Show what the doctor found."""
        table = Table(show_header=False, box=None)
        for finding in findings:
            table.add_row(_verbatim(finding.name), _verbatim(finding.found))
        self.console.print(table)

    def _quote(self, prompt: str, reply: "Reply") -> None:
        self.console.print(_verbatim(prompt, style="bold"))
        self.console.print(_with_ending(reply))

    def _say_step(self, step: "Step") -> None:
        every = max(1, math.ceil(step.total / _LINES_WITHOUT_TERMINAL))
        if step.number % every == 0 or step.number == step.total:
            self.say(f"step {step.number}/{step.total}, {_describe(step)}")

    def _bar(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )

    def _step_bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )


class _StepBar:
    """A bar of steps, which begins anew with each thing that is begun."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._what = ""
        self._task = bar.add_task("measuring the loss before", total=None)

    def begin(self, what: str) -> None:
        """Show what has begun; its steps are not counted yet."""
        self._what = printable(what)
        self._bar.remove_task(self._task)
        self._task = self._bar.add_task(self._what, total=None)

    def step(self, step: "Step") -> None:
        """Show how far it is."""
        parts = [self._what, "" if step.loss is None else _describe(step)]
        self._bar.update(
            self._task,
            description=", ".join(filter(None, parts)) or _describe(step),
            completed=step.number,
            total=step.total,
        )


def silent_screen() -> Screen:
    """For a process that leaves it to another one to show things."""
    return Screen(Console(quiet=True, force_terminal=False))


def _describe(step: "Step") -> str:
    return "training" if step.loss is None else f"loss {step.loss:.3f}"


def _verbatim(text: str, style: str = "") -> Text:
    """A text as it is: no markup, no emoji codes, no control characters."""
    return Text(printable(text), style)


def _ended(replies: Mapping[str, "Reply"]) -> str:
    """How many of the replies ended by themselves."""
    ended = sum(reply.ended_its_turn for reply in replies.values())
    return f"{ended} of {len(replies)} ended"


def _with_ending(reply: "Reply") -> Text:
    """A reply; one that was cut off shows it."""
    text = _verbatim(reply.text)
    if reply.finish_reason != "stop":
        text.append(f" ... (cut off at {reply.tokens} tokens)", "dim")
    return text
