"""Checks of the repository that no notebook can make for itself.

    python .ci/checks.py NAME

Each prints what it looked at, then each finding with its page and cell. The exit code is 1
if there is one, or if there was less to look at than expected.

    imports       between chapters downhill, within a chapter no circle
    modules       one notebook for each module, empty `__init__.py`, nothing left over
    names         no public name in two modules
    openings      each page opens with its title alone, then sentences for the reader
    shown         the site shows the source of what a page exports
    width         no line of code over 99 characters
    outputs       no error among the outputs, no code changed since they were made
    words         words that pages, messages and templates do not use, with a better one
    scripts       scripts compile; what they and the cells of the pages import exists
    lint, types   ruff and pyright, as pyproject.toml says
    count LOG     every notebook ran to its end, by the log of nbdev_test
    kernel PAGE…  Run All in a Jupyter kernel with progress bars on, of the pages of training
                  and run where none is named; by hand, it takes some minutes a chapter
    links         links, addresses, downloads, pictures and the search of the built book
    exporting     no cell rewrites the package
    alone         imports of cells that are not exported stand alone in them
    exercises     every solution of a tutorial's exercises passes, no empty answer does
    spanish       every tutorial in Spanish: the same code, no text left behind
    translated PAGE…  the Spanish text of these pages is up to date: take over the outputs of
                  the English page, and remember its cells
    flagged FLAG  print the pages that have cells with this flag
    record PAGE…  remember the code of pages whose outputs are fresh, in nbs/outputs.json

After a change to a page, run it from top to bottom, clean it, record it; commit these together:

    TQDM_DISABLE=1 .venv/bin/jupyter execute --inplace nbs/1_data/10_tables.ipynb
    .venv/bin/nbdev_export && .venv/bin/nbdev_clean
    .venv/bin/python .ci/checks.py record nbs/1_data/10_tables.ipynb

Never record a page that was not run: the list is what says that its outputs are true.
"""
import sys

import check_exercises
import check_kernel
import check_modules
import check_notebooks
import check_site
import check_spanish
import check_tools
import check_words

CHECKS = dict(
    imports=check_modules.imports, modules=check_modules.modules_and_pages,
    names=check_modules.names, scripts=check_modules.script_faults,
    openings=check_notebooks.openings, shown=check_notebooks.shown, width=check_notebooks.width,
    outputs=check_notebooks.outputs, record=check_notebooks.record,
    exporting=check_notebooks.exporting, alone=check_notebooks.alone,
    flagged=check_notebooks.flagged,
    count=check_notebooks.count, links=check_site.links,
    kernel=check_kernel.kernel, lint=check_tools.lint, types=check_tools.types,
    words=check_words.words, exercises=check_exercises.exercises,
    spanish=check_spanish.spanish, translated=check_spanish.translated)


def main(name: str = "", *args: str) -> int:
    if name not in CHECKS:
        print(__doc__)
        return 2
    bad = CHECKS[name](*args)
    for line in bad:
        print(line, file=sys.stderr if name == "flagged" else sys.stdout)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
