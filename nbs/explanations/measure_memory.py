"""Does a training's memory grow with its epochs? `newsclf train` in a process of its own, whose resident size is read twice a second. JSON.

    python nbs/explanations/measure_memory.py ag_news_csv --rows 4000 --epochs 5 > nbs/explanations/figures/memory.json

The rows are the first of train.csv and all of test.csv, in a folder of their own. An epoch is what lies between two lines of history.jsonl; its size is the
largest that was read, and that at its end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice, pairwise
from pathlib import Path

import psutil

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument("data")
ap.add_argument("--rows", type=int, default=4000)
ap.add_argument("--epochs", type=int, default=5)
a = ap.parse_args()


def resident(pid):
    "Megabytes of a process, None when it has ended"
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return None


with tempfile.TemporaryDirectory() as tmp:
    news, run, read = Path(tmp) / "news", Path(tmp) / "run", []
    news.mkdir()
    with open(Path(a.data) / "train.csv", encoding="utf-8", newline="") as f:
        (news / "train.csv").write_text("".join(islice(f, a.rows)), encoding="utf-8", newline="")
    for name in ("test.csv", "classes.txt"):
        (news / name).write_bytes((Path(a.data) / name).read_bytes())
    command = [
        str(Path(sys.executable).with_name("newsclf")),
        "train",
        "--data",
        str(news),
        "--epochs",
        str(a.epochs),
        "--out",
        str(run),
    ]
    started = time.perf_counter()
    training = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=os.environ | dict(NEWSCLF_STATE=tmp + "/state")
    )
    ends = [] # seconds at which the evaluation after each epoch was seen
    while training.poll() is None:
        size, history = resident(training.pid), run / "history.jsonl"
        if size:
            read.append((time.perf_counter() - started, size))
        seen = (
            sum("eval_loss" in line for line in history.read_text().splitlines())
            if history.exists()
            else 0
        )
        ends += [time.perf_counter() - started] * (seen - len(ends))
        time.sleep(0.5)
    if training.returncode:
        sys.exit(f"newsclf train ended with {training.returncode}")
    manifest = json.loads((run / "manifest.json").read_text())

from newsclf.core.provenance import circumstances

epochs = [[size for at, size in read if begin < at <= end] for begin, end in pairwise([0, *ends])]
print(
    json.dumps(
        dict(
            rows=manifest["data"]["rows"]["train"],
            epochs=[
                dict(epoch=i + 1, largest_mb=round(max(e)), at_end_mb=round(e[-1]))
                for i, e in enumerate(epochs)
            ],
            evaluation_rows=manifest["data"]["rows"]["test"],
            after_mb=round(max(size for at, size in read if at > ends[-1])),
            precision=manifest["precision"],
            seed=manifest["seed"],
            **circumstances(
                f"python nbs/explanations/measure_memory.py {Path(a.data).name} --rows {a.rows} --epochs {a.epochs}"
            ),
        ),
        indent=1,
    )
)
