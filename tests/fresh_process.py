# -*- coding: utf-8 -*-
"""What a new Python process has imported after some code."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def loaded_after(code: str, *packages: str) -> list[str]:
    """Those of some packages that are imported when the code has run."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys\n"
            f"print(*(one for one in {packages!r} if one in sys.modules))",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()
