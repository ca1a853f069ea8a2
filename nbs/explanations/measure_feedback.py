"""Does `newsclf monitor` lose a verdict when it is killed while it writes?

python nbs/explanations/measure_feedback.py [--kills 50] [--verdicts 1000] [--seed 0]

Editors' verdicts on made-up articles are added file by file. Each time the process is killed with
SIGKILL while its transaction is open: the script waits for SQLite's journal beside the desk file,
then for a random part of the time that a whole transaction takes. After each kill the desk must
hold all verdicts of the file or none, and be sound. At last all verdicts are added again, twice,
as somebody would after an interruption, and each of them must be there once. JSON on the screen and
in figures/feedback.json. It takes some minutes.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from newsclf.core.provenance import circumstances
from newsclf.core.storage import text_digests

STORED = Path(__file__).resolve().parent / "figures/feedback.json"
CLASSES = ("World", "Sports", "Business", "Sci/Tech")
TYPED = [sys.executable, "-c", "from newsclf.cli.main import main; main()", "monitor"]


def write_files(folder: Path, files: int, size: int) -> list[Path]:
    "Write a table of predictions, and verdicts on all of them in several files"
    digests = text_digests(f"Wire story {i}" for i in range(files * size))
    rows = [f"{d},{CLASSES[i % 4]},0.995,auto" for i, d in enumerate(digests)]
    (folder / "out.csv").write_text("\n".join(["digest,predicted,probability,decision", *rows]))
    paths = [folder / f"verdicts-{k}.csv" for k in range(files)]
    for k, path in enumerate(paths):
        lines = [f"{digests[i]},{CLASSES[i % 4]}" for i in range(k * size, (k + 1) * size)]
        path.write_text("\n".join(["digest,label", *lines]))
    return paths


def join(folder: Path, paths: list[Path]) -> Path:
    "Write the verdicts of all files into one"
    lines = [line for path in paths for line in path.read_text().splitlines()[1:]]
    (folder / "all.csv").write_text("\n".join(["digest,label", *lines]))
    return folder / "all.csv"


def start(desk: Path, *words) -> subprocess.Popen:
    "Start the command"
    none = subprocess.DEVNULL
    return subprocess.Popen([*TYPED, str(desk), *map(str, words)], stdout=none, stderr=none)


def until(wanted: bool, journal: Path, process: subprocess.Popen) -> bool:
    "Wait for the journal to come or to go; False if the process ended before"
    while journal.exists() != wanted:
        if process.poll() is not None:
            return False
        time.sleep(0.0002)
    return True


def count(desk: Path) -> tuple[int, int, str]:
    "Count verdicts and the articles they are about, and check that the file is sound"
    with sqlite3.connect(desk) as db:
        found = db.execute("SELECT count(*), count(DISTINCT digest) FROM verdicts").fetchone()
        [sound] = db.execute("PRAGMA integrity_check").fetchone()
    db.close()
    return *found, sound


def kill(desk: Path, path: Path, after: float) -> int:
    "Kill the command so many seconds after it began to write; give its exit code"
    process = start(desk, "--verdicts", path)
    if until(True, Path(f"{desk}-journal"), process):
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)
    return process.wait()


def seconds_of(desk: Path, path: Path) -> float:
    "Measure how long a whole transaction takes"
    process, journal = start(desk, "--verdicts", path), Path(f"{desk}-journal")
    until(True, journal, process)
    began = time.perf_counter()
    until(False, journal, process)
    took = time.perf_counter() - began
    process.wait()
    return took


def main():
    "Kill, count, and store what was found"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="[50]")
    parser.add_argument("--verdicts", type=int, default=1000, help="in each file [1000]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments [0]")
    given = parser.parse_args()
    rng, size = random.Random(given.seed), given.verdicts
    codes, whole, none, torn, faults = [], 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as tmp:
        desk, paths = Path(tmp) / "desk.sqlite", write_files(Path(tmp), given.kills + 1, size)
        start(desk, "--predictions", Path(tmp) / "out.csv", "--draw", 1).wait()
        took, before = seconds_of(desk, paths[-1]), size
        for path in paths[:-1]:
            codes.append(kill(desk, path, rng.uniform(0, took)))
            now, _, sound = count(desk)
            whole, none = whole + (now - before == size), none + (now == before)
            torn += now - before not in (0, size)
            faults, before = faults + (sound != "ok"), now
        again = [start(desk, "--verdicts", join(Path(tmp), paths)).wait() for _ in range(2)]
        stored, articles, _ = count(desk)
    total = size * len(paths)
    found = circumstances() | dict(
        seed=given.seed,
        kills=sum(code == -signal.SIGKILL for code in codes),
        tried=len(codes),
        transaction_seconds=took,
        whole=whole,
        none=none,
        torn=torn,
        damaged=faults,
        again=again, # exit codes
        verdicts=total,
        lost=total - articles,
        doubled=stored - articles,
    )
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
