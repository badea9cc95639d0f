# -*- coding: utf-8 -*-
"""Worked problems become calls of a calculator, or are left out."""

import json
from pathlib import Path

import pytest
from guided_dialogues import SHARED, needs_shared_data

from alpha_umi.arithmetic import evaluate
from alpha_umi.gsm8k import CALCULATOR, read_gsm8k, unusable_problems
from alpha_umi.protocol import Trajectory, decides, read_call, read_plan
from local_llm.errors import DatasetError

QUESTION = "A pen costs $2. What do 3 pens and a book for $1,000 cost?"
ANSWER = (
    "Pens cost 3 * 2 = $<<3*2=6>>6 and all costs 6+1,000=<<6+1,000=1,006>>"
    "1,006 dollars.\nThat is it\n#### 1,006"
)


def write(folder: Path, *answers: str) -> Path:
    rows = [{"question": QUESTION, "answer": answer} for answer in answers]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "train.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_a_worked_answer_is_plans_calls_and_results(tmp_path: Path) -> None:
    (one,) = read_gsm8k(write(tmp_path, ANSWER), "train")
    assert (one.name, one.tools) == ("gsm8k train 1", (CALCULATOR,))
    assert [(said.speaker, said.text) for said in one.utterances] == [
        ("user", QUESTION),
        ("assistant", "Pens cost 3 * 2. Next: caller."),
        (
            "caller",
            'Action: calculate\nAction Input: {"expression": "3*2"}',
        ),
        ("observation", "6"),
        ("assistant", "and all costs 6+1,000. Next: caller."),
        (
            "caller",
            'Action: calculate\nAction Input: {"expression": "6+1000"}',
        ),
        ("observation", "1006"),
        ("assistant", "All is worked out. Next: conclusion."),
        ("conclusion", "That is it. The answer is 1006."),
    ]


def test_a_calculation_without_words_is_still_explained(
    tmp_path: Path,
) -> None:
    write(tmp_path, "<<1+1=2>>2\n#### 2")
    (one,) = read_gsm8k(tmp_path, "train")
    assert one.utterances[1].text == "Work out 1+1. Next: caller."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("It is 6.\n#### 6", "it marks no calculation"),
        ("It is <<3*2=6>>6.", "it has no answer"),
        ("It is <<six>>6 <<3*2=6>>\n#### 6", "it marks what is no"),
        ("It is <<3*2=7>>7.\n#### 7", "3*2=7 does not hold"),
        ("It is <<3*x=6>>6.\n#### 6", "3*x=6 does not hold"),
        ("It is <<3/0=6>>6.\n#### 6", "3/0=6 does not hold"),
        ("It is <<3*2=six>>6.\n#### 6", "3*2=six does not hold"),
        ("It is <<print(1)=6>>6.\n#### 6", "print(1)=6 does not hold"),
    ],
)
def test_a_problem_that_does_not_hold_is_left_out_with_its_reason(
    tmp_path: Path,
    answer: str,
    reason: str,
) -> None:
    write(tmp_path, ANSWER, answer)
    ((where, why),) = unusable_problems(tmp_path, "train").items()
    assert where.endswith("train.jsonl row 2")
    assert why.startswith(reason)
    assert len(read_gsm8k(tmp_path, "train")) == 1


def test_a_rounded_result_holds(tmp_path: Path) -> None:
    write(tmp_path, "It is <<100/3=33.33>>33.33.\n#### 33")
    assert unusable_problems(tmp_path, "train") == {}


def test_a_row_without_an_answer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "?"}\n')
    with pytest.raises(DatasetError, match="row 1: no problem.*'answer'"):
        read_gsm8k(tmp_path, "train")


def test_a_limit_keeps_the_first_problems(tmp_path: Path) -> None:
    write(tmp_path, ANSWER, ANSWER, ANSWER)
    names = [one.name for one in read_gsm8k(tmp_path, "train", limit=2)]
    assert names == ["gsm8k train 1", "gsm8k train 2"]


# -- the whole dataset ----------------------------------------------------


@pytest.fixture(scope="module")
def problems() -> list[Trajectory]:
    return read_gsm8k(SHARED / "gsm8k", "test")


@needs_shared_data
def test_nearly_all_problems_of_the_dataset_are_read(
    problems: list[Trajectory],
) -> None:
    reasons = list(unusable_problems(SHARED / "gsm8k", "test").values())
    assert len(problems) == 1300
    assert reasons.count("it marks no calculation") == 18
    assert reasons.count("3/4=3/4 does not hold") == 1
    assert len(reasons) == 19


@needs_shared_data
def test_calls_and_decisions_of_the_dataset_read_back(
    problems: list[Trajectory],
) -> None:
    for one in problems:
        said = one.utterances
        for index, now in enumerate(said):
            if now.speaker == "caller":
                arguments = json.loads(read_call(now.text).arguments)
                value = evaluate(arguments["expression"])
                shown = float(said[index + 1].text)
                assert value == pytest.approx(shown, rel=1e-3, abs=0.01)
            if now.speaker == "assistant":
                assert decides(now)
                assert read_plan(now.text).text == now.text
