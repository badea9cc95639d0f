# -*- coding: utf-8 -*-
"""First and second load of the embedded model; part of generation.py.

    python benchmarks/loads.py CACHE    one load, as JSON

The model is converted before. The first load quantizes its weights and keeps
them, the second reads what was kept; the files are in the memory of the
system both times. Imports are not counted.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from arms import spread
from embedded import embedded_model

from local_llm.base_model import load_tokenizer
from local_llm.model_sources import LoadRequest, resolve
from local_llm.model_weights import load_weights
from local_llm.surroundings import load_request

LIMIT_S = 600.0


def embedded_request() -> LoadRequest:
    """The embedded config's model, on the CPU."""
    model = embedded_model()
    request = load_request(model.base_settings(), model.surroundings)
    return dataclasses.replace(request, device="cpu")


def measure_loads(request: LoadRequest, rounds: int) -> dict[str, Any]:
    """Seconds of the first and the second load with a fresh cache, the model
    itself converted before."""
    converted = Path(resolve(request, print))
    loads: dict[str, list[dict[str, float]]] = {"first": [], "second": []}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / converted.name).symlink_to(converted)
            for name in loads:
                loads[name].append(_load_in_own_process(folder))
    parts = {
        name: {
            part: spread([one[part] for one in runs[1:]]) for part in runs[0]
        }
        for name, runs in loads.items()
    }
    first, second = parts["first"], parts["second"]
    return {
        **parts,
        **{
            f"second_to_first_{part}": first[part]["median"]
            / second[part]["median"]
            for part in ("weights_s", "whole_s")
        },
        "bytes_second_to_first": second["bytes"]["median"]
        / first["bytes"]["median"],
    }


def _load_in_own_process(cache: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, cache],
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure_load(cache: Path) -> dict[str, float]:
    """One load, imports done before; what is kept is kept within it."""
    request = dataclasses.replace(embedded_request(), cache=cache)
    folder = Path(resolve(request, lambda text: None))
    copies = list(cache.glob("4bit-*/*.safetensors"))
    sources = copies or list(folder.glob("*.safetensors"))
    start = time.perf_counter()
    load_weights(request, str(folder), lambda text: None)
    weights = time.perf_counter() - start
    start = time.perf_counter()
    load_tokenizer(request)
    tokenizer = time.perf_counter() - start
    return {
        "weights_s": weights,
        "tokenizer_s": tokenizer,
        "whole_s": weights + tokenizer,
        "bytes": float(sum(path.stat().st_size for path in sources)),
    }


if __name__ == "__main__":
    print(json.dumps(measure_load(Path(sys.argv[1]))))
