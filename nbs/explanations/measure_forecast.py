"""Fit the forecast of errors to trainings of many sizes, and check it on those it has not seen.

python nbs/explanations/measure_forecast.py DATA --keep recipes [--sizes 500 1000 ...]

DATA is a folder in AG News' format, and --keep the folder in which measure_recipes.py has kept what
its recipes curve-1, curve-2, curve-4 and curve-8 answered with --rows of these sizes; what is not
there is left out. The published run on all rows of DATA (figures/ag-news-*.json) joins them with its
validation rows. A linear model learns the same rows. The fit is written to figures/forecast.json, with
the errors of a check that leaves out one size at a time.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
from datasets import concatenate_datasets

from newsclf.core.config import make_config
from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances
from newsclf.data.linear import linear_baseline
from newsclf.run.dataset import draw_rows, load_rows

STORED = Path(__file__).resolve().parent / "figures/forecast.json"
EPOCHS = (1, 2, 4, 8)


def kept_runs(keep: Path, sizes: list[int]) -> list[dict]:
    "Errors of each training that is there"
    out = []
    for rows in sizes:
        for epochs in EPOCHS:
            for path in sorted(keep.glob(f"curve-{epochs}-{rows}-*.npz")):
                with np.load(path) as stored: # arrays only: numpy refuses objects
                    wrong = float((stored["logits"].argmax(1) != stored["labels"]).mean())
                seed = int(path.stem.rsplit("-", 1)[1])
                out.append(dict(rows=rows, epochs=epochs, seed=seed, wrong=wrong))
    return out


def published_run() -> dict:
    "Errors of the published run on its validation rows"
    metrics, manifest = (
        json.loads((STORED.parent / f"ag-news-{name}.json").read_text())
        for name in ("metrics", "manifest")
    )
    return dict(
        rows=manifest["data"]["rows"]["train"], epochs=manifest["config"]["epochs"],
        seed=manifest["seed"], wrong=1 - metrics["validation"]["accuracy"],
    )


def linear_curve(data: str, sizes: list[int]) -> dict[int, float]:
    "Errors of a linear model on the same rows"
    news = load_rows(make_config(data=data), lambda line: None)
    held = concatenate_datasets([news.parts["validation"], news.parts["calibration"]])
    truth, out = np.asarray(held["label"][:]), {}
    for rows in sizes:
        train = draw_rows(news, rows, make_config().seed).parts["train"]
        what = (train["text"][:], np.asarray(train["label"][:]), held["text"][:])
        p = linear_baseline(*what, len(news.names), make_config().seed)
        out[rows] = float((p.argmax(1) != truth).mean())
    return out


def features(runs: list[dict]) -> np.ndarray:
    "A row a run: 1, doublings of 1,000 rows, doublings of epochs, their product"
    r = np.array([math.log2(run["rows"] / 1000) for run in runs])
    e = np.array([math.log2(run["epochs"]) for run in runs])
    return np.stack([np.ones_like(r), r, e, r * e], 1)


def beside(runs: list[dict]) -> np.ndarray:
    "Logarithm of an encoder's errors over those of the linear model"
    return np.array([math.log(run["wrong"] / run["linear"]) for run in runs])


def fit(runs: list[dict]) -> np.ndarray:
    "Least squares"
    return np.linalg.lstsq(features(runs), beside(runs), rcond=None)[0]


def unseen(runs: list[dict]) -> list[float]:
    "How far off the line is at each size when it was fitted to the others"
    out = []
    for size in sorted({run["rows"] for run in runs}):
        kept = [run for run in runs if run["rows"] != size]
        left = [run for run in runs if run["rows"] == size]
        out += (beside(left) - features(left) @ fit(kept)).tolist()
    return out


def main():
    "Fit, check, store"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a folder in AG News' format")
    parser.add_argument("--keep", type=Path, required=True, help="folder of measure_recipes.py")
    sizes = [500, 1000, 2000, 4000, 8000, 16000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help=f"{sizes}")
    given = parser.parse_args()
    runs = [*kept_runs(given.keep, given.sizes), published_run()]
    sizes = sorted({run["rows"] for run in runs})
    linear = linear_curve(given.data, sizes)
    runs = [run | dict(linear=linear[run["rows"]]) for run in runs]
    slope = -np.polyfit(np.log2(sizes), np.log2([linear[n] for n in sizes]), 1)[0]
    off = unseen(runs)
    found = dict(slope=float(slope), fit=fit(runs).tolist(), unseen=off, runs=runs,
                 spread=float(np.sqrt(np.mean(np.square(off)))))
    record = circumstances() | dict(units=processor_units()) | found
    STORED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
