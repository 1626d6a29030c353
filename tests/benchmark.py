"""How fast is it? The script beside the article's way of stepping, in one run.

`python tests/benchmark.py` runs them one after the other, with the same networks, updates and number of
steps, and prints README's table, in English and in Chinese. The article's whole run records two GIFs,
ours records three, saves the networks and writes the log.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import reference
from tqdm import tqdm

ROOT = Path(__file__).parent.parent
CHINESE = {
    "seconds an epoch": "每轮秒数",
    "microseconds an environment step": "每个环境步的微秒数",
    "seconds of updates an epoch": "其中更新的秒数",
    "whole run with its GIFs, seconds": "含 GIF 的完整运行，秒",
    "whole run with its GIFs, MB at the peak": "含 GIF 的完整运行，内存峰值，MB",
}


class Clock:
    """Adds up the seconds spent in each phase."""

    def __init__(self):
        self.seconds, self.phase = {None: 0.0, "rollout": 0.0, "update": 0.0}, None
        self.started = time.perf_counter()

    def __call__(self, phase):
        """Begin a phase and end the one under way."""
        now = time.perf_counter()
        self.seconds[self.phase] += now - self.started
        self.phase, self.started = phase, now

    def timed(self, phase, function):
        """A function that times its calls as that phase."""

        def call(*arguments):
            self(phase)
            result = function(*arguments)
            self(None)
            return result

        return call


def worker(way, epochs):
    """Train one way in this process; print a line an epoch, then the measurements."""
    sys.path.insert(0, str(ROOT))
    import ppo_cartpole as ppo

    clock = Clock()

    def epoch_numbers(numbers, **_):
        for epoch in numbers:
            yield epoch
            print("epoch", flush=True)

    epoch_numbers.write = lambda text: None
    with tempfile.TemporaryDirectory() as folder:
        if way == "article":
            reference.article_record(ppo, Path(folder, "before.gif"))
            clock(None)
            started = time.perf_counter()
            reference.article_train(ppo, epoch_numbers(range(epochs)), clock)
        else:
            ppo.tqdm, ppo.epochs = epoch_numbers, epochs
            ppo.rollout = clock.timed("rollout", ppo.rollout)
            ppo.update = clock.timed("update", ppo.update)
            clock(None)
            started = time.perf_counter()
            ppo.train()
        total = time.perf_counter() - started
        if way == "article":
            reference.article_record(ppo, Path(folder, "after.gif"))
    rollout, update = (clock.seconds[phase] / epochs for phase in ("rollout", "update"))
    rows = {
        "seconds an epoch": total / epochs,
        "microseconds an environment step": 1e6 * rollout / ppo.steps_per_epoch,
        "seconds of updates an epoch": update,
    }
    print(json.dumps(rows))


def measure(command, bar):
    """Run a process; return the measurements it prints, its seconds and its peak megabytes.

    A line that does not begin with "{" is an epoch's.
    """
    started, measurements = time.perf_counter(), {}
    # What the article gets: TensorFlow's own choice of threads (0), and oneDNN.
    own = {"TF_NUM_INTEROP_THREADS": "0", "TF_NUM_INTRAOP_THREADS": "0", "TF_ENABLE_ONEDNN_OPTS": "1"}
    environment = {**os.environ, **(own if "article" in command else {})}
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        for line in process.stdout:
            if line.startswith("{"):
                measurements = json.loads(line)
            elif line.startswith(("epoch", "完成")):
                bar.update()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"benchmark.py: error: this failed: {' '.join(map(str, command))}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return measurements, time.perf_counter() - started, kilobytes / 1024


def main():
    """Measure both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="of each (default: 20)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.epochs)
        return

    epochs = "--epochs", arguments.epochs
    with tqdm(total=3 * arguments.epochs, unit="epoch") as bar, tempfile.TemporaryDirectory() as t:
        article, *article_run = measure([__file__, *epochs, "--worker", "article"], bar)
        ours, *_ = measure([__file__, *epochs, "--worker", "ours"], bar)
        _, *our_run = measure([ROOT / "ppo_cartpole.py", *epochs, "--output-dir", t], bar)
    for name, theirs, own in zip(list(CHINESE)[3:], article_run, our_run, strict=True):
        article[name], ours[name] = theirs, own
    for chinese in False, True:
        head = ("", "原文的写法", "这里", "比值") if chinese else ("", "the tutorial's way", "ours", "ratio")
        print(f"| {' | '.join(head)} |\n|---|---|---|---|")
        for name, theirs in article.items():
            cells = [f"{float(f'{value:.3g}'):g}" for value in (theirs, ours[name])]
            shown = CHINESE[name] if chinese else name
            print(f"| {shown} | {' | '.join(cells)} | {theirs / ours[name]:.1f} |")
        print()


if __name__ == "__main__":
    main()
