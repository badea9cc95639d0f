# -*- coding: utf-8 -*-
"""Whether thinking can be switched is seen in what a template writes."""

from pathlib import Path

import pytest
import trl
from tiny_models import ALWAYS_THINKING, CHATML, THINKING, make_tokenizer

from local_llm.chat_format import ChatFormat
from local_llm.errors import GenerationError
from local_llm.template_thinking import thinking_switch
from local_llm.turns import Turn

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
QUESTION = [Turn("user", "How many?")]
NO_THOUGHTS = "<think>\n\n</think>\n\n"


def tokenizer_with(template: str):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def prompt(chat_format: ChatFormat) -> str:
    return chat_format.tokenizer.decode(chat_format.prompt_ids(QUESTION))


def family(name: str) -> str:
    return (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("template", "switch"),
    [
        (CHATML, None),
        (ALWAYS_THINKING, None),
        (THINKING, "enable_thinking"),
        (THINKING.replace("enable_thinking", "thinking"), "thinking"),
        (CHATML + "{# enable_thinking #}", None),
        (CHATML + "{{ raise_exception('no') }}", None),
        (family("qwen3"), "enable_thinking"),
        (family("qwen2_5"), None),
    ],
)
def test_the_switch_is_what_changes_a_prompt(template, switch) -> None:
    assert thinking_switch(tokenizer_with(template)) == switch


def test_a_prompt_is_written_as_the_switch_says() -> None:
    chat_format = ChatFormat(tokenizer_with(THINKING))
    off = chat_format.with_thinking(False)
    assert prompt(off) == prompt(chat_format) + NO_THOUGHTS
    assert prompt(chat_format.with_thinking(True)) == prompt(chat_format)
    assert chat_format.with_thinking(False) is off
    assert chat_format.with_thinking(None) is chat_format


def test_where_there_is_no_switch_what_is_so_anyway_may_be_wanted() -> None:
    maybe = ChatFormat(tokenizer_with(CHATML + "{# reads <think> #}"))
    for wanted in (True, False):
        assert maybe.with_thinking(wanted) is maybe
    for template, is_so in ((CHATML, False), (ALWAYS_THINKING, True)):
        chat_format = ChatFormat(tokenizer_with(template))
        assert chat_format.with_thinking(is_so) is chat_format
        with pytest.raises(GenerationError, match="has no switch") as caught:
            chat_format.with_thinking(not is_so)
        assert caught.value.fix == "leave thinking_enable empty"


def test_words_come_behind_thoughts_that_a_prompt_has_opened() -> None:
    always = ChatFormat(tokenizer_with(ALWAYS_THINKING)).wire
    assert (always.thinks, always.before_words) == (True, "</think>\n\n")
    never = ChatFormat(tokenizer_with(CHATML)).wire
    assert (never.thinks, never.before_words) == (False, "")
