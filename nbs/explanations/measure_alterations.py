"""Alter lines of the package at random, and see whether the page that they stand on notices.

python nbs/explanations/measure_alterations.py [--number 40] [--seed 21] [--jobs 2] [--at PLACE]
python nbs/explanations/measure_alterations.py --each 3 --at nbs/1_data --seed 31

An alteration turns a comparison or an operator, moves a constant, negates a condition or drops a
statement, in a copy of the project. It is noticed if the cells of its page fail, or take more than
LIMIT seconds of processor time. Exit code 1 if fewer than nine in ten are noticed.
figures/alterations.json is written after each; --go-on leaves out those that it has; with --at,
what is tried again is added there, and the first verdict stays. With --each, so many lines of every
page in PLACE are altered, to find what has no check; nothing is stored.
"""

import argparse
import ast
import importlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from queue import Queue

from newsclf.core.provenance import circumstances

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "nbs/explanations/figures/alterations.json"
LIMIT = 900 # Seconds of processor time; on a busy machine the clock would condemn any page
WAIT = 1800 # Seconds in all, for a page that waits for ever and computes nothing
LARGE = (
    "nbdev.test", "fastcore.test", "torch", "transformers", "datasets", "pandas", "tokenizers",
    "sklearn.svm", "sklearn.metrics", "sklearn.feature_extraction.text", "scipy.stats",
    "scipy.optimize", "scipy.special", "safetensors.torch", "cleanlab.filter", "accelerate",
    "transformers.trainer", "transformers.models.bert.modeling_bert", "pyarrow.parquet",
)  # fmt: skip
OTHER = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">",
    "in": "not in", "not in": "in", "is": "is not", "is not": "is",
    "+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "+", "**": "*", "@": "+",
    "|": "&", "&": "|", "and": "or", "or": "and",
}  # fmt: skip
DROPPED = (ast.Expr, ast.AugAssign, ast.Continue, ast.Break, ast.Raise, ast.Delete)
ASKED = (ast.If, ast.While, ast.IfExp, ast.comprehension, ast.Assert)


@dataclass(frozen=True)
class Alteration:
    "Other text in place of a part of a cell"

    page: str
    cell: str
    start: int  # bytes into the cell
    end: int
    new: str
    line: str  # as it was


class Text:
    "Source of a cell, addressed as syntax trees do: by line and byte"

    def __init__(self, source: str):
        self.raw = source.encode()
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        "Where a node starts and ends"
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def line(self, at: int) -> str:
        "The line around a byte"
        number = max(i for i, start in enumerate(self.starts) if start <= at)
        return self.raw[self.starts[number] : self.starts[number + 1]].decode().strip()

    def between(self, left: ast.AST, right: ast.AST):
        "The operator between two operands, turned"
        start, end = self.span(left)[1], self.span(right)[0]
        sign = self.raw[start:end].decode().strip("() \n\\")
        if sign in OTHER:
            found = self.raw.index(sign.encode(), start, end)
            yield found, found + len(sign.encode()), OTHER[sign]


def moved(value) -> str:
    "Another constant in place of a number or a truth value"
    if isinstance(value, bool):
        return str(not value)
    return repr(value + 1)


def alterations(node: ast.AST, text: Text):
    "What can be altered at a node: (start, end, new text)"
    if isinstance(node, ast.Compare):
        for left, right in pairwise([node.left, *node.comparators]):
            yield from text.between(left, right)
    elif isinstance(node, ast.BinOp):
        yield from text.between(node.left, node.right)
    elif isinstance(node, ast.BoolOp):
        for left, right in pairwise(node.values):
            yield from text.between(left, right)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield *text.span(node), moved(node.value)
    if isinstance(node, ASKED):
        for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:
            start, end = text.span(test)
            yield start, end, f"not ({text.raw[start:end].decode()})"
    documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if isinstance(node, DROPPED) and not documents:
        yield *text.span(node), "pass"


def walk(node: ast.AST):
    "The nodes that compute something: no types, no decorators"
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child)


def of_page(page: Path) -> list[Alteration]:
    "All alterations of the exported cells of a page"
    found = []
    for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or not source.startswith("#| export"):
            continue
        text, name = Text(source), str(page.relative_to(ROOT))
        for node in walk(ast.parse(source)):
            for start, end, new in alterations(node, text):
                found.append(Alteration(name, cell["id"], start, end, new, text.line(start)))
    return found


def draw(number: int, seed: int) -> list[Alteration]:
    "Draw lines of the whole package, and an alteration of each"
    lines = {}
    for page in sorted((ROOT / "nbs").glob("[0-9]_*/*.ipynb")):
        for one in of_page(page):
            lines.setdefault((one.page, one.cell, one.line), []).append(one)
    chance = random.Random(seed)
    return [chance.choice(lines[line]) for line in chance.sample(sorted(lines), number)]


def draw_each(number: int, seed: int, place: str) -> list[Alteration]:
    "Draw so many lines of each page whose path contains `place`, and an alteration of each"
    chance, drawn = random.Random(seed), []
    for page in sorted((ROOT / "nbs").glob("[0-9]_*/*.ipynb")):
        lines = {}
        for one in of_page(page) if place in str(page) else []:
            lines.setdefault((one.cell, one.line), []).append(one)
        chosen = chance.sample(sorted(lines), min(number, len(lines)))
        drawn += [chance.choice(lines[line]) for line in chosen]
    return drawn


def copy_project(folder: Path) -> Path:
    "Copy what the project keeps"
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in filter(None, kept.split("\n")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def alter(folder: Path, one: Alteration) -> None:
    "Write an altered page and its module"
    from nbdev.export import nb_export

    page = folder / one.page
    book = json.loads(page.read_text(encoding="utf-8"))
    cell = next(c for c in book["cells"] if c["id"] == one.cell)
    raw = "".join(cell["source"]).encode()
    altered = (raw[: one.start] + one.new.encode() + raw[one.end :]).decode()
    ast.parse(altered)
    cell["source"] = altered.splitlines(keepends=True)
    page.write_text(json.dumps(book, ensure_ascii=False), encoding="utf-8")
    nb_export(page, lib_path=folder / "newsclf")


def restore(folder: Path, one: Alteration) -> None:
    "Put the page and the modules back"
    shutil.copy2(ROOT / one.page, folder / one.page)
    shutil.copytree(ROOT / "newsclf", folder / "newsclf", dirs_exist_ok=True)


def limit_time():
    "End this process after LIMIT seconds of processor time, or WAIT seconds in all"
    signal.alarm(WAIT)
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 10))


def preload():
    "Import what is large once, for every page"
    from contextlib import suppress

    for name in LARGE:
        with suppress(ImportError):
            importlib.import_module(name)


def run_here(folder: Path, page: str, said) -> None:
    "Run the cells of a page in this process, which is a fork, and end it"
    code = 4
    try:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        limit_time()
        own = dict(PYTHONPATH=str(folder), NEWSCLF_STATE=str(folder / "state"))
        os.environ.update(own, NEWSCLF_CACHE=str(folder / "cache"))
        os.chdir(folder / "nbs")
        for name in [n for n in sys.modules if n.split(".")[0] == "newsclf"]:
            del sys.modules[name]
        from nbdev.config import get_config
        from nbdev.test import test_nb

        get_config.cache_clear()
        how = dict(skip_flags=get_config().tst_flags.split(), basepath=folder)
        code = int(not test_nb(folder / page, **how)[0])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_page(folder: Path, page: str) -> str:
    "Run the cells of a page; empty if nothing failed"
    with tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if not pid:
            run_here(folder, page, said)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        lines = said.read().splitlines()
    if not code:
        return ""
    if code in (-signal.SIGXCPU, -signal.SIGALRM):
        return f"more than {LIMIT} s of processor time, or {WAIT} s in all"
    errors = [x for x in lines if "Error" in x]
    return errors[-1].strip()[:120] if errors else f"failed ({code})"


def store(record: dict, results: list[dict]) -> None:
    "Write what was found so far"
    results = sorted(results, key=lambda r: r["number"])
    counts = dict(noticed=sum(r["noticed"] for r in results), of=len(results))
    STORED.write_text(json.dumps(record | counts | dict(alterations=results), indent=1) + "\n")


def tried_again(result: dict) -> None:
    "Add what the page notices now to what it noticed at first"
    stored = json.loads(STORED.read_text())
    for first in stored["alterations"]:
        if first["number"] == result["number"] and first["line"] == result["line"]:
            first |= dict(noticed_now=result["noticed"], said_now=result["said"])
    STORED.write_text(json.dumps(stored, indent=1) + "\n")


def main() -> int:
    "Draw, alter, run, and print a line for each"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=40, help="alterations [40]")
    parser.add_argument("--seed", type=int, default=21, help="of the draw [21]")
    parser.add_argument("--jobs", type=int, default=2, help="pages at a time [2]")
    parser.add_argument("--at", default="", help="only alterations of this number or page")
    parser.add_argument("--each", type=int, default=0, help="alterations of each page of PLACE")
    parser.add_argument("--go-on", action="store_true", help="leave out those that are stored")
    parser.add_argument("--list", action="store_true", help="only say what would be altered")
    given = parser.parse_args()
    if given.each:
        drawn = list(enumerate(draw_each(given.each, given.seed, given.at), 1))
    else:
        drawn = list(enumerate(draw(given.number, given.seed), 1))
    drawn = [d for d in drawn if given.at in ("", str(d[0])) or given.at in d[1].page]
    results, record = [], circumstances() | dict(seed=given.seed)
    if given.go_on:
        results = json.loads(STORED.read_text())["alterations"]
        known = {r["number"] for r in results}
        drawn = sorted((d for d in drawn if d[0] not in known), key=lambda d: d[1].page)
    folders: Queue[Path] = Queue()
    if not given.list:
        preload()
    for _ in range(0 if given.list else given.jobs):
        folders.put(copy_project(Path(tempfile.mkdtemp(prefix="newsclf-altered-"))))

    def try_one(one: Alteration) -> str:
        folder = folders.get()
        try:
            alter(folder, one)
            return run_page(folder, one.page)
        finally:
            restore(folder, one)
            folders.put(folder)

    with ThreadPoolExecutor(given.jobs) as pool:
        tried = pool.map(try_one, [d[1] for d in drawn]) if not given.list else [""] * len(drawn)
        for (number, one), said in zip(drawn, tried, strict=True):
            verdict = "drawn" if given.list else "noticed" if said else "NOT NOTICED"
            print(f"{number:>2} {verdict:<12} {one.page} #{one.cell}")
            print(f"{'':<16}{one.line}\n{'':<16}-> {one.new!r}   {said}", flush=True)
            results.append(asdict(one) | dict(number=number, noticed=bool(said), said=said))
            if given.at and not (given.list or given.each):
                tried_again(results[-1])
            elif not (given.list or given.each):
                store(record, results)
    noticed = sum(r["noticed"] for r in results)
    print(f"{noticed} of {len(results)} noticed" if not given.list else f"{len(results)} drawn")
    return int(not given.list and noticed < 0.9 * len(results))


if __name__ == "__main__":
    sys.exit(main())
