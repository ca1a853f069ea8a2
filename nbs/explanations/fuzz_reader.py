"""Fuzz the reader of tables: whatever the bytes, nothing but a UserError may come out,
and the account of rows must add up.

    python nbs/explanations/fuzz_reader.py --minutes 3 [--seed 1122] > nbs/explanations/figures/fuzz.json

Needs the extra `dev` (Hypothesis). Prints what was tried as JSON, for the results page;
ends with exit code 1 at the first fault, with the bytes that caused it.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from newsclf.core.config import Config, UserError
from newsclf.core.provenance import circumstances, command_line
from newsclf.core.values import as_json
from newsclf.data.rows import read_news
from newsclf.data.tables import check_file, read_table

p = argparse.ArgumentParser()
p.add_argument("--minutes", type=float, default=10)
p.add_argument("--seed", type=int, default=1122)
args = p.parse_args()

CSV = ['"', '""', ",", "\n", "\r\n", "\r", "a", "1", " ", "é", "\ufeff", "\0", "\u2028", ";", "\t"]
CSV += ['"a","b"\n', "a,b\n", '"x\ny",z\n', '"1","t","d"\n', "class,title,text\n", "x" * 3000]
JSONL = ["{", "}", '"a"', ":", ",", "[", "]", "null", "1", "1e999", "NaN", "\n", '"', "\\", "\0"]
JSONL += ['{"a":"b"}\n', '{"a":"b","c":1}\n', '{"a":"\\ud800"}\n', " ", "true", "[" * 2000]
csv_text = st.lists(st.sampled_from(CSV), max_size=80).map(lambda x: "".join(x).encode())
json_text = st.lists(st.sampled_from(JSONL), max_size=60).map(lambda x: "".join(x).encode())
any_bytes = st.binary(max_size=400)
wrapped = st.one_of(csv_text, json_text).flatmap(
    lambda b: st.sampled_from(
        [
            gzip.compress(b, mtime=0),
            gzip.compress(b, mtime=0)[:-3],
            b.decode().encode("utf-16"),
            b.decode().encode("utf-16-le"),
            b + b"\xe9",
            b.replace(b"a", b"\xff"),
        ]
    )
)
files = st.tuples(
    st.one_of(csv_text, json_text, any_bytes, wrapped),
    st.sampled_from(["x.csv", "x.tsv", "x.jsonl", "x.csv.gz", "x.parquet"]),
    st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-16-le", "cp1252", "shift_jis"]),
    st.booleans(),
)
folder = Path(tempfile.mkdtemp())
seen = Counter()


def read_as_news(path, encoding, header):
    "Whether a file is news; nothing but a UserError may say that it is none"
    named = dict(text="a", label="b") if header else {}
    try:
        read_news(path, Config(bad_rows="quarantine", encoding=encoding, **named))
    except UserError:
        return False
    return True

def check_again(path, out, table, header, encoding):
    "What was written in canonical form is read as what was kept"
    json.dumps(as_json(table.quarantined))
    again = read_table(out, table.facts.header)
    assert len(again) == table.kept
    assert table.rows_in == table.kept + len(table.quarantined), table.account()
    if not table.quarantined:
        first = read_table(path, header, encoding)
        assert first.values.tolist() == again.values.tolist(), "read twice, two outcomes"

def try_file(case):
    raw, name, encoding, header = case
    path, out = folder / name, folder / "canonical.csv"
    path.write_bytes(raw)
    out.unlink(missing_ok=True)
    seen["news" if read_as_news(path, encoding, header) else "no news"] += 1
    try:
        table = check_file(path, out, header, encoding, bad_rows="quarantine")
    except UserError:
        seen["refused as a whole"] += 1
        assert not out.exists(), "a half-written file"
        return
    check_again(path, out, table, header, encoding)
    seen["read, with rows set aside" if table.quarantined else "read"] += 1

start, n = time.monotonic(), 0
while time.monotonic() - start < args.minutes * 60:
    round_of = seed(args.seed + n)(
        settings(
            max_examples=1000,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(files)(try_file))
    )
    round_of()
    n += 1
news = {k: seen.pop(k, 0) for k in ("news", "no news")}
found = dict(
    files=seen.total(),
    minutes=round((time.monotonic() - start) / 60, 1),
    seed=args.seed,
    as_tables=dict(seen),
    as_news=news,
    faults=0,
)
print(json.dumps(found | circumstances(command_line(["python", *sys.argv])), indent=1))
