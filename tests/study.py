"""How well does it learn? Many seeds, beside the article's printout.

`python tests/study.py` trains seeds 1 to 10 with the declared gamma and lam and with the pair that
the article's printout really used, and prints the README's results: tables and a chart in Markdown.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gym
import numpy as np
import reference
from tqdm import tqdm

SCRIPT = Path(__file__).parent.parent / "ppo_cartpole.py"
PAIRS = [(0.90, 0.97), (0.99, 0.95)]
SOLVED = 195  # CartPole-v0's own bar, over 100 episodes
# The article's printout, in trajectories an epoch: it printed 5000 divided by them.
ARTICLE = {1: 162, 2: 124, 9: 27, 14: 29, 20: 25}


def run_script(folder, *arguments):
    """Run the script as a user would; return the printed averages and the actor's layers."""
    command = [sys.executable, SCRIPT, "--no-gif", "--output-dir", folder, *map(str, arguments)]
    output = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", check=True
    ).stdout
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tensorflow import keras  # here, so that --help is quick

    actor = keras.models.load_model(Path(folder, "actor.keras"), compile=False)
    return [float(line.split()[-1]) for line in output.splitlines()], reference.layers_of(actor)


def play(layers, greedy, seed, episodes=100):
    """The mean length of fresh episodes, with a forward pass and a sampler of our own."""
    env = gym.make("CartPole-v0")
    env.seed(10_000 + seed)  # no start seen in training
    rng = np.random.default_rng(seed)
    steps = 0
    for _ in range(episodes):
        observation, done = env.reset(), False
        while not done:
            left, right = reference.forward(layers, observation[None])[-1][0]
            chance = 1 / (1 + np.exp(left - right))
            observation, _, done, _ = env.step(int(chance > (0.5 if greedy else rng.random())))
            steps += 1
    return steps / episodes


def spread(values):
    """Lowest, median, highest."""
    return f"{min(values):.1f} / {np.median(values):.1f} / {max(values):.1f}"


def beside(printed, values):
    """The spread, and where the article's figure lies: within it, above it or below it."""
    mark = "↑" if printed > max(values) else "↓" if printed < min(values) else "✓"
    return f"{spread(values)} {mark}"


def chart(curves, title):
    """A Mermaid chart of printed averages: the lines are lowest, median and highest."""
    lowest, median, highest = (
        [round(float(value), 1) for value in statistic(curves, axis=0)]
        for statistic in (np.min, np.median, np.max)
    )
    colours = (
        "%%{init: {'themeVariables': {'xyChart': {'plotColorPalette': '#888, #d33, #888'}}}}%%"
    )
    return f"""```mermaid
{colours}
xychart-beta
    title "{title}: median (red), lowest, highest of {len(curves)} seeds"
    x-axis "epoch" 1 --> {len(lowest)}
    y-axis "average reward" 0 --> 200
    line {lowest}
    line {median}
    line {highest}
```"""


def main():
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: 10)")
    seeds = range(1, parser.parse_args().seeds + 1)

    untrained = {"sampled": [], "greedy": []}
    trained = {pair: {"curves": [], "sampled": [], "greedy": []} for pair in PAIRS}
    bar = tqdm(total=len(seeds) * (len(PAIRS) + 1), unit="run")
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            # One update this small leaves the networks as they were built.
            start = "--epochs 1 --steps-per-epoch 1 --train-policy-iterations 1".split()
            layers = run_script(folder, "--seed", seed, *start, "--policy-learning-rate", 1e-12)[1]
            for way, lengths in untrained.items():
                lengths.append(play(layers, way == "greedy", seed))
            bar.update()
            for (gamma, lam), results in trained.items():
                averages, layers = run_script(
                    folder, "--seed", seed, "--gamma", gamma, "--lam", lam
                )
                results["curves"].append(averages)
                for way in untrained:
                    results[way].append(play(layers, way == "greedy", seed))
                bar.update()
    bar.close()

    headings = [f"gamma {gamma}, lam {lam}" for gamma, lam in PAIRS]
    print(f"Lowest / median / highest of {len(seeds)} seeds 各种子的最低、中位、最高：\n")
    print(f"| printed average 打印的平均奖励 | the article 原文 | {' | '.join(headings)} |")
    print("|---|---|---|---|")
    for epoch, trajectories in ARTICLE.items():
        printed = 5000 / trajectories
        columns = [[curve[epoch - 1] for curve in trained[pair]["curves"]] for pair in PAIRS]
        cells = " | ".join(beside(printed, values) for values in columns)
        print(f"| epoch {epoch} | {printed:.1f} | {cells} |")
    columns = [[np.mean(curve[-5:]) for curve in trained[pair]["curves"]] for pair in PAIRS]
    print(f"| mean of the last five 最后五轮平均 | | {' | '.join(map(spread, columns))} |\n")

    print(f"| 100 fresh episodes 新的 100 局 | untrained 未训练 | {' | '.join(headings)} |")
    print("|---|---|---|---|")
    for way, name in ("sampled", "sampled 按概率采样"), ("greedy", "greedy 贪心"):
        columns = [untrained[way]] + [trained[pair][way] for pair in PAIRS]
        print(f"| actions {name} | {' | '.join(map(spread, columns))} |")
        misses = [sum(length < SOLVED for length in lengths) for lengths in columns]
        cells = " | ".join(f"{missed} of {len(seeds)}" for missed in misses)
        print(f"| … seeds below {SOLVED} 不到 {SOLVED} | {cells} |")
    print(f"\n{chart(trained[PAIRS[0]]['curves'], headings[0])}")


if __name__ == "__main__":
    main()
