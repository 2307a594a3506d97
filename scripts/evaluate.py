"""What a finished run is worth on the test images: printed, and kept in its results.json.

    python scripts/evaluate.py outputs/runs/two
    python scripts/evaluate.py outputs/runs/two nll_samples=500 samples=false amortization=true

The parts are likelihood (nll by importance sampling), latents, aggregate (mutual information, marginal KL and total
correlation), probes (what codes tell of the label), samples (against test images, by a classifier that is trained once
and kept) and amortization (what the encoder loses). What results.json holds already, found with the same settings, is
not found again, unless recompute=true.
"""

import dataclasses
import difflib

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table
from yaml import YAMLError

from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.evaluation.suite import PARTS, EvaluatedModel, Settings, find, relevant_settings
from vaelab.runs.directory import RESULTS
from vaelab.runs.results import add_evaluation, read_results

Switches = dataclasses.make_dataclass(
    "Switches", [*((part, bool, part != "amortization") for part in PARTS), ("recompute", bool, False)]
)


def options(words: list[str]) -> tuple[Switches, Settings]:
    """What was asked for in words such as nll_samples=500."""
    names = {kind: [field.name for field in dataclasses.fields(kind)] for kind in (Switches, Settings)}
    every = [*names[Switches], *names[Settings]]
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in every or not equals:
            close = difflib.get_close_matches(name, every, n=1)
            hint = f"did you mean {close[0]}=...?" if close else f"the options are {', '.join(every)}"
            raise InputError(f"there is no option {word!r}; {hint}")
    made = []
    for kind in (Switches, Settings):
        given = [word for word in words if word.split("=")[0] in names[kind]]
        try:
            made.append(OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.from_dotlist(given))))
        except OmegaConfBaseException as error:
            raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
        except YAMLError as error:
            raise InputError(f"cannot read {' '.join(given)}: write option=value") from error
    return tuple(made)


def show(part: str, figures: dict) -> None:
    """One part as a table."""
    if "lacking" in figures or "error" in figures:
        print(f"{part}: none, {figures.get('lacking') or figures['error']}\n")
        return
    table = Table(title=part, title_justify="left", show_header=False)
    for name, value in figures.items():
        for inner, item in value.items() if isinstance(value, dict) and name != "asked" else [("", value)]:
            if name != "asked":
                table.add_row(f"{name} {inner}".strip(), written(item))
    Console(highlight=False).print(table)


def written(value: object) -> str:
    if isinstance(value, list):
        return " ".join(f"{item:.2f}" if isinstance(item, float) else str(item) for item in value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def work() -> None:
    defaults = [
        f"{field.name}={OmegaConf.to_yaml([field.default])[2:].strip()}"
        for kind in (Switches, Settings)
        for field in dataclasses.fields(kind)
    ]
    parser = tools.parser(__doc__, epilog="options and their defaults:\n  " + "\n  ".join(defaults))
    parser.add_argument("options", nargs="*", metavar="option=value", help="a part or a setting, from the list below")
    arguments = parser.parse_args()
    switches, settings = options(arguments.options)
    wanted = [part for part in PARTS if getattr(switches, part)]
    known = read_results(arguments.run).get("evaluation", {})  # "error" alone is no answer: that is tried again
    new = [
        part for part in wanted if switches.recompute or known.get(part, {}).get("asked") != relevant_settings(part, settings)
    ]  # fmt: skip
    subject = EvaluatedModel(*tools.open_run(arguments), settings, track=tools.progress) if new else None
    for part in wanted:
        if part in new:
            known[part] = find(part, subject)
            add_evaluation(arguments.run, part, known[part])  # each at once: a later one may be interrupted
        show(part, known[part])
    print(f"kept in {arguments.run / RESULTS}")


if __name__ == "__main__":
    tools.main(work)
