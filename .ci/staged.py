"""The quick checks of what is staged for a commit. `bash .ci/hooks` has git run them.

Staged pages are cleaned (then they are to be staged again), open with sentences, have short
lines, imports of their own, true outputs and the field's words; staged scripts satisfy ruff."""
import subprocess
import sys
from pathlib import Path

import check_notebooks
import check_words
from book import NBS, ROOT, Page

BIN = Path(sys.executable).parent


def staged() -> list:
    "The files that the commit would add or change"
    asked = "git", "diff", "--cached", "--name-only", "-z", "--diff-filter=ACMR"
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT/name for name in done.stdout.split("\0") if name]


def cleaned(path: Path) -> list:
    "Clean a notebook; if that changed it, what is staged is not what should be"
    before = path.read_bytes()
    subprocess.run([BIN/"nbdev_clean", "--fname", path], cwd=ROOT, check=True)
    name = path.relative_to(ROOT)
    again = [f"{name}: was not clean, and is now; stage it again: git add {name}"]
    return [] if path.read_bytes() == before else again


def long_lines(page) -> list:
    return [f"{cell} line {n}: {len(line)} characters" for cell in page.code
            for n, line in enumerate(cell.source.splitlines(), 1)
            if len(line) > check_notebooks.WIDEST]


def mixed_imports(page) -> list:
    "Cells that are not Python, or that import beside other code"
    bad = []
    for cell in page.code:
        try:
            mixed = check_notebooks.mixes_imports(cell.source)
        except SyntaxError as error:
            bad.append(f"{cell}: {error}")
            continue
        if mixed and not check_notebooks.SHOWN & set(cell.directives):
            bad.append(f"{cell}: imports stand beside other code; give them a cell of their own")
    return bad


def page_faults(path: Path) -> list:
    "What the quick checks find on a page"
    bad, page = cleaned(path), Page(path)
    bad += check_notebooks.opening(page) + long_lines(page) + mixed_imports(page)
    bad += check_notebooks.error_outputs(page)
    if before := check_notebooks.recorded().get(page.name):
        bad += check_notebooks.changes(page, before)
    return bad + check_words.in_page(page)


def script_faults(paths: list) -> list:
    "What ruff finds in scripts"
    if not paths:
        return []
    command = [BIN/"ruff", "check", "--quiet", "--output-format", "concise", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() + done.stderr.splitlines()


def main() -> int:
    files = staged()
    pages = [f for f in files if f.suffix == ".ipynb" and NBS in f.parents]
    bad = [fault for path in pages for fault in page_faults(path)]
    bad += script_faults([f for f in files if f.suffix == ".py"])
    for line in bad:
        print(line)
    if bad:
        print(f"{len(bad)} findings: nothing was committed (--no-verify commits all the same)")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
