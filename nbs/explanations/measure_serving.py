"""Load a service: speed beside a plain handler, overload, slow clients, stops, reloads.

python nbs/explanations/measure_serving.py RUN TEXTS PART... [--seconds 20] [--rounds 3]

RUN is a run, a saved classifier or an export; TEXTS a file with a text per line, real ones, or a list
of texts in JSON. PARTs: labels: every answer beside that of `Predictor`, refusals included;
speed: 32 clients in a closed loop, and a single one, in turns with FastAPI + pipeline (which needs
pip install fastapi); single: one client beside `Predictor` in this process; overload: four times the
measured capacity for --seconds; slow: 200 slow connections; stops: 20 SIGTERMs under load; reloads:
50, ten of them of a damaged model. Only addresses of this machine are asked, and every part ends by
itself. What is found is added to figures/serving.json, part by part.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from newsclf.core.config import UserError
from newsclf.core.machine import processor_units
from newsclf.core.provenance import circumstances
from newsclf.predict.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "nbs/explanations/figures/serving.json"
OURS = "import sys; from newsclf.cli.main import main; sys.exit(main())"
PLAIN = """
import sys
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

classify, app = pipeline("text-classification", model=sys.argv[1], top_k=None), FastAPI()

class Asked(BaseModel):
    text: str

@app.post("/v1/classify")
def answer(asked: Asked):
    return classify(asked.text, truncation=True)

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""


class Client:
    "One connection that asks and waits, with as little Python as possible"

    def __init__(self, port: int):
        self.port, self.ways, self.last = port, None, 0.0

    async def ask(self, body: bytes, path: str = "/v1/classify") -> tuple[int, bytes]:
        "Send a request, and read the status and the body of the answer"
        if time.perf_counter() - self.last > 5: # idle: the server may be about to close it
            self.close()
        if not self.ways:
            self.ways = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.ways
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        told = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(told.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(size)
        self.last = time.perf_counter()
        if b"connection: close" in told:
            self.close()
        return int(told.split(b" ", 2)[1]), answer

    def close(self):
        "Close the connection; the next request opens another"
        if self.ways:
            self.ways[1].close()
        self.ways = None


class Server:
    "A process that serves, started and stopped"

    def __init__(self, words: list[str], port: int):
        self.port = port
        self.child = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    async def ready(self, body: bytes) -> "Server":
        "Wait until it answers"
        for _ in range(1200):
            try:
                if (await Client(self.port).ask(body))[0] == 200:
                    return self
            except (OSError, asyncio.IncompleteReadError):
                pass
            if self.child.poll() is not None:
                raise SystemExit(f"the server ended with {self.child.returncode}")
            await asyncio.sleep(0.1)
        raise SystemExit("the server does not answer")

    def memory(self) -> int:
        "Bytes that it holds"
        return psutil.Process(self.child.pid).memory_info().rss

    def stop(self) -> int:
        "Ask it to stop, and wait for its exit code"
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(60)


def free_port() -> int:
    "A port that nobody uses"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def ours(run: str) -> Server:
    "Our server"
    port = free_port()
    return Server([sys.executable, "-c", OURS, "serve", run, "--port", str(port)], port)


def plain(folder: str) -> Server:
    "FastAPI and pipeline, as their documentation has it"
    port = free_port()
    return Server([sys.executable, "-c", PLAIN, folder, str(port)], port)


async def closed_loop(port: int, bodies: list[bytes], clients: int, seconds: float) -> dict:
    "Each client asks, waits for the answer, and asks again"
    took, refused, end, turn = [], 0, time.perf_counter() + seconds, iter(range(10**9))

    async def one():
        nonlocal refused
        client = Client(port)
        while (began := time.perf_counter()) < end:
            status, _ = await client.ask(bodies[next(turn) % len(bodies)])
            if status == 200:
                took.append(time.perf_counter() - began)
            else: # it may ask again in a moment, as a client of 429 should
                refused += 1
                await asyncio.sleep(0.1)
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    rate = len(took) / (time.perf_counter() - began)
    p50, p99 = np.percentile(took, [50, 99])
    return dict(answered=len(took), refused=refused, rate=rate, p50=float(p50), p99=float(p99))


async def speed(run: str, bodies: list[bytes], given) -> dict:
    "Ours and a plain handler in turns, with 32 clients and with one"
    model = str(Predictor(run).folder)
    found = {"ours": [], "plain": []}
    for _ in range(given.rounds):
        for name, start in (("ours", lambda: ours(run)), ("plain", lambda: plain(model))):
            server = await start().ready(bodies[0])
            await closed_loop(server.port, bodies, 32, 3) # warm
            many = await closed_loop(server.port, bodies, 32, given.seconds)
            alone = await closed_loop(server.port, bodies, 1, given.seconds / 4)
            found[name].append(dict(many=many, alone=alone))
            server.stop()
            print(name, many, alone, flush=True)
    pairs = list(zip(found["ours"], found["plain"], strict=True))
    ratio = statistics.median(a["many"]["rate"] / b["many"]["rate"] for a, b in pairs)
    tail = statistics.median(a["many"]["p99"] / b["many"]["p50"] for a, b in pairs)
    return dict(clients=32, ratio=ratio, p99_over_their_p50=tail, rounds=found)


async def single(run: str, bodies: list[bytes], given) -> dict:
    "One client beside `Predictor` in this process"
    clf, texts = Predictor(run), [json.loads(b)["text"] for b in bodies]
    here = []
    for text in texts[:300]:
        began = time.perf_counter()
        clf.decide([text])
        here.append(time.perf_counter() - began)
    server = await ours(run).ready(bodies[0])
    await closed_loop(server.port, bodies, 1, 2)
    there = await closed_loop(server.port, bodies[:300], 1, given.seconds)
    memory = server.memory()
    server.stop()
    return dict(predictor_p50=statistics.median(here), service=there, memory=memory)


async def labels(run: str, bodies: list[bytes], given) -> dict:
    "Label, confidence, decision and refusal of each text, beside `Predictor`"
    clf, refused, other, failed, largest = Predictor(run), 0, [], 0, 0.0
    server = await ours(run).ready(json.dumps({"text": "Oil slips"}).encode())
    client = Client(server.port)
    for i, body in enumerate(bodies):
        status, answer = await client.ask(body)
        failed += status >= 500
        try:
            (here,) = clf.decide([json.loads(body)["text"]])
        except UserError:
            refused += 1
            other += [i] if status != 422 else []
            continue
        (there,) = json.loads(answer)["results"] if status == 200 else ({},)
        if (there.get("label"), there.get("decision")) != (here.label, here.decision):
            other.append(i)
            continue
        largest = max(largest, abs(there["confidence"] - here.confidence))
    server.stop()
    found = dict(texts=len(bodies), refused_by_both=refused, other_answers=other)
    return found | dict(failures=failed, largest_difference=largest)


async def overload(run: str, bodies: list[bytes], given) -> dict:
    "Requests at four times the capacity, whether or not they are answered"
    clf = Predictor(run)
    labels = clf.predict([json.loads(b)["text"] for b in bodies])
    server = await ours(run).ready(bodies[0])
    capacity = (await closed_loop(server.port, bodies, 32, 10))["rate"]
    before, pause = server.memory(), 1 / (4 * capacity)
    accepted, refused, wrong, lost, peak = [], [], 0, 0, 0

    async def one(i: int, client: Client):
        nonlocal wrong, lost
        began = time.perf_counter()
        try:
            status, answer = await client.ask(bodies[i % len(bodies)])
        except (OSError, asyncio.IncompleteReadError):
            client.close()
            lost += 1
            return
        (accepted if status == 200 else refused).append(time.perf_counter() - began)
        if status == 200:
            wrong += json.loads(answer)["results"][0]["label"] != labels[i % len(labels)]

    idle, tasks, started = [], set(), time.perf_counter()

    async def ask(i: int):
        client = idle.pop() if idle else Client(server.port)
        await one(i, client)
        idle.append(client)

    i = 0
    while (now := time.perf_counter() - started) < given.seconds:
        while i < now / pause:
            task = asyncio.create_task(ask(i))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            i += 1
        peak = max(peak, server.memory())
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    after = server.memory()
    code = server.stop()
    return dict(
        capacity=capacity, asked=i, accepted=len(accepted), refused=len(refused), lost=lost,
        wrong_labels=wrong, accepted_p99=float(np.percentile(accepted, 99)),
        refused_p99=float(np.percentile(refused, 99)) if refused else None,
        memory_before=before, memory_peak=peak, memory_after=after, exit_code=code,
    )


async def slow(run: str, bodies: list[bytes], given) -> dict:
    "200 connections that are silent, or send a header or a body letter by letter"
    server = await ours(run).ready(bodies[0])
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    kinds = (b"", head, head + b"Content-Length: 1000\r\n\r\n")

    async def one(i: int) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began = time.perf_counter()
        writer.write(kinds[i % 3])

        async def letters():
            while i % 3:
                await asyncio.sleep(1)
                writer.write(b"X-A: b\r\n" if i % 3 == 1 else b"x")

        more = asyncio.create_task(letters())
        try:
            await asyncio.wait_for(reader.read(), 60)
        except ConnectionError:
            pass
        except TimeoutError:
            return 60.0
        finally:
            more.cancel()
            writer.close()
        return time.perf_counter() - began

    cut = asyncio.gather(*(one(i) for i in range(200)))
    await asyncio.sleep(1)
    beside = await closed_loop(server.port, bodies, 4, 10)
    seconds = await cut
    server.stop()
    return dict(connections=200, longest=max(seconds), shortest=min(seconds), beside=beside)


async def stops(run: str, bodies: list[bytes], given) -> dict:
    "SIGTERM under load: what was accepted is answered"
    codes, answered, lost_bodies = [], 0, 0
    for _ in range(20):
        server = await ours(run).ready(bodies[0])
        end = asyncio.Event()

        async def one(server=server, end=end):
            nonlocal answered, lost_bodies
            client = Client(server.port)
            while not end.is_set():
                try:
                    status, _ = await client.ask(bodies[0])
                    answered += status == 200
                except asyncio.IncompleteReadError as e:
                    lost_bodies += bool(e.partial) # an answer that was cut
                    return
                except OSError: # not accepted: the connection was refused or reset
                    return

        tasks = [asyncio.create_task(one()) for _ in range(16)]
        await asyncio.sleep(1.5)
        server.child.send_signal(signal.SIGTERM)
        codes.append(await asyncio.to_thread(server.child.wait, 60))
        end.set()
        await asyncio.gather(*tasks)
    return dict(stops=20, exit_codes=sorted(set(codes)), answered=answered, cut_answers=lost_bodies)


async def reloads(run: str, bodies: list[bytes], given) -> dict:
    "New models while requests are answered, every fifth of them damaged"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run" / "model"
        shutil.copytree(Predictor(run).folder, copy)
        weights = copy / "model.safetensors"
        whole, failed, asked, end = weights.read_bytes(), 0, 0, asyncio.Event()
        server = await ours(str(copy.parent)).ready(bodies[0])

        async def one():
            nonlocal failed, asked
            client = Client(server.port)
            while not end.is_set():
                status, _ = await client.ask(bodies[asked % len(bodies)])
                failed, asked = failed + (status != 200), asked + 1
            client.close()

        tasks = [asyncio.create_task(one()) for _ in range(4)]
        memory = []
        for i in range(50):
            weights.write_bytes(whole[: -1 - i % 5] if i % 5 == 4 else whole)
            server.child.send_signal(signal.SIGHUP)
            await asyncio.sleep(given.pause)
            memory.append(server.memory())
        end.set()
        await asyncio.gather(*tasks)
        code = server.stop()
    more = dict(memory_first=memory[0], memory_last=memory[-1], exit_code=code)
    return dict(reloads=50, damaged=10, asked=asked, failed=failed) | more


PARTS = dict(
    labels=labels, speed=speed, single=single, overload=overload, slow=slow, stops=stops,
    reloads=reloads,
)


def main():
    "Run the parts that were named, and store what each found"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run, a saved classifier or an export")
    parser.add_argument("texts", help="a file with a text per line")
    parser.add_argument("parts", nargs="+", choices=list(PARTS), help="what is measured")
    parser.add_argument("--seconds", type=float, default=20, help="of a measurement [20]")
    parser.add_argument("--rounds", type=int, default=3, help="of both sides [3]")
    parser.add_argument("--pause", type=float, default=3, help="seconds between reloads [3]")
    given = parser.parse_args()
    text = Path(given.texts).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    texts = json.loads(text) if given.texts.endswith(".json") else lines
    bodies = [json.dumps({"text": one}).encode() for one in texts[:2000]]
    os.environ["HF_HUB_OFFLINE"] = "1"
    for part in given.parts:
        found = asyncio.run(PARTS[part](given.run, bodies, given))
        record = json.loads(STORED.read_text()) if STORED.is_file() else {}
        record[part] = circumstances() | dict(units=processor_units()) | found
        STORED.write_text(json.dumps(record, indent=1) + "\n")
        print(part, json.dumps(found)[:600], flush=True)


if __name__ == "__main__":
    main()
