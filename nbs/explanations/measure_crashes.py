"""Crashes, on purpose. Each part prints JSON: what was done, and how often something was lost.

    python nbs/explanations/measure_crashes.py saves      # a save that is killed, or fails, in each of its calls
"""
import errno
import io
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

CALLS = [(os, "fsync"), (os, "replace"), (os, "rename"), (os, "mkdir"), (os, "rmdir"), (os, "unlink"), (Path, "write_text"), (Path, "rename"), (shutil, "rmtree")]


class Sabotage:
    "Within, call number `at` of those that change a disk does half its work, if it can be halved, and then kills the process or fails"
    def __init__(self, at, how): self.at, self.how, self.seen = at, how, 0

    def fail(self, name):
        if self.how == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if name == "serialize_file":
            from safetensors import SafetensorError
            raise SafetensorError(f"I/O error: {os.strerror(self.how)} (os error {self.how})")
        raise OSError(self.how, os.strerror(self.how))

    def wrap(self, owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            self.seen += 1
            if self.seen != self.at: return real(*args, **kwargs)
            if name == "write_text": real(args[0], args[1][:len(args[1]) // 2], **kwargs)
            if name == "serialize_file":
                real(*args, **kwargs)
                os.truncate(args[1], os.path.getsize(args[1]) // 2)
            self.fail(name)
        return mock.patch.object(owner, name, call)

    def __enter__(self):
        import safetensors.torch
        self.patches = [self.wrap(owner, name) for owner, name in [*CALLS, (safetensors.torch, "serialize_file")]]
        for p in self.patches: p.start()
        return self

    def __exit__(self, *error):
        for p in self.patches: p.stop()


def in_child(work):
    "Run `work` in a forked process; the exit code, negative for a signal"
    pid = os.fork()
    if pid == 0:
        try: code = work() or 0
        except BaseException as e: code = 3 if isinstance(e, ValueError) else 4 # a UserError is a ValueError
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def saves():
    "A save of a checkpoint, with all that goes before and after it, killed or failing in each of its calls"
    import torch
    from newsclf.checkpoint import checkpoint_folder, find_checkpoint, prune_checkpoints, remove_leftovers, save_tensors, write_json

    def save(where, step):
        with checkpoint_folder(where, step) as tmp:
            (tmp/"model").mkdir()
            for name in ("model/model", "optimizer", "random"): save_tensors(dict(w=torch.full((1000,), float(step))), tmp/f"{name}.safetensors")
            for name in ("scheduler", "state"): write_json(dict(format=1, step=step), tmp/f"{name}.json")
        prune_checkpoints(where, step)

    found = dict(calls=0, killed=0, no_space=0, io_error=0, lost=0, torn=0, litter=0, not_said=0)
    for how, name in (("kill", "killed"), (errno.ENOSPC, "no_space"), (errno.EIO, "io_error")):
        for at in range(1, 1000):
            with tempfile.TemporaryDirectory() as tmp:
                where = Path(tmp)/"checkpoints"
                for step in (500, 1000): save(where, step)

                def work():
                    with Sabotage(at, how) as s: save(where, 1500)
                    return 9 if s.seen < at else 0 # it was never reached: the save is through
                code = in_child(work)
                if code == 9:
                    found["calls"] = max(found["calls"], at - 1)
                    break
                found[name] += 1
                path, state, passed = find_checkpoint(where)
                found["lost"] += path is None or state["step"] not in (1000, 1500)
                found["torn"] += bool(passed)
                # An error of the disk is said, unless it only kept an old checkpoint from being removed
                found["not_said"] += how != "kill" and code not in (3, 0) or how != "kill" and code == 0 and (path is None or state["step"] != 1500)
                remove_leftovers(where)
                save(where, 1500)
                found["litter"] += sorted(os.listdir(where)) != ["step-001000", "step-001500"]
    return found


PARTS = dict(saves=saves)

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:]), indent=1))
