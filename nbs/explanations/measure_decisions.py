"""Label, decision and prediction set of every test row, by every way to ask.

python nbs/explanations/measure_decisions.py RUN TEST.csv [EXPORT...] [--rows 7600]

TEST.csv is the test that RUN was measured on, in AG News' format. The rows go through Python
(`decide`), the command with a file, the service in requests of 64, and each export; the first is
compared with the others row by row, and what is auto-filed with metrics.json. JSON on the screen
and in figures/decisions.json. Nothing of the texts is stored.
"""

import argparse
import csv
import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances
from newsclf.evaluate.figures import read_metrics
from newsclf.predict.predictor import Predictor

STORED = Path(__file__).resolve().parent / "figures/decisions.json"
NEWSCLF = [sys.executable, "-c", "import sys; from newsclf.cli.main import main; sys.exit(main())"]
SETS = 0.95


def by_python(place: str, texts: list[str]) -> list[tuple]:
    "Ask a `Predictor`"
    found = Predictor(place).decide(texts, sets=SETS)
    return [(d.label, d.decision, frozenset(d.set)) for d in found]


def by_file(place: str, texts: list[str]) -> list[tuple]:
    "Ask the command, with a file"
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "texts.jsonl", Path(folder) / "out.jsonl"
        source.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        ask = ["predict", "--model", place, "-i", str(source), "-o", str(out), "--text", "text"]
        subprocess.run([*NEWSCLF, *ask, "--sets", f"{SETS:.0%}"[:-1]], check=True)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    return [(r["predicted"], r["decision"], frozenset(r["set"])) for r in rows]


def by_service(place: str, texts: list[str]) -> list[tuple]:
    "Ask a service, 64 texts at a time"
    serve = [*NEWSCLF, "serve", place, "--port", "0"]
    child = subprocess.Popen(serve, stderr=subprocess.PIPE, text=True)
    address = next(found[0] for line in child.stderr if (found := re.search(r"http://\S+", line)))
    out = []
    for at in range(0, len(texts), 64):
        body = json.dumps(dict(texts=texts[at : at + 64], sets=SETS)).encode()
        how = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{address}/v1/classify", body, how)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            rows = json.load(answer)["results"]
        out += [(r["label"], r["decision"], frozenset(r["set"])) for r in rows]
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    return out


def differences(rows: list[tuple], others: list[tuple]) -> dict:
    "Rows with another label, decision or set"
    pairs = list(zip(rows, others, strict=True))
    kinds = dict(labels=0, decisions=1, sets=2)
    return {kind: sum(a[i] != b[i] for a, b in pairs) for kind, i in kinds.items()}


def main():
    "Ask in every way, and compare"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a finished run")
    parser.add_argument("test", help="its test, a CSV file")
    parser.add_argument("exports", nargs="*", help="exports of the run")
    parser.add_argument("--rows", type=int, default=7600, help="rows to ask [7600]")
    given = parser.parse_args()
    with Path(given.test).open(encoding="utf-8", newline="") as file:
        read = [(int(row[0]) - 1, " ".join(row[1:])) for row in csv.reader(file)][: given.rows]
    texts, names = [text for _, text in read], Predictor(given.run).names
    stated = read_metrics(given.run).tested.filing
    ways = dict(file=by_file(given.run, texts), service=by_service(given.run, texts))
    ways |= {f"export {Path(e).name}": by_python(e, texts) for e in given.exports}
    first = by_python(given.run, texts)
    filed = [(label, truth) for (label, decision, _), (truth, _) in zip(first, read, strict=True)
             if decision == "auto"]
    right = sum(label == names[truth] for label, truth in filed)
    found = circumstances() | dict(
        units=processor_units(),
        rows=len(first),
        differences={way: differences(first, rows) for way, rows in ways.items()},
        auto_filed=len(filed) / len(first),
        precision=right / max(len(filed), 1),
        stated_auto_filed=stated and stated.share_filed.value,
        stated_precision=stated and stated.precision.value,
    )
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
