"Checks of the notebooks: how they open, width of lines, whether outputs are true, which ran."
import ast
import hashlib
import json
import re
from pathlib import Path

from book import NBS, ROOT, pages

WIDEST = 99
DIGESTS = NBS/"outputs.json"
FLAGS = {"slow", "gpu", "net"}
SHOWN = {"export", "exports", "exporti", "exec_doc"}  # cells that building the book executes


TITLE = re.compile(r"# [^\n]+\n+(> [^\n]+\n?)+\Z")


def opening(page) -> list:
    "What is wrong with how a page opens: its title alone, then what the reader will be able to do"
    first, *rest = page.cells or [None]
    if first is None or not TITLE.match(first.source.rstrip() + "\n"):
        what = "not a title and its line alone; the site drops the rest"
        return [f"{first or page.name}: the first cell is {what}"]
    plumbing = {"default_exp", "hide", "export", "exporti"}
    seen = [c for c in rest if not (c.kind == "code" and plumbing & c.directives.keys())]
    if not seen or seen[0].kind != "markdown" or not re.match(r"[\w`*!\[\"(]", seen[0].source):
        return [f"{seen[0] if seen else page.name}: comes before a sentence for the reader"]
    return []


def openings() -> list:
    "Every page opens with its title, then with sentences"
    seen = pages()
    bad = [fault for page in seen for fault in opening(page)]
    print(f"{len(seen)} pages open with a title and sentences, but for {len(bad)}")
    return bad if seen else ["no pages were seen"]


def shown() -> list:
    "The site shows the source of every exported function and class: `#| exports`"
    cells = [c for p in pages() for c in p.code if {"export", "exports"} & c.directives.keys()]
    defining = [c for c in cells if re.search(r"^(def|class) ", c.source, re.M)]
    print(f"{len(defining)} exported cells with a function or class")
    bad = [f"{c}: `#| export` hides its source on the site; write `#| exports`"
           for c in defining if "export" in c.directives]
    return bad if defining else ["no exported cells were seen"]


def width() -> list:
    "No line of code is over 99 characters: the site would break it"
    lines, bad, tools = 0, [], sorted((ROOT/".ci").glob("*.py"))
    sources = [(str(c), c.source) for p in pages() for c in p.code]
    cells = len(sources)
    files = [*tools, ROOT/"setup.py"] # scripts: prose of their usage may be wider
    sources += [(str(f.relative_to(ROOT)), f.read_text(encoding="utf-8")) for f in files]
    for place, source in sources:
        for n, line in enumerate(source.splitlines(), 1):
            lines += 1
            if len(line) > WIDEST:
                bad.append(f"{place} line {n}: {len(line)} characters: {line.strip()[:40]}…")
    print(f"{lines} lines in {cells} code cells and {len(files)} files")
    return bad if cells and tools else [*bad, "no cells or tools were seen"]


def digests(page) -> dict:
    "Cell id to a digest of its code, in the page's order"
    return {c.id: hashlib.sha256(c.source.rstrip().encode()).hexdigest()[:8] for c in page.code}


def recorded() -> dict:
    return json.loads(DIGESTS.read_text(encoding="utf-8")) if DIGESTS.exists() else {}


def error_outputs(page) -> list:
    "Cells of a page whose stored output is an error"
    failed = [(c, o) for c in page.code for o in c.outputs if o["output_type"] == "error"]
    return [f"{c}: its output is an error, {o.get('ename')}" for c, o in failed]


def changes(page, before: dict) -> list:
    "Cells that are not those whose outputs are stored"
    now = digests(page)
    cells = {c.id: c for c in page.code}
    bad = [f"{cells[i]}: {'changed' if i in before else 'added'} since the outputs were made"
           for i in now if now[i] != before.get(i)]
    bad += [f"{page.name} cell #{i}: removed since the outputs were made"
            for i in before if i not in now]
    if not bad and list(now) != list(before):
        moved = next(i for i, j in zip(now, before, strict=True) if i != j)
        bad.append(f"{cells[moved]}: moved since the outputs were made")
    if len(now) < len(page.code):
        bad.append(f"{page.name}: two cells have the same id, or none")
    return bad


def run_pages() -> list:
    "Pages that are run; the Spanish take their outputs from the English, and CI compares them"
    return [p for p in pages() if p.folder != "tutorials/es"]


def outputs() -> list:
    "No stored output is an error, and none is older than the code of its page"
    before, bad, cells, kept = recorded(), [], 0, 0
    for page in run_pages():
        cells += len(page.code)
        kept += sum(bool(c.outputs) for c in page.code)
        bad += error_outputs(page)
        if page.name in before:
            bad += changes(page, before[page.name])
        elif page.code:
            bad.append(f"{page.name}: not recorded; run it, then record it")
    known = {p.name for p in run_pages()}
    gone = [name for name in before if name not in known]
    bad += [f"{name}: recorded in {DIGESTS.name}, but gone" for name in gone]
    print(f"{cells} code cells, {kept} with outputs, on {len(known)} pages, "
          f"{len(before)} of them recorded")
    return bad if kept else [*bad, "no outputs were seen: the check looked at nothing"]


def write_digests(digests: dict) -> None:
    "One line a page, so that a change shows as the lines of the pages it is about"
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(digests.items())]
    DIGESTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")


def record(*paths: str) -> list:
    "Remember the code of pages just run from top to bottom; pages that are gone drop out"
    by_path, bad = {p.path: p for p in pages()}, []
    chosen = [by_path.get(Path(p).resolve()) for p in paths]
    bad += [f"{p} is no page of the book" for p, c in zip(paths, chosen, strict=True) if not c]
    bad += [fault for page in chosen if page for fault in error_outputs(page)]
    if bad or not chosen:
        return bad or ["name the pages that were run"]
    known = {p.name for p in by_path.values()}
    new = {page.name: digests(page) for page in chosen if page}
    write_digests({k: v for k, v in (recorded() | new).items() if k in known})
    print(f"{len(new)} pages recorded in {DIGESTS.relative_to(ROOT)}")
    return []


def flagged(flag: str = "slow") -> list:
    "Print the paths of the pages that have a cell with this flag"
    found = [p.path for p in pages() if any(flag in c.directives for c in p.code)]
    for path in found:
        print(path.relative_to(ROOT))
    return [] if found else [f"no page has a cell flagged {flag}"]


def is_left_out(cell) -> bool:
    return bool(FLAGS & set(cell.directives))


def exporting() -> list:
    "No cell rewrites the package: Run All is safe"
    code = [c for p in pages() for c in p.code]
    print(f"{len(code)} code cells export nothing")
    bad = [f"{c}: rewrites the package; export in the shell, as CONTRIBUTING says" for c in code
           if re.search(r"\b(nbdev_export|nb_export)\b", c.source)]
    return bad if code else ["no cells were seen"]


def alone() -> list:
    "Imports of cells that are not exported stand alone: building the book executes such cells"
    code = [c for p in pages() for c in p.code if not SHOWN & set(c.directives)]
    print(f"{len(code)} code cells are not exported")
    bad = [f"{c}: imports stand beside other code; give them a cell of their own" for c in code
           if not is_switched_off(c) and mixes_imports(c.source)]
    return bad if code else ["no cells were seen"]


def mixes_imports(source: str) -> bool:
    "Whether code both imports and does something else (at any depth, as nbdev looks)"
    plain = "\n".join("pass" if re.match(r"\s*[!%]", x) else x for x in source.splitlines())
    nodes = list(ast.walk(ast.parse(plain)))
    does = any(isinstance(n, ast.Expr | ast.Assign) for n in nodes)
    return does and any(isinstance(n, ast.Import | ast.ImportFrom) for n in nodes)


def is_switched_off(cell) -> bool:
    return "skip_exec" in cell.source or bool(re.search(r"#\|\s*eval:\s*false", cell.source))


def count(log: str) -> list:
    "Every notebook must have run to its end; say how many cells that were"
    text = Path(log).read_text(encoding="utf-8")
    done = {Path(p).resolve() for p in re.findall(r"^- Completed (.+\.ipynb)$", text, re.M)}
    ran, left, bad = 0, 0, []
    for page in run_pages():
        if page.path not in done:
            bad.append(f"{page.name} did not run")
        bad += [f"{c}: switches cells off" for c in page.cells if is_switched_off(c)]
        out = sum(map(is_left_out, page.code))
        ran, left = ran + len(page.code) - out, left + out
    print(f"{len(run_pages())} notebooks, {ran} code cells ran, {left} were left out:")
    print(*(f"  {c}: {', '.join(FLAGS & set(c.directives))}" for p in run_pages() for c in p.code
            if is_left_out(c)), sep="\n")
    return bad if ran else [*bad, "no cells ran"]
