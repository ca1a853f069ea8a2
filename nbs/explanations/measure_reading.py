"""How long reading and checking a training file takes, beside other readers, in turn, five times; how much memory a gigabyte needs; how long tokens take without and with the cache. JSON for the results page.

python nbs/explanations/measure_reading.py ag_news_csv > nbs/explanations/figures/reading.json
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from newsclf.core.config import make_config
from newsclf.core.storage import file_digest
from newsclf.data.classes import read_classes
from newsclf.data.news import load_news
from newsclf.data.rows import read_news
from newsclf.data.tables import check_file, read_table
from newsclf.data.tokens import tokenize_parts

def python_csv(path):
    with open(path, newline="", encoding="utf-8") as f:
        return sum(1 for _ in csv.reader(f, strict=True))


def pyarrow_csv(path):
    columns = ["class", "title", "description"]
    return pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(column_names=columns),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
    ).num_rows


def megabytes(which):
    "VmRSS, what is held now, or VmHWM, the most since the last reset (Linux)"
    return (
        int(
            next(
                line
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith(which)
            ).split()[1]
        )
        / 1024
    )


if sys.argv[1] == "--memory":
    Path("/proc/self/clear_refs").write_text("5")
    before, start = megabytes("VmRSS"), time.perf_counter()
    table = check_file(sys.argv[2], header=False)
    print(
        json.dumps(
            dict(
                bytes=Path(sys.argv[2]).stat().st_size,
                rows=table.kept,
                seconds=round(time.perf_counter() - start, 2),
                megabytes_above_imports=round(megabytes("VmHWM") - before, 1),
            )
        )
    )
    sys.exit()

folder = Path(sys.argv[1])
path, classes = folder / "train.csv", read_classes(folder / "classes.txt")
readers = {
    "csv.reader(strict=True), rows counted": python_csv,
    "newsclf check_file: every row checked": lambda p: check_file(p, header=False).kept,
    "newsclf read_table: a table of text": lambda p: len(read_table(p, header=False)),
    "newsclf read_news: classes checked, texts joined and cleaned": lambda p: len(
        read_news(p, classes=classes)[0]
    ),
    "pandas read_csv, all text": lambda p: len(
        pd.read_csv(p, header=None, dtype=str, keep_default_na=False)
    ),
    "pyarrow read_csv, all text": pyarrow_csv,
}
seconds, rows = {name: [] for name in readers}, {}
for turn in range(6):
    for name, read in readers.items():
        start = time.perf_counter()
        rows[name] = read(path)
        if turn:
            seconds[name].append(round(time.perf_counter() - start, 3))

with tempfile.TemporaryDirectory() as tmp:
    big = Path(tmp) / "big.csv"
    raw = path.read_bytes()
    with open(big, "wb") as f:
        for _ in range(-(-(2**30) // len(raw))):
            f.write(raw)
    memory = json.loads(
        subprocess.run(
            [sys.executable, __file__, "--memory", str(big)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )

from newsclf.core.provenance import circumstances
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder

tokens = []
with tempfile.TemporaryDirectory() as tmp:
    os.environ["NEWSCLF_CACHE"] = tmp
    parts, tokenizer = (
        load_news(make_config(data=str(folder))).parts,
        load_tokenizer(minilm_folder()),
    )
    for _ in range(6):
        start = time.perf_counter()
        tokenize_parts(parts, tokenizer)
        tokens.append(round(time.perf_counter() - start, 2))

found = dict(
    rows=rows,
    seconds=seconds,
    gigabyte=memory,
    tokens=dict(rows=sum(map(len, parts.values())), first=tokens[0], again=tokens[1:]),
    digests={"train.csv": file_digest(path)},
)
print(
    json.dumps(found | circumstances("python " + " ".join([sys.argv[0], folder.name])), indent=1)
)
