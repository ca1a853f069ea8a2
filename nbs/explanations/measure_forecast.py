"""Fit the forecast of errors to trainings of many sizes, and check it on those it has not seen.

python nbs/explanations/measure_forecast.py DATA --keep recipes [--sizes 500 1000 ...]

DATA is a folder in AG News' format, and --keep the folder in which measure_recipes.py has kept what
its recipes curve-1, curve-2, curve-4, curve-8, uncertain and uncertain-once answered with --rows of
these sizes; what is not there is left out. The published run on all rows of DATA
(figures/ag-news-*.json) joins them with its validation rows. The linear model of a run learns the same
rows. Beside it stands one that learns all rows, whose logits are added to those of BERT as
--with-linear does it: 1,000 of the held-out rows give its weight, the others count. The fit is written
to figures/forecast.json, with the errors of a check that leaves out one size at a time.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import concatenate_datasets
from scipy.optimize import minimize_scalar

from newsclf.core.config import make_config
from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances
from newsclf.model.linear import new_linear
from newsclf.model.logits import id_logits
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import LINEAR, find_model
from newsclf.run.budget import linear_mistakes
from newsclf.run.dataset import draw_rows, load_rows
from newsclf.train.regression import fit_linear, fit_weight

STORED = Path(__file__).resolve().parent / "figures/forecast.json"
CURVES = {f"curve-{epochs}": epochs for epochs in (1, 2, 4, 8)} # Rows drawn at random
CHOSEN = {"uncertain": 2, "uncertain-once": 1} # Those that teach most
WEIGHED = 1000 # Held-out rows that give the weight of a linear model
ANCHOR = 8000 # Training rows at which a linear model tells how hard the classes are


@dataclass(frozen=True)
class Held:
    "The rows that no training learns from"
    labels: np.ndarray # (rows,)
    wide: np.ndarray # (rows, classes) logits of a linear model that has learned all training rows


def held_rows(data: str) -> Held:
    "Let a linear model learn all training rows, and ask it about the others"
    cfg = make_config(data=data)
    news = load_rows(cfg, lambda line: None)
    tokenizer = load_tokenizer(find_model(LINEAR), cfg.max_length)
    model, train = new_linear(tokenizer, news.names), news.parts["train"]
    ids = tokenizer(train["text"][:], truncation=True)["input_ids"]
    fit_linear(model, ids, train["label"][:], tokenizer.all_special_ids, seed=cfg.seed)
    held = concatenate_datasets([news.parts["validation"], news.parts["calibration"]])
    asked = tokenizer(held["text"][:], truncation=True)["input_ids"]
    return Held(np.asarray(held["label"][:]), id_logits(model, asked, tokenizer.pad_token_id))


def wrong(logits: np.ndarray, labels: np.ndarray) -> float:
    "Rate of errors"
    return float((logits.argmax(1) != labels).mean())


def beside_linear(deep: np.ndarray, held: Held, seed: int) -> dict[str, float]:
    "Errors of BERT, of the linear model of all rows, and of both"
    order = np.random.default_rng(seed).permutation(len(deep))
    some, rest = order[:WEIGHED], order[WEIGHED:]
    weight = fit_weight(deep[some], held.wide[some], held.labels[some])
    parts = dict(bert=deep, linear=held.wide, both=deep + weight * held.wide)
    return dict(weight=weight) | {k: wrong(z[rest], held.labels[rest]) for k, z in parts.items()}


def kept_runs(keep: Path, names: dict[str, int], sizes: list[int], held: Held) -> list[dict]:
    "Errors of each training that is there"
    out = []
    for rows in sizes:
        for name, epochs in names.items():
            for path in sorted(keep.glob(f"{name}-{rows}-*.npz")):
                with np.load(path) as stored: # arrays only: numpy refuses objects
                    deep, labels = stored["logits"], stored["labels"]
                assert (labels == held.labels).all(), f"{path} is of other rows"
                seed = int(path.stem.rsplit("-", 1)[1])
                found = dict(rows=rows, epochs=epochs, seed=seed, wrong=wrong(deep, labels))
                out.append(found | dict(beside=beside_linear(deep, held, seed)))
    return out


def power(runs: list[dict]) -> tuple[float, float]:
    "The p of errors^-p = BERT's^-p + the linear model's^-p; how far logarithms are off"
    names = ("bert", "linear", "both")
    bert, linear, both = (np.array([run["beside"][name] for run in runs]) for name in names)

    def apart(p):
        return np.log((bert**-p + linear**-p) ** (-1 / p) / both)

    found = minimize_scalar(lambda p: np.square(apart(p)).sum(), bounds=(1, 20), method="bounded")
    return float(found.x), float(np.sqrt(np.square(apart(found.x)).sum() / (len(runs) - 1)))


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
    sizes = [500, 1000, 2000, 4000, 8000, 16000, 24000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help=f"{sizes}")
    given = parser.parse_args()
    held = held_rows(given.data)
    measured = kept_runs(given.keep, CURVES, given.sizes, held)
    chosen = kept_runs(given.keep, CHOSEN, given.sizes, held)
    runs = [*measured, published_run()]
    linear = linear_curve(given.data, sorted({ANCHOR, *(run["rows"] for run in runs)}))
    runs = [run | dict(linear=linear[run["rows"]], anchor=linear[ANCHOR]) for run in runs]
    line, free = fit(runs), len(runs) - 3
    spread = float(np.sqrt(np.square(off(runs, line)).sum() / free))
    found = dict(linear=linear_fit(linear).tolist(), fit=line.tolist(), spread=spread,
                 unseen=unseen(runs), runs=runs, chosen=chosen)
    found |= dict(zip(("power", "power_spread"), power([*measured, *chosen]), strict=True))
    record = circumstances() | dict(units=processor_units()) | found
    STORED.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
