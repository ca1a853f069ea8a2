"""The first model, by the default and by the two epochs it had before, in turns. JSON.

    python nbs/explanations/measure_first_model.py --keep runs > first-model.json

Trains on the bundled sample with `newsclf train`, for each seed once with the defaults and once
with `--epochs 2 --batch-size 24`; the second of a pair goes first in the next. A run that is in
the folder --keep already is not made again. Then each model classifies the README's example.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from newsclf import Predictor
from newsclf.core.provenance import circumstances

TEXT = "Oil slips as tankers return to port"
WAYS = {"default": [], "before": ["--epochs", "2", "--batch-size", "24"]}


def train(out: Path, state: Path, seed: int, options: list) -> None:
    "Train in a process of its own; write the seconds from start to end beside the run"
    program = str(Path(sys.executable).with_name("newsclf"))
    command = [program, "train", "--seed", str(seed), *options, "--out", out.name]
    env = os.environ | dict(NEWSCLF_STATE=str(state))
    start = time.perf_counter()
    subprocess.run(command, cwd=out.parent, check=True, stdout=sys.stderr, env=env)
    seconds = time.perf_counter() - start
    out.with_suffix(".seconds").write_text(f"{seconds:.1f}")


def describe(run: Path) -> dict:
    "How good a run's model is, how well calibrated, and what it says to the example"
    metrics = json.loads((run / "metrics.json").read_text())
    manifest = json.loads((run / "manifest.json").read_text())
    test = metrics["test"]
    predictor = Predictor(run)
    proba = predictor.predict_proba([TEXT])[0]
    return dict(
        accuracy=test["accuracy"],
        ece=test["ece"],
        example={n: round(float(p), 4) for n, p in zip(predictor.names, proba, strict=True)},
        steps=manifest["training"]["steps"],
        seconds=float(run.with_suffix(".seconds").read_text()),
    )


def main() -> None:
    "Train, describe, print"
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--seeds", type=int, nargs="+", default=[1122, 1123, 1124])
    ap.add_argument("--keep", required=True, type=Path, help="folder for the runs")
    a = ap.parse_args()
    a.keep.mkdir(parents=True, exist_ok=True)
    facts = circumstances("python nbs/explanations/measure_first_model.py --keep runs")
    found = {way: {} for way in WAYS}
    for k, seed in enumerate(a.seeds):
        for way in list(WAYS)[:: 1 if k % 2 == 0 else -1]:
            run = a.keep / f"{way}-{seed}"
            if not (run / "manifest.json").exists():
                train(run, a.keep / f"state-{way}-{seed}", seed, WAYS[way])
            found[way][seed] = describe(run)
    seconds = {way: sum(r["seconds"] for r in runs.values()) for way, runs in found.items()}
    ratio = round(seconds["default"] / seconds["before"], 2)
    print(json.dumps(facts | dict(text=TEXT, time_ratio=ratio, runs=found), indent=1))


if __name__ == "__main__":
    main()
