"""Evaluate a finished run on the test images: print each part, and keep it in the run's results.json.

    python scripts/evaluate.py outputs/runs/two
    python scripts/evaluate.py outputs/runs/two nll_samples=500 samples=false amortization=true

The parts are likelihood (nll by importance sampling), latents, aggregate (mutual information, marginal KL and total
correlation), probes (classifiers of the latents), disentanglement (MIG, SAP, DCI and FactorVAE score of images with
known factors), samples (against test images, in the features of a classifier that is trained once and kept),
amortization (what the encoder loses) and curve (likelihood and latents at each beta of model=multirate, at the betas
that betas=[0.5,1,2] names). The last two take long and are computed only on request: curve=true. A part that
results.json holds already, computed with the same settings, is not computed again, unless recompute=true. A part that
failed is tried again.

    python scripts/evaluate.py outputs/runs/two --config-dir mine metric=spread

A metric of your own, by the file metric/spread.yaml, joins those of the run; metric=[first,second] takes several.
"""

import argparse
import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table
from yaml import YAMLError

from vaelab.cli import tools
from vaelab.cli.members import own_member
from vaelab.errors import InputError
from vaelab.evaluation.curve import check_betas
from vaelab.evaluation.curve_table import curve_table
from vaelab.evaluation.metrics import METRICS
from vaelab.evaluation.own import evaluate_own
from vaelab.evaluation.settings import MEANINGS
from vaelab.evaluation.suite import PARTS, Evaluation, Settings, evaluate, settings_of
from vaelab.runs.console import log_to_file
from vaelab.runs.directory import COMPOSED, folders_of
from vaelab.runs.extras import make_measures
from vaelab.runs.options import OWN, own_options, read_config
from vaelab.runs.results import RESULTS, add_evaluation, has_failed, is_known, read_results

Metrics = Mapping[str, object]

RECOMPUTE = "recompute"
# Options that are true or false: the parts to compute, and whether to compute stored parts again.
LONG = ("amortization", "curve")  # parts that take long
SWITCHES: Mapping[str, bool] = {**{part: part not in LONG for part in PARTS}, RECOMPUTE: False}
SWITCH_TYPE = dataclasses.make_dataclass("Switches", [(name, bool, value) for name, value in SWITCHES.items()])
DEFAULTS: Mapping[str, object] = {**SWITCHES, **dataclasses.asdict(Settings())}


def parse_options(words: list[str]) -> tuple[dict[str, bool], Settings]:
    """The switches and the settings in words such as ``nll_samples=500``.

    **Raises**
        InputError: there is no such option, or no such value.
    """
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in DEFAULTS or not equals:
            close = difflib.get_close_matches(name, DEFAULTS, n=1)
            hint = f"did you mean {close[0]}=...?" if close else f"the options are {', '.join(DEFAULTS)}"
            raise InputError(f"there is no option {word!r}; {hint}")
    switches = _parse(SWITCH_TYPE, [word for word in words if word.partition("=")[0] in SWITCHES])
    settings = _parse(Settings, [word for word in words if word.partition("=")[0] not in SWITCHES])
    return {name: switches[name] is True for name in SWITCHES}, Settings(**settings)  # type: ignore[arg-type] # checked


def _parse(kind: type, words: list[str]) -> dict[str, object]:
    """The values of the fields of the dataclass ``kind``, converted to the fields' types."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.from_dotlist(words))
        return {str(name): value for name, value in cast(dict, OmegaConf.to_container(merged)).items()}
    except OmegaConfBaseException as error:
        if str(error.full_key).startswith("betas"):
            raise InputError(f"{' '.join(words)}: betas must be a list of numbers such as betas=[0.5,1,2]") from error
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    except YAMLError as error:
        raise InputError(f"cannot read {' '.join(words)}: write option=value") from error


def show(part: str, metrics: Metrics) -> None:
    """Print one part as a table: metric, value, unit, meaning."""
    if has_failed(metrics):
        print(f"{part}: failed, {metrics['error']}\n")
        return
    if "lacking" in metrics:
        print(f"{part}: none, {metrics['lacking']}\n")
        return
    if part == "curve":
        Console(highlight=False).print(curve_table(cast(list, metrics["points"])))
        return
    table = Table(title=part, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for row in rows(metrics):
        table.add_row(*row)
    Console(highlight=False).print(table)


def rows(metrics: Metrics) -> Iterator[tuple[str, str, str, str]]:
    """Name, value, unit and meaning of each metric of a part; a section within the part comes before the name."""
    for name, value in metrics.items():
        if name == "asked":
            continue
        for key, item in value.items() if isinstance(value, dict) else [(name, value)]:
            unit, meaning = (METRICS[key].unit, METRICS[key].meaning) if key in METRICS else ("", "")
            yield name if key == name else f"{name} {key}", written(item), unit, meaning


def written(value: object) -> str:
    """``value`` as the table shows it."""
    if isinstance(value, list):
        return " ".join(f"{item:.2f}" if isinstance(item, float) else str(item) for item in value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def describe_options() -> str:
    """The options with their defaults and meanings, for --help."""
    lines = ["options, their defaults and meanings:"]
    for name, value in DEFAULTS.items():
        default = OmegaConf.to_yaml([value])[2:].strip()
        lines.append(f"  {f'{name}={default}':<26}{MEANINGS.get(name, '')}".rstrip())
    return "\n".join(lines)


def work() -> None:
    parser = tools.parser(__doc__, epilog=describe_options(), beta=False)
    parser.add_argument("options", nargs="*", metavar="option=value", help="a part or a setting, from the list below")
    arguments = parser.parse_intermixed_args()
    own = [word for word in arguments.options if word.startswith("metric=")]
    switches, settings = parse_options([word for word in arguments.options if word not in own])
    wanted = [part for part in PARTS if switches[part]]
    known = read_results(arguments.run).get("evaluation", {})
    shown = [part for part in PARTS if part in wanted or (part == "curve" and part in known)]
    new = [part for part in wanted if switches[RECOMPUTE] or not is_current(known.get(part, {}), part, settings)]
    asked = own_metrics(arguments, own)
    asked = [options for options in asked if switches[RECOMPUTE] or not is_known(options, known)]
    if new or asked:
        run = tools.open_run(arguments)
        measures = make_measures({"metric": {f"m{number}": options for number, options in enumerate(asked)}})
        log_to_file(arguments.run)  # the traceback of a part that fails
        evaluation = Evaluation.of(run.module.evaluated(run.data), settings, track=tools.progress)
        check_betas(run.model, settings.betas)
    for part in shown:
        if part in new:
            known[part] = evaluate(part, evaluation)
            add_evaluation(arguments.run, part, known[part])  # each at once: a later one may be interrupted
        show(part, known[part])
    if asked:
        known[OWN] = evaluate_own(measures, evaluation, known.get(OWN))
        add_evaluation(arguments.run, OWN, known[OWN])
    if OWN in known:
        show_own(known[OWN])
    print(f"kept in {arguments.run / RESULTS}")


def own_metrics(arguments: argparse.Namespace, words: list[str]) -> list[dict]:
    """The options of the user's own metrics that the run has, and of those that ``words`` name.

    **Raises**
        InputError: there is no such file.
    """
    composed = read_config(arguments.run / COMPOSED)
    found = list(own_options(composed, "metric").values())
    names = [name.strip() for word in words for name in word.partition("=")[2].strip("[]").split(",")]
    folders = tools.folders(arguments) or folders_of(arguments.run)
    for name in names:
        options = own_member("metric", name, folders, composed)
        found += [options] if options not in found else []
    return found


def show_own(metrics: Mapping[str, Metrics]) -> None:
    """Print the user's own metrics as a table."""
    table = Table(title=OWN, title_justify="left", show_header=False)
    for name, metric in metrics.items():
        failed = f"failed, {metric.get('error')}" if has_failed(metric) else f"none, {metric.get('lacking')}"
        value = written(metric["value"]) if "value" in metric else failed
        table.add_row(name, value, str(metric["unit"]), str(metric["meaning"]))
    Console(highlight=False).print(table)


def is_current(metrics: Metrics, part: str, settings: Settings) -> bool:
    """Whether ``metrics`` of a part were computed with ``settings``, and did not fail."""
    asked = metrics.get("asked")
    if not isinstance(asked, Mapping) or has_failed(metrics):
        return False
    return {**settings_of(part, Settings()), **asked} == settings_of(part, settings)  # a newer setting had its default


def main() -> None:
    tools.main(work)
