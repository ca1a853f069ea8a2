"""What files made by others come to: the cases of csv-spectrum beside their own JSON, and the Big List of Naughty Strings read, trained on and sorted. JSON without any text, for the results page.

python nbs/explanations/measure_files.py csv-spectrum naughty-strings/blns.json > nbs/explanations/figures/files.json
"""

import csv
import hashlib
import io
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from newsclf.cli.main import app
from newsclf.core.config import UserError
from newsclf.core.provenance import circumstances, command_line
from newsclf.core.storage import file_digest
from newsclf.data.tables import read_table
from newsclf.model.saved import random_base
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder

spectrum, strings = map(Path, sys.argv[1:])
cases = {
    path.stem: read_table(path).to_dict("records")
    == json.loads((spectrum / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))
    for path in sorted((spectrum / "csvs").glob("*.csv"))
}


def newsclf(*words):
    "The command, in this process; what it prints"
    with redirect_stdout(io.StringIO()) as out:
        app([*map(str, words)], standalone_mode=False)
    return out.getvalue()


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as f:
        csv.writer(f, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return path


naughty = json.loads(strings.read_text(encoding="utf-8"))
kept = [s for s in naughty if s.strip()]
with tempfile.TemporaryDirectory() as tmp:
    tmp = Path(tmp)
    data = write_csv(
        tmp / "naughty.csv",
        [["text", "label"], *([s, "ab"[i % 2]] for i, s in enumerate(naughty))],
    )
    texts = write_csv(tmp / "texts.csv", [["text"], *([s] for s in kept)])
    random_base(
        tmp / "base",
        load_tokenizer(minilm_folder()),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
    )
    reading = [
        "--data",
        data,
        "--text",
        "text",
        "--label",
        "label",
        "--model",
        tmp / "base",
        "--epochs",
        "1",
        "--max-length",
        "64",
    ]
    try:
        newsclf("train", *reading, "--out", tmp / "strict")
        refused = None
    except UserError as e:
        refused = f"{e.found} in line {e.where.rsplit(':', 1)[1]}"
    newsclf("train", *reading, "--bad-rows", "quarantine", "--out", tmp / "run")
    account = json.loads((tmp / "run" / "manifest.json").read_text())["data"]["accounts"][
        "naughty.csv"
    ]
    aside = [
        json.loads(line)
        for line in (tmp / "run" / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for kind in ("csv", "jsonl"):
        newsclf("predict", "--model", tmp / "run", "-i", texts, "-o", tmp / f"answers.{kind}")
    with open(tmp / "answers.csv", newline="", encoding="utf-8") as f:
        from_csv = [row["text"] for row in csv.DictReader(f)]
    from_jsonl = [
        json.loads(line)["text"]
        for line in (tmp / "answers.jsonl").read_bytes().split(b"\n")
        if line
    ]

same = {
    kind: sum(a.encode() == b.encode() for a, b in zip(back, kept, strict=True))
    for kind, back in (("CSV", from_csv), ("JSON Lines", from_jsonl))
}
found = dict(
    spectrum=cases,
    naughty=dict(
        strings=len(naughty),
        strict=refused,
        account=account,
        set_aside=[dict(line=q["line"], reason=q["reason"]) for q in aside],
        sorted=len(kept),
        same_text=same,
    ),
)
digests = {
    "csv-spectrum": hashlib.sha256(
        "".join(
            file_digest(p) for p in sorted(spectrum.rglob("*.*")) if p.suffix in (".csv", ".json")
        ).encode()
    ).hexdigest(),
    strings.name: file_digest(strings),
}
print(
    json.dumps(
        found | dict(digests=digests) | circumstances(command_line(["python", *sys.argv])),
        indent=1,
    )
)
