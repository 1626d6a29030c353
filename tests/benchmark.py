"""How fast is it? Train the article's way, with TensorFlow's own choices, then ours; print the ratio."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import reference

ROOT = Path(__file__).parent.parent
ARTICLES_ENVIRONMENT = {
    "TF_NUM_INTEROP_THREADS": "0",
    "TF_NUM_INTRAOP_THREADS": "0",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def worker(way, epochs):
    """Train one way in this process; print the seconds an epoch."""
    sys.path.insert(0, str(ROOT))
    import ppo_cartpole as ppo

    started = time.perf_counter()
    if way == "article":
        reference.article_train(ppo, ppo.tqdm(range(epochs)))
    else:
        ppo.epochs, ppo.tqdm.write = epochs, lambda line: None
        ppo.train()
    print((time.perf_counter() - started) / epochs)


def main():
    """Measure both ways and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="of each (default: 20)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker, arguments.epochs)
    seconds = {}
    for way, own in ("article", ARTICLES_ENVIRONMENT), ("ours", {}):
        command = [sys.executable, __file__, "--epochs", str(arguments.epochs), "--worker", way]
        process = subprocess.run(command, env=os.environ | own, stdout=subprocess.PIPE, text=True, check=True)
        seconds[way] = float(process.stdout)
    theirs, ours = seconds["article"], seconds["ours"]
    print(f"seconds an epoch: {theirs:.3g} the tutorial's way, {ours:.3g} ours: {theirs / ours:.1f} times")


if __name__ == "__main__":
    main()
