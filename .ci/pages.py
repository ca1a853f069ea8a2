"""Finish the processed notebooks in _proc for rendering: pages are called as their modules (core.html), so that nbdev's links between
names hold; links are relative; a function is shown once, by its source: nbdev's own copy of the signature above it goes away."""
import json
import re
from pathlib import Path

proc = Path(__file__).resolve().parent.parent/"_proc"
renamed = {p.name: re.sub(r"^\d\d_", "", p.name) for p in proc.glob("*.ipynb")}


def mend(text: str, depth: int) -> str:
    "Links of one Markdown text; `depth` folders below the root"
    for old, new in renamed.items(): text = text.replace(f"{old})", f"{new})")
    text = re.sub(r"\[([^\]]+)\]\(\.\./(?:LICENSE|CONTRIBUTING\.md)\)", r"\1", text)  # files of the repository are not part of the site
    text = re.sub(r"^output-file: .*\n", "", text, flags=re.M)
    return re.sub(r"\]\(/(\w+)\.html#", lambda m: f"]({'../' * depth}{m[1]}.ipynb#", text)


def strings(value, depth):
    "All strings of a notebook's JSON, mended"
    if isinstance(value, str): return mend(value, depth)
    if isinstance(value, list):
        if value and all(isinstance(v, str) for v in value): return mend("".join(value), depth).splitlines(keepends=True)
        return [strings(v, depth) for v in value]
    return {k: strings(v, depth) for k, v in value.items()} if isinstance(value, dict) else value


def heading_only(cell: dict) -> dict:
    "Of what nbdev writes above a source, keep the heading, which links and the table of contents need"
    for out in cell.get("outputs", []):
        text = "".join(out.get("data", {}).get("text/markdown", []))
        found = re.search(r"^### .+$", text, re.M)
        if "show_doc(" in "".join(cell["source"]) and found: out["data"] = {"text/markdown": [found[0] + "\n"]}
    return cell


for path in [*proc.rglob("*.ipynb")]:
    nb = strings(json.loads(path.read_text(encoding="utf-8")), len(path.relative_to(proc).parts) - 1)
    nb["cells"] = [heading_only(c) for c in nb["cells"] if "".join(c["source"]).strip()]
    path.write_text(json.dumps(nb, ensure_ascii=False), encoding="utf-8")
    path.rename(path.with_name(renamed.get(path.name, path.name)))
side = proc/"sidebar.yml"
text = side.read_text(encoding="utf-8")
for old, new in renamed.items(): text = text.replace(f"- {old}\n", f"- {new}\n")
side.write_text(text, encoding="utf-8")
