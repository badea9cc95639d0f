# -*- coding: utf-8 -*-
"""How often structured output fits its schema, and what it takes.

    python benchmarks/structured_output.py [--prompts 10] [--schemas 10]

The embedded model, not trained, fills each schema of structured_output.json
from each prompt there: nested objects, enumerations, arrays, unions, other
alphabets, optional fields, bounds. Whether a value fits is the word of
`jsonschema`, not that of the code that made it. Writes
reports/structured_output.json when all were asked. Nothing else should run on
the machine where the seconds are to mean something.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from typing import Any

from embedded import PROJECT, REPORTS, describe_machine

sys.path.insert(0, str(PROJECT))

from agentscope.exception import StructuredOutputError
from agentscope.message import UserMsg
from jsonschema import Draft202012Validator

from huggingface_model import HuggingFaceWrapper
from local_llm.errors import LocalLLMError

CASES = PROJECT / "benchmarks" / "structured_output.json"


def main() -> None:
    """Ask, and write the report."""
    chosen = _parser().parse_args()
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    prompts = cases["prompts"][: chosen.prompts]
    names = [*cases["schemas"]][: chosen.schemas]
    model = HuggingFaceWrapper.from_config(
        "embedded",
        initial_fine_tuning="off",
    )
    rows = [
        asyncio.run(_attempt(model, name, cases["schemas"][name], prompt))
        for name in names
        for prompt in prompts
    ]
    figures = {
        "command": "python benchmarks/structured_output.py",
        "machine": describe_machine(),
        "attempts": len(rows),
        "valid": sum(not row["problem"] for row in rows),
        "median_tokens": statistics.median(row["tokens"] for row in rows),
        "median_seconds": statistics.median(row["seconds"] for row in rows),
        "rows": rows,
    }
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    if len(rows) == len(cases["prompts"]) * len(cases["schemas"]):
        path = REPORTS / "structured_output.json"
        path.write_text(f"{text}\n", encoding="utf-8")
    print(text)


async def _attempt(
    model: HuggingFaceWrapper,
    name: str,
    schema: dict[str, Any],
    prompt: str,
) -> dict[str, Any]:
    """One attempt; what is wrong with it is empty where it fits."""
    start = time.perf_counter()
    row = {"schema": name, "prompt": prompt, "tokens": 0, "value": None}
    try:
        response = await model.generate_structured_output(
            [UserMsg("user", prompt)],
            schema,
        )
    except (StructuredOutputError, LocalLLMError) as error:
        problem = str(error)
    else:
        row["value"] = response.content
        row["tokens"] = response.usage.output_tokens
        found = Draft202012Validator(schema).iter_errors(response.content)
        problem = "; ".join(one.message for one in found)
    return {**row, "seconds": time.perf_counter() - start, "problem": problem}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for what in ("prompts", "schemas"):
        parser.add_argument(
            f"--{what}",
            type=int,
            default=10,
            help=f"how many {what} to take; fewer write no report",
        )
    return parser


if __name__ == "__main__":
    main()
