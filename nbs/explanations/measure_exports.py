"""The exports of a run on its whole test: other labels before and after the close ones are answered again. JSON without any text.

python nbs/explanations/measure_exports.py RUN ag_news_csv > nbs/explanations/figures/exports.json
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from newsclf.core.config import make_config
from newsclf.core.provenance import circumstances
from newsclf.data.news import load_news
from newsclf.evaluate.intervals import share_interval
from newsclf.model.logits import id_logits
from newsclf.model.precision import state_errors
from newsclf.predict.predictor import Predictor

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument("run")
ap.add_argument("data")
a = ap.parse_args()

test = load_news(make_config(data=a.data)).parts["test"]
texts, labels = test["text"][:], np.asarray(test["label"][:])
plain = Predictor(a.run, precision="float32")
ids = [windows[0] for windows in plain.encode(texts)]
exact = id_logits(plain.model, ids, plain.tokenizer.pad_token_id)
found = {}
for place in sorted((Path(a.run) / "export").iterdir()):
    clf = Predictor(place)
    z = id_logits(clf.steps[0][0], ids, clf.tokenizer.pad_token_id)
    said = clf.predict_proba(texts).argmax(1)
    right = int((said == labels).sum())
    found[place.name] = asdict(state_errors(z, exact)) | dict(
        share_again=clf.again / clf.seen,
        flips_after=int((said != exact.argmax(1)).sum()),
        accuracy=right / len(labels),
        accuracy_interval_95=share_interval(right, len(labels)),
    )
print(
    json.dumps(
        dict(
            exports=found,
            rows=len(labels),
            accuracy=float((exact.argmax(1) == labels).mean()),
            seed=1122,
            **circumstances(f"python nbs/explanations/measure_exports.py RUN {Path(a.data).name}"),
        ),
        indent=1,
    )
)
