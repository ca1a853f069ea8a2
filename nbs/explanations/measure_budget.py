"""Train within budgets, and hold what was forecast against what came.

python nbs/explanations/measure_budget.py DATA --keep budgets [--minutes 1 4 12] [--rows 2000 12000 62000]

DATA is a folder in AG News' format; its test.csv is not touched. Of train.csv, 8,000 rows tell the
accuracy after each run, and 1,000 others are the test of the runs themselves, so that a short budget
is not used up by a long test. Training files are drawn from what is left. Each run is `newsclf train
--budget` in a process of its own, timed from outside, on a machine that does nothing else; beside it
stands a linear model on the same file. The accuracies are computed afterwards, which needs no quiet
machine. Runs and accuracies that lie in --keep are not made again. JSON on the screen and in
figures/budget.json.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances
from newsclf.core.storage import read_sealed_json
from newsclf.predict.predictor import Predictor

STORED = Path(__file__).resolve().parent / "figures/budget.json"
NEWSCLF = [sys.executable, "-c", "import sys; from newsclf.cli.main import main; sys.exit(main())"]
ASIDE, OWN, SEED = 8000, 1000, 24


def cut(data: Path, keep: Path, sizes: list[int]) -> tuple[list[str], np.ndarray]:
    "Write the files that runs learn from and are tested on; give back texts and classes kept aside"
    with (data / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    drawn = [rows[i] for i in np.random.default_rng(SEED).permutation(len(rows))]
    aside, own, rest = drawn[:ASIDE], drawn[ASIDE : ASIDE + OWN], drawn[ASIDE + OWN :]
    for name, part in [("test", own), *((str(n), rest[:n]) for n in sizes)]:
        with (keep / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow(["class", "title", "description"])
            writer.writerows(part)
    texts = [f"{title} {description}" for _, title, description in aside]
    return texts, np.array([label for label, *_ in aside])


def train(keep: Path, rows: int, how: list[str], name: str) -> tuple[Path, float]:
    "Train in a process of its own; give back the run and the seconds from start to end"
    out, took = keep / name, keep / f"{name}.seconds"
    if not took.exists():
        reads = ["--data", f"{rows}.csv", "--test", "test.csv"]
        reads += ["--text", "title,description", "--label", "class"]
        began = time.perf_counter()
        command = [*NEWSCLF, "train", *reads, *how, "--out", name]
        subprocess.run(command, cwd=keep, check=True, stdout=sys.stderr)
        took.write_text(f"{time.perf_counter() - began:.1f}")
    return out, float(took.read_text())


def accuracy(run: Path, texts: list[str], labels: np.ndarray) -> float:
    "Of a run's model on the rows kept aside; computed once"
    known = run.parent / f"{run.name}.accuracy"
    if not known.exists():
        model = Predictor(run)
        said = np.array(model.names)[model.predict_proba(texts).argmax(1)]
        known.write_text(f"{(said == labels).mean():.5f}")
    return float(known.read_text())


def describe(run: Path, seconds: float, right: float, linear: float) -> dict[str, Any]:
    "What was planned, and what came"
    plan = read_sealed_json(run / "budget.json")
    low, high = plan["interval_80"]
    return dict(
        plan=plan, seconds=seconds, accuracy=right, linear=linear,
        overrun=round(seconds / plan["budget"] - 1, 4), inside=low <= right <= high,
    )


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    "The figures that are asked for"
    widths = [100 * (high - low) for low, high in (run["plan"]["interval_80"] for run in found)]
    return dict(
        runs=len(found),
        inside=sum(run["inside"] for run in found),
        median_width=round(float(np.median(widths)), 2),
        largest_overrun=max(run["overrun"] for run in found),
        below_linear=sum(run["accuracy"] < run["linear"] for run in found),
    )


def main() -> None:
    "Train what is not there, describe, store"
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("data", type=Path, help="a folder in AG News' format")
    ap.add_argument("--keep", required=True, type=Path, help="folder for the runs")
    ap.add_argument("--minutes", type=int, nargs="+", default=[1, 4, 12], help="[1 4 12]")
    sizes = [2000, 12000, 62000]
    ap.add_argument("--rows", type=int, nargs="+", default=sizes, help=f"{sizes}")
    a = ap.parse_args()
    a.keep.mkdir(parents=True, exist_ok=True)
    texts, labels = cut(a.data, a.keep, a.rows)
    made = {}
    for minutes in a.minutes: # the short ones first
        for rows in a.rows:
            base, _ = train(a.keep, rows, ["--model", "linear"], f"linear-{rows}")
            how = ["--budget", f"{minutes}m"]
            made[rows, minutes] = base, *train(a.keep, rows, how, f"{minutes}m-{rows}")
    found = []
    for base, run, seconds in made.values():
        right, linear = (accuracy(x, texts, labels) for x in (run, base))
        found.append(describe(run, seconds, right, linear))
        print(json.dumps(found[-1]), flush=True)
    command = "python nbs/explanations/measure_budget.py ag_news_csv --keep budgets"
    record = circumstances(command) | dict(units=processor_units(), summary=summary(found), runs=found)
    STORED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["summary"], indent=1))


if __name__ == "__main__":
    main()
