"""Does an output say the same on another machine, and is each altered row named?

python nbs/explanations/measure_replay.py RUN DATA.csv EXPORT [--rows 5000] [--keep FOLDER]

DATA.csv is in AG News' format. Its first rows are predicted in bfloat16 with RUN and replayed in
float32 and with EXPORT, an export of RUN to 8-bit integers. Then, on 200 of them, twenty labels
and twenty decisions of the output and twenty headlines of the input are altered, a row is removed,
and the model, its threshold and the receipt are altered, each alone. RUN is copied before it is
altered. JSON on the screen and in figures/replay.json. Nothing of the texts is stored.
A processor without bfloat16 predicts some four rows a second in it; with --keep a prediction that
was interrupted goes on where it stopped.
"""

import argparse
import csv
import json
import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from newsclf.core.config import UserError
from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances
from newsclf.core.storage import seal_folder
from newsclf.predict.files import answer_file
from newsclf.predict.receipts import receipt_path
from newsclf.predict.replay import replay_file

STORED = Path(__file__).resolve().parent / "figures/replay.json"
SEED, ALTERED, FEW = 1122, 20, 200


@dataclass(frozen=True)
class Desk:
    "Files of one measurement"
    run: Path # A copy
    source: Path # The input
    out: Path # Its predictions


def read(path: Path) -> list[list[str]]:
    "Rows of a CSV file"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(path: Path, rows: list[list[str]]):
    "Write rows as CSV, every cell in quotes"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)


def replayed(desk: Desk, model: Path, precision: str = "auto") -> dict:
    "Replay an output, and count what differs"
    started = time.perf_counter()
    found = replay_file(desk.out, desk.source, model, precision=precision)
    counts = dict(labels=found.labels, decisions=found.decisions, cells=found.cells)
    return dict(was=found.was, now=found.now, rows=found.rows) | counts | dict(
        altered=found.altered_output or found.altered_input,
        seconds=round(time.perf_counter() - started, 1))


def named_rows(desk: Desk, path: Path, column: int, values: list[str], head: int) -> dict:
    "Alter a column in twenty rows of a file, and see which rows a replay names"
    before, rows = path.read_bytes(), read(path)
    places = sorted(random.Random(SEED).sample(range(head, len(rows)), ALTERED))
    name = read(desk.out)[0][column]
    for i in places:
        rows[i][column] = next(v for v in values if v != rows[i][column])
    write(path, rows)
    found = replay_file(desk.out, desk.source, desk.run, precision="float32")
    path.write_bytes(before)
    told = sorted(cell.line - 2 for cell in found.changed if cell.column == name)
    other = {cell.line - 2 for cell in found.changed} - {i - head for i in places}
    return dict(altered=ALTERED, named=len({*told} & {i - head for i in places}),
                other_rows=len(other), noticed=found.altered_output or found.altered_input)


def removed_row(desk: Desk) -> dict:
    "Remove one row of the output"
    before, rows = desk.out.read_bytes(), read(desk.out)
    at = random.Random(SEED).randrange(1, len(rows) - 1)
    write(desk.out, rows[:at] + rows[at + 1 :])
    first = replay_file(desk.out, desk.source, desk.run, precision="float32").changed[0]
    desk.out.write_bytes(before)
    return dict(altered=1, named=int(first.line == at + 1), was=first.was, now=first.now)


def refused(desk: Desk) -> str:
    "Say how a replay is refused, without paths"
    try:
        replay_file(desk.out, desk.source, desk.run, precision="float32")
    except UserError as e:
        return e.found
    return ""


def altered_model(desk: Desk) -> dict:
    "Alter a byte of the weights, the threshold, and a character of the receipt, each alone"
    model, told = desk.run / "model", {}
    weights, config = model / "model.safetensors", model / "config.json"
    paper, listed = receipt_path(desk.out), model / "files.json"
    kept = {path: path.read_bytes() for path in (weights, config, paper, listed)}
    data = bytearray(kept[weights])
    data[-1] ^= 1
    made = json.loads(kept[config])
    made["newsclf"]["calibration"]["filing"]["threshold"] += 0.01
    changes = dict(
        model=(weights, bytes(data)),
        threshold=(config, (json.dumps(made, indent=2, sort_keys=True) + "\n").encode()),
        receipt=(paper, kept[paper].replace(b'"truncation": "head"', b'"truncation": "tail"')),
    )
    for name, (path, content) in changes.items():
        path.write_bytes(content)
        listed.unlink()
        seal_folder(model) # as somebody would who wants it to look right
        told[name] = refused(desk)
        for each, before in kept.items():
            each.write_bytes(before)
    return told


def main():
    "Predict, replay, alter"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a finished run")
    parser.add_argument("data", help="a CSV file in AG News' format")
    parser.add_argument("export", help="an export of the run")
    parser.add_argument("--rows", type=int, default=5000, help="rows to predict [5000]")
    parser.add_argument("--keep", help="folder for the predictions [a temporary one]")
    given = parser.parse_args()
    rows = read(Path(given.data))[: given.rows]
    with tempfile.TemporaryDirectory() as name:
        folder, kept = Path(name), Path(given.keep or name)
        kept.mkdir(exist_ok=True)
        run = folder / Path(given.run).name
        run.mkdir()
        shutil.copytree(Path(given.run) / "model", run / "model")
        shutil.copy(Path(given.run) / "manifest.json", run)
        desk = Desk(run, kept / "rows.csv", kept / "predicted.csv")
        write(desk.source, rows)
        if not desk.out.exists():
            answer_file(desk.source, desk.out, run, precision="bf16", rows=200)
        head, *lines = read(desk.out)
        decisions = [line[head.index("decision")] for line in lines]
        replays = {"float32": replayed(desk, run, "float32")}
        replays[Path(given.export).name] = replayed(desk, Path(given.export))
        few = Desk(run, folder / "few.csv", folder / "few-predicted.csv")
        write(few.source, rows[:FEW])
        answer_file(few.source, few.out, run, precision="float32")
        label = read(few.out)[0].index("predicted")
        some = {row[label] for row in read(few.out)[1:]}
        found = circumstances() | dict(
            seed=SEED, units=processor_units(), rows=len(decisions),
            auto_filed=decisions.count("auto"), replays=replays,
            altered=dict(
                labels=named_rows(few, few.out, label, sorted(some), 1),
                decisions=named_rows(few, few.out, label + 2, ["auto", "review"], 1),
                headlines=named_rows(few, few.source, 1, ["Oil slips", "Cup won"], 0),
                removed=removed_row(few),
            ),
            refused=altered_model(few),
            afterwards=replayed(few, run, "float32"),
        )
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
