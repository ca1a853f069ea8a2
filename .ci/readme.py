"Make README.md from the Markdown cells of nbs/index.ipynb; its links hold from the root."
import re
from pathlib import Path

import nbformat

root = Path(__file__).resolve().parent.parent
cells = nbformat.read(root/"nbs/index.ipynb", 4).cells
text = "\n\n".join(c.source.strip() for c in cells if c.cell_type == "markdown")
text = re.sub(r"\]\((?!https?:|#)([^)]+)\)", r"](nbs/\1)", text).replace("](nbs/../", "](")
note = "<!-- Made from nbs/index.ipynb by .ci/readme.py: edit the notebook. -->\n\n"
(root/"README.md").write_text(note + text + "\n", encoding="utf-8", newline="\n")
