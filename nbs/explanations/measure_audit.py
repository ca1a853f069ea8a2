"""The audit of a data set, and how well it finds what was planted: near copies, turned labels. JSON without any text, for the results page.

python nbs/explanations/measure_audit.py ag_news_csv > nbs/explanations/figures/ag-news-audit.json
"""

import json
import sys
import time

from newsclf.data.duplicates import near_copies, planted_found
from newsclf.data.linear import flips_found, linear_baseline
from newsclf.core.config import make_config
from newsclf.run.audits import read_for_audit, run_audit

cfg = make_config(data=sys.argv[1], clean="none")


def timed(f, *args):
    start = time.perf_counter()
    out = f(*args)
    return out, round(time.perf_counter() - start, 2)


found = run_audit(
    cfg,
    say=lambda s: None,
    command=" ".join(["python", sys.argv[0], cfg.data.rstrip("/").split("/")[-1]]),
)
train, test, *_ = read_for_audit(cfg)
texts, labels = train["text"].tolist(), train["label"].to_numpy()
seconds = {}
_, seconds["near copies of all training rows"] = timed(near_copies, texts)
_, seconds["linear baseline"] = timed(
    linear_baseline, texts, labels, test["text"].tolist(), len(found["classes"])
)
planted, seconds["planted copies: made, searched for and recomputed"] = timed(
    planted_found, texts, 1000
)
flips, seconds["turned labels: out of fold"] = timed(flips_found, texts, labels)
for part in ("copies", "leaks"):
    found[part]["list"] = found[part]["list"][:10]
found["suspects"]["list"] = found["suspects"]["list"][:10]
print(json.dumps(found | dict(planted=planted, flips=flips, step_seconds=seconds), indent=1))
