"""Ask a service what its OpenAPI document allows, and what it forbids; needs schemathesis.

python .ci/fuzz_service.py SCHEMATHESIS [EXAMPLES]

SCHEMATHESIS is the program, in an environment of its own. A small model is served on loopback,
without keys and with one; each address is asked up to EXAMPLES times for a kind of request. Exit
code 1 if an answer is not as documented.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from newsclf.data.news import load_news
from newsclf.data.trained import TrainedOn
from newsclf.model.classifier import new_classifier
from newsclf.model.saved import random_base, save_classifier
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder

CONFIG = Path(__file__).with_name("schemathesis.toml")
SIZES = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
SERVE = "import sys; from newsclf.cli.main import main; sys.exit(main())"


def small_model(folder: Path) -> Path:
    "Save a small model with random weights and a calibration"
    tokenizer = load_tokenizer(minilm_folder(), max_length=64)
    base = random_base(folder / "base", tokenizer, **SIZES)
    model = new_classifier(base, load_news().names, say=lambda line: None).eval()
    rules = dict(temperature=dict(temperature=1.0), sets={"0.95": 0.2, "0.99": 0.1})
    rules |= dict(filing=dict(threshold=0.6, says="as an example"))
    read = TrainedOn(("title", "description"), "label")
    save_classifier(model, tokenizer, folder / "model", calibration=rules, trained=read)
    return folder / "model"


def started(model: Path, keys: str) -> tuple[subprocess.Popen, str]:
    "Start a service; the process and its address"
    command = [sys.executable, "-c", SERVE, "serve", str(model), "--port", "0"]
    how = dict(stderr=subprocess.PIPE, text=True, env=os.environ | dict(NEWSCLF_KEYS=keys))
    service = subprocess.Popen(command, **how)
    for line in service.stderr:
        if found := re.search(r"http://\S+", line):
            return service, found[0]
    raise SystemExit("the service did not start")


def fuzzed(program: str, examples: int, model: Path, keys: str) -> bool:
    "Ask one service; True if every answer was as documented"
    service, address = started(model, keys)
    key = ["-H", f"Authorization: Bearer {keys}"] if keys else []
    try:
        ask = [program, "--config-file", str(CONFIG), "run", f"{address}/openapi.json", *key]
        ask += ["--seed", "1122"]
        ask += ["--max-examples", str(examples), "--workers", "2", "--no-color"]
        right = subprocess.run(ask, cwd=model.parent).returncode == 0
    finally:
        service.send_signal(signal.SIGTERM)
    told = service.communicate(timeout=60)[1]
    print(told[-2000:])
    return right and service.returncode == 0


def main(program: str, examples: str = "100"):
    "Ask with and without keys"
    with tempfile.TemporaryDirectory() as folder:
        model = small_model(Path(folder))
        free = fuzzed(program, int(examples), model, "")
        guarded = fuzzed(program, int(examples), model, "0123456789abcdef")
    raise SystemExit(not (free and guarded))


if __name__ == "__main__":
    main(*sys.argv[1:])
