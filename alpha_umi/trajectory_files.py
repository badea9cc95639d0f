# -*- coding: utf-8 -*-
"""Files of trajectories in the project's own form.

A JSON list of tools, instruction and conversations each, plain or gzip, as
`trajectory_as_dict` gives them. Knows no other dataset. Raises DatasetError
with file and number.
"""

from pathlib import Path

from local_llm.errors import DatasetError

from .protocol import NO_TOOL, Trajectory, read_call, read_trajectory
from .reading import rows_of

_ENDINGS = (".json", ".json.gz")


def read_trajectory_file(path: Path) -> list[Trajectory]:
    """The trajectories of a file, in its order.

    Args:
        path (`Path`):
            The file.

    Raises:
        `DatasetError`: It cannot be read, has no trajectory, or one of them
            has a fault: a missing field, an unknown speaker, no user's turn
            at its beginning, a call of a tool that it does not list.
    """
    if not path.name.endswith(_ENDINGS):
        raise DatasetError(
            f"{path} is no file of trajectories",
            fix=f"give a file that ends with {' or '.join(_ENDINGS)}",
        )
    found = [_checked(read_trajectory(row, w)) for w, row in rows_of(path)]
    if not found:
        raise DatasetError(
            f"{path} has no trajectory",
            fix="write at least one, as in data/tool_trajectories.json",
        )
    return found


def _checked(trajectory: Trajectory) -> Trajectory:
    said = trajectory.utterances
    if not said or said[0].speaker != "user":
        raise DatasetError(
            f"{trajectory.name}: it does not begin with a user's turn",
            fix="put what the user wants first into its conversations",
        )
    names = {tool.name for tool in trajectory.tools}
    called = {read_call(u.text).name for u in said if u.speaker == "caller"}
    for name in sorted(called - names - {NO_TOOL}):
        raise DatasetError(
            f"{trajectory.name}: it calls {name}, which is not in its tools",
            fix=f"add {name} to its tools, or correct the call",
        )
    return trajectory
