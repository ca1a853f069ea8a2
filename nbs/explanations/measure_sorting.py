"""A million rows sorted by `newsclf predict`: does memory stay flat, and does a process that is killed again and again end with the same bytes? JSON without any text.

    python nbs/explanations/measure_sorting.py ag_news_csv > nbs/explanations/figures/sorting.json

The rows are those of test.csv, over and over; the model has two layers and random weights.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from newsclf.core.provenance import circumstances
from newsclf.model.classifier import new_classifier
from newsclf.model.saved import random_base, save_classifier
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder
from newsclf.predict.files import answer_file

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument("data")
ap.add_argument("--rows", type=int, default=1_000_000)
ap.add_argument("--kills", type=int, default=50)
a = ap.parse_args()
rng, newsclf = random.Random(1122), str(Path(sys.executable).with_name("newsclf"))


def resident(pid):
    "Megabytes of a process, None when it has ended"
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return None


def write_rows(path, lines, rows):
    with open(path, "w", encoding="utf-8", newline="") as f:
        for i in range(rows):
            f.write(lines[i % len(lines)])


def million(folder, lines):
    write_rows(folder / "million.csv", lines, a.rows)
    start, read = time.perf_counter(), []
    running = subprocess.Popen(
        [
            newsclf,
            "predict",
            "--model",
            str(folder / "model"),
            "--input",
            str(folder / "million.csv"),
            "--output",
            str(folder / "million-out.csv"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while running.poll() is None:
        if size := resident(running.pid):
            read.append((time.perf_counter() - start, size))
        time.sleep(0.5)
    seconds, later = time.perf_counter() - start, [size for at, size in read if at > 60]
    with open(folder / "million-out.csv", encoding="utf-8") as f:
        out = sum(1 for _ in f) - 1
    return dict(
        rows=a.rows,
        rows_out=out,
        exit_code=running.returncode,
        seconds=round(seconds, 1),
        rows_per_s=round(a.rows / seconds),
        megabytes_after_a_minute=round(later[0]) if later else None,
        least_later=round(min(later)) if later else None,
        most_later=round(max(later)) if later else None,
    )


def killed(folder, lines, ending):
    "Begun and killed at odd moments, until so many kills have hit; then left alone"
    write_rows(folder / "many.csv", lines, 20_000)
    how = "rows=200, precision='float32', say=lambda line: None"
    answer_file(
        folder / "many.csv",
        folder / f"whole{ending}",
        folder / "model",
        rows=200,
        precision="float32",
        say=lambda line: None,
    )
    hits, rounds, same = 0, 0, 0
    while hits < a.kills // 2:
        out = folder / f"killed-{rounds}{ending}"
        while not out.exists():
            running = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"from newsclf.predict.files import answer_file; answer_file({str(folder / 'many.csv')!r}, {str(out)!r}, {str(folder / 'model')!r}, {how})",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                running.wait(rng.uniform(3, 9) if hits < a.kills // 2 else None)
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGKILL)
                running.wait()
                hits += 1
        if Path(f"{out}.parts").exists():
            subprocess.run(
                [
                    sys.executable,
                    "-c",
                    f"from newsclf.predict.files import answer_file; answer_file({str(folder / 'many.csv')!r}, {str(out)!r}, {str(folder / 'model')!r}, {how})",
                ],
                check=True,
            )
        same += out.read_bytes() == (folder / f"whole{ending}").read_bytes()
        rounds += 1
    return dict(format=ending, kills=hits, files=rounds, same_bytes=same)


with tempfile.TemporaryDirectory() as tmp:
    folder, tokenizer = Path(tmp), load_tokenizer(minilm_folder())
    base = random_base(
        folder / "base",
        tokenizer,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
    )
    save_classifier(
        new_classifier(base, ["World", "Sports", "Business", "Sci/Tech"], say=lambda line: None),
        tokenizer,
        folder / "model",
    )
    lines = (Path(a.data) / "test.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    found = dict(
        kills=[killed(folder, lines, ending) for ending in (".csv.gz", ".parquet")],
        million=million(folder, lines),
    )
    print(
        json.dumps(
            found
            | dict(seed=1122)
            | circumstances(
                f"python nbs/explanations/measure_sorting.py {Path(a.data).name} --rows {a.rows} --kills {a.kills}"
            ),
            indent=1,
        )
    )
