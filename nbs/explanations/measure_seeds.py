"""Runs that differ in nothing but the seed: how many pairs of them does `compare` call separable, and how many should it? JSON.

    python nbs/explanations/measure_seeds.py ag_news_csv --keep seeds > nbs/explanations/figures/seeds.json

Some rows of train.csv, the same for all runs, and all of test.csv. A run that is in the folder --keep already is not made again. Runs of one recipe have no true order, but each has a true accuracy of its own, and a test that is large enough tells two of them apart. How far they lie apart
is estimated from their spread, less what the test's rows alone would give; from that follows how often McNemar's test should find a difference.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from newsclf.core.provenance import circumstances
from newsclf.core.values import as_json
from newsclf.evaluate.paired import power_of, seed_variance
from newsclf.run.predictions import compare_runs, read_predictions

def share_expected(variance, disagree, rows):
    "Share of pairs that McNemar's test should call separable, if true accuracies of seeds vary so"
    middles = norm.ppf((np.arange(1000) + 0.5) / 1000) * (2 * variance) ** 0.5
    return float(np.mean([power_of(d, disagree, rows) for d in middles]))


ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument(
    "data", help="folder with train.csv, a row a line and no header, test.csv and classes.txt"
)
ap.add_argument("--rows", type=int, default=8000)
ap.add_argument("--seeds", type=int, nargs="+", default=[1122, 1123, 1124, 1125, 1126])
ap.add_argument("--keep", required=True, help="folder for the rows and the runs")
ap.add_argument("--threads", type=int, default=0, help="of each training")
a = ap.parse_args()
keep, news = Path(a.keep), Path(a.keep) / "news"
if not news.exists():
    news.mkdir(parents=True)
    lines = (Path(a.data) / "train.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    chosen = np.sort(np.random.default_rng(1122).choice(len(lines), a.rows, replace=False))
    (news / "train.csv").write_text(
        "".join(lines[i] for i in chosen), encoding="utf-8", newline=""
    )
    for name in ("test.csv", "classes.txt"):
        (news / name).write_bytes((Path(a.data) / name).read_bytes())
a.runs = [str(keep / f"seed-{s}") for s in a.seeds]
for seed, run in zip(a.seeds, a.runs, strict=True):
    if not Path(run, "manifest.json").exists():
        subprocess.run(
            [
                str(Path(sys.executable).with_name("newsclf")),
                "train",
                "--data",
                str(news),
                "--seed",
                str(seed),
                "--threads",
                str(a.threads),
                "--out",
                run,
                "--no-texts",
            ],
            check=True,
            stdout=sys.stderr,
            env=os.environ | dict(NEWSCLF_STATE=str(keep / "state")),
        )
os.environ["NEWSCLF_STATE"] = str(keep / "state")
tables = [
    read_predictions(Path(r) / "predictions.parquet").table.sort_values(
        ["digest", "label"], kind="stable"
    )
    for r in a.runs
]
right = np.stack([(t["label"] == t["predicted"]).to_numpy() for t in tables]) # (seeds, rows)
pairs = []
for x, y in combinations(a.runs, 2):
    found = compare_runs(x, y, say=lambda line: None).found
    accuracy, m = found.accuracy, found.mcnemar
    pairs.append(
        dict(
            difference=accuracy.difference,
            interval_95=accuracy.interval_95,
            only_a=m.only_a,
            only_b=m.only_b,
            p=m.mid_p,
            separable=found.better is not None,
            power=power_of(accuracy.difference, (m.only_a + m.only_b) / found.rows, found.rows),
        )
    )
seeds, rows = right.shape
disagree = float(np.mean([p["only_a"] + p["only_b"] for p in pairs]) / rows)
spread, noise = seed_variance(right.astype(float))
ends = [
    (seeds - 1) * spread / chi2.ppf(q, seeds - 1) for q in (0.975, 0.025)
] # of the variance of five means
beside, own = (
    compare_runs(str(Path(a.runs[0]) / "linear.parquet"), a.runs[0], say=lambda line: None).found,
    json.loads((Path(a.runs[0]) / "manifest.json").read_text()),
)
print(
    json.dumps(
        dict(
            accuracies=right.mean(1).tolist(),
            rows=rows,
            pairs=pairs,
            separable=sum(p["separable"] for p in pairs),
            disagree=disagree,
            spread=dict(
                standard_deviation=spread**0.5,
                by_rows_alone=noise**0.5,
                of_true_accuracies=max(spread - noise, 0) ** 0.5,
            ),
            expected=dict(
                share=share_expected(max(spread - noise, 0), disagree, rows),
                interval_95=[share_expected(max(e - noise, 0), disagree, rows) for e in ends],
            ),
            linear={k: as_json(getattr(beside, k)) for k in ("accuracy", "mcnemar", "verdict")},
            seeds=[json.loads((Path(r) / "manifest.json").read_text())["seed"] for r in a.runs],
            training_rows=own["data"]["rows"]["train"],
            precision=own["precision"],
            **circumstances(
                f"python nbs/explanations/measure_seeds.py {Path(a.data).name} --rows {a.rows} --seeds {' '.join(map(str, a.seeds))} --keep {keep.name}"
            ),
        ),
        indent=1,
    )
)
