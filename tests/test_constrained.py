# -*- coding: utf-8 -*-
"""Replies follow their grammar to its end, and disturb nobody else."""

import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import (
    EXACT,
    TURN_MARKS,
    UNFLAGGED,
    gemma,
    generate,
    load_own,
    make_tokenizer,
    prompt,
    reply,
    save_model,
)
from transformers import GenerationConfig, PreTrainedTokenizerBase

from local_llm import constrained
from local_llm.base_model import BaseModel, use_tokenizer
from local_llm.constrained import Vocabulary, grammar_mask
from local_llm.errors import GenerationError
from local_llm.generation import (
    Failure,
    Piece,
    Request,
    Sampling,
    engine_of,
)
from local_llm.grammars import json_grammar

QUESTION = "What is the capital of France?"
NAMES = 'start: "Paris" | "London" | "Rome"'
WORDS = 'start: /[a-z]+/ " " /[a-z]{3}/'
ENDLESS = "start: /a+/"


@pytest.fixture(name="base", scope="module")
def fixture_base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A random model with more room than that of other tests, in float32,
    where a batch changes no token."""
    place = tmp_path_factory.mktemp("base")
    folder = save_model(place / "gemma", gemma(max_position_embeddings=2048))
    return load_own(folder, place, **EXACT)


def drawn(seed: int, **more: Any) -> Sampling:
    return Sampling(do_sample=True, temperature=2.0, seed=seed, **more)


def follow(base: BaseModel, grammar: str, **more: Any) -> tuple[str, Piece]:
    """The reply, and its last piece."""
    more = {"max_new_tokens": 200, **more}
    pieces = generate(base, QUESTION, grammar=grammar, **more)
    return "".join(piece.text for piece in pieces), pieces[-1]


# -- what is said ---------------------------------------------------------


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(repetition_penalty=2.0),
        Sampling(no_repeat_ngram_size=1),
        *[drawn(seed) for seed in range(8)],
        drawn(8, top_k=1),
        drawn(9, top_p=0.01),
        drawn(10, top_k=2, repetition_penalty=2.0, no_repeat_ngram_size=2),
    ],
)
@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        (NAMES, "Paris|London|Rome"),
        ('start: "no"{7}', "(no){7}"),
        ("start: /[0-9]{3}-[0-9]{3}/", r"\d{3}-\d{3}"),
        (
            'start: "é世\U0001f600" /[\u4e00-\u4e0f]/',
            "é世\U0001f600[\u4e00-\u4e0f]",
        ),
    ],
)
def test_a_reply_follows_its_grammar_and_ends_with_it(
    base: BaseModel,
    grammar: str,
    pattern: str,
    sampling: Sampling,
) -> None:
    text, last = follow(base, grammar, sampling=sampling)
    assert re.fullmatch(pattern, text)
    assert last.finish_reason == "stop"


def test_a_model_that_never_ends_a_turn_ends_with_the_grammar(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where nothing is left of what another rule allows."""
    config = base.model.generation_config
    stop_ids = list(base.chat_format.stop_ids)
    monkeypatch.setattr(config, "suppress_tokens", stop_ids)
    text, last = follow(base, NAMES, sampling=drawn(3))
    assert text in NAMES and last.finish_reason == "stop"


@pytest.mark.parametrize("mark", [TURN_MARKS[1], "<eos>"])
def test_both_stop_tokens_may_end_a_grammar_and_no_other_token(
    base: BaseModel,
    mark: str,
) -> None:
    mask = grammar_mask(base, 'start: "a"')
    scores = torch.zeros(1, 352)
    ids = torch.tensor([prompt(base, QUESTION)])
    a_id = base.tokenizer.convert_tokens_to_ids("a")
    assert fitting(mask(ids, scores)) == [[a_id]]
    ids = torch.cat([ids, torch.tensor([[a_id]])], dim=1)
    assert fitting(mask(ids, scores)) == [sorted(base.chat_format.stop_ids)]
    stop_id = base.tokenizer.convert_tokens_to_ids(mark)
    assert stop_id in base.chat_format.stop_ids
    ids = torch.cat([ids, torch.tensor([[stop_id]])], dim=1)
    assert fitting(mask(ids, scores)) == [sorted(base.chat_format.stop_ids)]


def fitting(scores: torch.Tensor) -> list[list[int]]:
    """The tokens with a score, by row."""
    return [row.isfinite().nonzero().flatten().tolist() for row in scores]


def test_a_grammar_that_may_go_on_lets_the_model_choose_its_end(
    base: BaseModel,
) -> None:
    texts = {
        follow(base, ENDLESS, sampling=drawn(seed), max_new_tokens=400)[0]
        for seed in range(24)
    }
    assert all(re.fullmatch("a+", text) for text in texts)
    assert len({len(text) for text in texts}) > 3


@pytest.mark.parametrize("mark", [*TURN_MARKS, "<eos>", "<pad>", UNFLAGGED])
def test_text_in_the_form_of_a_control_token_is_text(
    base: BaseModel,
    mark: str,
) -> None:
    for grammar in (f'start: "{mark}!"', json_grammar({"const": f"{mark}!"})):
        text, last = follow(base, grammar)
        assert text.strip('"') == f"{mark}!"
        assert last.finish_reason == "stop"


def test_the_rows_of_a_batch_follow_the_grammar_each_by_itself(
    base: BaseModel,
) -> None:
    ids = torch.tensor([prompt(base, QUESTION), prompt(base, QUESTION)])
    grammar = 'start: "no"{1,9} "!"'
    output = base.model.generate(
        input_ids=ids.repeat(4, 1),
        attention_mask=torch.ones(8, ids.shape[1], dtype=torch.long),
        generation_config=GenerationConfig(
            do_sample=True,
            temperature=2.0,
            max_new_tokens=60,
            eos_token_id=list(base.chat_format.stop_ids),
            pad_token_id=base.tokenizer.pad_token_id,
        ),
        logits_processor=[grammar_mask(base, grammar)],
    )
    texts = base.tokenizer.batch_decode(
        output[:, ids.shape[1] :],
        skip_special_tokens=True,
    )
    assert all(re.fullmatch("(no){1,9}!", text) for text in texts)
    assert len(set(texts)) > 1


def test_the_likeliest_token_that_fits_is_chosen(base: BaseModel) -> None:
    """The mask changes nothing among the tokens that it leaves."""
    scores = torch.randn(1, 352)
    ids = torch.tensor([prompt(base, QUESTION)])
    masked = grammar_mask(base, "start: /[a-z]+/")(ids, scores)
    left = masked.isfinite()
    assert torch.equal(masked[left], scores[left])
    assert 26 <= int(left.sum()) < 200


def test_a_reply_without_a_grammar_is_as_ever(base: BaseModel) -> None:
    before = reply(base, QUESTION, max_new_tokens=30)
    follow(base, NAMES)
    assert reply(base, QUESTION, max_new_tokens=30) == before


# -- ends -----------------------------------------------------------------


def test_a_reply_that_is_cut_inside_its_grammar_says_so(
    base: BaseModel,
) -> None:
    text, last = follow(base, 'start: "abcdefghijkl"', max_new_tokens=3)
    assert (last.finish_reason, last.output_tokens) == ("length", 3)
    assert text and "abcdefghijkl".startswith(text)


@pytest.mark.parametrize("end", ["cancelled", "timeout"])
def test_a_reply_with_a_grammar_can_be_broken_off(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    forward = base.model.forward

    def slowed(*args: Any, **arguments: Any) -> Any:
        time.sleep(0.01)
        return forward(*args, **arguments)

    grammar_mask(base, ENDLESS)  # not part of what is timed
    monkeypatch.setattr(base.model, "forward", slowed)
    request = Request(
        prompt(base, QUESTION),
        print,
        max_new_tokens=1000,
        sampling=Sampling(),
        timeout_s=0.3 if end == "timeout" else 60,
        grammar='start: "a"{900}',
    )
    start = time.monotonic()
    for piece in engine_of(base).stream(request):
        if end == "cancelled" and piece.output_tokens >= 3:
            request.cancelled.set()
    assert piece.finish_reason == end
    assert time.monotonic() - start < 5


# -- errors ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("start: (", "the grammar cannot be used: .*Expected token"),
        ("", "the grammar cannot be used: no start rule found"),
        ("start: start", "the grammar could not be followed: NoExtension"),
        ('start: %json {"not": {}}', "Unimplemented keys"),
    ],
)
def test_an_error_of_a_grammar_reaches_who_asked_and_the_next_is_served(
    base: BaseModel,
    grammar: str,
    message: str,
) -> None:
    with pytest.raises(GenerationError, match=message) as caught:
        follow(base, grammar)
    assert caught.value.fix
    assert "state>" not in caught.value.message
    assert follow(base, NAMES)[0] in NAMES


def test_without_the_library_only_replies_with_a_grammar_fail(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(GenerationError, match="pip install llguidance"):
        follow(base, NAMES + ' | "Oslo"')
    assert reply(base, QUESTION)


def test_a_tokenizer_that_the_library_does_not_know_is_named(
    base: BaseModel,
) -> None:
    class Slow(PreTrainedTokenizerBase):
        """Not read from a tokenizer.json."""

    format_of = type("", (), {"stop_ids": (1,), "tokenizer": Slow()})
    with pytest.raises(GenerationError, match="cannot follow a grammar"):
        Vocabulary(format_of(), 352)  # type: ignore[arg-type]


# -- many at once ---------------------------------------------------------


def test_requests_with_and_without_grammars_do_not_disturb_each_other(
    base: BaseModel,
) -> None:
    grammars = [NAMES, None, WORDS, "start: (", json_grammar({"enum": [1]})]
    cases = [(grammars[i % 5], drawn(i)) for i in range(15)]
    alone = [outcome(base, grammar, chosen) for grammar, chosen in cases]
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        found[number] = outcome(base, *cases[number])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found.get(i) for i in range(15)] == alone
    assert sum("cannot be used" in text for text in alone) == 3


def outcome(base: BaseModel, grammar: str | None, chosen: Sampling) -> str:
    """The reply, or the error in its place."""
    try:
        more = {"sampling": chosen, "max_new_tokens": 12}
        return reply(base, QUESTION, grammar=grammar, **more)
    except GenerationError as error:
        return error.message


# -- what is kept ---------------------------------------------------------


def test_a_tokenizer_is_prepared_once(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follow(base, NAMES)
    monkeypatch.setattr(constrained, "_guidance_tokens", None)
    assert follow(base, NAMES + ' | "Bern"')[1].finish_reason == "stop"


def test_another_tokenizer_and_other_stop_tokens_are_prepared_anew(
    tmp_path: Path,
    tiny_folder: Path,
) -> None:
    base = load_own(tiny_folder, tmp_path)
    follow(base, NAMES)
    other = make_tokenizer()
    other.chat_template = base.tokenizer.chat_template
    use_tokenizer(base, other)
    assert follow(base, NAMES)[1].finish_reason == "stop"
    base.chat_format.stop_ids = (base.tokenizer.pad_token_id,)
    pieces = generate(base, QUESTION, grammar='start: "a"')
    assert pieces[-1] == Piece("", 2, "stop")


def test_compiled_grammars_are_kept_up_to_a_number(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constrained, "MOST_GRAMMARS", 2)
    vocabulary = Vocabulary(base.chat_format, 352)
    for grammar in (NAMES, WORDS, NAMES, ENDLESS):
        assert not vocabulary.matcher(grammar).is_error()
    assert [*vocabulary._grammars] == [NAMES, ENDLESS]


def test_a_grammar_begins_anew_for_every_request(base: BaseModel) -> None:
    first, second = (follow(base, NAMES)[0] for _ in range(2))
    assert first == second in NAMES


def test_a_failure_is_delivered_where_nobody_streams(base: BaseModel) -> None:
    ended = threading.Event()
    found: list[object] = []

    def deliver(delivery: object) -> None:
        found.append(delivery)
        ended.set()

    engine_of(base).submit(
        Request(prompt(base, QUESTION), deliver, grammar="start: ("),
    )
    assert ended.wait(30)
    assert isinstance(found[0], Failure)
