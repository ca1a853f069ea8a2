"""Run newsclf on a folder of failing inputs, and print how each behaves.

python nbs/explanations/measure_cases.py FOLDER [--only WORDS] [--jobs 2] [--keep DIR]

What is run, and what should come of it, stands beside in cases.toml. Each case is run in a new
folder, as a user would type it. Exit code 1 if a case behaves otherwise.
"""

import argparse
import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from newsclf.core.provenance import circumstances

TABLE = Path(__file__).with_name("cases.toml")
START = "import sys; sys.argv[0] = 'newsclf'; from newsclf.cli.main import main; main()"
COMMAND = [sys.executable, "-c", START]
QUICK = "--epochs 0.01 --max-length 16 --out out"
WARNING = re.compile(r"Traceback|\w+Warning:|crashed|unexpected", re.I)


@dataclass(frozen=True)
class Case:
    "An input, the commands, and what should come of the last one"

    name: str
    run: list[str]
    expect: str
    code: int = 0
    says: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)
    rows: int | None = None


@dataclass(frozen=True)
class Said:
    "What a command line came to"

    line: str
    code: int
    text: str


def call(line: str, at: Path) -> Said:
    "Type a command line in a folder"
    done = subprocess.run(
        [*COMMAND, *shlex.split(line)],
        cwd=at,
        env=environment(at.parent),
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=900,
    )
    return Said(line, done.returncode, done.stdout + done.stderr)


def environment(home: Path) -> dict[str, str]:
    "Variables of a call: nothing of this machine's newsclf, no network, one thread"
    own = dict(NEWSCLF_STATE=str(home / "state"), NEWSCLF_CACHE=str(home / "cache"))
    return os.environ | own | dict(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", COLUMNS="100")


def sample_table(path: Path, names: list[str]) -> None:
    "Write the bundled sample with the columns of `names`"
    from newsclf.data.sources import SAMPLE

    classes = (SAMPLE / "classes.txt").read_text().split("\n")
    with open(SAMPLE / "train.csv", newline="") as file, open(path, "w", newline="") as out:
        write = csv.writer(out).writerow
        write(names)
        for number, title, body in csv.reader(file):
            texts = [title, body] if len(names) == 3 else [f"{title} {body}"]
            write([*texts, classes[int(number) - 1]])


def make_runs(home: Path) -> None:
    "Train the two runs that cases ask for"
    for name, columns in dict(RUN="text", TITLED="title,text").items():
        sample_table(home / f"{name}.csv", [*columns.split(","), "label"])
        given = f"--data ../{name}.csv --text {columns} --label label --out ../{name}"
        (home / "training").mkdir(exist_ok=True)
        said = call(f"train {given} --epochs 1 --max-length 48", home / "training")
        if said.code or not (home / name / "manifest.json").is_file():
            sys.exit(f"the run that cases ask for was not trained: {said.text}")


def typed(line: str) -> list[str]:
    "Command lines of a line of the table"
    if not line.startswith("read "):
        return [line]
    what = line.removeprefix("read ")
    return [f"check {what}", f"train --data {what} {QUICK}"]


def lacks(case: Case, said: Said) -> list[str]:
    "Say what is not as it should be after a command"
    out = [f"exit code {said.code} in place of {case.code}"] if said.code != case.code else []
    flags = re.IGNORECASE | re.DOTALL
    out += [f"never says {word!r}" for word in case.says if not re.search(word, said.text, flags)]
    out += [f"says {word!r}" for word in case.never if re.search(word, said.text, flags)]
    if found := WARNING.search(said.text):
        out.append(f"says {found[0]!r}")
    return out


def rows_of(path: Path) -> int:
    "Count the rows of a CSV file below its header; -1 if there is none"
    if not path.is_file():
        return -1
    with open(path, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def try_case(case: Case, home: Path) -> tuple[list[str], list[Said]]:
    "Run a case; what is wrong, and what was said"
    at = Path(tempfile.mkdtemp(dir=home / "tried")) / "here"
    at.mkdir()
    for name in ("K", "RUN", "TITLED"):
        (at / name).symlink_to((home / name).resolve())
    for name in ("RUN.csv", "TITLED.csv"):  # where the runs were trained on them: one folder up
        (at.parent / name).symlink_to((home / name).resolve())
    told = []
    for line in case.run[:-1]:
        told.append(call(line, at))
        if told[-1].code:
            return [f"{line}: exit code {told[-1].code}"], told
    last = [call(line, at) for line in typed(case.run[-1])]
    wrong = [f"{s.line.split()[0]}: {fault}" for s in last for fault in lacks(case, s)]
    if case.rows is not None and (found := rows_of(at / "out.csv")) != case.rows:
        wrong.append(f"{found} rows in place of {case.rows}")
    alone = case.code and len(case.run) == 1
    left = [n for n in ("out", "out.csv") if alone and (at / n).exists()]
    return [*wrong, *(f"{name} was written" for name in left)], [*told, *last]


def main() -> int:
    "Run the table and print it"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of inputs")
    parser.add_argument("--only", default="", help="regular expression on names of cases")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time [2]")
    parser.add_argument("--store", type=Path, help="a JSON file for the figures")
    parser.add_argument("--keep", type=Path, help="folder for the runs, used again if it exists")
    given = parser.parse_args()
    cases = [Case(**c) for c in tomllib.loads(TABLE.read_text(encoding="utf-8"))["case"]]
    cases = [c for c in cases if re.search(given.only, c.name + " ".join(c.run))]
    home = (given.keep or Path(tempfile.mkdtemp(prefix="newsclf-cases-"))).resolve()
    (home / "tried").mkdir(parents=True, exist_ok=True)
    if not (home / "K").exists():
        (home / "K").symlink_to(given.folder.resolve())
        make_runs(home)
    bad, groups = 0, {}
    with ThreadPoolExecutor(given.jobs) as pool:
        tried = pool.map(lambda c: try_case(c, home), cases)
        for case, (wrong, told) in zip(cases, tried, strict=True):
            bad += bool(wrong)
            group = groups.setdefault(case.name[0], dict(cases=0, otherwise=0))
            group["cases"] += 1
            group["otherwise"] += bool(wrong)
            print(f"{'DIFFERS' if wrong else 'as it should':<13} {case.name}: {case.expect}")
            for fault in wrong:
                print(f"{'':<14}{fault}")
            for said in told if wrong else ():
                print(f"{'':<14}$ newsclf {said.line}")
                print("\n".join(f"{'':<16}{x}" for x in said.text.strip().splitlines()[-6:]))
            sys.stdout.flush()
    if given.store:
        given.store.write_text(json.dumps(circumstances() | dict(groups=groups), indent=1) + "\n")
    print(f"{len(cases)} cases, {len(cases) - bad} as they should be, {bad} otherwise")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
