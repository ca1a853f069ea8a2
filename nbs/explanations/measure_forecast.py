"""Fit the forecast of errors to trainings of many sizes, and check it on those it has not seen.

python nbs/explanations/measure_forecast.py DATA --keep recipes [--sizes 500 1000 ...]

DATA is a folder in AG News' format, and --keep the folder in which measure_recipes.py has kept what
its recipes curve-1, curve-2, curve-4 and curve-8 answered with --rows of these sizes; what is not
there is left out. The published run on all rows of DATA (figures/ag-news-*.json) joins them with its
validation rows. The linear model of a run learns the same rows. The fit is written to figures/forecast.json, with
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
from newsclf.run.budget import linear_mistakes
from newsclf.run.dataset import draw_rows, load_rows

STORED = Path(__file__).resolve().parent / "figures/forecast.json"
EPOCHS = (1, 2, 4, 8)
ANCHOR = 8000 # Training rows at which a linear model tells how hard the classes are


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
    "Errors of the linear model of a run on the same rows"
    news = load_rows(make_config(data=data), lambda line: None)
    held = concatenate_datasets([news.parts["validation"], news.parts["calibration"]])
    out = {}
    for rows in sizes:
        train = draw_rows(news, make_config(train_rows=rows)).parts["train"]
        out[rows] = linear_mistakes(train, held, news.names, make_config()) / len(held)
    return out


def doublings(runs: list[dict]) -> np.ndarray:
    "How often the anchor's rows are doubled"
    return np.array([math.log2(run["rows"] / ANCHOR) for run in runs])


def features(runs: list[dict]) -> np.ndarray:
    "A row a run: 1, doublings of the anchor's rows, one over the epochs"
    epochs = np.array([run["epochs"] for run in runs], dtype=float)
    return np.stack([np.ones_like(epochs), doublings(runs), 1 / epochs], 1)


def fit(runs: list[dict]) -> np.ndarray:
    "Least squares for the logarithm of an encoder's errors over the linear model's at the anchor"
    beside = np.log([run["wrong"] / run["anchor"] for run in runs])
    return np.linalg.lstsq(features(runs), beside, rcond=None)[0]


def off(runs: list[dict], line: np.ndarray) -> np.ndarray:
    "How far runs are off a line"
    return np.log([run["wrong"] / run["anchor"] for run in runs]) - features(runs) @ line


def unseen(runs: list[dict]) -> list[float]:
    "How far off the line is at each size when it was fitted to the others"
    out = []
    for size in sorted({run["rows"] for run in runs}):
        left = [run for run in runs if run["rows"] == size]
        out += off(left, fit([run for run in runs if run["rows"] != size])).tolist()
    return out


def linear_fit(linear: dict[int, float]) -> np.ndarray:
    "The linear model's errors over those at the anchor: per doubling, and its square"
    x = doublings([dict(rows=rows) for rows in linear])
    y = np.log([wrong / linear[ANCHOR] for wrong in linear.values()])
    return np.linalg.lstsq(np.stack([x, x**2], 1), y, rcond=None)[0]


def main():
    "Fit, check, store"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a folder in AG News' format")
    parser.add_argument("--keep", type=Path, required=True, help="folder of measure_recipes.py")
    sizes = [500, 1000, 2000, 4000, 8000, 16000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help=f"{sizes}")
    given = parser.parse_args()
    runs = [*kept_runs(given.keep, given.sizes), published_run()]
    linear = linear_curve(given.data, sorted({ANCHOR, *(run["rows"] for run in runs)}))
    runs = [run | dict(linear=linear[run["rows"]], anchor=linear[ANCHOR]) for run in runs]
    line, free = fit(runs), len(runs) - 3
    spread = float(np.sqrt(np.square(off(runs, line)).sum() / free))
    found = dict(linear=linear_fit(linear).tolist(), fit=line.tolist(), spread=spread,
                 unseen=unseen(runs), runs=runs)
    record = circumstances() | dict(units=processor_units()) | found
    STORED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
