"""What each way to train reaches, with the time and the memory that it takes.

python nbs/explanations/measure_presets.py DATA --keep presets [NAME...]

DATA is whatever `newsclf train` takes as --data. Each way is `newsclf train` in a process of its own,
timed from its start to its end, report included, on a machine that does nothing else. The runs stay in
--keep and are not made again; figures/presets.json is written from those that are there, one of each
name: validation and test accuracy, seconds, largest memory, command, machine and commit. The test is
looked at once for each, and nothing is chosen by it.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from newsclf.core.provenance import circumstances
from newsclf.core.storage import read_sealed_json

STORED = Path(__file__).resolve().parent / "figures/presets.json"
NEWSCLF = [sys.executable, "-c", "import sys; from newsclf.cli.main import main; sys.exit(main())"]
ONCE = ["--learning-rate", "1e-4", "--epochs", "1", "--choose-rows", "uncertain", "--train-rows"]
WAYS = {
    "linear": ["--model", "linear"],
    "fast": ["--preset", "fast"],
    "once-20000": [*ONCE, "20000"],
    "once-24000": [*ONCE, "24000"],
}


def train(name: str, data: str, keep: Path) -> None:
    "Train in a process of its own, and note seconds and memory beside the run"
    out = keep / name
    command = [*NEWSCLF, "train", "--data", data, *WAYS[name], "--out", str(out)]
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, command, os.environ)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{name} ended with {os.waitstatus_to_exitcode(status)}")
    seconds = round(time.perf_counter() - began, 1)
    found = dict(seconds=seconds, memory_gb=round(used.ru_maxrss / 2**20, 2))
    (keep / f"{name}.json").write_text(json.dumps(found))


def describe(name: str, keep: Path) -> dict[str, Any]:
    "Sum up a run"
    metrics = json.loads((keep / name / "metrics.json").read_text(encoding="utf-8"))
    manifest = read_sealed_json(keep / name / "manifest.json")
    kept = ("started", "commit", "machine", "versions", "seed", "precision")
    how = " ".join(["newsclf train --data ag_news_csv", *WAYS[name]])
    part = {
        which: {key: metrics[which][key] for key in ("rows", "accuracy", "accuracy_interval_95")}
        for which in ("validation", "test")
    }
    measured = json.loads((keep / f"{name}.json").read_text())
    rows = dict(train=manifest["data"]["rows"]["train"])
    return dict(name=name, command=how) | measured | rows | part | {k: manifest[k] for k in kept}


def main() -> None:
    "Train what is not there, describe, store"
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("data", help="whatever newsclf train takes as --data")
    ap.add_argument("names", nargs="*", help=f"of {', '.join(WAYS)} [all]")
    ap.add_argument("--keep", type=Path, required=True, help="folder for the runs")
    given = ap.parse_intermixed_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    for name in given.names or WAYS:
        if not (given.keep / f"{name}.json").exists():
            train(name, given.data, given.keep)
    found = [describe(name, given.keep) for name in WAYS if (given.keep / f"{name}.json").exists()]
    STORED.write_text(json.dumps(circumstances() | dict(runs=found), indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
