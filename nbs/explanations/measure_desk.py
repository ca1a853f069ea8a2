"""What the old classes of a model lose when a new desk is added to it.

python nbs/explanations/measure_desk.py DATA --keep DIR [--seeds 1122 ...] [--rows 2000]

DATA is a folder with AG News as CSV. A model of three desks (World, Sports, Business) is trained
on 2,000 rows; then the desk Sci/Tech is added with 300 rows: without old rows, with 300 and with
all of them, and everything is trained from the encoder for comparison. All models are tested on
the same 1,000 rows, 250 of each desk. The runs stay in DIR, and those that are there are not
made again. JSON on the screen and in figures/desk.json; only counts, no times.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from newsclf.core.config import make_config
from newsclf.core.machine import silent
from newsclf.core.provenance import circumstances
from newsclf.run.job import run_job
from newsclf.run.start import config_from

STORED = Path(__file__).resolve().parent / "figures/desk.json"
DESKS = ("World", "Sports", "Business", "Sci/Tech")
READ = dict(text="title,description", label="desk", device="cpu", max_length=64)


def cut(data: Path, keep: Path, rows: int, seed: int) -> None:
    "Write the files of both desks, and two tests"
    names = ["label", "title", "description"]
    train, test = (pd.read_csv(data / f"{part}.csv", header=None, names=names, dtype=str)
                   for part in ("train", "test"))
    train, test = (df[df["label"].isin(list("1234"))] for df in (train, test))
    train, test = (df.assign(desk=[DESKS[int(n) - 1] for n in df["label"]]) for df in (train, test))
    train = train.sample(frac=1, random_state=seed)
    test = test.groupby("desk").sample(250, random_state=seed)
    old, new = (train[(train["desk"] == DESKS[3]) == is_new] for is_new in (False, True))
    both = old.head(rows), new.head(300)
    tables = dict(old=both[0], new=both[1], everything=pd.concat(both), test=test)
    tables["test-old"] = test[test["desk"] != DESKS[3]]
    for name, df in tables.items():
        df.drop(columns="label").to_csv(keep / f"{name}.csv", index=False)


def right(run: Path) -> dict[str, list[int]]:
    "Count correct predictions and rows of each desk"
    said = pd.read_parquet(run / "predictions.parquet")
    return {
        name: [int((rows["label"] == rows["predicted"]).sum()), len(rows)]
        for name, rows in said.groupby("label")
    }


def trained(keep: Path, name: str, start: Path | None = None, **how) -> Path:
    "Train a run, unless it is there"
    run = keep / name
    if not (run / "manifest.json").is_file():
        make = make_config if start is None else (lambda **typed: config_from(start, **typed))
        run_job(make(**READ, **how), run, say=silent)
    return run


def one_seed(data: Path, keep: Path, rows: int, seed: int) -> dict:
    "Train and test all models of a seed"
    keep.mkdir(parents=True, exist_ok=True)
    if not (keep / "test-old.csv").is_file():
        cut(data, keep, rows, seed)
    old, new, everything, test, test_old = (
        str(keep / f"{name}.csv") for name in ("old", "new", "everything", "test", "test-old"))
    first = trained(keep, "three", data=old, test=test_old, model="minilm", seed=seed)
    runs = dict(three=first)
    added = dict(data=new, test=test, seed=seed)
    runs["alone"] = trained(keep, "alone", first, **added)
    runs["mixed"] = trained(keep, "mixed", first, **added, old=old, old_rows=300)
    runs["all_old"] = trained(keep, "all-old", first, **added, old=old)
    runs["again"] = trained(keep, "again", data=everything, test=test, model="minilm", seed=seed)
    return {name: right(run) for name, run in runs.items()}


def main():
    "Train, test, and store what was found"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with AG News: train.csv, test.csv")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the old desks [2000]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1122], help="seeds [1122]")
    given = parser.parse_args()
    seeds = {str(s): one_seed(given.data, given.keep / str(s), given.rows, s) for s in given.seeds}
    found = circumstances() | dict(rows=given.rows, new=300, seeds=seeds)
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
