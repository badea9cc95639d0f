# -*- coding: utf-8 -*-
"""A dataset becomes conversations, and every row is accounted for."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from fresh_process import loaded_after
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.chat_datasets import (
    ChatData,
    Conversation,
    Drop,
    clean_turns,
    load_chat_data,
    split_conversations,
    to_turns,
)
from local_llm.errors import ConfigError, DatasetError
from local_llm.turns import Turn

REPOSITORY = Path(__file__).resolve().parents[1]
LIMA = REPOSITORY.parent / "shared/data/chat_lima/lima.json.gz"


def lima(*texts: object) -> dict[str, Any]:
    return {"conversations": list(texts), "source": "test"}


def many(count: int) -> list[dict[str, Any]]:
    return [lima(f"question {n}", f"answer {n}") for n in range(count)]


def load(tmp_path: Path, rows: list[Any], **options: Any) -> ChatData:
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    return load_chat_data("data.json", base=tmp_path, **options)


def conversation(question: str, where: str = "row") -> Conversation:
    turns = (Turn("user", question), Turn("assistant", "answer"))
    return Conversation(turns, where)


def test_a_mixed_file_is_understood_row_by_row(tmp_path: Path) -> None:
    rows = [
        lima("a", "b", "c", "d"),
        {
            "messages": [
                {"role": "user", "content": "e"},
                {"role": "assistant", "content": "f"},
            ]
        },
        {"instruction": "g", "output": "h", "history": None},
    ]
    data = load(tmp_path, rows, held_out_share=0.0)
    assert data.formats == {"lima": 1, "messages": 1, "alpaca": 1}
    assert [one.where for one in data.train] == [
        f"data.json row {number}" for number in (1, 2, 3)
    ]
    assert data.train[0].turns == (
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("user", "c"),
        Turn("assistant", "d"),
    )
    assert (data.held_out, data.drops, data.source) == ((), (), "data.json")


def test_every_row_left_out_is_listed_and_counted_by_reason(
    tmp_path: Path,
) -> None:
    rows = [
        lima("a", "b"),
        lima("a", " "),
        lima("prompt only"),
        {"messages": []},
        lima("c", ""),
        lima("d", None),
        lima("a", "b"),
    ]
    data = load(tmp_path, rows)
    assert data.drops == (
        Drop("data.json row 2, turn 2", "empty turn"),
        Drop("data.json row 3", "no assistant turn"),
        Drop("data.json row 4", "no turns"),
        Drop("data.json row 5, turn 2", "empty turn"),
        Drop("data.json row 6, turn 2", "turn without text"),
        Drop("data.json row 7", "duplicate conversation"),
    )
    assert data.drop_counts() == {
        "empty turn": 2,
        "no assistant turn": 1,
        "no turns": 1,
        "turn without text": 1,
        "duplicate conversation": 1,
    }
    assert data.formats == {"lima": 1}


def test_the_summary_names_rows_turns_drops_repairs_and_the_split(
    tmp_path: Path,
) -> None:
    rows = [*many(1200), lima("a", "b", "c", "d"), lima("e", "f", "g")]
    rows += [lima("h", ""), lima("i")]
    data = load(tmp_path, rows, held_out_rows=20)
    assert data.summary() == (
        "1,202 rows (1,202 lima), 1 multi-turn, 2 dropped (1 empty turn, 1 no "
        "assistant turn), adjusted (1 last user turn removed), 20 held out"
    )
    assert data.adjustments == {"last user turn removed": 1}


def test_the_summary_of_clean_data_is_short(tmp_path: Path) -> None:
    data = load(tmp_path, many(3), held_out_share=0.0)
    assert data.summary() == "3 rows (3 lima), 0 multi-turn, 0 dropped"


def test_merged_turns_are_counted_as_an_adjustment(tmp_path: Path) -> None:
    messages = [
        {"role": role, "content": content}
        for role, content in (("user", "a"), ("user", "b"), ("assistant", "c"))
    ]
    data = load(tmp_path, [{"messages": messages}])
    assert data.train[0].turns[0] == Turn("user", "a\n\nb")
    assert data.adjustments == {"turns of one role merged": 1}
    with pytest.raises(DatasetError, match="row 1, turn 2: two user turns"):
        load(tmp_path, [{"messages": messages}], merge_same_role=False)


@pytest.mark.parametrize(
    "row",
    [lima("a", ""), lima("a"), lima("a", None), lima("x", "y")],
)
def test_strict_makes_the_first_drop_an_error(
    tmp_path: Path,
    row: dict[str, Any],
) -> None:
    with pytest.raises(DatasetError, match="data.json row 3") as caught:
        load(tmp_path, [lima("b", "c"), lima("x", "y"), row], strict=True)
    assert "strict" in str(caught.value.fix)


@pytest.mark.parametrize("rows", [[], {"data": []}])
def test_an_empty_dataset_is_an_error(tmp_path: Path, rows: Any) -> None:
    with pytest.raises(DatasetError, match="0 rows in "):
        load(tmp_path, rows)


def test_an_empty_hub_split_is_an_error_that_names_the_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = datasets.Dataset.from_list([])
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: empty)
    with pytest.raises(DatasetError, match="0 rows in split 'train' of a/b"):
        load_chat_data("a/b")


def test_data_of_which_nothing_is_left_is_an_error_with_the_counts(
    tmp_path: Path,
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, [lima("a"), lima("b"), lima("c", "")])
    assert caught.value.message.endswith(
        "data.json was dropped (2 no assistant turn, 1 empty turn); "
        "the first: data.json row 1"
    )


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"question": "a", "answer": "b"}, "row 2 is of no known format"),
        (lima("a", 5), "row 2, turn 2 is a number, want text"),
        (lima("a", "\ud800"), "row 2, turn 2: half a character"),
        ("text", "row 2 is text, want an object"),
        (
            {"messages": [{"role": "bot", "content": "a"}]},
            "row 2, turn 1: unknown role 'bot'",
        ),
    ],
)
def test_a_wrong_row_is_an_error_whatever_the_others_are(
    tmp_path: Path,
    row: Any,
    text: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, [lima("b", "c"), row])
    assert caught.value.message.startswith(f"data.json {text}")


@pytest.mark.parametrize("data_path", ["", "lima", "a/b/c", "a b/c", "a/b\n"])
def test_what_is_neither_path_nor_hub_id_is_an_error(data_path: str) -> None:
    with pytest.raises(DatasetError, match="neither an existing path nor"):
        load_chat_data(data_path)


def test_a_missing_file_never_reaches_the_hub(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load_chat_data("owner/name.jsonl", base=tmp_path)
    expected = f"file does not exist: {tmp_path / 'owner' / 'name.jsonl'}"
    assert caught.value.message == expected


def test_rows_of_the_hub_carry_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = datasets.Dataset.from_list(many(2))
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: table)
    data = load_chat_data("GAIR/lima", held_out_share=0.0)
    assert [one.where for one in data.train] == [
        "GAIR/lima row 1",
        "GAIR/lima row 2",
    ]


def test_tables_with_null_columns_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = {"role": "user", "content": "a"}
    reply = {"role": "assistant", "content": "b", "tool_calls": None}
    rows = [
        {"messages": [message, reply], "conversations": None},
        {"messages": None, "conversations": ["c", "d"]},
    ]
    table = datasets.Dataset.from_list(rows)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: table)
    data = load_chat_data("a/b", held_out_share=0.0)
    assert data.formats == {"messages": 1, "lima": 1}


def test_the_split_does_not_move_when_rows_are_added(tmp_path: Path) -> None:
    few = load(tmp_path, many(100))
    more = load(tmp_path, many(200)[::-1])
    held_out = {one.turns for one in more.held_out}
    assert {one.turns for one in few.held_out} <= held_out
    assert not {one.turns for one in few.train} & held_out


def test_the_share_is_met_on_average(tmp_path: Path) -> None:
    data = load(tmp_path, many(2000), held_out_share=0.2)
    assert 330 <= len(data.held_out) <= 470
    assert len(data.train) + len(data.held_out) == 2000


def test_one_first_user_turn_never_stands_on_both_sides(
    tmp_path: Path,
) -> None:
    rows = [
        lima(question, f"{question} answer {n}")
        for n in range(60)
        for question in (f"Q {n % 20}", f" q\n{n % 20} ")
    ]
    data = load(tmp_path, rows, held_out_share=0.4)
    firsts = [
        {" ".join(one.turns[0].text.casefold().split()) for one in part}
        for part in (data.train, data.held_out)
    ]
    assert firsts[0] and firsts[1]
    assert not firsts[0] & firsts[1]


def test_the_system_turn_does_not_decide_the_split() -> None:
    system = Turn("system", "be brief")
    plain = [conversation(f"q{n}") for n in range(50)]
    told = [Conversation((system, *one.turns), "row") for one in plain]
    train, held_out = split_conversations(plain + told, 0.3)
    assert len(held_out) % 2 == 0 and held_out
    assert {one.turns[-2:] for one in train}.isdisjoint(
        one.turns[-2:] for one in held_out
    )


def leaking(tmp_path: Path, **options: Any) -> ChatData:
    """Rows of which a held-out one ends with what another teaches."""
    plain = load(tmp_path, many(100))
    learned = plain.train[0].turns
    measured = plain.held_out[0].turns
    extra = lima(*(turn.text for turn in (*measured, *learned)))
    return load(tmp_path, [*many(100), extra], **options)


def test_a_held_out_row_with_an_answer_that_is_learned_is_left_out(
    tmp_path: Path,
) -> None:
    plain = load(tmp_path, many(100))
    data = leaking(tmp_path)
    reason = "held-out answer also in training"
    assert data.drops == (Drop("data.json row 101", reason),)
    assert (data.train, data.held_out) == (plain.train, plain.held_out)
    assert data.fingerprint == plain.fingerprint
    assert (data.rows_read, data.rows_kept, data.multi_turn) == (101, 100, 0)


def test_strict_refuses_a_held_out_row_with_an_answer_that_is_learned(
    tmp_path: Path,
) -> None:
    with pytest.raises(DatasetError, match="row 101: held-out answer also"):
        leaking(tmp_path, strict=True)


@pytest.mark.parametrize(("wanted", "got"), [(0, 0), (7, 7), (500, 99)])
def test_a_number_of_held_out_rows_is_met_and_leaves_one_for_training(
    tmp_path: Path,
    wanted: int,
    got: int,
) -> None:
    data = load(tmp_path, many(100), held_out_rows=wanted)
    assert (len(data.train), len(data.held_out)) == (100 - got, got)


def test_a_larger_number_of_held_out_rows_keeps_the_smaller_one() -> None:
    rows = [conversation(f"q{n}") for n in range(50)]
    small = split_conversations(rows, 0.1, 5)[1]
    large = split_conversations(rows, 0.9, 9)[1]
    assert set(small) < set(large)


def test_a_group_that_is_too_large_is_not_held_out_in_part() -> None:
    rows = [conversation("same", f"row {n}") for n in range(9)]
    rows.append(conversation("another"))
    assert len(split_conversations(rows, 0.1, 5)[1]) in (0, 1)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("count", range(1, 10))
def test_few_rows_leave_at_least_one_for_training(
    share: float,
    count: int,
) -> None:
    rows = [conversation(f"q{n}") for n in range(count)]
    train, held_out = split_conversations(rows, share)
    assert train
    assert Counter((*train, *held_out)) == Counter(rows)
    assert share or not held_out


def test_settings_of_the_split_that_make_no_sense_are_all_named(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, many(3), held_out_share=1.5, held_out_rows=-1)
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError):
        load(tmp_path, many(3), held_out_share=float("nan"))


def test_the_fingerprint_follows_text_roles_order_and_split(
    tmp_path: Path,
) -> None:
    rows = many(30)
    variants = [
        load(tmp_path, rows),
        load(tmp_path, rows[::-1]),
        load(tmp_path, [*rows[:-1], lima("question 29", "changed")]),
        load(tmp_path, rows, held_out_rows=3),
        load(tmp_path, rows[:-1]),
    ]
    assert len({data.fingerprint for data in variants}) == len(variants)
    assert all(len(data.fingerprint) == 64 for data in variants)


def test_the_fingerprint_follows_what_is_learned(tmp_path: Path) -> None:
    def weighed(weight: int) -> dict[str, Any]:
        asked = {"role": "user", "content": "a"}
        said = {"role": "assistant", "content": "b"}
        turns = [asked, {**said, "weight": weight}, asked, said]
        return {"messages": turns}

    plain = load(tmp_path, [lima("a", "b", "a", "b")])
    assert load(tmp_path, [weighed(1)]).fingerprint == plain.fingerprint
    assert load(tmp_path, [weighed(0)]).fingerprint != plain.fingerprint


def test_the_fingerprint_does_not_follow_file_name_or_format(
    tmp_path: Path,
) -> None:
    rows = many(30)
    other = [
        {
            "instruction": row["conversations"][0],
            "output": row["conversations"][1],
        }
        for row in rows
    ]
    path = tmp_path / "other.jsonl.gz"
    lines = "\n".join(json.dumps(row) for row in other)
    path.write_bytes(gzip.compress(lines.encode("utf-8")))
    assert (
        load(tmp_path, rows).fingerprint
        == load_chat_data(str(path)).fingerprint
    )


def test_names_for_single_rows_are_found_here_too() -> None:
    name, turns = to_turns(lima("a", "b", "c"), "row 1")
    assert (name, len(turns)) == ("lima", 3)
    assert len(clean_turns(turns, "row 1", merge_same_role=True)) == 2


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "from", "messages", "history"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
any_row = st.dictionaries(
    st.sampled_from(
        ["messages", "conversations", "instruction", "output", "history"],
    ),
    json_value,
    max_size=4,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(any_row, max_size=3))
def test_no_row_whatever_it_holds_raises_anything_but_a_dataset_error(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        data = load(folder, rows)
    except DatasetError as error:
        assert str(error).encode("utf-8")
        return
    kept = len(data.train) + len(data.held_out)
    assert kept + len(data.drops) == len(rows)


@pytest.mark.skipif(not LIMA.exists(), reason="the LIMA copy is not here")
def test_the_real_lima_is_read_whole() -> None:
    data = load_chat_data(str(LIMA), strict=True)
    kept = (*data.train, *data.held_out)
    assert len(kept) == 1029
    assert sum(one.is_multi_turn for one in kept) == 29
    assert data.drops == ()
    assert data.formats == {"alpaca": 1029}
    assert 70 <= len(data.held_out) <= 135


def test_importing_the_module_imports_no_heavy_library() -> None:
    heavy = ("torch", "datasets", "huggingface_hub", "transformers")
    assert loaded_after("import local_llm.chat_datasets", *heavy) == []
