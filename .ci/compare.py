"""Compare an older commit with the working tree, or with another commit, on this machine.

    .venv/bin/python .ci/compare.py OLD [--new REV] [--only PART ...] [--keep DIR]

Copies both sides into a temporary folder, installs each in an environment of its own, gives both
the same work through the command `newsclf` alone, and holds against each other what came of it.
Prints a line a comparison and `N equal, M different`; exit code 1 if any differ.
Needs numpy, pyarrow and safetensors, so run it with the Python of the project's environment.
"""
import argparse
import csv
import hashlib
import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Differences that are accepted: a comparison's name, as printed, to the reason
EXPECTED: dict[str, str] = {
    "calls: help": "summaries of commands are no longer cut off by an ellipsis",
    "calls: help of train": "flags stand in groups, made from the settings",
}

# Values that change from run to run, by their key in any JSON file
IGNORED = {"started", "commit", "date", "first", "last", "seconds", "rows_per_s", "tokens_per_s"}
# Digests of files that hold such values (of the manifest only)
DIGESTS = {"files", "sha256"}
# What changes from run to run within texts
VOLATILE = [
    (re.compile(r"runs at [\d.e+-]+ times"), "runs at N times"),
    (re.compile(r"[\d,.]+ rows/s +[\d:]+ left"), "N rows/s, N left"),
    (re.compile(r"^time: .*$", re.M), "time: N s"),
    (re.compile(r"\(\d+\.\d+ s\)"), "(N s)"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "DATE"),
    (re.compile(r"\d+ rows/s, \d+\.\d+ times"), "N rows/s, N times"),
]


# --- The two sides -------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    "What a command ended with"
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Side:
    "One of the two: its source, its environment and its working folder, all under `root`"
    name: str  # old or new
    revision: str  # As asked for; empty for the working tree
    root: Path
    precision: str  # For training
    memory: dict = field(default_factory=dict)  # Stages that are done, by name

    @property
    def source(self) -> Path:
        "The source, copied"
        return self.root / "source"

    @property
    def work(self) -> Path:
        "Where calls are made"
        return self.root / "work"

    @property
    def python(self) -> Path:
        "The environment's Python"
        return self.root / "venv" / "bin" / "python"

    @property
    def command(self) -> Path:
        "The command that is installed there"
        return self.root / "venv" / "bin" / "newsclf"

    def environment(self) -> dict[str, str]:
        "Variables of a call: nothing of the machine, no network, one thread"
        kept = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")
        own = {name: os.environ[name] for name in kept if name in os.environ}
        own |= dict(HF_HUB_OFFLINE="1", TQDM_DISABLE="1", OMP_NUM_THREADS="1")
        own |= dict(LC_ALL="C.UTF-8", COLUMNS="100", TERM="dumb", PYTHONNOUSERSITE="1")
        places = dict(HOME="home", HF_HOME="hub", NEWSCLF_STATE="state", NEWSCLF_CACHE="cache")
        return own | {name: str(self.root / place) for name, place in places.items()}

    def start(self, *words: str) -> subprocess.Popen:
        "Start a call of newsclf in the working folder"
        return subprocess.Popen(
            [str(self.command), *words],
            cwd=self.work,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, process: subprocess.Popen, given: bytes = b"", most: int = 1800) -> Call:
        "Wait for a call; one that does not end is killed, and its code is 124"
        try:
            out, err = process.communicate(given, timeout=most)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Call(124, self.plain(out), self.plain(err))
        return Call(process.returncode, self.plain(out), self.plain(err))

    def call(self, *words: str, given: bytes = b"", most: int = 1800) -> Call:
        "Call newsclf"
        return self.finish(self.start(*words), given, most)

    def plain(self, said: bytes) -> str:
        "What a call said, without places of this machine and without measured times"
        text = said.decode("utf-8", "backslashreplace").replace(str(self.root), "SIDE")
        for pattern, word in VOLATILE:
            text = pattern.sub(word, text)
        return text

    def once(self, stage: Callable):
        "What a stage gives, which is run the first time that a part needs it"
        if stage.__name__ not in self.memory:
            started = time.monotonic()
            self.memory[stage.__name__] = stage(self)
            taken = time.monotonic() - started
            print(f"… {self.name}: {stage.__doc__} ({taken:.0f} s)", file=sys.stderr)
        return self.memory[stage.__name__]


def git(*words: str) -> bytes:
    "What git answers in this repository"
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True)
    if done.returncode:
        sys.exit(f"git {shlex.join(words)}: {done.stderr.decode().strip()}")
    return done.stdout


def copy_source(side: Side) -> None:
    "Copy a commit, or the files of the working tree that git does not ignore"
    side.source.mkdir(parents=True)
    side.work.mkdir()
    (side.root / "home").mkdir()
    if side.revision:
        with tarfile.open(fileobj=io.BytesIO(git("archive", side.revision))) as packed:
            packed.extractall(side.source, filter="data")
        return
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (side.source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, side.source / name)


def install(side: Side, reuse: str | None) -> None:
    "Make the side's environment: a whole one, or newsclf alone beside another's packages"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words) -> str:
        done = subprocess.run(list(map(str, words)), cwd=side.source, env=env, capture_output=True)
        if done.returncode:
            sys.exit(f"{side.name}: {shlex.join(map(str, words))}\n{done.stderr.decode()}")
        return done.stdout.decode().strip()

    venv, pip = side.root / "venv", (side.python, "-m", "pip", "install", "-q")
    if not reuse:
        run(sys.executable, "-m", "venv", venv)
        run(*pip, "-c", "constraints.txt", ".[offline,openvino]")
    else:
        run(reuse, "-m", "venv", "--without-pip", venv)
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        others, own = run(reuse, "-c", ask), run(side.python, "-c", ask)
        # A line of a .pth: what is installed there is found, but no editable newsclf of there
        (Path(own) / "others.pth").write_text(others + "\n")
        alone = ("--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed")
        run(*pip, *alone, ".")
    where = Path(run(side.python, "-P", "-c", "import newsclf; print(newsclf.__file__)"))
    if not where.is_relative_to(side.root) or not side.command.is_file():
        sys.exit(f"{side.name}: newsclf is not the one installed: {where}")


# --- How things are held against each other ------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    "One comparison: how much was looked at, and what differs"
    name: str
    seen: int
    unit: str
    differences: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        "The differences; an empty comparison is one, too"
        return self.differences or ([] if self.seen else ["nothing was compared"])


def same_values(name: str, unit: str, old: list, new: list) -> Outcome:
    "Compare lists item by item"
    different = [f"{a!r} became {b!r}" for a, b in zip(old, new, strict=False) if a != b]
    if len(old) != len(new):
        different.append(f"{len(old):,} {unit} became {len(new):,}")
    return Outcome(name, min(len(old), len(new)), unit, different)


def same_calls(name: str, old: Call, new: Call, code: int = 0) -> Outcome:
    "Compare what two calls said, line by line; both must end with `code`"
    for side, call in (("old", old), ("new", new)):
        if call.code != code:
            said = (call.err or call.out).strip()[-400:]
            return Outcome(name, 1, "calls", [f"{side} ended with {call.code}: {said}"])
    lines = [[f"exit code {c.code}", *c.out.splitlines(), *c.err.splitlines()] for c in (old, new)]
    return same_values(name, "lines", *lines)


def missing(name: str, *paths: Path) -> Outcome | None:
    "A comparison that fails because there is no file, or None"
    gone = [str(p) for p in paths if not p.is_file()]
    return Outcome(name, 0, "files", [f"missing: {p}" for p in gone]) if gone else None


def tensors(path: Path) -> dict:
    "The tensors of a file"
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()} # noqa: SIM118 (it is no dict)


def same_weights(name: str, old: Path, new: Path) -> Outcome:
    "Compare files of weights by their sha256, and each tensor where those differ"
    if gone := missing(name, old, new):
        return gone
    a, b = tensors(old), tensors(new)
    unit = "tensors, sha256"
    if hashlib.sha256(old.read_bytes()).digest() == hashlib.sha256(new.read_bytes()).digest():
        return Outcome(name, len(a), unit)
    different = [f"{n} is in one of the two only" for n in sorted(a.keys() ^ b.keys())]
    for n in sorted(a.keys() & b.keys()):
        if (a[n].shape, a[n].dtype) != (b[n].shape, b[n].dtype):
            different.append(f"{n}: {a[n].dtype}{a[n].shape} became {b[n].dtype}{b[n].shape}")
        elif a[n].tobytes() != b[n].tobytes():
            gap = abs(a[n].astype("float64") - b[n].astype("float64")).max()
            different.append(f"{n}: differs by {gap:.3g} at most")
    return Outcome(name, len(a), unit, different or ["the header; all tensors are equal"])


def same_tables(name: str, old: Path, new: Path, tolerance: float) -> Outcome:
    "Compare Parquet files: columns, their types, and every value"
    import pyarrow.parquet as pq

    if gone := missing(name, old, new):
        return gone
    a, b = pq.read_table(old), pq.read_table(new)
    seen = a.num_columns * a.num_rows
    types = [[f"{f.name} {f.type}" for f in t.schema] for t in (a, b)]
    if types[0] != types[1] or a.num_rows != b.num_rows:
        shapes = [f"{t.num_rows} rows of {', '.join(types[k])}" for k, t in enumerate((a, b))]
        return Outcome(name, seen, "values", [f"{shapes[0]} became {shapes[1]}"])
    different = []
    for column in a.column_names:
        x, y = a[column], b[column]
        if x.equals(y):
            continue
        pairs = zip(x.to_pylist(), y.to_pylist(), strict=True)
        bad = [p for p in pairs if list(value_differences(*p, "", tolerance))]
        if bad:
            example = f"{bad[0][0]!r} became {bad[0][1]!r}"
            different.append(f"{column}: {len(bad):,} values, as {example}{largest(bad)}")
    return Outcome(name, seen, "values", different)


def largest(pairs: list[tuple]) -> str:
    "The largest difference, where all pairs are numbers"
    if not all(isinstance(v, (int, float)) for pair in pairs for v in pair):
        return ""
    return f", by {max(abs(a - b) for a, b in pairs):.3g} at most"


def value_differences(a, b, where: str, tolerance: float) -> Iterator[str]:
    "Differences of two values of JSON, a line for each"
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(k for k in b if k not in a)]:
            if key in a and key in b:
                yield from value_differences(a[key], b[key], f"{where}.{key}", tolerance)
            else:
                yield f"{where}.{key} is in {'old' if key in a else 'new'} only"
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from value_differences(x, y, f"{where}[{i}]", tolerance)
    elif type(a) is type(b) is float and (abs(a - b) <= tolerance or (a != a and b != b)):
        return
    elif type(a) is not type(b) or a != b:
        yield f"{where}: {a!r} became {b!r}"


def steady(value, ignored: set[str]):
    "A value of JSON without what changes from run to run"
    if isinstance(value, dict):
        return {k: steady(v, ignored) for k, v in value.items() if k not in ignored}
    if isinstance(value, list):
        return [steady(v, ignored) for v in value]
    if isinstance(value, str):
        for pattern, word in VOLATILE:
            value = pattern.sub(word, value)
    return value


def leaves(value) -> int:
    "How many values there are in a value of JSON"
    if isinstance(value, (dict, list)):
        return sum(map(leaves, value.values() if isinstance(value, dict) else value))
    return 1


def read_json(path: Path):
    "A JSON file, or the list of what is in a JSON Lines file"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


def same_json(name: str, old: Path, new: Path, tolerance: float, ignored=IGNORED) -> Outcome:
    "Compare JSON files, but for what changes from run to run"
    if gone := missing(name, old, new):
        return gone
    a, b = (steady(read_json(path), ignored) for path in (old, new))
    return Outcome(name, leaves(a), "values", list(value_differences(a, b, "", tolerance)))


def same_bytes(name: str, old: Path, new: Path) -> Outcome:
    "Compare text files byte by byte"
    if gone := missing(name, old, new):
        return gone
    a, b = (path.read_bytes().splitlines(keepends=True) for path in (old, new))
    return same_values(name, "lines", a, b)


def listing(folder: Path) -> list[str]:
    "Names of all files in a folder, as seen from there"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# --- Part 1: the sample run ----------------------------------------------------------------


def train_words(side: Side, out: str, *words: str) -> tuple[str, ...]:
    "Say how to train on the bundled sample: no default that may change"
    fixed = ("--seed", "1122", "--epochs", "2", "--batch-size", "24")
    how = (*fixed, "--precision", side.precision)
    return "train", "--data", "sample", *how, "--out", out, *words


def train(side: Side, out: str, *words: str) -> Call:
    "Train on the bundled sample"
    return side.call(*train_words(side, out, *words))


def trained(side: Side) -> Call:
    "the sample run"
    return train(side, "run")


def compare_sample(old: Side, new: Side, tolerance: float) -> Iterator[Outcome]:
    "Weights, predictions, metrics, and what else a run folder holds"
    said = [side.once(trained) for side in (old, new)]
    yield same_calls("what it said", *said)
    a, b = old.work / "run", new.work / "run"
    model = "model/model.safetensors"
    yield same_weights("weights", a / model, b / model)
    for name in ("predictions.parquet", "linear.parquet"):
        yield same_tables(name, a / name, b / name, tolerance)
    for name in ("metrics.json", "history.jsonl", "model/config.json"):
        yield same_json(name, a / name, b / name, tolerance)
    name = "manifest.json"
    yield same_json(name, a / name, b / name, tolerance, IGNORED | DIGESTS)
    for name in ("report.txt", "confusion.svg", "loss.svg"):
        yield same_bytes(name, a / name, b / name)
    yield same_values("files of the run", "names", listing(a), listing(b))


# --- Part 2: an export ---------------------------------------------------------------------


def copy_sample(side: Side) -> None:
    "The bundled test, wherever the package keeps it"
    found = [*side.source.glob("newsclf/**/sample/test.csv")]
    if len(found) != 1:
        raise ValueError(f"{side.name}: {len(found)} files sample/test.csv within newsclf")
    shutil.copy2(found[0], side.work / "sample_test.csv")


def exported(side: Side) -> tuple[Call, Call]:
    "an export to OpenVINO in 8-bit integers, and its predictions"
    side.once(trained)
    copy_sample(side)
    made = side.call("export", "run", "--to", "openvino", "--int8", "--out", "int8")
    words = ("--input", "sample_test.csv", "--output", "int8.csv")
    return made, side.call("predict", "--model", "int8", *words)


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    "Header and rows of a CSV file"
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def compare_export(old: Side, new: Side, tolerance: float) -> Iterator[Outcome]:
    "Labels equal, probabilities to 1e-6"
    (made_a, said_a), (made_b, said_b) = (side.once(exported) for side in (old, new))
    yield same_calls("what it said", made_a, made_b)
    yield same_calls("what predict said", said_a, said_b)
    yield same_values("files", "names", *(listing(s.work / "int8") for s in (old, new)))
    paths = [side.work / "int8.csv" for side in (old, new)]
    if gone := missing("labels", *paths):
        yield gone
        return
    (head_a, rows_a), (head_b, rows_b) = map(read_rows, paths)
    yield same_values("columns", "names", head_a, head_b)
    if "predicted" not in head_a or head_a != head_b:
        yield Outcome("labels", 0, "labels")
        return
    at = head_a.index("predicted")
    yield same_values("labels", "labels", [r[at] for r in rows_a], [r[at] for r in rows_b])
    numbers = [i for i, n in enumerate(head_a) if n == "probability" or n.startswith("p_")]
    pairs = [*zip(rows_a, rows_b, strict=False)]
    gaps = [abs(float(x[i]) - float(y[i])) for x, y in pairs for i in numbers]
    worst = max(gaps, default=0)
    most = max(1e-6, tolerance) + 1e-9  # written to six places
    different = [f"differ by {worst:.3g} at most"] if worst > most else []
    yield Outcome("probabilities", len(gaps), "numbers", different)


# --- Part 3: a run that is stopped and gone on with ----------------------------------------


def stopped(side: Side) -> Call:
    "a run stopped by SIGTERM after its first checkpoint"
    process = side.start(*train_words(side, "resumed", "--save-steps", "10"))
    kept, until = side.work / "resumed" / "checkpoints", time.monotonic() + 900
    while process.poll() is None and time.monotonic() < until:
        if any(kept.glob("step-*")):
            process.send_signal(signal.SIGTERM)
            break
        time.sleep(0.05)
    call = side.finish(process)
    if (side.work / "resumed").is_dir():
        keep_stopped(side)
    return call


def keep_stopped(side: Side) -> None:
    "A copy of the stopped run with its first checkpoint alone: the last depends on the moment"
    copy_linked(side.work / "resumed", side.work / "stopped")
    for path in sorted(side.work.glob("stopped/checkpoints/step-*"))[1:]:
        shutil.rmtree(path)


def resumed(side: Side) -> Call:
    "the stopped run gone on with"
    side.once(stopped)
    return train(side, "resumed", "--save-steps", "10", "--resume")


def compare_resume(old: Side, new: Side, tolerance: float) -> Iterator[Outcome]:
    "Weights of a resumed run: old against new, and each against the uninterrupted run"
    for side in (old, new):
        side.once(trained)
    done = [side.once(resumed) for side in (old, new)]
    ends = [side.once(stopped) for side in (old, new)]
    said = [[str(c.code), re.sub(r"\d+", "N", said_last(c))] for c in ends]
    found = same_values("exit code and last line of the stopped run", "items", *said)
    broken = [s.name for s in (old, new) if not was_interrupted(s)]
    more = [f"{name}: training was not interrupted" for name in broken]
    yield Outcome(found.name, found.seen, found.unit, found.differences + more)
    words = re.compile(r"goes on|from step|[Rr]esum")
    went_on = [[line for line in c.out.splitlines() if words.search(line)] for c in done]
    went_on = [[re.sub(r"\d+", "N", line) for line in lines] for lines in went_on]
    yield same_values("that it went on from a checkpoint", "lines", *went_on)
    a, b, name = old.work / "resumed", new.work / "resumed", "model/model.safetensors"
    yield same_weights("weights", a / name, b / name)
    for side in (old, new):
        one, other = side.work / "run" / name, side.work / "resumed" / name
        yield same_weights(f"weights beside the uninterrupted run, {side.name}", one, other)
    name = "predictions.parquet"
    yield same_tables(name, a / name, b / name, tolerance)
    yield same_json("metrics.json", a / "metrics.json", b / "metrics.json", tolerance)


def said_last(call: Call) -> str:
    "The last line of standard error"
    return (call.err.strip().splitlines() or [""])[-1]


def was_interrupted(side: Side) -> bool:
    "Whether the stopped run had a checkpoint and no model"
    folder = side.work / "stopped"
    return any(folder.glob("checkpoints/step-*")) and not (folder / "manifest.json").exists()


# --- Part 4: files of rows -----------------------------------------------------------------

OPENINGS = """Oil slips as tankers return to port|Keeper saves two penalties in the rain
Parliament votes on the ferry treaty|Chip maker halves the power of its radios
Harbour pilots end a nine-day strike|“Nobody saw the comet coming,” says the observatory
Élodie Brässler wins the Zürich marathon|Bank of Lapland holds its rate at 2.25%
Satellite fails, twice, to unfold its mast|政府、港湾の新しい規則を発表
Цены на пшеницу снова растут|مصنع جديد للبطاريات في طنجة
Team "Los Búhos" signs a keeper, 17|Café owners & bakers: tax too high 🥐
Shares, bonds and copper fall together|Cup final: 0-0 after extra time; 4-3 on penalties"""
MIDDLES = """The minister said on Tuesday that talks would go on, "whatever the weather".
Analysts had expected 3.1 million; the company reported 2.7, down from 4.
It was the third time in a month. Fans waited until midnight.
Researchers in Łódź and Nairobi measured it with an old \\radio\\ and a new clock.
Profit rose by a fifth, to €14m, as costs fell;\nthe board proposes a dividend.
Two lines\r\nin one field, and a tab\there. &amp; an entity, <b>and markup</b>.
The border will open at dawn, officials said; nobody knew for how long.
Engineers blamed a seal that costs 40 cents, as they had in 1986."""


@dataclass(frozen=True)
class Row:
    "A row of the archive that is to be classified"
    id: int
    headline: str
    body: str
    desk: str | None
    price: float | None
    filed: datetime
    urgent: bool
    tags: list[str]


def make_rows(n: int = 1000) -> list[Row]:
    "Rows that are the same each time, with what makes reading and writing hard"
    rng, rows = random.Random(1122), []
    openings = re.split(r"[|\n]", OPENINGS)
    middles = re.split(r"\n(?=[A-Z])", MIDDLES)
    for i in range(n):
        body = " ".join(rng.choices(middles, k=rng.choice((1, 1, 2, 3, 12 if i % 50 == 0 else 4))))
        rows.append(Row(
            id=i + 1,
            headline=rng.choice(openings) + rng.choice(("", "", f" ({i})", " ", "; =1+1")),
            body=body if i % 17 else "",
            desk=rng.choice(("news", "sport, local", 'the "late" desk', "", None)),
            price=rng.choice((None, -0.5, 12.0, 1e-7, 199.95)),
            filed=datetime(2026, 1, 1) + timedelta(minutes=rng.randrange(500_000)),
            urgent=rng.random() < 0.1,
            tags=rng.sample(["port", "élan", "a,b", 'say "so"'], k=rng.randrange(3)),
        ))
    return rows


def write_rows(folder: Path) -> None:
    "The rows as CSV, JSON Lines and Parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [vars(r) for r in make_rows()]
    with open(folder / "rows.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with open(folder / "rows.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row | dict(filed=str(row["filed"])), ensure_ascii=False) + "\n")
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")


ENDINGS = (".csv", ".jsonl", ".parquet")


def predicted(side: Side) -> dict[str, Call]:
    "1,000 rows from CSV, JSON Lines and Parquet"
    side.once(trained)
    write_rows(side.work)
    calls = {}
    for kind in ENDINGS:
        words = ("--input", f"rows{kind}", "--text", "headline,body", "--output", f"out{kind}")
        calls[kind] = side.call("predict", "--model", "run", *words)
    return calls


def compare_predict(old: Side, new: Side, tolerance: float) -> Iterator[Outcome]:
    "Answers for 1,000 rows: bytes of CSV and JSON Lines, tables of Parquet"
    a, b = (side.once(predicted) for side in (old, new))
    for kind in ENDINGS:
        yield same_calls(f"what it said to {kind}", a[kind], b[kind])
        compare = same_bytes if kind != ".parquet" else lambda *w: same_tables(*w, tolerance)
        yield compare(f"answers in {kind}", old.work / f"out{kind}", new.work / f"out{kind}")


# --- Part 5: calls that end well, of the other subcommands ----------------------------------

CALLS = {
    "help": "--help",
    "help of train": "train --help",
    "doctor": "doctor",
    "check": "check sample_test.csv --no-header",
    "verify a run": "verify run",
    "verify a stopped run": "verify stopped",
    "runs": "runs shelf",
    "evaluate a run": "evaluate run --data sample --output evaluate.json",
    "evaluate predictions": "evaluate --predictions pred_a.csv --output predictions.json",
    "compare": "compare pred_a.csv pred_b.csv --output compare.json",
    "audit": "audit sample --out audit --no-texts",
    "predict": 'predict --model run "Oil slips as tankers return" "Keeper saves" --format jsonl',
    "predict on the screen": 'predict --model run "Parliament votes on a treaty"',
}
FILES_OF_CALLS = ("evaluate.json", "predictions.json", "compare.json", "audit/audit.json")


def called(side: Side) -> dict[str, Call]:
    "calls of the other subcommands"
    for stage in (trained, stopped, fixtures):
        side.once(stage)
    copy_sample(side)
    for name in ("run", "stopped"):
        copy_linked(side.work / name, side.work / "shelf" / name)
    return {name: side.call(*shlex.split(words)) for name, words in CALLS.items()}


def compare_calls(old: Side, new: Side, tolerance: float) -> Iterator[Outcome]:
    "What the other subcommands print and write"
    a, b = (side.once(called) for side in (old, new))
    for name in CALLS:
        yield same_calls(name, a[name], b[name])
    for name in FILES_OF_CALLS:
        yield same_json(name, old.work / name, new.work / name, tolerance)


# --- Part 6: calls that are wrong -----------------------------------------------------------


def quoted(*rows: tuple) -> bytes:
    "Rows as CSV with all fields quoted"
    return "".join(",".join(f'"{f}"' for f in row) + "\n" for row in rows).encode()


def table(*lines: str) -> bytes:
    "Lines as they are, with their ends"
    return "".join(line + "\n" for line in lines).encode()


def news(*labels: str) -> bytes:
    "A table of texts and labels, twelve rows a label"
    rows = [(f"Item {i} of {name}, filed late", name) for i in range(12) for name in labels]
    return quoted(("text", "label"), *rows)


def answers(*rows: str, head: str = "id,label,World,Sports") -> bytes:
    "A table of predictions"
    return table(head, *rows)


RIGHT = ("1,World,0.9,0.1", "2,Sports,0.2,0.8", "3,World,0.6,0.4", "4,Sports,0.7,0.3")
FILES: dict[str, bytes] = {
    # tables that are wrong in one way each
    "good.csv": news("World", "Sports"),
    "empty.csv": b"",
    "blank.csv": b"\n\n",
    "header.csv": table("text,label"),
    "quote.csv": table("text,label", '"Oil slips,World', "Rates rise,World"),
    "inner.csv": table("text,label", 'Oil "slips" again,World', '"Rates" rise,Sports'),
    "nul.csv": table("text,label", "Oil\0 slips,World", "Rates rise,Sports"),
    "latin.csv": "text,label\nCafé closes,World\nRates rise,Sports\n".encode("latin-1"),
    "wide.csv": "text,label\nOil slips,World\n".encode("utf-16"),
    "ragged.csv": table("text,label", "Oil slips,World", "Rates rise,again,Sports"),
    "twice.csv": table("text,text", "Oil slips,World"),
    "alone.csv": news("World"),
    "alike.csv": news("World", "world"),
    "many.csv": quoted(("text", "label"), *((f"Item {i}", f"class {i}") for i in range(30))),
    "few.csv": quoted(("text", "label"), ("Oil slips", "World"), ("Cup won", "Sports")),
    "hole.csv": table("text,label", "Oil slips,World", " ,Sports", "Rates rise,Sports"),
    "dates.csv": table("text,label,day", "Oil slips,World,2026-01-02", "Cup won,Sports,soon"),
    "bad.csv": table("text,label", "a,b,c", "d,e,f", "Oil slips,World"),
    "columns.csv": table("headline,body,desk,price", "Oil slips,It fell,World,3"),
    "sheet.xlsx": b"PK\3\4",
    "cut.csv.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x28",
    "cut.parquet": b"PAR1\0\0\0\0",
    "broken.jsonl": table('{"text": "Oil slips", "label": "World"}', '{"text": "Oil'),
    "array.jsonl": table('["Oil slips", "World"]'),
    "keys.jsonl": table('{"text": "Oil slips"}', '{"text": "Cup won", "more": 1}'),
    "no_text.jsonl": table('{"headline": "Oil slips"}'),
    "lone.jsonl": table('{"text": "Oil \\ud800 slips"}'),
    "empty.txt": b"\n  \n",
    "lines.txt": table("Oil slips as tankers return", "Cup won"),
    "nul.txt": table("Oil slips", "Cup\0 won"),
    # folders of data
    "pair/train.csv": news("World", "Sports"),
    "pair/train.tsv": news("World", "Sports"),
    "no_train/test.csv": news("World", "Sports"),
    "no_classes/train.csv": quoted(("1", "Oil slips", "It fell"), ("2", "Cup won", "Twice")),
    "number/train.csv": quoted(("1", "Oil slips", "It fell"), ("9", "Cup won", "Twice")),
    "number/classes.txt": table("World", "Sports"),
    "list/train.csv": quoted(("1", "Oil slips", "It fell"), ("2", "Cup won", "Twice")),
    "list/classes.txt": table("World", "World"),
    "moved/train.csv": quoted(*((k % 2 + 1, f"Oil slips {k}", "It fell") for k in range(40))),
    "moved/test.csv": quoted(*((k % 2 + 1, f"Cup won {k}", "Twice") for k in range(8))),
    "moved/classes.txt": table("World", "Sports"),
    "other/train.csv": quoted(("1", "Oil slips", "It fell"), ("2", "Cup won", "Twice")),
    "other/test.csv": quoted(("1", "Oil slips", "It fell"), ("2", "Cup won", "Twice")),
    "other/classes.txt": table("Culture", "Weather"),
    # configurations
    "broken.toml": table("epochs = = 2"),
    "unknown.toml": table("epoch = 2"),
    "type.toml": table('epochs = "two"'),
    "range.toml": table("learning_rate = 2.0"),
    "preset.toml": table('preset = "quick"'),
    "latin.toml": "data = 'Café'\n".encode("latin-1"),
    "owned.toml": table("[trainer]", "learning_rate = 0.1"),
    "closed.toml": table("[trainer]", 'output_dir = "x"'),
    "option.toml": table("[trainer]", "adam_beta9 = 0.9"),
    "patience.toml": table("patience = 2", "[trainer]", 'eval_strategy = "no"'),
    # tables of predictions
    "pred_a.csv": answers(*RIGHT),
    "pred_b.csv": answers(*RIGHT[:3], "4,Sports,0.1,0.9"),
    "pred_sum.csv": answers(*RIGHT[:2], "3,World,0.6,0.6"),
    "pred_minus.csv": answers(*RIGHT[:2], "3,World,1.2,-0.2"),
    "pred_word.csv": answers(*RIGHT[:2], "3,World,high,0.4"),
    "pred_no_label.csv": table("id,World,Sports", "1,0.9,0.1"),
    "pred_no_key.csv": table("label,World,Sports", "World,0.9,0.1"),
    "pred_class.csv": answers(*RIGHT, "5,Culture,0.5,0.5"),
    "pred_one.csv": answers("1,World,1.0", head="id,label,World"),
    "pred_digest.csv": answers(*RIGHT, head="digest,label,World,Sports"),
    "pred_rows.csv": answers(*(r.replace(",", "0,", 1) for r in RIGHT)),
    "pred_labels.csv": answers("1,Sports,0.9,0.1", *RIGHT[1:]),
    "pred_others.csv": answers(*(r.replace("Sports", "Sport") for r in RIGHT),
                               head="id,label,World,Sport"),
    # places that are taken
    "taken.csv": b"mine\n",
    "taken.json": b"{}\n",
    "taken.html": b"mine\n",
    "taken/file.txt": b"mine\n",
    "bare/note.txt": b"no model\n",
    "base/config.json": b'{"model_type": "bert"}\n',
}


def copy_linked(source: Path, copy: Path) -> None:
    "Copy a folder with hard links, which cost no room"
    def link(a, b):
        try:
            os.link(a, b)
        except OSError:
            shutil.copy2(a, b)

    shutil.copytree(source, copy, copy_function=link)


def rewrite(path: Path, data: bytes) -> None:
    "Write a file anew, without touching what it was linked with"
    path.unlink()
    path.write_bytes(data)


def flip(path: Path) -> None:
    "Turn one bit in the middle of a file"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    rewrite(path, bytes(data))


def swap(path: Path, old: bytes, new: bytes) -> None:
    "Put other bytes in the place of some"
    data = path.read_bytes()
    if old not in data:
        raise ValueError(f"{path}: no {old!r} to damage")
    rewrite(path, data.replace(old, new))


def cut(path: Path) -> None:
    "Keep the first half of a file"
    data = path.read_bytes()
    rewrite(path, data[: len(data) // 2])


def unseal(folder: Path, **changes) -> None:
    "Make a model one that newsclf has not sealed, with other values in its configuration"
    config = json.loads((folder / "config.json").read_text())
    config.pop("newsclf", None)
    rewrite(folder / "config.json", json.dumps(config | changes).encode())
    (folder / "files.json").unlink()


WEIGHTS = "model.safetensors"
ODD = {0: "World", 1: "World", 2: "Business", 3: "Sci/Tech"}
MODELS: dict[str, Callable[[Path], object]] = {
    "m_flipped": lambda f: flip(f / WEIGHTS),
    "m_cut": lambda f: cut(f / WEIGHTS),
    "m_no_weights": lambda f: (f / WEIGHTS).unlink(),
    "m_renamed": lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"),
    "m_spare": lambda f: shutil.copy2(f / WEIGHTS, f / "second.safetensors"),
    "m_code": lambda f: (f / "modeling.py").write_text("pass\n"),
    "m_no_config": lambda f: (f / "config.json").unlink(),
    "m_config": lambda f: flip(f / "config.json"),
    "m_no_seal": lambda f: (f / "files.json").unlink(),
    "m_seal": lambda f: cut(f / "files.json"),
    "m_no_tokenizer": lambda f: (f / "tokenizer.json").unlink(),
    "m_open": lambda f: unseal(f) or cut(f / WEIGHTS),
    "m_odd": lambda f: unseal(f, id2label=ODD, label2id={"World": 1}),
    "m_kind": lambda f: unseal(f, model_type="bort"),
    "m_size": lambda f: unseal(f, hidden_size=768),
    "m_words": lambda f: unseal(f) or cut(f / "tokenizer.json"),
    "m_lack": lambda f: unseal(f) or (f / "tokenizer.json").unlink(),
}
RUNS: dict[str, Callable[[Path], object]] = {
    "r_report": lambda f: (f / "report.html").unlink(),
    "r_answers_flipped": lambda f: flip(f / "predictions.parquet"),
    "r_weights": lambda f: flip(f / "model" / WEIGHTS),
    "r_manifest": lambda f: (f / "manifest.json").unlink(),
    "r_sealed": lambda f: swap(f / "manifest.json", b'"seed": 1122', b'"seed": 1123'),
    "r_answers": lambda f: (f / "predictions.parquet").unlink(),
}


def damage_checkpoints(folder: Path) -> None:
    "Turn a bit in the weights of every checkpoint"
    for path in folder.glob("checkpoints/step-*/model/" + WEIGHTS):
        flip(path)


def fixtures(side: Side) -> int:
    "small files for faulty calls"
    for name, data in FILES.items():
        (side.work / name).parent.mkdir(parents=True, exist_ok=True)
        (side.work / name).write_bytes(data)
    (side.work / "a_folder.csv").mkdir()
    return len(FILES)


def damaged(side: Side) -> int:
    "copies of the run, damaged"
    side.once(trained)
    side.once(stopped)
    for name, harm in MODELS.items():
        copy_linked(side.work / "run" / "model", side.work / name)
        harm(side.work / name)
    for name, harm in RUNS.items():
        copy_linked(side.work / "run", side.work / name)
        harm(side.work / name)
    copy_linked(side.work / "stopped", side.work / "s_flipped")
    damage_checkpoints(side.work / "s_flipped")
    return len(MODELS) + len(RUNS) + 1


READ = "train --text text --label label --out new --data"
SAMPLE = "train --data sample --out new"
ASK = 'predict "Oil slips" --model'
FAULTS: dict[str, str] = {
    # the command itself
    "unknown command": "tran",
    "unknown option before the command": "--wrong train",
    # train: options
    "train, unknown option": "train --wrong 1",
    "train, an argument": "train my_news.csv",
    "train, epochs no number": "train --epochs many",
    "train, epochs 0": "train --epochs 0",
    "train, learning rate 2": "train --learning-rate 2",
    "train, seed below 0": "train --seed -1",
    "train, batch of 0": "train --batch-size 0",
    "train, device": "train --device quantum",
    "train, device not here": SAMPLE + " --device mps",
    "train, precision": "train --precision half",
    "train, truncation": "train --truncation middle",
    "train, split": "train --split random",
    "train, schedule": "train --schedule step",
    "train, max length 4": "train --max-length 4",
    "train, validation size": "train --validation-size 0.95",
    "train, preset": "train --preset chaptr",
    "train, bad rows": "train --bad-rows skip",
    "train, threads": SAMPLE + " --threads 4096",
    "train, cleaning": SAMPLE + " --clean entitees",
    "train, weight for an unknown class": SAMPLE + " --class-weights Sport=2",
    "train, weight no number": SAMPLE + " --class-weights Sports=two",
    "train, text without label": SAMPLE + " --text title",
    "train, split by time without a column": READ + " good.csv --split time",
    "train, model not there": SAMPLE + " --model nowhere/model",
    "train, model no name": SAMPLE + " --model 'bert base!'",
    "train, model on the hub without a network": SAMPLE + " --model bert-base-cased",
    "train, model folder without weights": SAMPLE + " --model ./base",
    "train, model folder without configuration": SAMPLE + " --model ./bare",
    "train, folder in use": "train --data sample --out taken",
    "train, folder is a file": "train --data sample --out taken.csv",
    # train: configurations
    "train, no configuration": "train --config nowhere.toml",
    "train, broken TOML": "train --config broken.toml",
    "train, TOML not UTF-8": "train --config latin.toml",
    "train, unknown setting": "train --config unknown.toml",
    "train, setting of another type": "train --config type.toml",
    "train, setting out of range": "train --config range.toml",
    "train, preset in the file": "train --config preset.toml",
    "train, option that has a setting": SAMPLE + " --config owned.toml",
    "train, option that is closed": SAMPLE + " --config closed.toml",
    "train, option unknown to Trainer": SAMPLE + " --config option.toml",
    "train, patience without evaluations": SAMPLE + " --config patience.toml",
    # train: going on
    "train, resume without a run": "train --resume",
    "train, resume in a folder of others": "train --resume --out taken",
    "train, resume a finished run otherwise": "train --out run --resume --seed 7",
    "train, resume otherwise": "train --data sample --out stopped --resume --seed 7",
    "train, resume without saving": "train --data sample --out stopped --resume --save-steps 0",
    "train, resume damaged checkpoints": "train --data sample --out s_flipped --resume",
    # train: data
    "train, data not there": SAMPLE.replace("sample", "nowhere.csv"),
    "train, dataset on the hub without a network": SAMPLE.replace("sample", "fancyzhx/ag_news"),
    "train, two files for train": READ + " pair",
    "train, no train file": READ + " no_train",
    "train, no classes.txt": "train --out new --data no_classes",
    "train, class number out of range": "train --out new --data number",
    "train, class listed twice": "train --out new --data list",
    "train, file is empty": READ + " empty.csv",
    "train, file is blank": READ + " blank.csv",
    "train, header alone": READ + " header.csv",
    "train, quote never closed": READ + " quote.csv",
    "train, quote within a field": READ + " inner.csv",
    "train, NUL": READ + " nul.csv",
    "train, not UTF-8": READ + " latin.csv",
    "train, UTF-16": READ + " wide.csv",
    "train, UTF-16 declared wrongly": READ + " good.csv --encoding utf-16",
    "train, no encoding": READ + " good.csv --encoding utf-9",
    "train, delimiter": READ + " good.csv --delimiter ';;'",
    "train, other delimiter": READ + " good.csv --delimiter ';'",
    "train, columns more than names": READ + " ragged.csv",
    "train, two columns of a name": READ + " twice.csv",
    "train, unknown column": "train --out new --data good.csv --text body --label label",
    "train, unknown label column": "train --out new --data good.csv --text text --label desk",
    "train, one class": READ + " alone.csv",
    "train, classes alike": READ + " alike.csv",
    "train, labels that are no classes": READ + " many.csv",
    "train, too few rows": READ + " few.csv",
    "train, empty text": READ + " hole.csv",
    "train, date that is none": READ + " dates.csv --split time --time day",
    "train, mostly bad rows": READ + " bad.csv --bad-rows quarantine",
    "train, unknown ending": READ + " sheet.xlsx",
    "train, gzip cut": READ + " cut.csv.gz",
    "train, Parquet cut": READ + " cut.parquet",
    "train, JSON Lines broken": READ + " broken.jsonl",
    # check
    "check, no file named": "check",
    "check, file not there": "check nowhere.csv",
    "check, folder": "check a_folder.csv",
    "check, empty": "check empty.csv",
    "check, quote": "check quote.csv",
    "check, NUL": "check nul.csv",
    "check, not UTF-8": "check latin.csv",
    "check, gzip cut": "check cut.csv.gz",
    "check, ending": "check sheet.xlsx",
    "check, array": "check array.jsonl",
    "check, delimiter": "check good.csv --delimiter '\"'",
    "check, bad rows": "check good.csv --bad-rows skip",
    "check, file to write exists": "check good.csv --write taken.csv",
    "check, file to set aside exists": "check good.csv --quarantine taken.csv",
    "check, set aside without quarantine": "check good.csv --quarantine aside.jsonl",
    "check, one file for both": "check good.csv --write x.csv --quarantine x.csv",
    # audit
    "audit, data not there": "audit nowhere.csv",
    "audit, folder in use": "audit sample --out taken",
    "audit, cleaning": "audit sample --clean all",
    "audit, other file not there": "audit sample --against nowhere.csv",
    "audit, label without text": "audit good.csv --label label",
    "audit, seed": "audit sample --seed x",
    # predict
    "predict, no texts": "predict",
    "predict, texts and a file": 'predict "Oil slips" --input lines.txt',
    "predict, texts and an output": ASK + " run --output x.csv",
    "predict, no run to take": 'predict "Oil slips"',
    "predict, format": ASK + " run --format xml",
    "predict, empty text": 'predict " " --model run',
    "predict, option for files": ASK + " run --safe-cells",
    "predict, model not there": ASK + " nowhere",
    "predict, model folder without a model": ASK + " bare",
    "predict, base model": ASK + " base",
    "predict, precision": ASK + " run --precision half",
    "predict, device": ASK + " run --device quantum",
    "predict, input not there": "predict --model run --input nowhere.csv",
    "predict, input without a text": "predict --model run --input empty.txt",
    "predict, input with NUL": "predict --model run --input nul.txt",
    "predict, no column of texts": "predict --model run --input columns.csv",
    "predict, unknown column": "predict --model run --input columns.csv --text title",
    "predict, no key of texts": "predict --model run --input no_text.jsonl",
    "predict, half a character": "predict --model run --input lone.jsonl --output x.jsonl",
    "predict, a key more": "predict --model run --input keys.jsonl --output x.jsonl",
    "predict, output exists": "predict --model run --input lines.txt --output taken.csv",
    "predict, ending of the output": "predict --model run --input lines.txt --output x.xlsx",
    "predict, safe cells": "predict --model run --input lines.txt --output x.jsonl --safe-cells",
    "predict, standard input": "predict --model run --input - --from xml --output x.csv",
    "predict, nothing comes in": "predict --model run --input -",
    "predict, Parquet cut": "predict --model run --input cut.parquet --output x.parquet",
    "predict, quote never closed": "predict --model run --input quote.csv --output x.csv",
    "predict, run not finished": ASK + " stopped",
    "predict, weights with a bit turned": ASK + " m_flipped",
    "predict, weights cut": ASK + " m_cut",
    "predict, no weights": ASK + " m_no_weights",
    "predict, weights renamed": ASK + " m_renamed",
    "predict, spare weights": ASK + " m_spare",
    "predict, code in the folder": ASK + " m_code",
    "predict, no configuration": ASK + " m_no_config",
    "predict, configuration with a bit turned": ASK + " m_config",
    "predict, no list of files": ASK + " m_no_seal",
    "predict, list of files cut": ASK + " m_seal",
    "predict, no tokenizer": ASK + " m_no_tokenizer",
    "predict, unsealed, weights cut": ASK + " m_open",
    "predict, unsealed, a class twice": ASK + " m_odd",
    "predict, unsealed, kind of model": ASK + " m_kind",
    "predict, unsealed, other size": ASK + " m_size",
    "predict, unsealed, tokenizer cut": ASK + " m_words",
    "predict, unsealed, no tokenizer": ASK + " m_lack",
    # evaluate
    "evaluate, model not there": "evaluate nowhere",
    "evaluate, output exists": "evaluate run --output taken.json",
    "evaluate, report exists": "evaluate run --report taken.html",
    "evaluate, data not there": "evaluate run --data nowhere",
    "evaluate, no test file": "evaluate run --data no_classes",
    "evaluate, other classes": "evaluate run --data other",
    "evaluate, unknown class": "evaluate run --data few.csv --text text --label text",
    "evaluate, few rows to study": "evaluate run --data few.csv --text text --label label --study",
    "evaluate, predictions and a model": "evaluate run --predictions pred_a.csv",
    "evaluate, predictions not there": "evaluate --predictions nowhere.csv",
    "evaluate, sum": "evaluate --predictions pred_sum.csv",
    "evaluate, below 0": "evaluate --predictions pred_minus.csv",
    "evaluate, no number": "evaluate --predictions pred_word.csv",
    "evaluate, no label": "evaluate --predictions pred_no_label.csv",
    "evaluate, no text or id": "evaluate --predictions pred_no_key.csv",
    "evaluate, class without a column": "evaluate --predictions pred_class.csv",
    "evaluate, one column": "evaluate --predictions pred_one.csv",
    "evaluate, digest that is none": "evaluate --predictions pred_digest.csv",
    # export
    "export, no run": "export nowhere",
    "export, two precisions": "export run --int8 --float32",
    "export, engine": "export run --to tensorrt",
    "export, precision of the engine": "export run --to onnx --int8",
    "export, folder exists": "export run --int8 --out taken",
    "export, data in another format": "export run --int8 --out new --data good.csv",
    "export, other data": "export run --int8 --out new --data moved",
    "export, run not finished": "export stopped --int8 --out new",
    "export, manifest with another number": "export r_sealed --int8 --out new",
    # compare
    "compare, one side": "compare pred_a.csv",
    "compare, not there": "compare pred_a.csv nowhere",
    "compare, output exists": "compare pred_a.csv pred_b.csv --output taken.json",
    "compare, a side without a run": "compare pred_a.csv ','",
    "compare, the same twice": "compare pred_a.csv,pred_a.csv pred_b.csv",
    "compare, other rows": "compare pred_a.csv pred_rows.csv",
    "compare, no rows in common": "compare pred_a.csv pred_rows.csv --common",
    "compare, other labels": "compare pred_a.csv pred_labels.csv",
    "compare, other classes": "compare pred_a.csv pred_others.csv",
    "compare, run without predictions": "compare run r_answers",
    # fetch, runs, verify, bench, doctor
    "fetch, without a network": "fetch bert-base-cased",
    "fetch, no name": "fetch 'bert base!'",
    "fetch, nothing": "fetch",
    "runs, two folders": "runs a b",
    "runs, unknown option": "runs --all",
    "verify, not there": "verify nowhere",
    "verify, folder without a model": "verify bare",
    "verify, model with a bit turned": "verify m_flipped",
    "verify, model without a file": "verify m_no_tokenizer",
    "verify, run without a file": "verify r_report",
    "verify, run with a bit turned in the predictions": "verify r_answers_flipped",
    "verify, run with a bit turned in the model": "verify r_weights",
    "verify, run without manifest": "verify r_manifest",
    "verify, manifest with another number": "verify r_sealed",
    "verify, checkpoint with a bit turned": "verify s_flipped",
    "bench, unknown": "bench export",
    "bench train, no rows": "bench train --rows 0",
    "bench train, too many rows": "bench train --rows 100000",
    "bench train, output exists": "bench train --output taken.json",
    "bench predict, few rows": "bench predict --rows 4",
    "bench predict, data not there": "bench predict --data nowhere",
    "bench predict, output exists": "bench predict --output taken.json",
    "bench predict, no run": "bench predict",
    "doctor, an argument": "doctor now",
}


def faulted(side: Side) -> dict[str, Call]:
    "faulty calls"
    side.once(fixtures)
    side.once(damaged)
    return {name: side.call(*shlex.split(words), most=300) for name, words in FAULTS.items()}


def first_line(call: Call) -> str:
    "The first line of standard error that says something: click's begins with the usage"
    said = [line for line in call.err.splitlines() if line.strip()]
    told = [line for line in said if not line.startswith(("Usage:", "Try 'newsclf"))]
    return (told or said or [""])[0]


def compare_faults(old: Side, new: Side, tolerance: float) -> Iterator[Outcome]:
    "Exit code and first line of standard error of faulty calls"
    a, b = (side.once(faulted) for side in (old, new))
    for name in FAULTS:
        ends = [[f"exit code {c.code}", first_line(c)] for c in (a[name], b[name])]
        found = same_values(name, "items", *ends)
        odd = [f"{s.name} ended with {c.code}, no answer to a mistake"
               for s, c in ((old, a[name]), (new, b[name])) if c.code in (0, 1, 124) or c.code < 0]
        yield Outcome(name, found.seen, found.unit, found.differences + odd)
    tally: dict[int, int] = {}
    for call in a.values():
        tally[call.code] = tally.get(call.code, 0) + 1
    codes = ", ".join(f"{n} with {code}" for code, n in sorted(tally.items()))
    print(f"         {len(FAULTS)} faulty calls: {codes}")


# --- The whole ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    "A part of the comparison: stages that each side runs, then what is held against each other"
    title: str
    stages: tuple[Callable, ...]
    compare: Callable[[Side, Side, float], Iterator[Outcome]]


PARTS = {
    "sample": Part("sample run", (trained,), compare_sample),
    "export": Part("export", (exported,), compare_export),
    "resume": Part("resumed run", (trained, resumed), compare_resume),
    "predict": Part("1,000 rows", (predicted,), compare_predict),
    "calls": Part("calls", (called,), compare_calls),
    "faults": Part("faulty calls", (faulted,), compare_faults),
}


@dataclass
class Tally:
    "What was found so far"
    equal: int = 0
    different: int = 0
    expected: list[str] = field(default_factory=list)

    def add(self, title: str, outcome: Outcome, accepted: dict[str, str], lines: int) -> None:
        "Count a comparison and print it"
        name = f"{title}: {outcome.name}"
        reason = accepted.get(name) if outcome.faults else None
        if reason:
            self.expected.append(f"{name}: {reason}")
        elif outcome.faults:
            self.different += 1
        else:
            self.equal += 1
        word = "expected" if reason else "DIFFERS" if outcome.faults else "equal"
        print(f"{word:<8} {name} ({outcome.seen:,} {outcome.unit})")
        for line in outcome.faults[:lines]:
            print(f"           {line if len(line) <= 400 else line[:400] + '…'}")
        if len(outcome.faults) > lines:
            print(f"           and {len(outcome.faults) - lines:,} more (--full shows them)")


def run_part(part: Part, sides: list[Side], jobs: int) -> None:
    "Run a part's stages on both sides, side by side if two jobs are allowed"
    def run(side):
        for stage in part.stages:
            side.once(stage)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, sides))


def compare_part(part: Part, sides: list[Side], given, accepted: dict, tally: Tally) -> None:
    "Run and compare a part; one that compares nothing is a difference"
    count, values, lines = 0, 0, 10**6 if given.full else 12
    try:
        run_part(part, sides, given.jobs)
        for outcome in part.compare(*sides, given.tolerance):
            tally.add(part.title, outcome, accepted, lines)
            count, values = count + 1, values + outcome.seen
    except (OSError, ValueError, LookupError) as e:  # a side that made no run has no files
        broken = Outcome("the part's end", 0, "things", [f"not reached: {type(e).__name__}: {e}"])
        tally.add(part.title, broken, {}, lines)
    if not values:
        tally.add(part.title, Outcome("anything", 0, "comparisons"), {}, lines)
    print(f"         {part.title}: {count} comparisons of {values:,} things", flush=True)


def read_expected(path: Path | None) -> dict[str, str]:
    "Differences that are accepted, with the reason, of this file and of a JSON file"
    more = json.loads(path.read_text(encoding="utf-8")) if path else {}
    wrong = [k for k, v in more.items() if not isinstance(v, str) or not v.strip()]
    if wrong:
        sys.exit(f"{path}: no reason for {wrong[0]!r}")
    return EXPECTED | more


def parse(argv=None) -> argparse.Namespace:
    "The command line"
    parser = argparse.ArgumentParser(
        description="Compare an older commit with the working tree, or with another commit, "
        "on this machine and through the command newsclf alone.",
        epilog="Exit code 1 if anything differs that is not expected. Parts: "
        + "; ".join(f"{name}: {part.compare.__doc__}" for name, part in PARTS.items()),
    )
    say = parser.add_argument
    say("old", metavar="OLD", help="the older commit, branch or tag")
    say("--new", metavar="REV", default="", help="compare with this commit [the working tree]")
    say("--only", metavar="PART", nargs="+", choices=PARTS, help=f"of {', '.join(PARTS)} [all]")
    say("--keep", metavar="DIR", type=Path, help="new folder in which all stays that was made")
    say("--reuse", metavar="PYTHON", help="take the packages of this Python's environment and "
        "install newsclf alone [install everything, once for each side]")
    say("--precision", choices=("auto", "float32", "bf16"), default="auto",
        help="for the training runs [auto, what a user gets]")
    say("--tolerance", metavar="X", type=float, default=0.0,
        help="largest difference of numbers in tables and JSON; weights are always exact [0]")
    say("--expected", metavar="FILE", type=Path,
        help='JSON object of accepted differences: {"sample run: metrics.json": "reason"}')
    say("--jobs", type=int, choices=(1, 2), default=2, help="sides at work at a time [2]")
    say("--full", action="store_true", help="show every difference [the first 12 of each]")
    given = parser.parse_args(argv)
    if given.keep and given.keep.exists():
        parser.error(f"{given.keep} exists; name a new folder")
    return given


def described(side: Side) -> str:
    "Which commit a side is, in words"
    if side.revision:
        name = git("log", "-1", "--format=%h %s", side.revision).decode().strip()
        return f"{side.name}: {name}"
    name = git("describe", "--always", "--dirty").decode().strip()
    return f"{side.name}: the working tree at {name}"


def make_sides(given: argparse.Namespace, root: Path) -> list[Side]:
    "Copy and install both sides"
    sides = [Side(name, revision, root / name, given.precision)
             for name, revision in (("old", given.old), ("new", given.new))]
    for side in sides:
        print(described(side), flush=True)
        copy_source(side)
    for side in sides:
        started = time.monotonic()
        install(side, given.reuse)
        taken = time.monotonic() - started
        print(f"… {side.name}: installed ({taken:.0f} s)", file=sys.stderr)
    return sides


def main() -> int:
    "Compare, and say how many are equal"
    given, started = parse(), time.monotonic()
    for words in (*CALLS.values(), *FAULTS.values()):
        shlex.split(words)  # a mistake in the tables is told before the work, not after
    accepted, tally = read_expected(given.expected), Tally()
    with ExitStack() as stack:
        if given.keep:
            given.keep.mkdir(parents=True)
            root = given.keep.resolve()
        else:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        sides = make_sides(given, root.resolve())
        for name in given.only or PARTS:
            compare_part(PARTS[name], sides, given, accepted, tally)
    for line in tally.expected:
        print(f"expected {line}")
    more = f", {len(tally.expected)} expected" if tally.expected else ""
    print(f"took {time.monotonic() - started:.0f} s")
    print(f"{tally.equal} equal, {tally.different} different{more}")
    return int(tally.different > 0 or not tally.equal)


if __name__ == "__main__":
    sys.exit(main())
