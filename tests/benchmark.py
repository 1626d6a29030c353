"""How fast is it? Train our way, the article's with TensorFlow's own choices, ours again; print the ratio."""

import os
import subprocess
import sys
import time
from pathlib import Path

EPOCHS = 20
TENSORFLOWS = {f"TF_NUM_{which}_THREADS": "0" for which in ("INTEROP", "INTRAOP")}
TENSORFLOWS["TF_ENABLE_ONEDNN_OPTS"] = "1"


def seconds(way, **environment):
    """Train one way in a process of its own; return the seconds an epoch."""
    command = [sys.executable, __file__, way]
    return float(subprocess.check_output(command, env=os.environ | environment)) / EPOCHS


def train(way):
    """Train one way; print the seconds."""
    import reference

    sys.path.insert(0, str(Path(__file__).parent.parent))
    import ppo_cartpole as ppo

    ppo.epochs, ppo.tqdm.write, started = EPOCHS, lambda line: None, time.perf_counter()
    ppo.train() if way == "ours" else reference.article_train(ppo, ppo.tqdm(range(EPOCHS)))
    print(time.perf_counter() - started)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(train(sys.argv[1]))
    first, theirs, last = seconds("ours"), seconds("article", **TENSORFLOWS), seconds("ours")
    ours = (first + last) / 2
    print(f"seconds an epoch: {theirs:.3g} the tutorial's way, {ours:.3g} ours: {theirs / ours:.1f} times")
