"""How fast is it? Train the article's way, with TensorFlow's own choices, then ours; print the ratio."""

import os
import subprocess
import sys
import time
from pathlib import Path

import reference

EPOCHS = 20
ARTICLES_ENVIRONMENT = {
    "TF_NUM_INTEROP_THREADS": "0",
    "TF_NUM_INTRAOP_THREADS": "0",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def train(way):
    """Train one way in this process; print the seconds an epoch."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import ppo_cartpole as ppo

    started = time.perf_counter()
    if way == "article":
        reference.article_train(ppo, ppo.tqdm(range(EPOCHS)))
    else:
        ppo.epochs, ppo.tqdm.write = EPOCHS, lambda line: None
        ppo.train()
    print((time.perf_counter() - started) / EPOCHS)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(train(sys.argv[1]))
    seconds = []
    for way, own in ("article", ARTICLES_ENVIRONMENT), ("ours", {}):
        command = [sys.executable, __file__, way]
        process = subprocess.run(command, env=os.environ | own, stdout=subprocess.PIPE, text=True, check=True)
        seconds.append(float(process.stdout))
    theirs, ours = seconds
    print(f"seconds an epoch: {theirs:.3g} the tutorial's way, {ours:.3g} ours: {theirs / ours:.1f} times")
