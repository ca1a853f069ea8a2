"""Does a training's memory grow with its epochs, or with the classes? `newsclf train` in a process of its own, whose resident size is read ten times a second. JSON.

    python nbs/explanations/measure_memory.py ag_news_csv --rows 4000 --epochs 5 > nbs/explanations/figures/memory.json
    python nbs/explanations/measure_memory.py --classes 1000 > nbs/explanations/figures/memory_classes.json
    python nbs/explanations/measure_memory.py --classes 4 --each 1000 > nbs/explanations/figures/memory_four.json    # as many rows, for comparison

The rows are the first of train.csv and all of test.csv, in a folder of their own. An epoch is what lies between two lines of history.jsonl; its size is the
largest that was read, and that at its end. With --classes, --each made-up rows of each class (4) are trained on for one epoch; what counts is how much larger
the process grows, and how much longer it takes beside the training, than with as many rows in four classes.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import islice, pairwise
from pathlib import Path

import psutil

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument("data", nargs="?")
ap.add_argument("--rows", type=int, default=4000)
ap.add_argument("--epochs", type=int, default=5)
ap.add_argument("--classes", type=int, default=0)
ap.add_argument("--each", type=int, default=4)
a = ap.parse_args()


def resident(pid):
    "Megabytes of a process, None when it has ended"
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return None


def of_epochs(news):
    "The first rows of train.csv, the others as they are"
    news.mkdir()
    with open(Path(a.data) / "train.csv", encoding="utf-8", newline="") as f:
        (news / "train.csv").write_text("".join(islice(f, a.rows)), encoding="utf-8", newline="")
    for name in ("test.csv", "classes.txt"):
        (news / name).write_bytes((Path(a.data) / name).read_bytes())
    return ["--data", str(news), "--epochs", str(a.epochs)]


def of_classes(news, seed=1122):
    "Rows of each class; three of their forty words are those of the class, the others of the sample"
    from newsclf.data.sources import SAMPLE

    dice, news = random.Random(seed), news.with_suffix(".csv")
    words = (SAMPLE / "train.csv").read_text(encoding="utf-8").replace('"', " ").split()
    lines = ["text,label"]
    for i in range(a.classes):
        for _ in range(a.each):
            some = [*(f"subject{i}{c}" for c in "abc"), *dice.sample(words, 37)]
            dice.shuffle(some)
            lines.append(f'"{" ".join(some)}",subject {i}')
    news.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["--data", str(news), "--epochs", "1"]


def watched(command, folder):
    "Seconds and megabytes while a run trains and finishes, and when each evaluation and the last step were seen"
    read, ends, started = [], [], time.perf_counter()
    run, env = folder / "run", os.environ | dict(NEWSCLF_STATE=str(folder / "state"))
    training = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
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
        time.sleep(0.1)
    if training.returncode:
        sys.exit(f"newsclf train ended with {training.returncode}")
    return read, ends, json.loads((run / "manifest.json").read_text())


with tempfile.TemporaryDirectory() as tmp:
    flags = of_classes(Path(tmp) / "news") if a.classes else of_epochs(Path(tmp) / "news")
    newsclf = str(Path(sys.executable).with_name("newsclf"))
    read, ends, manifest = watched([newsclf, "train", *flags, "--out", tmp + "/run"], Path(tmp))

from newsclf.core.provenance import circumstances

epochs = [[size for at, size in read if begin < at <= end] for begin, end in pairwise([0, *ends])]
after = max(size for at, size in read if at > ends[-1])
found = dict(
    rows=manifest["data"]["rows"]["train"],
    epochs=[
        dict(epoch=i + 1, largest_mb=round(max(e)), at_end_mb=round(e[-1]))
        for i, e in enumerate(epochs)
    ],
    evaluation_rows=manifest["data"]["rows"]["test"],
    after_mb=round(after),
)
if a.classes:
    spent = manifest["seconds"]
    found |= dict(
        classes=a.classes,
        model_mb=round(4 * manifest["base"]["parameters"] / 2**20),
        largest_mb=round(max(size for _, size in read)),
        seconds=spent,
        seconds_beside_training=round(sum(spent.values()) - spent["train"], 1),
    )
asked = f"--classes {a.classes} --each {a.each}"
if not a.classes:
    asked = f"{Path(a.data).name} --rows {a.rows} --epochs {a.epochs}"
found |= dict(precision=manifest["precision"], seed=manifest["seed"])
found |= circumstances(f"python nbs/explanations/measure_memory.py {asked}")
print(json.dumps(found, indent=1))
