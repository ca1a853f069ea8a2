"""The words that pages, messages and templates do not use, and what we say instead."""
import io
import re
import tokenize

from book import ROOT, pages

TEMPLATES = ROOT/"newsclf"/"evaluate"/"templates"

FILES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "AGENTS.md")

# What is always wrong, and what to say: case does not count, a blank is any white space
WORDS = {
    r"sort(s|ed|ing)? (news|texts?|articles?|headlines?)\b": "classify",
    r"near[ -]cop(y|ies)\b": "near-duplicates",
    r"answer(s|ed|ing)? (it |them |each )?again\b": "recheck",
    r"(right|wrong) answers?\b|answered rightly": "correct predictions, errors",
    r"in (published )?figures\b|(test|published|best|all) figures?\b": "metrics, results",
    r"a share of|shares? of (the )?(classes|rows|right|each|all|activations|steps)\b":
        "rate, fraction, proportion",
    r"the lead of\b|leads? by\b|leads the (second|next)\b": "margin",
    r"\bclose rows?\b|lie closer\b": "low-margin rows",
    r"in half\b(?! (a|of|the))|half[ -]precision": "bfloat16",
    r"\b(matrix )?units (for|of a processor|that make|for it)\b|bfloat16 units": "CPU features",
    r"(all|the|its|three|both) parts of (a|the) (data ?set|dataset)": "splits",
    r"\bunder seal\b|(un)?sealed (folder|file|classifier|run)|\ba seal\b": "checksums, verified",
    r"\b(its|the|with) circumstances\b": "provenance",
    r"\btest vault\b|\bthe vault\b|looks? at (a|the|this|that) test\b": "test-set ledger",
    r"fil(e|ed|es|ing) alone\b|without an editor": "auto-filed, auto-filing",
    r"what was taken for what": "confusion matrix",
    r"as sure as it is right": "calibration",
    r"where it was most wrong": "most confident errors",
    r"where it could hardly decide": "least certain predictions",
    r"tried and left": "considered and rejected",
    r"\bas asked\b|asked for more than": "as requested",
    r"\b(she|her|hers|herself)\b": "you, your",
    r"\bgo(es|ing)? on from\b|\bpassed over\b": "resuming from, skipped",
    r"\bmistake of newsclf\b": "a bug in newsclf",
    r"hard to believe": "suspect labels",
    r"by chance alone|without (a |any )?fault\b": "by chance, perfectly calibrated",
    r"is not utf-8; expected": "invalid UTF-8 byte …; name the encoding",
    r"line ends (lf|crlf)\b": "LF line endings, mixed line endings",
    r"known to fail": "known incompatible versions",
    r"(no|some) texts; expected": "Nothing to classify: …",
    r"\brightly\b|\bon the way\b|\bit stands on\b|\bmend(s|ed)? or remove\b|nobody's business":
        "an ordinary word: correctly, meanwhile, is based on, fix",
    r"\bcsv as rfc 4180 has it": "valid CSV (RFC 4180)",
    r"\bwith this page you\b": "on this page you",
}
RULES = [(re.compile(k.replace(" ", r"\s+"), re.I), v) for k, v in WORDS.items()]


def said(source: str) -> list:
    "Strings and comments of a cell, with their lines"
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError): # a line of the shell
        return list(enumerate(source.splitlines(), 1))
    kinds = (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1))
    return [(t.start[0], t.string) for t in tokens
            if t.type in kinds and not t.string.startswith("#|")]


def faults(place: str, line: int, text: str) -> list:
    "What a text says that we say otherwise"
    bad = []
    for rule, better in RULES:
        for found in rule.finditer(text):
            at = line + text.count("\n", 0, found.start())
            bad.append(f"{place} line {at}: {' '.join(found[0].split())!r}: say {better}")
    return bad


def in_page(page) -> list:
    "Findings in markdown, strings and comments of a page"
    bad = []
    for cell in [] if page.name.startswith("8_learn") else page.cells:  # readers answer
        texts = said(cell.source) if cell.kind == "code" else [(1, cell.source)]
        for line, text in texts:
            bad += faults(str(cell), line, text)
    return bad


def words() -> list:
    "No page, file or template uses the words of the left column"
    paths = [*(ROOT/f for f in FILES), *sorted(TEMPLATES.glob("*.j2"))]
    bad = [fault for page in pages() for fault in in_page(page)]
    for path in paths:
        bad += faults(str(path.relative_to(ROOT)), 1, path.read_text(encoding="utf-8"))
    cells = sum(len(p.cells) for p in pages())
    print(f"{len(RULES)} rules, {cells} cells on {len(pages())} pages, {len(paths)} files")
    return bad
