"""Finish the processed notebooks in _proc for rendering. No folder or page keeps its number in
its address, as data/tables.html; links are relative and follow. A function is shown once, by its
source, without nbdev's copy of the signature above it. The side bar is made from the folders."""
import json
import re
import sys

import yaml

from book import NBS, ROOT, SPANISH, address, language, no_number, pages

PROC = ROOT/"_proc"
# Titles in the side bar, in its order; the chapters stand where `chapters` is, by their numbers
TITLES = {
    "tutorials": "Tutorials", "chapters": "", "explanations": "Explanations", "core": "Core",
    "data": "Data", "model": "Model", "train": "Training", "evaluate": "Evaluation",
    "predict": "Prediction", "run": "Runs", "serve": "Serving", "learn": "Exercises",
    "cli": "Command line", "es": "En español"}
# The live page, which is no notebook, by the folder below whose pages it is shown
LIVE = {"tutorials": {"text": "A model in the page", "href": "live/index.html"},
        SPANISH: {"text": "Un modelo en la página", "href": "live/es.html"}}


def mend(text: str, depth: int) -> str:
    "Links of one Markdown text; `depth` folders below the root"
    up = "../" * depth
    # files of the repository are not part of the site
    text = re.sub(r"\[([^\]]+)\]\((?:\.\./)+(?:LICENSE|[A-Z]+\.md)\)", r"\1", text)
    text = re.sub(r"^output-file: .*\n", "", text, flags=re.M)
    # nbdev links every name in backticks; private ones have no place to go to
    text = re.sub(r"\[([^\]]+)\]\(/[\w/]+\.html#(?:\w+\.)*_[^)]*\)", r"\1", text)
    text = re.sub(r"\]\(/([\w/]+)\.html#", lambda m: f"]({up}{address(m[1])}.ipynb#", text)
    return re.sub(r"\]\((?!\w+:)([^)#\s]+\.ipynb)", lambda m: f"]({address(m[1])}", text)


def mend_cell(cell: dict, depth: int) -> dict:
    "Links of a cell's text and of the Markdown among its outputs"
    if cell["cell_type"] != "code":
        cell["source"] = mend("".join(cell["source"]), depth)
    for out in cell.get("outputs", []):
        data = out.get("data", {})
        if "text/markdown" in data:
            data["text/markdown"] = mend("".join(data["text/markdown"]), depth)
    return heading_only(cell)


def heading_only(cell: dict) -> dict:
    "Of what nbdev writes above a source, keep the heading, which links need"
    if "show_doc(" not in "".join(cell["source"]):
        return cell
    for out in cell.get("outputs", []):
        found = re.search(r"^### .+$", "".join(out.get("data", {}).get("text/markdown", [])), re.M)
        if found:
            out["data"] = {"text/markdown": [found[0] + "\n"]}
    return cell


def front_matter(cell: dict, name: str) -> dict:
    "The first cell of a processed page, with the language that its folder says"
    told = {"lang": "es", "toc-title": "En esta página"} if language(name) == "es" else {}
    fields = yaml.safe_load("".join(cell["source"]).strip().strip("-")) | told
    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    return {**cell, "source": f"---\n{text}---\n"}


def finish(path, name: str) -> None:
    "One processed notebook, from its numbered name to its address"
    nb = json.loads(path.read_text(encoding="utf-8"))
    full = [c for c in nb["cells"] if "".join(c["source"]).strip()]
    cells = [mend_cell(c, name.count("/")) for c in full]
    nb["cells"] = [front_matter(cells[0], name), *cells[1:]]
    target = PROC/address(name)
    path.unlink()
    if target.exists():
        sys.exit(f"{name}: another page is called {address(name)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(nb, ensure_ascii=False), encoding="utf-8")


def order(folder: str) -> tuple:
    "Where a folder stands in the side bar"
    places = list(TITLES)
    top = "es" if folder == SPANISH else folder.split("/")[0]
    kind = "chapters" if re.match(r"\d", top) else top
    return (places.index(kind) if kind in places else len(places)), folder


def sections(folder: str, below: dict) -> list:
    """What the side bar shows in a folder: its pages, then its folders. The Spanish edition,
    an edition of the whole book, is no part of another folder there."""
    inner = [f for f in sorted(below, key=order)
             if f and folder == ("" if f == SPANISH else f.rpartition("/")[0])]
    live = [LIVE[folder]] if folder in LIVE else []
    return below[folder] + live + [section(f, below) for f in inner]


def section(folder: str, below: dict) -> dict:
    name = no_number(folder.rpartition("/")[2])
    return {"section": TITLES.get(name) or name.capitalize(), "contents": sections(folder, below)}


def side_bar(names: list) -> dict:
    "The side bar of all pages, in the order of their folders and numbers"
    below = {}
    for name in names:
        folder = name.rpartition("/")[0]
        parts = folder.split("/")
        for n in range(1, len(parts) + 1):
            below.setdefault("/".join(parts[:n]), [])
        first = name.endswith("/index.ipynb") # of its folder
        below[folder].insert(0 if first else len(below[folder]), address(name))
    return {"website": {"sidebar": {"contents": sections("", below)}}}


def main() -> None:
    names = [p.name for p in pages()]
    for name in names:
        if not (PROC/name).exists():
            sys.exit(f"{NBS.name}/{name} was not processed")
    for name in names:
        finish(PROC/name, name)
    text = yaml.safe_dump(side_bar(names), sort_keys=False, allow_unicode=True)
    (PROC/"sidebar.yml").write_text(text, encoding="utf-8")
    print(f"{len(names)} pages got their addresses")


if __name__ == "__main__":
    main()
