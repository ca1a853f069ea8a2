"Pages executed as in JupyterLab: in a kernel of their own, progress bars on."
import os
import subprocess
import time

import nbformat
from nbclient import NotebookClient

from book import ROOT, pages

CHAPTERS = ("3_train", "6_run")
SKIPPED = {"slow", "gpu", "net"}


def failures(page) -> list:
    "Cells of a page that fail under Run All"
    nb = nbformat.read(page.path, 4)
    nb.cells = [c for c, own in zip(nb.cells, page.cells, strict=True)
                if not SKIPPED & own.directives.keys()]
    where = dict(metadata=dict(path=str(page.path.parent)))
    NotebookClient(nb, timeout=600, kernel_name="python3", allow_errors=True,
                   resources=where).execute()
    bad = []
    for cell in nb.cells:
        for out in cell.get("outputs", []):
            if out.output_type == "error":
                said = (out.evalue.strip() or "an assertion failed").splitlines()[0]
                bad.append(f"{page.name} cell #{cell.id}: {out.ename}: {said[:200]}")
    return bad


def git_state() -> str:
    how = dict(cwd=ROOT, capture_output=True, text=True, check=True)
    asked = ("status", "--porcelain"), ("diff",)
    return "".join(subprocess.run(["git", *a], **how).stdout for a in asked)


def kernel(*names: str) -> list:
    "Run All with progress bars passes on the pages of training and run, and changes no file"
    chosen = [p for p in pages() if (p.name in names if names else p.name.startswith(CHAPTERS))]
    os.environ.pop("TQDM_DISABLE", None)
    before, bad = git_state(), []
    for page in chosen:
        print(time.strftime("%X"), page.name, flush=True)
        bad += failures(page)
    if git_state() != before:
        bad.append("the pages changed files of the repository: git status says which")
    print(f"{len(chosen)} pages, {len(bad)} findings")
    return bad if chosen else ["no pages were seen"]
