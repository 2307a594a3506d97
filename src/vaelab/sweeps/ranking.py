"""ranking."""

import pandas as pd
from scipy.stats import t as student

from vaelab.evaluation.metrics import RANKED
from vaelab.sweeps.table import Kind


def front(cells: pd.DataFrame) -> pd.Series:
    """Which cells no other beats in both rate and distortion: the Pareto front."""
    ordered = cells.sort_values(["rate", "distortion"], kind="stable")
    lowest_before = ordered["distortion"].cummin().shift(fill_value=float("inf"))
    return (ordered["distortion"] < lowest_before).reindex(cells.index)


def ranking(kind: Kind) -> list[dict[str, object]]:
    """For each figure that cells are ranked by: the best cell, the next, and whether seeds can tell them apart.

    They can where the means differ by more than Student's t says at 95 % for so few runs, the deviation of one seed
    taken to be the same in both cells.
    """
    rows = []
    for name in RANKED:
        order = kind.best(name)
        if order.empty:
            continue
        first = order.iloc[0]
        row = {"by": name, "cell": kind.told(first), "mean": float(first[name]), "seeds": int(first[f"{name}_n"])}
        row["sd"] = None if pd.isna(first[f"{name}_sd"]) else float(first[f"{name}_sd"])
        if len(order) > 1:
            second = order.iloc[1]
            row |= {"next": kind.told(second), "ahead": float(abs(second[name] - first[name]))}
            row |= {"runs": int(first[f"{name}_n"] + second[f"{name}_n"]), "error": None, "told_apart": None}
            if (freedom := row["runs"] - 2) > 0:
                squares = sum(cell[f"{name}_sd"] ** 2 * (cell[f"{name}_n"] - 1) for cell in (first, second)
                              if cell[f"{name}_n"] > 1)  # fmt: skip
                row["error"] = float((squares / freedom * (1 / first[f"{name}_n"] + 1 / second[f"{name}_n"])) ** 0.5)
                row["told_apart"] = bool(row["ahead"] > student.ppf(0.975, freedom) * row["error"])
        rows.append(row)
    return rows
