"""How fast is it? The script's training beside the article's way of stepping, in one run.

`python tests/benchmark.py` runs each in a process of its own, one after the other, with the same
networks, updates and number of steps, and prints the README's table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

WAYS = {"article": "the article's way", "ours": "`ppo_cartpole.py`"}


def article_train(ppo):
    """The article's way: for each step, three calls from Python into TensorFlow.

    The action comes from a tf.function; the critic and the log-probability are called eagerly.
    """
    env, buffer = ppo.env, ppo.buffer
    env.seed(ppo.seed)
    observation = env.reset()
    for _ in ppo.tqdm(range(ppo.epochs)):
        for t in range(ppo.steps_per_epoch):
            row = observation.reshape(1, -1)
            logits, action = ppo.sample_action(row)
            observation, reward, done, _ = env.step(action[0].numpy())
            value = ppo.critic(row)
            buffer.store(row, action, reward, value, ppo.logprobabilities(logits, action))
            if done or t == ppo.steps_per_epoch - 1:
                buffer.finish_trajectory(0 if done else ppo.critic(observation.reshape(1, -1)))
                observation = env.reset()
        observations, actions, advantages, returns, old = buffer.get()
        for _ in range(ppo.train_policy_iterations):
            if ppo.train_policy(observations, actions, old, advantages) > 1.5 * ppo.target_kl:
                break
        for _ in range(ppo.train_value_iterations):
            ppo.train_value_function(observations, returns)


def worker(way, epochs):
    """Train one way in this process; print a progress line an epoch, then the measurements."""
    if way == "article":
        for name in ("TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"):
            os.environ[name] = "0"  # TensorFlow's default, which is what the article gets
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import ppo_cartpole as ppo

    seconds = {"train_policy": 0.0, "train_value_function": 0.0}

    def timed(name):
        function = getattr(ppo, name)

        def call(*arguments):
            started = time.perf_counter()
            result = function(*arguments)
            seconds[name] += time.perf_counter() - started
            return result

        return call

    for name in seconds:
        setattr(ppo, name, timed(name))

    def progress(epoch_numbers, **_):
        for epoch in epoch_numbers:
            yield epoch
            print("epoch", flush=True)

    progress.write = lambda text: None
    ppo.tqdm = progress
    ppo.epochs = epochs
    with tempfile.TemporaryDirectory() as ppo.output_dir:
        started = time.perf_counter()
        article_train(ppo) if way == "article" else ppo.train()
        total = time.perf_counter() - started
    sampling = total - sum(seconds.values())
    print(
        json.dumps(
            {
                "seconds an epoch": total / epochs,
                "microseconds an environment step": 1e6 * sampling / epochs / ppo.steps_per_epoch,
                "policy update, seconds an epoch": seconds["train_policy"] / epochs,
                "value update, seconds an epoch": seconds["train_value_function"] / epochs,
                "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def main():
    """Measure both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="of each (default: 20)")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.epochs)
        return

    results = {}
    with tqdm(total=len(WAYS) * arguments.epochs, unit="epoch") as bar:
        for way in WAYS:
            bar.set_description(way)
            command = [sys.executable, __file__, "--worker", way, "--epochs", arguments.epochs]
            with subprocess.Popen(
                list(map(str, command)), stdout=subprocess.PIPE, encoding="utf-8"
            ) as process:
                for line in process.stdout:
                    if line == "epoch\n":
                        bar.update()
                    else:
                        results[way] = json.loads(line)
            if process.returncode:
                sys.exit(f"benchmark.py: error: the {way} process failed; its message is above")

    print(f"| {arguments.epochs} epochs of 5000 steps | {' | '.join(WAYS.values())} | ratio |")
    print("|---|---|---|---|")
    for name, article in results["article"].items():
        ours = results["ours"][name]
        print(f"| {name} | {article:.3g} | {ours:.3g} | {article / ours:.1f} |")


if __name__ == "__main__":
    main()
