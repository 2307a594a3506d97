"""The table of published numbers beside those of finished runs."""

import json
from pathlib import Path

import pytest

METRICS = "elbo/train,epoch,step\n-200.0,0.5,10\n-150.0,1.0,20\n-120.0,1.5,30\n-110.0,2.0,40\n"


def write_run(
    directory: Path, nll: float, seed: int = 0, recipe: str = "paper/iwae_vae", samples: int = 5_000, typed: str = ""
) -> Path:
    directory.mkdir()
    results = {
        "status": "completed", "choices": {"experiment": recipe}, "seed": seed, "epochs": 2,
        "overrides": [f"experiment={recipe}", f"name=run{seed}", f"seed={seed}", *typed.split()],
        "time": {"fit_s": 10.0, "epoch_s": 60.0},
        "device": "cpu: a machine", "config": {},
        "evaluation": {"likelihood": {"nll": nll, "nll_samples": samples, "nll_prior_samples": 0},
                       "latents": {"active_units": 21}},
    }  # fmt: skip
    (directory / "results.json").write_text(json.dumps(results))
    (directory / "metrics.csv").write_text(METRICS)
    return directory


def test_runs_with_another_option_are_no_seeds_of_the_recipe(script, tmp_path):
    plain = write_run(tmp_path / "plain", 86.5)
    other = write_run(tmp_path / "other", 87.5, typed="latent=20 ++ckpt=a/last.ckpt +x=a/b")
    status, out, err = script("papers", other, plain, "--curves", tmp_path / "curves")
    assert (status, err) == (0, "")
    rows = [line.split(" | ")[::2] for line in out.splitlines() if line.startswith("| `")]
    assert [row[:2] for row in rows] == [["| `iwae_vae +x=a/b latent=20`", "87.50"], ["| `iwae_vae`", "86.50"]]
    names = sorted(path.name for path in (tmp_path / "curves").iterdir())
    assert names == ["iwae_vae,+x=a_b,latent=20~d631b54f15be-seed0.csv", "iwae_vae-seed0.csv"]


def cells(out: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith("| `")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_seeds_are_averaged_and_compared_with_the_published_number(script, tmp_path):
    runs = [write_run(tmp_path / f"run{seed}", nll, seed) for seed, nll in enumerate((86.5, 86.7))]
    status, out, err = script("papers", *runs, "--curves", tmp_path / "curves")
    assert (status, err) == (0, "")
    assert cells(out) == [
        "`iwae_vae`", "86.76", "86.60 ± 0.14", "-0.16", "yes", "2", "19; 21", "2", "2 min", "cpu: a machine",
    ]  # fmt: skip
    assert (tmp_path / "curves" / "iwae_vae-seed1.csv").read_text() == "epoch,elbo_train\n1,-150.00\n2,-110.00\n"


@pytest.mark.parametrize(("nll", "within"), [(86.86, "yes"), (86.87, "no")])
def test_a_tenth_of_a_nat_above_is_within_tolerance(script, tmp_path, nll, within):
    _, out, _ = script("papers", write_run(tmp_path / "run", nll))
    assert cells(out)[4] == within


def test_another_estimate_and_another_recipe_are_refused(script, tmp_path):
    run = write_run(tmp_path / "run", 86.5, samples=100)
    status, _, err = script("papers", run)
    assert status == 1
    assert "has no nll by K = 5,000 samples: python scripts/evaluate.py" in err
    status, _, err = script("papers", write_run(tmp_path / "other", 86.5, recipe="seed/vae"))
    assert status == 1
    assert "is no finished run of experiment=paper/..." in err
