# -*- coding: utf-8 -*-
"""Structured output fits its schema, from a model with random weights."""

import json
import shutil
from pathlib import Path
from typing import Annotated, Literal

import jsonschema
import pytest
from agentscope.exception import StructuredOutputError
from agentscope.model import StructuredResponse
from pydantic import BaseModel, Field, field_validator
from tiny_agents import asked, entry, wrapper
from tiny_models import ALWAYS_THINKING, THINKING

from huggingface_model import HuggingFaceWrapper
from local_llm.errors import GenerationError

pytestmark = pytest.mark.asyncio

ATTEMPTS = 10


class Place(BaseModel):
    """Nested objects."""

    city: str
    at: dict[Literal["north", "east"], float]


class Trip(BaseModel):
    """Objects in objects and arrays."""

    start: Place
    stops: list[Place] = Field(max_length=2)


class Mood(BaseModel):
    """Enumerations, also of other letters."""

    mood: Literal["gl\u00fccklich", "\u60b2\u3057\u3044", "so so"]
    sure: bool


class Sizes(BaseModel):
    """Numbers with bounds."""

    count: int = Field(ge=-3, le=12)
    share: float = Field(gt=0, lt=1)
    step: Annotated[int, Field(multiple_of=5, ge=0, le=100)]


class Note(BaseModel):
    """Strings with bounds, and fields that may be left out."""

    title: str = Field(min_length=3, max_length=9)
    text: str | None = None
    tags: list[Literal["a", "b"]] = []


class Cat(BaseModel):
    """One side of a union."""

    kind: Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"]
    name: str


class Pets(BaseModel):
    """A union by a field, through `$defs`."""

    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = Field(
        min_length=1,
        max_length=3,
    )


SCHEMAS: list[type[BaseModel] | dict] = [
    Place,
    Trip,
    Mood,
    Sizes,
    Note,
    Pets,
    {
        "type": "object",
        "properties": {
            "value": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "rows": {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "minItems": 2,
                    "maxItems": 2,
                },
                "minItems": 1,
                "maxItems": 2,
            },
        },
        "required": ["value", "rows"],
        "additionalProperties": False,
    },
    {
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 5},
                    "below": {
                        "type": "array",
                        "items": {"$ref": "#/$defs/tree"},
                        "maxItems": 1,
                    },
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "$ref": "#/$defs/tree",
    },
    {
        "type": "object",
        "properties": {
            "\u00fcber": {"const": "\u2603"},
            "\u65e5": {"type": "string", "pattern": "^[a-f]{4}$"},
        },
        "required": ["\u00fcber", "\u65e5"],
    },
    {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "nothing": {"type": "null"},
            "more": {"type": "object", "additionalProperties": True},
        },
        "required": ["when", "nothing"],
    },
]


@pytest.fixture(scope="module", name="model")
def fixture_model(roomy_folder: Path) -> HuggingFaceWrapper:
    """A model with random weights and room for schemas."""
    return wrapper(roomy_folder, entry(local_model_path=str(roomy_folder)))


async def structured(
    model: HuggingFaceWrapper,
    schema: type[BaseModel] | dict,
    **arguments,
) -> StructuredResponse:
    """One attempt; values short, so that a random model comes to an end."""
    arguments = {"max_tokens": 40, **arguments}
    return await model.generate_structured_output(
        asked("Answer."),
        schema,
        **arguments,
    )


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_every_attempt_fits_its_schema(model, schema):
    seen = set()
    for seed in range(ATTEMPTS):
        drawn = {"temperature": 1.5, "seed": seed} if seed else {}
        value = (await structured(model, schema, **drawn)).content
        if isinstance(schema, dict):
            jsonschema.validate(value, schema)
        else:
            jsonschema.validate(value, schema.model_json_schema())
            schema.model_validate(value)
        seen.add(json.dumps(value, sort_keys=True))
    assert len(seen) > 1


async def test_what_was_used_is_told(model):
    response = await structured(model, Mood)
    assert response.usage.input_tokens > len("Answer.")
    assert 0 < response.usage.output_tokens <= 80


async def test_an_object_that_may_not_fit_is_refused_before_it_is_begun(
    roomy_folder,
):
    config = entry(local_model_path=str(roomy_folder))
    small = wrapper(roomy_folder, config, context_size=560)
    with pytest.raises(GenerationError, match="may need .* room for"):
        await structured(small, Trip)


async def test_where_a_longer_object_was_cut_a_shorter_one_follows(
    roomy_folder,
    monkeypatch,
):
    """The first try may be longer than there is room; here it is cut."""
    config = entry(local_model_path=str(roomy_folder))
    tight = wrapper(roomy_folder, config, context_size=700)
    submit = tight.local.submit
    room, spent = [], []

    def cut(request):
        room.append(request.max_new_tokens)
        spent.append(len(request.prompt_ids))
        if len(room) == 1:
            request.max_new_tokens = 3
        submit(request)

    monkeypatch.setattr(tight.local, "submit", cut)
    schema = {"properties": {"text": {"type": "string"}}}
    response = await structured(tight, schema, max_tokens=5000)
    assert room[0] == 700 - spent[0] > room[1]
    assert response.usage.input_tokens == sum(spent)
    jsonschema.validate(response.content, schema)


async def test_an_object_that_takes_too_long_is_asked_for_once(
    roomy_folder,
    monkeypatch,
):
    """Asked again, it would take as long again."""
    config = entry(
        local_model_path=str(roomy_folder),
        generation={"request_timeout_s": 0.001},
    )
    slow = wrapper(roomy_folder, config)
    submit, asked_for = slow.local.submit, []

    def noted(request):
        asked_for.append(request)
        submit(request)

    monkeypatch.setattr(slow.local, "submit", noted)
    with pytest.raises(GenerationError, match="not finished: timeout") as told:
        await structured(slow, Trip)
    assert "generation.request_timeout_s" in told.value.fix
    assert len(asked_for) == 1


@pytest.mark.parametrize("template", [THINKING, ALWAYS_THINKING])
async def test_an_object_does_not_stand_among_the_thoughts(
    roomy_folder,
    tmp_path,
    template,
):
    folder = shutil.copytree(roomy_folder, tmp_path / "thinks")
    (folder / "chat_template.jinja").write_text(template)
    model = wrapper(folder, entry(local_model_path=str(folder)))
    requests = []
    submit = model.local.submit

    def noted(request):
        requests.append(request)
        submit(request)

    model.local.submit = noted
    response = await structured(model, Mood)
    assert Mood.model_validate(response.content)
    prompt = model.local.base.tokenizer.decode(requests[0].prompt_ids)
    if template == THINKING:
        assert prompt.endswith("<think>\n\n</think>\n\n")
    else:
        assert prompt.endswith("<think>\n")
        assert '"</think>\\n\\n"' in requests[0].grammar


class Picky(BaseModel):
    """Refuses whatever comes."""

    city: str

    @field_validator("city")
    @classmethod
    def refuse(cls, value: str) -> str:
        raise ValueError("never right")


async def test_a_check_of_ones_own_that_refuses_is_told(model):
    with pytest.raises(StructuredOutputError, match="never right"):
        await structured(model, Picky)
