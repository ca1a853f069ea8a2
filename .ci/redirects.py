"Write a page at each old address in .ci/redirects.json that sends the reader to the new one."
import html
import json
import posixpath
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent/"_docs"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>This page has moved</title>
<meta http-equiv="refresh" content="0; url={to}">
</head>
<body><p>This page has moved to <a href="{to}">{new}</a>.</p></body>
</html>
"""


def main() -> None:
    listed = json.loads((HERE/"redirects.json").read_text(encoding="utf-8"))
    for old, new in listed.items():
        path = DOCS/old
        if path.exists():
            sys.exit(f"{old}: listed as an old address, but there is such a page")
        path.parent.mkdir(parents=True, exist_ok=True)
        to = posixpath.relpath(new, posixpath.dirname(old) or ".")
        page = PAGE.format(to=html.escape(to), new=html.escape(new))
        path.write_text(page, encoding="utf-8", newline="\n")
    print(f"{len(listed)} old addresses lead on")


if __name__ == "__main__":
    main()
