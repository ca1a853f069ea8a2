"""What a run's probabilities are worth: its test is cut in parts a hundred times, and once asked whether the temperature helped. Prints JSON.

    python nbs/explanations/measure_calibration.py RUN [--splits 100] [--data ag_news_csv] [--smoothed RUN] > nbs/explanations/figures/calibration.json

With --data, the run's data set, other ways to calibrate are tried on its validation rows; --smoothed is a run that differs in its label smoothing. A study: it looks at the test, chooses nothing, and stores nothing with the run.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from newsclf.core.provenance import circumstances
from newsclf.core.values import as_json
from newsclf.evaluate.calibrate import study_splits, uncalibrated
from newsclf.evaluate.reliability import calibration_error, reliability

def obvious(proba, labels, splits, seed, precision):
    "In how many splits the lowest threshold that was good enough on one half is not on the other"
    rng, sure, right, short, filed = (
        np.random.default_rng(seed),
        proba.max(1),
        proba.argmax(1) == labels,
        0,
        [],
    )
    for _ in range(splits):
        fit, new = np.split(rng.permutation(len(labels)), [len(labels) // 2])
        order = fit[np.argsort(-sure[fit])]
        good = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, len(order) + 1) >= precision)
        passed = sure[new] >= sure[order[good[-1]]]
        filed.append(passed.mean())
        short += right[new][passed].mean() < precision
    return dict(short_on_new_rows=int(short), share_filed=float(np.mean(filed)))


def changed(before, after, labels, seed, draws=2000):
    "Calibration error after less before, with the 2.5 and 97.5% points of rows drawn again in pairs"

    def ece(p, rows):
        return calibration_error(reliability(p[rows], labels[rows]))

    rng, every = np.random.default_rng(seed), np.arange(len(labels))
    drawn = [
        ece(after, rows) - ece(before, rows)
        for rows in (rng.integers(0, len(labels), len(labels)) for _ in range(draws))
    ]
    return dict(
        before=ece(before, every),
        after=ece(after, every),
        change=ece(after, every) - ece(before, every),
        interval_95=np.quantile(drawn, [0.025, 0.975]).tolist(),
    )


def error_of(proba, labels):
    return calibration_error(reliability(proba, labels))


def ways(run, data, raw, labels, temperature):
    "Calibration error on the test by other ways: one temperature for both halves of validation, a matrix for the logits, and what no way may do, a temperature fitted on the test"
    from scipy.special import softmax
    from sklearn.linear_model import LogisticRegression

    from newsclf.core.config import make_config
    from newsclf.data.duplicates import copy_groups
    from newsclf.data.news import load_news
    from newsclf.evaluate.calibrate import fit_temperature
    from newsclf.predict.predictor import Predictor
    from newsclf.run.dataset import cut_validation

    news, clf = (
        cut_validation(load_news(make_config(data=data), copy_groups)),
        Predictor(run, precision="float32", raw=True),
    )
    rows = [news.parts[p] for p in ("calibration", "validation")]
    z, y = (
        np.concatenate([np.log(clf.predict_proba(r["text"][:])) for r in rows]),
        np.concatenate([r["label"][:] for r in rows]),
    )
    half, test = len(rows[0]), np.log(raw)

    def heated(t):
        return error_of(softmax(test / t, axis=1), labels)

    both, own = fit_temperature(z, y).temperature, fit_temperature(test, labels).temperature
    matrix = LogisticRegression(C=1e4, max_iter=1000).fit(z, y).predict_proba(test)

    def facts(logits, right):
        return dict(
            rows=len(right),
            accuracy=float((logits.argmax(1) == right).mean()),
            log_loss=float(-np.log(softmax(logits, axis=1)[np.arange(len(right)), right]).mean()),
        )

    return dict(
        calibration_half=dict(temperature=temperature, ece=heated(temperature)),
        both_halves=dict(temperature=both, ece=heated(both)),
        matrix=dict(ece=error_of(matrix, labels)),
        on_the_test=dict(temperature=own, ece=heated(own)),
        parts=dict(
            calibration=facts(z[:half] / temperature, y[:half]),
            validation=facts(z[half:] / temperature, y[half:]),
            test=facts(test / temperature, labels),
        ),
    )


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("run")
    args.add_argument("--splits", type=int, default=100)
    args.add_argument("--data")
    args.add_argument("--smoothed")
    args = args.parse_args()
    run, seed = Path(args.run), 1122
    metrics, manifest, table = (
        json.loads((run / "metrics.json").read_text()),
        json.loads((run / "manifest.json").read_text()),
        pd.read_parquet(run / "predictions.parquet"),
    )
    names = manifest["data"]["classes"]
    proba, labels = (
        table[[f"p_{n}" for n in names]].to_numpy(dtype=np.float64),
        np.array([names.index(x) for x in table["label"]]),
    )
    raw = uncalibrated(
        proba / proba.sum(1, keepdims=True), metrics["calibration"]["temperature"]["temperature"]
    )
    temperature = metrics["calibration"]["temperature"]["temperature"]
    tried = ways(run, args.data, raw, labels, temperature) if args.data else {}
    if args.smoothed:
        other = [
            json.loads((Path(args.smoothed) / f"{n}.json").read_text())
            for n in ("metrics", "manifest")
        ]
        tried["smoothed"] = dict(
            label_smoothing=other[1]["config"]["label_smoothing"],
            temperature=other[0]["calibration"]["temperature"]["temperature"],
            ece=other[0]["test"]["ece"],
            accuracy=other[0]["test"]["accuracy"],
            command=other[1]["command"],
            commit=other[1]["commit"],
        )
    words = " ".join(
        [
            "RUN",
            f"--splits {args.splits}",
            *([f"--data {Path(args.data).name}"] if args.data else []),
            *(["--smoothed RUN"] if args.smoothed else []),
        ]
    )
    print(
        json.dumps(
            dict(
                run=manifest["files"]["model/model.safetensors"]["sha256"],
                rows=len(labels),
                calibration=metrics["calibration"],
                ece=changed(raw, proba, labels, seed),
                study=as_json(study_splits(raw, labels, args.splits, seed)),
                obvious=obvious(raw, labels, args.splits, seed, 0.99),
                tried=tried,
                seed=seed,
                **circumstances(f"python nbs/explanations/measure_calibration.py {words}"),
            ),
            indent=1,
        )
    )
