"""Evaluate a finished run on the test images: print each part, and keep it in the run's results.json.

    python scripts/evaluate.py outputs/runs/two
    python scripts/evaluate.py outputs/runs/two nll_samples=500 samples=false amortization=true

The parts are likelihood (nll by importance sampling), latents, aggregate (mutual information, marginal KL and total
correlation), probes (classifiers of the latents), samples (against test images, in the features of a classifier that is
trained once and kept) and amortization (what the encoder loses). A part that results.json holds already, computed with
the same settings, is not computed again, unless recompute=true; a part that failed is.
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
from vaelab.evaluation.metrics import METRICS
from vaelab.evaluation.settings import MEANINGS
from vaelab.evaluation.suite import PARTS, Evaluation, Settings, evaluate, settings_of
from vaelab.runs.results import RESULTS, add_evaluation, has_failed, read_results

Switches = dataclasses.make_dataclass(
    "Switches", [*((part, bool, part != "amortization") for part in PARTS), ("recompute", bool, False)]
)


def parse_options(words: list[str]) -> tuple[object, Settings]:
    """The parts and the settings in words such as ``nll_samples=500``.

    **Raises**
        InputError: there is no such option, or no such value.
    """
    names = {kind: [field.name for field in dataclasses.fields(kind)] for kind in (Switches, Settings)}
    every = [*names[Switches], *names[Settings]]
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in every or not equals:
            close = difflib.get_close_matches(name, every, n=1)
            hint = f"did you mean {close[0]}=...?" if close else f"the options are {', '.join(every)}"
            raise InputError(f"there is no option {word!r}; {hint}")
    switches, settings = (
        _parse(kind, [word for word in words if word.split("=")[0] in names[kind]]) for kind in (Switches, Settings)
    )
    return switches, settings


def _parse(kind: type, words: list[str]) -> object:
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.from_dotlist(words)))
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    except YAMLError as error:
        raise InputError(f"cannot read {' '.join(words)}: write option=value") from error


def show(part: str, metrics: dict) -> None:
    """Print one part as a table: metric, value, meaning."""
    if "lacking" in metrics or has_failed(metrics):
        print(f"{part}: none, {metrics.get('lacking') or metrics['error']}\n")
        return
    table = Table(title=part, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", style="dim")
    for name, value in metrics.items():
        if name == "asked":
            continue
        for inner, item in value.items() if isinstance(value, dict) else [("", value)]:
            meaning = METRICS.get(inner or name)
            table.add_row(f"{name} {inner}".strip(), written(item), meaning.meaning if meaning else "")
    Console(highlight=False).print(table)


def written(value: object) -> str:
    """``value`` as the table shows it."""
    if isinstance(value, list):
        return " ".join(f"{item:.2f}" if isinstance(item, float) else str(item) for item in value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def describe_options() -> str:
    """The options with their defaults and meanings, for --help."""
    lines = []
    for kind in (Switches, Settings):
        for field in dataclasses.fields(kind):
            default = OmegaConf.to_yaml([field.default])[2:].strip()
            lines.append(f"  {f'{field.name}={default}':<26}{MEANINGS.get(field.name, '')}".rstrip())
    return "\n".join(["options, their defaults and meanings:", *lines])


def work() -> None:
    parser = tools.parser(__doc__, epilog=describe_options())
    parser.add_argument("options", nargs="*", metavar="option=value", help="a part or a setting, from the list below")
    arguments = parser.parse_args()
    switches, settings = parse_options(arguments.options)
    wanted = [part for part in PARTS if getattr(switches, part)]
    known = read_results(arguments.run).get("evaluation", {})
    new = [part for part in wanted if switches.recompute or not is_current(known.get(part, {}), part, settings)]
    evaluation = None
    if new:
        module, data = tools.open_run(arguments)
        evaluation = Evaluation.of(module.evaluated(data), settings, track=tools.progress)
    for part in wanted:
        if evaluation is not None and part in new:
            known[part] = evaluate(part, evaluation)
            add_evaluation(arguments.run, part, known[part])  # each at once: a later one may be interrupted
        show(part, known[part])
    print(f"kept in {arguments.run / RESULTS}")


def is_current(metrics: dict, part: str, settings: Settings) -> bool:
    """Whether ``metrics`` of a part were computed with ``settings``, and did not fail."""
    return not has_failed(metrics) and metrics.get("asked") == settings_of(part, settings)


if __name__ == "__main__":
    tools.main(work)
