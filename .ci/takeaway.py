"""Each page as a notebook that runs by itself, in _docs/notebooks. Its first cell installs the
package where it is missing, the measurements that it reads travel in it, its links lead to the
site or are left out, and it has no output that only the machine of its author could show."""
import ast
import base64
import json
import posixpath
import re
from urllib.parse import quote

from book import NBS, ROOT, facts, language, other_edition, pages, to_html

TAKEN = ROOT/"_docs"/"notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
BRANCH = "notebooks" # where the workflow of the docs puts them, for Colab
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)\s]+)\)")
INSTALL = '''# {why}
import importlib.util

if importlib.util.find_spec("{lib}") is None:
    %pip install -q "{lib}[offline,learn] @ {source}"
'''
WHY = {"en": "Install newsclf where it is missing, as on Colab: that takes some minutes.",
       "es": "Instala newsclf donde falta, como en Colab: tarda unos minutos."}
FILES = '''# {why}
import os
from pathlib import Path

def keep(name, text):
    path = Path("book", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

{files}
os.makedirs("book/{folder}", exist_ok=True)
os.chdir("book/{folder}")
'''
WHY_FILES = {"en": "What this page reads, put into a folder called book.",
             "es": "Lo que lee esta página, en una carpeta llamada book."}


def source() -> str:
    "Where pip finds the package"
    own = facts()
    return f"git+https://github.com/{own['user']}/{own['repo']}@{own['branch']}"


def colab(page) -> str:
    "The address at which Colab opens the notebook of a page"
    own = facts()
    repo = f"{quote(own['user'])}/{quote(own['repo'])}"
    return (f"https://colab.research.google.com/github/{repo}/blob/{BRANCH}/"
            f"{quote(page.name)}")


def installs(page) -> str:
    "The first cell: it installs the package where there is none"
    why = WHY[language(page.name)]
    return INSTALL.format(why=why, lib=facts()["lib_name"], source=source()).rstrip()


def cell(kind: str, name: str, text: str) -> dict:
    made = dict(cell_type=kind, id=name, metadata={}, source=text)
    return made | (dict(execution_count=None, outputs=[]) if kind == "code" else {})


def link(target: str, page) -> str:
    "Where a relative link of a page leads for those who have its notebook alone, or nothing"
    own = facts()
    path, _, place = target.partition("#")
    if not own["doc_host"] or not path.endswith(".ipynb"):
        return ""
    name = posixpath.normpath(posixpath.join(page.folder, path))
    base = own["doc_host"].rstrip("/") + "/" + own["doc_baseurl"].strip("/")
    return f"{base.rstrip('/')}/{to_html(name)}{'#' + place if place else ''}"


def picture(target: str, page) -> str:
    "A picture of the book, within the text"
    path = page.path.parent/target
    kind = {"svg": "svg+xml", "jpg": "jpeg"}.get(path.suffix[1:], path.suffix[1:])
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def by_itself(text: str, page) -> str:
    "A text without relative links; code in it stays as it is"
    def lead(found: re.Match) -> str:
        bang, said, target = found.groups()
        if bang:
            return f"![{said}]({picture(target, page)})"
        to = link(target, page)
        return f"[{said}]({to})" if to else said
    parts = re.split(r"(```.*?```)", text, flags=re.S)
    return "".join(p if n % 2 else LINK.sub(lead, p) for n, p in enumerate(parts))


def filled(node: ast.JoinedStr, names: list) -> str:
    "A pattern for what a string with holes may be, each filled with one of the page's strings"
    words = "|".join(re.escape(k) for k in names)
    parts = [re.escape(v.value) if isinstance(v, ast.Constant) else f"(?:{words})"
             for v in node.values]
    return "".join(parts)


def reads(page) -> list:
    "The files of the book beside the pages that the code of a page names"
    plain = "\n".join(re.sub(r"(?m)^[ \t]*[!%].*$", "pass", c.source) for c in page.code)
    nodes = list(ast.walk(ast.parse(plain)))
    said = sorted({n.value for n in nodes if isinstance(n, ast.Constant)
                   and isinstance(n.value, str)})
    if not any("figures" in s for s in said): # their folder
        return []
    patterns = [re.escape(s) for s in said if s.endswith((".json", ".jsonl"))]
    names = [s for s in said if re.fullmatch(r"[\w-]+", s)]
    holes = [filled(n, names) for n in nodes if isinstance(n, ast.JoinedStr)]
    patterns += [p for p in holes if p.endswith(("\\.json", "\\.jsonl"))]
    files = [f.relative_to(NBS) for f in sorted((NBS/"explanations").rglob("*.json*"))]
    return [f for f in files
            if any(re.fullmatch(p.rpartition("/")[2], f.name) for p in patterns)]


def carried(page) -> list:
    "The cell that puts what a page reads where the page looks for it, if it reads anything"
    found = reads(page)
    if not found:
        return []
    lines = []
    for file in found:
        text = (NBS/file).read_text(encoding="utf-8")
        if file.suffix == ".json":
            text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        lines.append(f'keep("{file.as_posix()}", r"""{text}""")')
    home = other_edition(page.name) if language(page.name) == "es" else page.name
    text = FILES.format(why=WHY_FILES[language(page.name)], files="\n".join(lines),
                        folder=posixpath.dirname(home) or ".")
    made = cell("code", "files", text.rstrip())
    return [made | {"metadata": {"jupyter": {"source_hidden": True}, "cellView": "form"}}]


def reads_itself(page) -> bool:
    "Whether the page compares its own text with measurements: a copy has nothing to compare"
    return any(f'"{page.path.name}"' in c.source for c in page.code)


def showable(outputs: list) -> list:
    "Outputs without views of widgets, whose state stayed with the author"
    return [o for o in outputs if WIDGET not in o.get("data", {})]


def taken(page) -> dict:
    "The notebook of a page that runs by itself"
    nb = json.loads(page.path.read_text(encoding="utf-8"))
    cells = [cell("code", "install", installs(page)), *carried(page)]
    for own in nb["cells"]:
        text = "".join(own["source"])
        if reads_itself(page) and text.startswith("#| hide"):
            continue
        if own["cell_type"] == "markdown":
            own = {**own, "source": by_itself(text, page)}
        elif own["cell_type"] == "code":
            own = {**own, "source": text, "outputs": showable(own["outputs"])}
        cells.append(own)
    return {**nb, "cells": cells}


def write_notebooks() -> int:
    "Write all of them, and say how many"
    for page in pages():
        path = TAKEN/page.name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(taken(page), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return len(pages())
