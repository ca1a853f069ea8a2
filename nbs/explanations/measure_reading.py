"""How long reading and checking a training file takes: median of five runs in one process, as JSON for the results page.

    python nbs/explanations/measure_reading.py ag_news_csv > nbs/explanations/figures/reading.json
"""
import json
import sys
import time
from pathlib import Path

from newsclf.core import file_digest
from newsclf.data import read_classes, read_news
from newsclf.run import circumstances

folder = Path(sys.argv[1])
names = read_classes(folder/"classes.txt")


def seconds():
    start = time.perf_counter()
    rows = len(read_news(folder/"train.csv", names))
    return rows, round(time.perf_counter() - start, 3)


runs = [seconds() for _ in range(5)]
found = dict(rows=runs[0][0], seconds=[s for _, s in runs], digests={"train.csv": file_digest(folder/"train.csv")})
print(json.dumps(found | circumstances("python " + " ".join([sys.argv[0], folder.name])), indent=1))
