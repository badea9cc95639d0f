# -*- coding: utf-8 -*-
"""A Modelfile renders conversations as the chat template does."""

import json
import re
from pathlib import Path

import pytest
from go_template import render
from tiny_gguf import byte_level, sentencepiece
from tiny_models import CHATML, TURN_MARKS
from transformers import PreTrainedTokenizerBase

from local_llm.chat_format import ChatFormat
from local_llm.errors import WeightsError
from local_llm.ollama import go_template, write_modelfile
from local_llm.turns import Turn, merge_same_role

SYSTEM = Turn("system", "You are a dog.")
HI, HELLO = Turn("user", "Hi!"), Turn("assistant", "Hello.")
AGAIN, BYE = Turn("user", "And\n\nagain?"), Turn("assistant", "Bye.")
ODD = Turn("user", 'a "quoted" {{ .System }} \\n \U0001f642 <b>')

CONVERSATIONS = {
    "one question": [HI],
    "three turns": [HI, HELLO, AGAIN],
    "five turns": [HI, HELLO, AGAIN, BYE, ODD],
    "system": [SYSTEM, HI],
    "system and more turns": [SYSTEM, HI, HELLO, AGAIN],
    "two systems": [SYSTEM, Turn("system", "A small one."), HI],
    "questions in a row": [HI, AGAIN],
    "answers in a row": [HI, HELLO, BYE, AGAIN],
    "the assistant first": [HELLO, HI],
    "system, then the assistant": [SYSTEM, HELLO, HI],
    "template marks in a text": [ODD],
    "an empty turn": [HI, Turn("assistant", ""), AGAIN],
}

PLAIN = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no') }}"
    "{% elif message['role'] == 'user' %}User: {{ message['content'] }}\n"
    "{% else %}Assistant: {{ message['content'] }}{{ eos_token }}\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}"
)
DATED = (
    "{% if strftime_now is defined %}{% set date = strftime_now('%d %b %Y') %}"
    "{% else %}{% set date = '26 Jul 2024' %}{% endif %}"
    "<start_of_turn>system\nToday Date: {{ date }}\n<end_of_turn>\n" + CHATML
)
"""As Llama 3.2's template writes it."""

TEMPLATES = {"gemma": None, "chatml": CHATML, "plain": PLAIN}


def format_of(template: str) -> ChatFormat:
    tokenizer = byte_level()
    tokenizer.chat_template = TEMPLATES[template] or tokenizer.chat_template
    return ChatFormat(tokenizer)


def as_ollama(chat_format: ChatFormat, turns: list[Turn]) -> str:
    """What Ollama makes of a conversation: it collects the system texts,
    merges turns of one role, and fills in the template."""
    system = [turn.text for turn in turns if turn.role == "system"]
    messages = [
        {"Role": turn.role, "Content": turn.text}
        for turn in merge_same_role(turns)
    ]
    data = {"System": "\n\n".join(system), "Messages": messages}
    return render(go_template(chat_format), data)


def rendered(chat_format: ChatFormat, turns: list[Turn]) -> str:
    """The prompt as our own chat has it, as text without the beginning."""
    ids = chat_format.prompt_ids(turns)
    tokenizer = chat_format.tokenizer
    return tokenizer.decode(ids).removeprefix(tokenizer.bos_token)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_ollama_shows_the_model_the_text_of_our_chat(
    name: str,
    template: str,
) -> None:
    chat_format = format_of(template)
    turns = CONVERSATIONS[name]
    assert as_ollama(chat_format, turns) == rendered(chat_format, turns)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_ids_of_ollamas_text_are_those_of_our_chat(template: str) -> None:
    chat_format = format_of(template)
    turns = CONVERSATIONS["system and more turns"]
    ids = chat_format.tokenizer.encode(
        as_ollama(chat_format, turns),
        add_special_tokens=False,
    )
    ours = chat_format.prompt_ids(turns)
    assert ids == ours[len(ours) - len(ids) :]
    assert set(ours[: len(ours) - len(ids)]) <= {2}  # the beginning, or none


def test_a_conversation_that_ends_with_the_assistant_is_continued() -> None:
    text = as_ollama(format_of("gemma"), [HI, Turn("assistant", "Hel")])
    assert text.endswith("<start_of_turn>model\nHel")


def test_the_beginning_is_left_to_ollama() -> None:
    assert "<bos>" not in go_template(format_of("gemma"))


def written(folder: Path, **fields: object) -> str:
    sentencepiece().save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(fields))
    return write_modelfile(folder, "tiny.gguf").read_text(encoding="utf-8")


def test_the_modelfile_names_the_file_beside_it(tmp_path: Path) -> None:
    text = written(tmp_path)
    assert text.startswith("FROM ./tiny.gguf\n")
    assert (tmp_path / "Modelfile").read_text(encoding="utf-8") == text


def test_the_modelfile_holds_the_template_between_its_quotes(
    tmp_path: Path,
) -> None:
    text = written(tmp_path)
    match = re.search(
        r'^TEMPLATE """(.*?)"""$', text, re.DOTALL | re.MULTILINE
    )
    assert match is not None
    assert match[1] == go_template(ChatFormat(sentencepiece()))


@pytest.mark.parametrize("name", ["strftime_now", "date_string"])
def test_a_date_that_a_template_writes_is_said_to_stay_that_of_the_export(
    tmp_path: Path,
    name: str,
) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = DATED.replace("strftime_now", name)
    tokenizer.save_pretrained(tmp_path)
    text = write_modelfile(tmp_path, "a.gguf").read_text(encoding="utf-8")
    dates = re.findall(r"Today Date: (.*?)\\n", text)
    notes = [one for one in text.splitlines() if one.startswith("#")]
    if name == "date_string":
        assert (set(dates), notes) == ({"26 Jul 2024"}, [])
    else:
        assert len(notes) == len(set(dates)) == 1
        assert f"that of the export, {dates[0]}: correct" in notes[0]


def test_a_reply_stops_where_ours_does(tmp_path: Path) -> None:
    stops = re.findall(r'^PARAMETER stop "(.*)"$', written(tmp_path), re.M)
    assert stops == [TURN_MARKS[1], "<eos>"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        (
            {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 5},
            {"temperature": "0.7", "top_p": "0.9", "top_k": "5"},
        ),
        (
            {"do_sample": False, "temperature": 0.7, "top_p": 0.9},
            {"temperature": "0"},
        ),
        ({"repetition_penalty": 1.1}, {"repeat_penalty": "1.1"}),
    ],
)
def test_replies_are_drawn_as_the_generation_config_says(
    tmp_path: Path,
    fields: dict[str, object],
    expected: dict[str, str],
) -> None:
    lines = re.findall(
        r"^PARAMETER (\w+) (.*)$", written(tmp_path, **fields), re.M
    )
    assert {name: value for name, value in lines if name != "stop"} == expected


@pytest.mark.parametrize(
    ("template", "what"),
    [
        (
            CHATML.replace("<end_of_turn>", "<end_of_turn>{{ loop.index }}"),
            "does more for user, assistant, user",
        ),
        (
            "{% for m in messages %}{% if m['role'] != 'user' or loop.last %}"
            "{{ m['content'] }}<end_of_turn>{% endif %}{% endfor %}",
            "leaves out turns",
        ),
    ],
)
def test_a_template_that_is_more_than_texts_between_turns_is_refused(
    template: str,
    what: str,
) -> None:
    tokenizer: PreTrainedTokenizerBase = byte_level()
    tokenizer.chat_template = template
    with pytest.raises(WeightsError, match=what):
        go_template(ChatFormat(tokenizer))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has no tokenizer"):
        write_modelfile(tmp_path, "tiny.gguf")


def test_a_broken_generation_config_is_refused(tmp_path: Path) -> None:
    sentencepiece().save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text("{")
    with pytest.raises(WeightsError, match="is not JSON"):
        write_modelfile(tmp_path, "tiny.gguf")
