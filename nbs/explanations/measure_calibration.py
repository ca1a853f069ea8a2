"""What a run's probabilities are worth: its test is cut in parts a hundred times, and once asked whether the temperature helped. Prints JSON.

    python nbs/explanations/measure_calibration.py RUN [--splits 100] > nbs/explanations/figures/calibration.json

A study: it looks at the test, chooses nothing, and stores nothing with the run.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from newsclf.calibrate import study_splits, uncalibrated
from newsclf.evaluate import calibration_error, reliability
from newsclf.run import circumstances


def obvious(proba, labels, splits, seed, precision):
    "In how many splits the lowest threshold that was good enough on one half is not on the other"
    rng, sure, right, short, filed = np.random.default_rng(seed), proba.max(1), proba.argmax(1) == labels, 0, []
    for _ in range(splits):
        fit, new = np.split(rng.permutation(len(labels)), [len(labels) // 2])
        order = fit[np.argsort(-sure[fit])]
        good = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, len(order) + 1) >= precision)
        passed = sure[new] >= sure[order[good[-1]]]
        filed.append(passed.mean())
        short += right[new][passed].mean() < precision
    return dict(short_on_new_rows=int(short), share_filed=float(np.mean(filed)))


def changed(before, after, labels, seed, draws=2000):
    "Calibration error after less before, with the 2.5 and 97.5 % points of rows drawn again in pairs"
    def ece(p, rows): return calibration_error(reliability(p[rows], labels[rows]))
    rng, every = np.random.default_rng(seed), np.arange(len(labels))
    drawn = [ece(after, rows) - ece(before, rows) for rows in (rng.integers(0, len(labels), len(labels)) for _ in range(draws))]
    return dict(before=ece(before, every), after=ece(after, every), change=ece(after, every) - ece(before, every), interval_95=np.quantile(drawn, [0.025, 0.975]).tolist())


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("run")
    args.add_argument("--splits", type=int, default=100)
    args = args.parse_args()
    run, seed = Path(args.run), 1122
    metrics, manifest, table = json.loads((run/"metrics.json").read_text()), json.loads((run/"manifest.json").read_text()), pd.read_parquet(run/"predictions.parquet")
    names = manifest["data"]["classes"]
    proba, labels = table[[f"p_{n}" for n in names]].to_numpy(dtype=np.float64), np.array([names.index(x) for x in table["label"]])
    raw = uncalibrated(proba / proba.sum(1, keepdims=True), metrics["calibration"]["temperature"]["temperature"])
    print(json.dumps(dict(run=manifest["files"]["model/model.safetensors"]["sha256"], rows=len(labels), calibration=metrics["calibration"], ece=changed(raw, proba, labels, seed),
        study=study_splits(raw, labels, args.splits, seed), obvious=obvious(raw, labels, args.splits, seed, 0.99), seed=seed, **circumstances(f"python nbs/explanations/measure_calibration.py RUN --splits {args.splits}")), indent=1))
