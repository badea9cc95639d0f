# -*- coding: utf-8 -*-
"""What machine this is, in a line that stands beside a measurement.

Names no host and no path. Raises nothing.
"""

import os
import platform
import shutil
import subprocess

_LSCPU_S = 10.0


def describe_machine() -> str:
    """Processor, cores, memory, GPU if there is one, and system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        _processor(),
        f"{os.cpu_count()} cores",
        f"{memory:.0f} GiB",
        *_gpus(),
        platform.system(),
        f"Python {platform.python_version()}",
    ]
    return ", ".join(parts)


def _processor() -> str:
    if shutil.which("lscpu"):
        done = subprocess.run(
            ["lscpu"],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_LSCPU_S,
        )
        for line in done.stdout.splitlines():
            if line.startswith("Model name:"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _gpus() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name()]
