"""How far the largest error of bfloat16 on some rows bounds that of others: rows with a larger one, and labels that stay wrong in spite of the recheck. JSON without any text.

    python nbs/explanations/measure_margins.py RUN ag_news_csv > nbs/explanations/figures/margins.json

The rows are those of the test file and the first of the training file. A run that the bundled sample has trained has seen a few hundred of them.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from newsclf.core.config import make_config
from newsclf.core.provenance import circumstances
from newsclf.data.reading import read_data
from newsclf.model.logits import id_logits
from newsclf.model.margins import margin_errors
from newsclf.model.precision import error_bound, half_model
from newsclf.predict.predictor import Predictor

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument("run")
ap.add_argument("data")
ap.add_argument("--rows", type=int, default=10_000)
ap.add_argument("--draws", type=int, default=1000, help="of the rows that the error is measured on")
a = ap.parse_args()

clf, raw = Predictor(a.run, precision="float32"), read_data(make_config(data=a.data))
texts = [*raw.test["text"], *raw.train["text"]][: a.rows]
ids = [windows[0] for windows in clf.encode(texts)]
exact, quick = (
    id_logits(model, ids, clf.tokenizer.pad_token_id) for model in (clf.model, half_model(clf.model))
)
errors = margin_errors(quick, exact)
best = np.sort(quick, axis=1)
margins, flips = best[:, -1] - best[:, -2], quick.argmax(1) != exact.argmax(1)


def drawn(rows, rng):
    """For each draw of so many rows: what their largest error says of the others"""
    out = []
    for _ in range(a.draws):
        some = rng.choice(len(errors), rows, replace=False)
        rest = np.delete(np.arange(len(errors)), some)
        e, m, f, most = errors[rest], margins[rest], flips[rest], errors[some].max()
        out.append(
            [(e > most).mean(), (e > 2 * most).mean(), (m <= 2 * most).mean()]
            + [(f & (m > k * most)).mean() for k in (0, 1, 2)]
        )
    return np.array(out)


names = ["beyond", "beyond_twice", "again", "flips", "left_at_once", "left_at_twice"]
found = {}
rng = np.random.default_rng(1122)
for rows in (32, 100, 300, 1000):
    rates = drawn(rows, rng)
    worst = dict(beyond_worst=float(rates[:, 0].max()), left_worst=float(rates[:, 5].max()))
    bound = error_bound(rows)
    broken = dict(bound=bound, bound_broken=float((rates[:, 0] > bound).mean()))
    found[rows] = dict(zip(names, rates.mean(0).tolist(), strict=True)) | worst | broken

print(
    json.dumps(
        dict(
            rows=len(errors),
            draws=a.draws,
            flips=int(flips.sum()),
            quantiles={q: float(np.quantile(errors, q)) for q in (0.5, 0.9, 0.99, 0.999, 1.0)},
            flipped_margin=float(margins[flips].max()) if flips.any() else 0.0,
            measured_on=found,
            stated=json.loads((Path(a.run) / "manifest.json").read_text())["bfloat16"],
            seed=1122,
            **circumstances(f"python nbs/explanations/measure_margins.py RUN {Path(a.data).name}"),
        ),
        indent=1,
    )
)
