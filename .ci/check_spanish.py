"""The Spanish edition beside the English one: cell for cell, with the same code.

A Spanish page has the cells of the English page, under the same ids. Beside it stands a digest of
each English cell as it was when it was translated; a cell that changed since is named. Code may
differ in comments alone. The Spanish pages are not run: they take the outputs of the English."""
import hashlib
import io
import json
import re
import tokenize
from pathlib import Path

from book import NBS, Page, pages

SPANISH = NBS/"tutorials/es"
DIGESTS = SPANISH/"translated.json"
ONLY_SPANISH = re.compile(r"lang: es|^#\| hide\n%env NEWSCLF_LANGUAGE=es\s*$", re.M)
COUNTED = {"pictures": r"!\[", "folds": r"<details>", "headings": r"(?m)^#+ ",
           "links": r"\]\(", "pieces of code": r"```"}


def english(page) -> Page:
    "The page that a Spanish page is a translation of"
    at_home = page.path.name == "index.ipynb"
    return Page(NBS/"index.ipynb" if at_home else NBS/"tutorials"/page.path.name)


def editions() -> list:
    "English and Spanish pages, side by side; the Spanish may be missing"
    both = [NBS/"index.ipynb", *sorted((NBS/"tutorials").glob("*.ipynb"))]
    return [(Page(p), Page(SPANISH/p.name)) for p in both]


def digest(cell) -> str:
    return hashlib.sha256(cell.source.rstrip().encode()).hexdigest()[:8]


def code_of(source: str) -> list:
    "Code without its comments, except for the names of directives"
    skipped = {tokenize.COMMENT, tokenize.NL}
    plain = re.sub(r"(?m)^([ \t]*)([%!].*)$", r"\1'\2'", source)
    found = tokenize.generate_tokens(io.StringIO(plain.rstrip() + "\n").readline)
    kept = [t.string for t in found if t.type not in skipped]
    return re.findall(r"(?m)^#\|[ \t]*([\w-]+)", source) + kept


def solutions(source: str) -> list:
    "The code in the folds of a text"
    return [code_of(code) for code in re.findall(r"```python\n(.*?)\n```", source, re.S)]


def differences(there, here) -> list:
    "What a Spanish cell lacks, or has otherwise"
    if there.kind != here.kind:
        return [f"{here}: is {here.kind}, in English {there.kind}"]
    if there.kind == "code":
        if code_of(there.source) == code_of(here.source):
            return []
        return [f"{here}: its code differs from the English"]
    bad = []
    for what, pattern in COUNTED.items():
        counts = [len(re.findall(pattern, c.source)) for c in (there, here)]
        if counts[0] != counts[1]:
            bad.append(f"{here}: {counts[1]} {what}, in English {counts[0]}")
    paragraphs = [len(re.split(r"\n\s*\n", c.source.strip())) for c in (there, here)]
    if paragraphs[0] != paragraphs[1]:
        bad.append(f"{here}: {paragraphs[1]} paragraphs, in English {paragraphs[0]}")
    if solutions(there.source) != solutions(here.source):
        bad.append(f"{here}: the code in its text differs from the English")
    if there.source == here.source and len(re.findall(r"[^\W\d_]{3,}", there.source)) > 12:
        bad.append(f"{here}: is not translated")
    return bad


def compared(there, here, digests: dict) -> list:
    "What is wrong with one Spanish page"
    theirs = {c.id: c for c in there.cells}
    ours = {c.id: c for c in here.cells if not ONLY_SPANISH.search(c.source)}
    if list(theirs) != list(ours):
        missing = [c for i, c in theirs.items() if i not in ours]
        extra = [c for i, c in ours.items() if i not in theirs]
        bad = [f"{c}: has no counterpart in Spanish" for c in missing]
        bad += [f"{c}: has no counterpart in English" for c in extra]
        return bad or [f"{here.name}: its cells stand in another order"]
    bad = []
    for i, cell in theirs.items():
        bad += differences(cell, ours[i])
        if digests.get(i) != digest(cell):
            bad.append(f"{ours[i]}: the English text changed since it was translated")
        if cell.kind == "code" and spoken(cell.outputs) != ours[i].outputs:
            bad.append(f"{ours[i]}: its outputs are not those of the English page")
    return bad


def spoken(outputs: list) -> list:
    "Outputs of an English page in the Spanish edition: what `check` prints is in Spanish"
    from newsclf.learn.exercises import in_spanish

    made = json.loads(json.dumps(outputs))
    for out in made:
        if out.get("name") == "stdout":
            out["text"] = [in_spanish(line) for line in out["text"]]
    return made


def recorded() -> dict:
    return json.loads(DIGESTS.read_text(encoding="utf-8")) if DIGESTS.exists() else {}


def spanish() -> list:
    "Every tutorial and the home page in Spanish: the same code, no text left behind"
    bad, same, known = [], 0, recorded()
    for there, here in editions():
        if not here.path.exists():
            bad.append(f"{there.name}: has no Spanish edition")
            continue
        wrong = compared(there, here, known.get(here.path.name, {}))
        bad += wrong
        same += len(there.code) if not wrong else 0
    known_names = {there.path.name for there, _ in editions()}
    bad += [f"{p.name}: has no English edition" for p in pages()
            if p.path.parent == SPANISH and p.path.name not in known_names]
    print(f"{same} equal code cells on {len(editions())} pages in English and in Spanish")
    return bad if same else [*bad, "no cells were compared"]


def translated(*paths: str) -> list:
    "Take over the outputs of the English pages, and remember which text was translated"
    known = recorded()
    for path in map(Path, paths):
        here = Page(path.resolve())
        there = english(here)
        outputs = {c.id: spoken(c.outputs) for c in there.code}
        nb = json.loads(here.path.read_text(encoding="utf-8"))
        for cell in nb["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = outputs.get(cell["id"], [])
        text = json.dumps(nb, ensure_ascii=False, indent=1) + "\n"
        here.path.write_text(text, encoding="utf-8", newline="\n")
        known[here.path.name] = {c.id: digest(c) for c in there.cells}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(known.items())]
    DIGESTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")
    print(f"{len(paths)} pages recorded in {DIGESTS.relative_to(NBS.parent)}")
    return [] if paths else ["name the Spanish pages whose text is up to date"]
