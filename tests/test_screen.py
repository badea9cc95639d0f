# -*- coding: utf-8 -*-
"""What a model or an error says is shown as it is and obeyed by nobody."""

import logging
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from local_llm.doctor import Finding
from local_llm.errors import ConfigError, WeightsError
from local_llm.reports import Demonstration, Reply, RunReport
from local_llm.training_progress import Step
from screen import MaskedFormatter, Screen, printable, silent_screen

TOKEN = "hf_canaryCANARYcanaryCANARYcanary0123"
MARKUP = "[bold]not bold[/bold] [/] [red] :smile: \\[x] end\\"
CONTROLS = "".join(map(chr, [*range(32), 127, *range(128, 160)]))
EVIL = "a\x1b[2Jb\x1b]0;title\x07c\rd\x08e\x9b31mf"
HARMLESS = "a[2Jb]0;titlecde31mf"

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def screen(is_terminal: bool = False, width: int = 80) -> Screen:
    """A screen that writes into a string."""
    console = Console(
        file=StringIO(),
        force_terminal=is_terminal,
        width=width,
        highlight=False,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color"},
    )
    return Screen(console)


def output(one: Screen) -> str:
    """What reached the terminal, raw."""
    assert isinstance(one.console.file, StringIO)
    return one.console.file.getvalue()


def words(text: str) -> str:
    """The words of an output, without colours, borders and line breaks."""
    return " ".join(re.sub(r"[│┃╇┳━─]", " ", ANSI.sub("", text)).split())


def reply(text: str, finish_reason: str = "stop") -> Reply:
    return Reply(text, finish_reason, tokens=7, seconds=0.5)


def report(before: float | None = 4.0, after: float | None = 3.0) -> RunReport:
    return RunReport(
        key="k",
        base={},
        data={},
        settings={},
        losses=[],
        held_out_before=before,
        held_out_after=after,
        steps=3,
        tokens=12345,
        seconds=2.0,
        tokens_per_second=170.0,
        peak_memory_bytes=1_500_000_000,
    )


def shows(text: str) -> list[Callable[[Screen], None]]:
    """Every way in which a text reaches the terminal."""
    return [
        lambda one: one.say(text),
        lambda one: one.title(text),
        lambda one: one.error(WeightsError(text, fix="f")),
        lambda one: one.error(ConfigError("file", [text])),
        lambda one: one.replies({"prompt": reply(text)}),
        lambda one: one.replies({text: reply("r")}),
        lambda one: one.compare({text: reply("b")}, {text: reply("a")}),
        lambda one: one.compare({"p": reply(text)}, {"p": reply("a")}),
        lambda one: one.compare({"p": reply("b")}, {"p": reply(text)}),
        lambda one: one.findings([Finding("device", text)]),
        lambda one: one.findings([Finding(text, "found")]),
    ]


# -- texts are shown as they are ------------------------------------------


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("show", shows(MARKUP))
def test_markup_in_a_text_is_shown_not_obeyed(
    show: Callable[[Screen], None],
    is_terminal: bool,
) -> None:
    one = screen(is_terminal, width=400)
    show(one)
    assert MARKUP in words(output(one))


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("show", shows(EVIL))
def test_control_characters_do_not_reach_the_terminal(
    show: Callable[[Screen], None],
    is_terminal: bool,
) -> None:
    one = screen(is_terminal, width=400)
    show(one)
    found = ANSI.sub("", output(one)) if is_terminal else output(one)
    assert HARMLESS in found
    assert not set(found) & (set(CONTROLS) - {"\n"})
    assert "\x1b[2J" not in output(one)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_status_is_shown_as_it_is(is_terminal: bool) -> None:
    one = screen(is_terminal, width=400)
    with one.loading() as listener:
        listener.on_status(f"[red] {EVIL}")
    assert f"[red] {HARMLESS}" in ANSI.sub("", output(one))
    assert "\x1b[2J" not in output(one)


def test_nothing_turns_the_direction_of_a_terminal() -> None:
    assert printable("a\u202eb\u2066c\u2069") == "abc"


def test_line_breaks_and_tabs_of_a_text_stay() -> None:
    assert printable(CONTROLS) == "\t\n"
    assert (
        printable("caf\u00e9 \U0001f642 \u4e2d")
        == "caf\u00e9 \U0001f642 \u4e2d"
    )


def test_a_long_path_stays_in_one_piece() -> None:
    path = "/home/" + "a long folder/" * 20 + "report.md"
    one = screen()
    one.say(f"report: {path}")
    one.error(WeightsError(f"{path} is missing"))
    assert output(one) == f"report: {path}\nerror: {path} is missing\n"


def test_an_error_shows_what_to_do_on_a_line_of_its_own() -> None:
    one = screen()
    one.error(WeightsError("it is missing", fix="bring it"))
    assert output(one) == "error: it is missing\n  fix: bring it\n"


# -- replies --------------------------------------------------------------


@pytest.mark.parametrize("reason", ["length", "timeout", "cancelled"])
def test_a_reply_that_did_not_end_itself_is_marked(reason: str) -> None:
    one = screen(width=200)
    replies = {"p": reply("It was a", reason)}
    one.replies(replies)
    one.compare(replies, {"p": reply("Good.")})
    marked = "It was a ... (cut off at 7 tokens)"
    assert words(output(one)).count(marked) == 2
    assert "Good. ..." not in words(output(one))


def test_a_reply_that_ended_itself_stands_alone() -> None:
    one = screen()
    one.replies({"What?": reply("That.")})
    assert output(one) == "What?\nThat.\n"


def test_the_comparison_has_a_line_for_each_prompt_in_order() -> None:
    one = screen()
    one.compare(
        {"first": reply("b1"), "second": reply("b2", "length")},
        {"second": reply("a2"), "first": reply("a1")},
    )
    found = words(output(one))
    assert re.search(
        r"prompt before: 1 of 2 ended after: 2 of 2 ended .*"
        r"first b1 a1 .*second b2 \.\.\. \(cut off at 7 tokens\) a2",
        found,
    )


def test_the_comparison_fits_the_terminal() -> None:
    one = screen()
    one.compare({"p": reply("long " * 90)}, {"p": reply("words " * 90)})
    assert max(map(len, output(one).splitlines())) <= 80


# -- reports --------------------------------------------------------------


def test_a_report_names_loss_steps_tokens_time_and_memory() -> None:
    one = screen(width=200)
    one.report(report())
    assert output(one) == (
        "held-out loss 4.00 before, 3.00 after (25.0% lower; perplexity 54.6 "
        "before, 20.1 after)\n"
        "3 steps, 12,345 tokens, 2 s, 170 tokens/s, peak memory 1.5 GB\n"
    )


def test_a_loss_that_rose_is_called_higher() -> None:
    one = screen()
    one.report(report(after=5.0))
    assert "4.00 before, 5.00 after (25.0% higher; " in output(one)


def test_a_report_names_the_kept_step_the_replies_and_the_choices() -> None:
    demonstration = Demonstration("p", reply("b", "length"), reply("a"))
    one = screen()
    one.report(
        replace(
            report(),
            best_step=2,
            stopped_early=True,
            demonstrations=[demonstration] * 3,
            notes=["gradient checkpointing off: 2.1 GB needed", EVIL],
        ),
    )
    assert output(one).splitlines()[1:-1] == [
        "the adapter of step 2 was kept, where the held-out loss was lowest; "
        "training stopped early, after step 3, since the held-out loss no "
        "longer fell",
        "3 of 3 replies ended by themselves, 0 of 3 before",
        "gradient checkpointing off: 2.1 GB needed",
        HARMLESS,
    ]


def test_a_report_without_held_out_rows_names_no_loss() -> None:
    one = screen()
    one.report(report(None, None))
    assert output(one) == (
        "3 steps, 12,345 tokens, 2 s, 170 tokens/s, peak memory 1.5 GB\n"
    )


# -- progress -------------------------------------------------------------


@pytest.mark.parametrize("total", [1, 3, 10, 11, 15, 19, 101, 130, 200, 1999])
def test_a_log_gets_at_most_ten_lines_of_steps_the_last_among_them(
    total: int,
) -> None:
    one = screen()
    with one.training() as listener:
        for number in range(1, total + 1):
            listener.on_step(Step(number, total, 2.5))
    lines = output(one).splitlines()
    assert min(total, 5) <= len(lines) <= 10
    assert lines[-1] == f"step {total}/{total}, loss 2.500"


def test_a_step_before_the_first_loss_says_so() -> None:
    one = screen()
    with one.training() as listener:
        listener.on_step(Step(1, 5, None))
    assert output(one) == "step 1/5, training\n"


def test_a_terminal_gets_a_bar_with_steps_and_loss() -> None:
    one = screen(is_terminal=True)
    with one.training() as listener:
        for number in (1, 2, 3):
            listener.on_step(Step(number, 3, 1.25))
    last = words(output(one))
    assert "loss 1.250" in last
    assert "3/3" in last
    assert "step 3/3" not in last


def train_two(one: Screen) -> None:
    """Two trainings of two steps each."""
    with one.training() as listener:
        for what in ("training the first", f"training {EVIL}"):
            listener.on_status(what)
            for number in (1, 2):
                listener.on_step(Step(number, 2, 1.25))


def test_a_log_says_which_of_several_trainings_has_begun() -> None:
    one = screen()
    train_two(one)
    steps = ["step 1/2, loss 1.250", "step 2/2, loss 1.250"]
    assert output(one).splitlines() == [
        "training the first",
        *steps,
        f"training {HARMLESS}",
        *steps,
    ]


def test_the_bar_of_a_terminal_begins_anew_with_each_training() -> None:
    one = screen(is_terminal=True, width=120)
    train_two(one)
    last = words(output(one)).rpartition("training")[2]
    assert f"{HARMLESS}, loss 1.250" in last
    assert last.count("2/2") == 1
    assert "\x1b[2J" not in output(one)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_work_shows_what_is_done(is_terminal: bool) -> None:
    one = screen(is_terminal)
    with one.working("asking") as listener:
        listener.on_status("3 of 9 replies")
    assert "3 of 9 replies" in words(output(one))
    assert ("asking" in words(output(one))) is is_terminal


PAGE = "# Results\n\n| a | b |\n| --- | --- |\n| 1.0 | x\x1b[2Jy |\n"


def test_a_log_gets_a_page_as_it_is_but_for_controls(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    one = screen(width=20)
    one.document(page)
    assert output(one) == PAGE.replace("\x1b", "") + f"\nwritten: {page}\n"


def test_a_terminal_gets_a_page_as_headings_and_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    one = screen(is_terminal=True, width=200)
    one.document(page)
    found = words(output(one))
    assert found.startswith("Results a b 1.0 x[2Jy written: ")
    assert "\x1b[2J" not in output(one)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_loading_says_what_is_loaded_and_how_long_it_took(
    is_terminal: bool,
) -> None:
    one = screen(is_terminal)
    with one.loading() as listener:
        listener.on_status("converting the weights (once)")
    found = words(output(one))
    assert "converting the weights (once)" in found
    assert found.endswith("loaded in 0 s")


@pytest.mark.parametrize("is_terminal", [False, True])
def test_loading_that_fails_does_not_say_loaded(is_terminal: bool) -> None:
    one = screen(is_terminal)
    with pytest.raises(WeightsError), one.loading():
        raise WeightsError("broken")
    assert "loaded" not in output(one)


def test_a_silent_screen_shows_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    one = silent_screen()
    one.title("a part")
    one.say("a line")
    with one.loading() as listener:
        listener.on_status("loading")
    with one.training() as listener:
        listener.on_step(Step(1, 2, 3.0))
    assert capfd.readouterr() == ("", "")


def test_a_log_has_no_escape_codes() -> None:
    one = screen()
    one.title("part")
    one.report(report())
    one.compare({"p": reply("b", "length")}, {"p": reply("a")})
    with one.loading() as listener:
        listener.on_status("loading")
    assert "\x1b" not in output(one)


def test_errors_and_bugs_never_show_a_token() -> None:
    one = screen()
    one.error(WeightsError(f"the hub said {TOKEN}"))
    one.bug(ValueError(f"https://me:{TOKEN}@host"))
    assert words(output(one)).startswith("error: the hub said ***")
    assert TOKEN not in output(one)


def test_a_traceback_shows_the_place_and_no_token(
    capfd: pytest.CaptureFixture[str],
) -> None:
    try:
        raise WeightsError(f"the hub said {TOKEN}")
    except WeightsError as error:
        screen().traceback(error)
    shown = capfd.readouterr().err
    assert "in test_a_traceback_shows_the_place" in shown
    assert "WeightsError: the hub said ***" in shown
    assert TOKEN not in shown


def test_a_log_line_never_shows_a_token() -> None:
    try:
        raise ValueError(TOKEN)
    except ValueError:
        record = logging.LogRecord(
            "hub",
            logging.DEBUG,
            "here",
            1,
            "sent %s",
            (TOKEN,),
            sys.exc_info(),
        )
    line = MaskedFormatter(logging.BASIC_FORMAT).format(record)
    assert line.startswith("DEBUG:hub:sent ***\nTraceback")
    assert TOKEN not in line
