"""How fast does the command say no, and how? 200 wrong calls made from `--help`: wrong types, missing values, flags near known ones, values out of range, files that are missing or in the way, options that exclude each other. Each must end with exit code 2 and one message, before torch is imported. Prints a table; exit code 1 if a call did otherwise. Takes two minutes on a quiet machine.

python nbs/explanations/measure_refusals.py [--run RUN] [--calls 200] [--slowest 1.5]
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from newsclf.core.provenance import circumstances

SETTING_UP = "newsclf train --epochs 0.05 --max-length 16 --out RUN"
PROGRAM = str(Path(sys.executable).with_name("newsclf"))
AS_TYPED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | dict(HF_HUB_OFFLINE="1")

# What `--help` does not say in a form for programs: calls that lack nothing, values that are
# in use by the flags that are text, and pairs that exclude each other
CALLS = {
    "train": "", "distill": "RUN", "check": "news.csv", "audit": "news.csv", "holdout": "news.csv --out new.csv", "predict": "Oil --model RUN",
    "replay": "taken.csv --input news.csv --model RUN",
    "evaluate": "RUN", "export": "RUN", "compare": "RUN RUN", "fetch": "bert-base-cased",
    "runs": "", "verify": "RUN", "push": "RUN daily-desk/news", "serve": "RUN", "doctor": "", "monitor": "desk.sqlite --predictions filed.csv", "review": "RUN --out new.csv", "blame": "Oil --patch news.csv", "recalibrate": "RUN --target news.csv", "bench train": "", "bench predict": "--model RUN",
}
CHOICES = "preset bad-rows clean split truncation schedule device precision to format from encoding delimiter class-weights"
INPUTS = "data config model input predictions against keys verdicts patch read agreement target old"
TAKEN = "out output write quarantine report to-check html"
PAIRS = [
    "train --quiet --verbose", "train --quiet --json", "train --preset chapter --config none.toml",
    "train --split time", "train --time day", "train --out RUN", "check news.csv --quiet --json",
    "train --budget 10m --epochs 3", "train --budget 10m --model linear", "train --patch news.csv",
    "distill RUN --budget 10m", "evaluate RUN --clusters story",
    "train --resume --like RUN", "train --like none", "train --resume --data none.csv",
    "train --resume --from RUN", "train --from none --data news.csv", "train --from RUN",
    "train --from RUN --data news.csv --model minilm", "train --old news.csv --data news.csv",
    "check news.csv --quarantine bad.jsonl", "check news.csv --write a.csv --write a.csv --quarantine a.csv",
    "check news.csv --bad-rows quarantine --write a.csv --quarantine a.csv",
    "predict Oil --model RUN --input news.csv", "predict Oil --model RUN --output new.csv",
    "predict Oil --model RUN --safe-cells", "predict Oil --model RUN --from csv",
    "predict Oil --model RUN --json --format csv", "predict Oil --model RUN --text title",
    "predict Oil --model RUN --bad-rows quarantine", "predict --model RUN",
    "predict --model RUN --input news.csv --output taken.csv", "predict --model RUN --input news.csv --output new.xlsx",
    "evaluate RUN --predictions news.csv", "evaluate --predictions news.csv --pipeline",
    "evaluate --predictions news.csv --study", "export RUN --int8 --float32",
    "export RUN --to onnx --int8", "compare RUN news.csv", "predict Oil --quiet --json",
    "review RUN --rows 60", "review RUN --out new.xlsx", "review --read news.csv --out new.csv",
    "review --agreement news.csv", "review RUN --columns a,b",
    "predict Oil --model RUN --precision-target 2", "serve RUN --host 0.0.0.0", "monitor none.sqlite", "monitor desk.sqlite",
    "monitor news.csv --predictions filed.csv", "monitor desk.sqlite --predictions news.csv", "predict Oil --model RUN --words 3",
    "recalibrate RUN", "recalibrate RUN --target news.csv --labels none",
    "recalibrate RUN --target news.csv --precision-target 2", "recalibrate RUN --target news.csv --out RUN",
    "replay taken.csv --model RUN", "replay news.csv --input news.csv --model RUN",
]


@dataclass(frozen=True)
class Option:
    name: str # with its dashes
    kind: str # int, float, str, path; empty for a switch
    help: str


@dataclass(frozen=True)
class Call:
    kind: str # of mistake
    words: list


@dataclass(frozen=True)
class Refusal:
    call: Call
    code: int
    message: str
    output: str
    seconds: float # as a clock has them
    cpu: float
    torch: bool

    def faults(self, slowest):
        "What is wrong with how it was refused"
        lines = self.message.strip().splitlines()
        return [word for word, bad in dict(
            code=self.code != 2, traceback="Traceback" in self.message, silent=not lines,
            lines=len(lines) > 2, output=bool(self.output), torch=self.torch,
            slow=self.cpu > slowest).items() if bad]


def options(text):
    "The options that a help text lists"
    entries = re.split(r"\n(?=  -)", text)[1:]
    for entry in entries:
        head = re.match(r"  (?:-\w, )?(--[\w-]+)(?: / --[\w-]+)?(?: <([\w ]+)>)?", entry)
        if head and head[1] != "--help":
            yield Option(head[1], (head[2] or "").split(" ")[0], " ".join(entry.split()))


def mistakes(command, option):
    "Wrong uses of one option, beside a call that lacks nothing"
    name, call = option.name.removeprefix("--"), [*command.split(), *CALLS[command].split()]

    def wrong(kind, *words):
        return Call(kind, [*call, *words])

    yield wrong("flag near a known one", f"--{name[:-1]}", *["1"] * bool(option.kind))
    if not option.kind:
        yield wrong("value for a switch", f"--{name}=x")
        return
    yield wrong("no value", f"--{name}")
    if option.kind in ("int", "float"):
        yield wrong("wrong type", f"--{name}", "many")
        yield wrong("out of range", f"--{name}", "-7" if option.kind == "int" else "5e9")
    if option.kind == "int":
        yield wrong("wrong type", f"--{name}", "1.5")
    if name in CHOICES.split():
        yield wrong("unknown value", f"--{name}", "rubbish")
    if name in INPUTS.split():
        yield wrong("file that is missing", f"--{name}", "./none/news.csv")
    if name in TAKEN.split() and command != "predict":
        yield wrong("file in the way", f"--{name}", "taken.csv")


def arguments(command):
    "Wrong arguments of one command"
    call, words = CALLS[command].split(), command.split()
    yield Call("command near a known one", [*words[:-1], words[-1][:-1]])
    if command in ("check", "holdout", "export", "compare", "fetch", "verify", "push", "replay"):
        yield Call("no argument", words)
    if command not in ("predict", "fetch"):
        yield Call("one argument too many", [*words, *call, "a", "b"])
    if command in (
        *("check", "audit", "holdout", "evaluate", "export", "verify", "compare", "runs", "push"),
    ):
        places = [w.replace("RUN", "none").replace("news.csv", "none.csv") for w in call]
        yield Call("file that is missing", [*words, *(places or ["none"])])


def calls(help_of):
    "All wrong calls, one of each kind of mistake in turn"
    listed = re.findall(r"^  (\w+)  ", help_of("").partition("Commands:")[2], re.M)
    if unknown := set(listed) - {command.split()[0] for command in CALLS}:
        sys.exit(f"add to CALLS: {', '.join(sorted(unknown))}")
    found = [Call("options that exclude each other", line.split()) for line in PAIRS]
    for command in CALLS:
        found += arguments(command)
        for option in options(help_of(command)):
            found += mistakes(command, option)
    kinds = [[c for c in found if c.kind == kind] for kind in dict.fromkeys(c.kind for c in found)]
    return [c for c in chain.from_iterable(zip_longest(*kinds)) if c]


def refuse(call, folder):
    "Call the command, and see how it refuses"
    words = [w.replace("RUN", str(folder / "run")) if w == "RUN" else w for w in call.words]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    env = AS_TYPED | dict(PYTHONPROFILEIMPORTTIME="1") # each import is a line on standard error
    try:
        r = subprocess.run([PROGRAM, *words], cwd=folder, env=env, capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=60)
    except subprocess.TimeoutExpired: # it was accepted, and went to work
        r = subprocess.CompletedProcess(words, 0, "", "did not end within a minute")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    told = [line for line in r.stderr.splitlines() if not line.startswith("import time:")]
    torch = bool(re.search(r"^import time:.*\| +torch$", r.stderr, re.M))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Refusal(call, r.returncode, "\n".join(told), r.stdout, seconds, cpu, torch)


def make_files(folder, run):
    "A table, a file that is in the way, and a trained run"
    (folder / "news.csv").write_text("text,label\n" + "Oil slips,Business\nCup won,Sports\n" * 20)
    (folder / "filed.csv").write_text("text,predicted,probability,decision\nOil slips,Business,0.99,auto\n")
    (folder / "taken.csv").write_text("kept\n")
    if run:
        (folder / "run").symlink_to(Path(run).resolve())
        return
    words = SETTING_UP.replace("RUN", "run").split()[1:]
    subprocess.run([PROGRAM, *words], cwd=folder, env=AS_TYPED, check=True, capture_output=True)


def print_table(found, slowest):
    "One line a kind of mistake, then each call that was not refused as it should be"
    print(f"{'mistake':<34}{'calls':>6}{'as it should be':>17}{'longest s':>11}{'CPU s':>7}")
    for kind in dict.fromkeys(r.call.kind for r in found):
        of = [r for r in found if r.call.kind == kind]
        right = sum(not r.faults(slowest) for r in of)
        longest, cpu = max(r.seconds for r in of), max(r.cpu for r in of)
        print(f"{kind:<34}{len(of):>6}{right:>17}{longest:>11.2f}{cpu:>7.2f}")
    bad = [r for r in found if r.faults(slowest)]
    for r in bad:
        line = " ".join(r.call.words).replace("\n", " ")
        print(f"\nnewsclf {line}\n  {', '.join(r.faults(slowest))}: exit code {r.code}, "
              f"{r.seconds:.2f} s\n  {r.message.strip()[:300]}")
    counts = Counter(w for r in found for w in r.faults(slowest))
    print(f"\n{len(found)} calls, {len(bad)} not refused as they should be", dict(counts) or "")
    return bad


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--run", help="a trained run [one is trained]")
    ap.add_argument("--calls", type=int, default=200)
    ap.add_argument("--store", type=Path, help="a JSON file for the figures")
    ap.add_argument("--slowest", type=float, default=1.5, help="CPU seconds, which are seconds on a quiet machine")
    a = ap.parse_args()

    def help_of(command):
        words = [PROGRAM, *command.split(), "--help"]
        return subprocess.run(words, env=AS_TYPED, capture_output=True, text=True, check=True).stdout

    with tempfile.TemporaryDirectory() as tmp:
        make_files(Path(tmp), a.run)
        before = sorted(Path(tmp).rglob("*"))
        found = [refuse(call, Path(tmp)) for call in calls(help_of)[:a.calls]]
        left = sorted(set(Path(tmp).rglob("*")) - set(before))
    bad = print_table(found, a.slowest)
    if a.store:
        longest = max(f.seconds for f in found)
        counts = dict(calls=len(found), otherwise=len(bad), left=len(left), longest_s=longest)
        a.store.write_text(json.dumps(circumstances() | counts, indent=1) + "\n")
    print("left behind:", ", ".join(map(str, left)) or "nothing")
    sys.exit(bool(bad or left))


if __name__ == "__main__":
    main()
