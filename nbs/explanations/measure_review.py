"""How many planted label errors does an editor see, and what are the corrections worth?

    python nbs/explanations/measure_review.py DATA [--seeds 5]

DATA is a folder in AG News' format. For each seed, 8,000 rows of its train.csv are drawn and 500 of
them get another class. A queue is written as CSV, as `newsclf review` writes it, but without a model
of a run. A reviewer looks at the first 600 rows and names the true class of 95 in 100 of them, another
class of the others. The verdicts become a patch, which is applied. A linear model is trained without
and with it, and tested on all other rows of train.csv. The results go to figures/review.json.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from newsclf.core.config import make_config
from newsclf.core.provenance import circumstances
from newsclf.core.storage import text_digests, write_text
from newsclf.core.values import as_json
from newsclf.data.classes import read_classes
from newsclf.data.duplicates import labelled_texts
from newsclf.data.reading import read_whole
from newsclf.data.tables import read_table
from newsclf.run.patches import patch_effect, patch_text, patched, read_corrections
from newsclf.run.queue import rank_rows, write_queue

STORED = Path(__file__).resolve().parent / "figures/review.json"
ROWS, ERRORS, SEEN, RIGHT = 8000, 500, 600, 0.95


def other_class(truth: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    "Draw another class for each row"
    return (truth + rng.integers(1, classes, len(truth))) % classes


def plant(path: Path, news: pd.DataFrame, names: list[str], rng: np.random.Generator):
    "Write rows with errors; return which rows have one"
    wrong = np.zeros(len(news), dtype=bool)
    wrong[rng.choice(len(news), ERRORS, replace=False)] = True
    truth = news["class"].to_numpy()
    given = np.where(wrong, other_class(truth, len(names), rng), truth)
    table = news[["title", "description"]].assign(label=[names[i] for i in given])
    table.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    return wrong


def review(path: Path, truth: dict[str, int], names: list[str], rng: np.random.Generator) -> float:
    "Fill in the verdicts of a reviewer; return the rate of right ones"
    table = read_table(path)
    right = np.array([truth[digest] for digest in table["digest"]])
    said = np.where(rng.random(len(right)) < RIGHT, right, other_class(right, len(names), rng))
    table["verdict"] = [names[i] for i in said]
    table.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    return float((said == right).mean())


def one_seed(news: pd.DataFrame, names: list[str], seed: int, folder: Path) -> dict:
    "Plant, rank, review, patch, and measure"
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(news))
    some, others = news.iloc[order[:ROWS]], news.iloc[order[ROWS:]]
    wrong = plant(folder / "news.csv", some, names, rng)
    truth = dict(zip(some["digest"], some["class"], strict=True))
    planted = set(some["digest"][wrong])

    cfg = make_config(data=str(folder / "news.csv"), text="title,description", label="label")
    raw = read_whole(cfg)
    queue = rank_rows(labelled_texts(raw.train, "news.csv"), raw.train["digest"].tolist(),
                      raw.classes.names, SEEN, seed=seed)
    write_queue(folder / "queue.csv", queue)
    hits = [row.digest in planted for row in queue.rows]
    right = review(folder / "queue.csv", truth, names, rng)
    lines = read_corrections(folder / "queue.csv", "reviewer")
    write_text(folder / "patch.jsonl", patch_text(line.said for line in lines))
    after = patched(raw, str(folder / "patch.jsonl"))

    held = others["text"].tolist(), [raw.classes.names.index(names[c]) for c in others["class"]]
    effect = patch_effect(raw.train["text"].tolist(), raw.train["label"], after.train["label"],
                          *held, len(names), seed)
    found = np.cumsum(hits)
    return dict(
        seed=seed, found=int(found[-1]), rate=float(found[-1] / ERRORS), reviewer=right,
        by_rows={str(n): int(found[n - 1]) for n in range(100, SEEN + 1, 100)},
        random=sum(row.random for row in queue.rows), effect=as_json(effect),
    )


def main():
    "Measure several seeds, store"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder in AG News' format")
    parser.add_argument("--seeds", type=int, default=5, help="how often [5]")
    given = parser.parse_args()
    names = read_classes(given.data / "classes.txt").names
    columns = ["class", "title", "description"]
    news = pd.read_csv(given.data / "train.csv", header=None, names=columns, keep_default_na=False)
    news["class"] -= 1
    news["text"] = (news["title"] + " " + news["description"]).str.replace("\\", " ")
    news["digest"] = text_digests(news["title"] + " " + news["description"])
    news = news.drop_duplicates("digest")
    seeds = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as tmp:
            seeds.append(one_seed(news, names, seed, Path(tmp)))
        print(json.dumps(seeds[-1]), flush=True)
    told = dict(rows=ROWS, errors=ERRORS, seen=SEEN, right=RIGHT, held=len(news) - ROWS)
    STORED.write_text(json.dumps(circumstances() | told | dict(seeds=seeds), indent=1) + "\n")


if __name__ == "__main__":
    main()
