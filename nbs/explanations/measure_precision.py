"""bfloat16 beside float32 on a trained model: other labels before and after the recheck, and whether order and batch matter. JSON without any text.

    python nbs/explanations/measure_precision.py RUN ag_news_csv > nbs/explanations/figures/precision.json

The error is measured on validation rows, as `newsclf train` does, and tried on the test.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from newsclf.core.config import make_config
from newsclf.core.provenance import circumstances
from newsclf.data.duplicates import copy_groups
from newsclf.data.news import load_news
from newsclf.evaluate.intervals import share_interval
from newsclf.evaluate.reliability import calibration_error, reliability
from newsclf.model.logits import id_logits
from newsclf.model.margins import close_rows
from newsclf.model.precision import half_model, measure_half, state_errors
from newsclf.predict.predictor import Predictor
from newsclf.run.dataset import cut_validation

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument("run")
ap.add_argument("data")
ap.add_argument("--rows", type=int, default=1000, help="for the orders and batch sizes")
a = ap.parse_args()

news, clf = (
    cut_validation(load_news(make_config(data=a.data), copy_groups)),
    Predictor(a.run, precision="float32"),
)
stated = measure_half(
    clf.model, clf.tokenizer, news.parts["validation"]["text"][:1000], clf.truncation
)
margin, half, labels = (
    2 * stated.logit_error,
    half_model(clf.model),
    np.asarray(news.parts["test"]["label"][:]),
)
ids = [windows[0] for windows in clf.encode(news.parts["test"]["text"][:])]


def ask(model, some, tokens=clf.tokens):
    return id_logits(model, some, clf.tokenizer.pad_token_id, tokens)


def figures(z):
    right = int((z.argmax(1) == labels).sum())
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return dict(
        right=right,
        accuracy=right / len(labels),
        accuracy_interval_95=share_interval(right, len(labels)),
        ece=calibration_error(reliability(p.astype(np.float64), labels)),
    )


exact, quick = ask(clf.model, ids), ask(half, ids)
close = close_rows(quick, margin)
again = quick.copy()
again[close] = ask(clf.model, [ids[i] for i in close])
found = dict(
    stated=asdict(stated),
    margin=margin,
    test=asdict(state_errors(quick, exact)),
    answered_again=len(close),
    share_again=len(close) / len(ids),
    flips_after=int((again.argmax(1) != exact.argmax(1)).sum()),
    float32=figures(exact),
    bfloat16=figures(again),
)

rng, some = np.random.default_rng(1122), ids[: a.rows]
base = exact[: a.rows]
tried = []
for tokens in (1, 256, 1024, 2048, 8192):
    for _ in range(3):
        order = rng.permutation(len(some))
        full, low = np.empty_like(base), np.empty_like(base)
        shuffled = [some[i] for i in order]
        full[order] = ask(clf.model, shuffled, tokens)
        z = ask(half, shuffled, tokens)
        near = close_rows(z, margin)
        z[near] = ask(clf.model, [shuffled[i] for i in near], tokens)
        low[order] = z
        tried.append(
            dict(
                tokens=tokens,
                float32=asdict(state_errors(full, base)),
                bfloat16=asdict(state_errors(low, base)),
            )
        )
print(
    json.dumps(
        found
        | dict(
            rows=len(ids),
            orders=dict(
                rows=a.rows,
                tried=len(tried),
                tokens=sorted({t["tokens"] for t in tried}),
                float32_flips=sum(t["float32"]["flips"] for t in tried),
                float32_difference=max(t["float32"]["probability_error"] for t in tried),
                bfloat16_flips=sum(t["bfloat16"]["flips"] for t in tried),
                bfloat16_difference=max(t["bfloat16"]["probability_error"] for t in tried),
            ),
            model_sha256=json.loads((Path(a.run) / "manifest.json").read_text())["files"][
                "model/model.safetensors"
            ]["sha256"],
            seed=1122,
            **circumstances(
                f"python nbs/explanations/measure_precision.py RUN {Path(a.data).name}"
            ),
        ),
        indent=1,
    )
)
