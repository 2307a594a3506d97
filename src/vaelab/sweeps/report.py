"""The report of a sweep: tables in sweep.csv, sweep.md and sweep.json, plots in figures/ and for TensorBoard."""

from collections.abc import Sequence
from pathlib import Path

from vaelab.files import write_json, write_text
from vaelab.locks import locked
from vaelab.sweeps.documents import as_csv, as_json, as_markdown
from vaelab.sweeps.drawing import draw
from vaelab.sweeps.table import Sweep, read


def report(sweeps: Sequence[Path], directory: Path, with_plots: bool = True, folders: Sequence[Path] = ()) -> Sweep:
    """Write the report of all jobs below the directories ``sweeps`` to ``directory``.

    **Arguments**
        folders: where the user's own pieces are now; empty for where they were when the runs were trained.

    **Raises**
        InputError: there is no job.
    """
    sweep = read(sweeps)
    sweep.folders = folders
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / ".report.lock", wait=True):  # two sweeps in one directory may end at the same time
        write_text(directory / "sweep.csv", as_csv(sweep))
        write_json(directory / "sweep.json", as_json(sweep))
        write_text(directory / "sweep.md", as_markdown(sweep, {}))
        if with_plots:
            write_text(directory / "sweep.md", as_markdown(sweep, draw(sweep, directory)))
    return sweep
