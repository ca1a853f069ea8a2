"""Checks of the repository that no notebook can make for itself. Each prints what it looked at; exit code 1 if one fails.

    python .ci/checks.py downhill | links | count LOG
"""
import ast
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

root = Path(__file__).resolve().parent.parent


def numbers() -> dict:
    "Module name to the number of its notebook"
    return {m[2]: int(m[1]) for p in (root/"nbs").glob("*.ipynb") if (m := re.fullmatch(r"(\d\d)_(\w+)", p.stem))}


def downhill() -> list:
    "Imports between modules must point to smaller numbers"
    number, bad, seen = numbers(), [], 0
    for path in sorted((root/"newsclf").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom): names = [("newsclf." if node.level else "") + (node.module or "")]
            for name in names:
                to = name.removeprefix("newsclf.")
                if name == to: continue
                seen += 1
                if path.stem not in number or to not in number or number[to] >= number[path.stem]:
                    bad.append(f"{path.name}:{node.lineno} imports {name}, which stands higher up")
    print(f"{seen} imports between {len(number)} modules")
    return bad or ([] if seen else ["no imports were found: the check looked at nothing"])


class Page(HTMLParser):
    "Links and anchors of an HTML page"
    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(v for k, v in attrs.items() if k in ("id", "name") and v)
        self.links += [attrs[k] for k in ("href", "src") if attrs.get(k)]


def links() -> list:
    "Links between the pages of the book must lead somewhere"
    docs = root/"_docs"
    pages = {p: Page(p.read_text(encoding="utf-8")) for p in docs.rglob("*.html")}
    bad, seen = [], 0
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc or link.startswith(("data:", "javascript:")): continue
            seen += 1
            base = docs if url.path.startswith("/") else path.parent
            target = (base/unquote(url.path).lstrip("/")).resolve() if url.path else path
            if target.is_dir(): target = target/"index.html"
            if docs not in target.parents: bad.append(f"{path.relative_to(docs)}: {link} leads out of the book")
            elif not target.exists(): bad.append(f"{path.relative_to(docs)}: {link} leads nowhere")
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].ids:
                bad.append(f"{path.relative_to(docs)}: {link} has no such place")
    notebooks = len([p for p in (root/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in str(p)])
    print(f"{seen} links on {len(pages)} pages made from {notebooks} notebooks")
    if len(pages) < notebooks: bad.append(f"{notebooks} notebooks, but {len(pages)} pages")
    return bad


def count(log: str) -> list:
    "Every notebook must have run to its end; say how many cells that were"
    done = set(re.findall(r"^- Completed (.+\.ipynb)$", Path(log).read_text(encoding="utf-8"), re.M))
    flags, bad, ran, left, notebooks = {"slow", "gpu", "net"}, [], 0, 0, 0
    for path in sorted((root/"nbs").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in str(path): continue
        notebooks += 1
        code = [s for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code" and (s := "".join(c["source"])).strip()]
        if str(path) not in {str(Path(d).resolve()) for d in done}: bad.append(f"{path.relative_to(root)} did not run")
        if any("skip_exec" in s or re.search(r"#\|\s*eval:\s*false", s) for s in code): bad.append(f"{path.relative_to(root)} switches cells off")
        skipped = sum(bool(flags & set(re.findall(r"^#\|\s*(\w+)", s, re.M))) or "nbdev_export(" in s for s in code)
        ran, left = ran + len(code) - skipped, left + skipped
    print(f"{notebooks} notebooks, {ran} code cells ran, {left} were left out (flagged slow, gpu or net, or only export)")
    return bad or ([] if ran else ["no cells ran"])


if __name__ == "__main__":
    bad = dict(downhill=downhill, links=links, count=count)[sys.argv[1]](*sys.argv[2:])
    for line in bad: print(line)
    sys.exit(bool(bad))
