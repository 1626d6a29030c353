"""How well does it learn? Many seeds, beside the article's printout; and what changes do.

`python tests/study.py` trains seeds 1 to 10 with each of SETTINGS, as a user would, keeps the results
in results.json beside it, and prints README's tables, in English and in Chinese, and its chart.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import gym
import numpy as np
import reference
from tqdm import tqdm

SCRIPT = Path(__file__).parent.parent / "ppo_cartpole.py"
RESULTS = Path(__file__).parent / "results.json"
SETTINGS = [
    "",
    "--gamma 0.99 --lam 0.95",  # what the article's printout came from
    "--gamma 0",
    "--target-kl 0.1",
    "--train-policy-iterations 5",
    "--hidden-sizes 4",
    "--policy-learning-rate 3e-3",
]
ARTICLES = SETTINGS[1]
SOLVED = 195  # CartPole-v0's own bar, over 100 episodes
# The article's printout, in trajectories an epoch: it printed 5000 divided by them.
ARTICLE = {1: 162, 2: 124, 9: 27, 11: 29, 14: 29, 18: 27, 20: 25}


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


def measure(job):
    """Train one seed with one setting, or not at all; return what came of it."""
    seed, setting = job
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(SCRIPT.parent))
    import ppo_cartpole as ppo  # here, so that --help is quick

    if setting is None:
        ppo.keras.utils.set_random_seed(seed)
        x = ppo.keras.Input(shape=(4,))
        actor, curve = ppo.keras.Model(x, ppo.mlp(x, [*ppo.hidden_sizes, 2])), []
    else:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--no-gif", "--output-dir", folder, "--seed", str(seed), *setting.split()]
            output = subprocess.run(
                [sys.executable, SCRIPT, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                check=True,
            ).stdout
            actor = ppo.keras.models.load_model(f"{folder}/actor.h5", compile=False)
        curve = [round(float(line.split()[-1]), 1) for line in output.splitlines()]
    layers = reference.layers_of(actor)
    return {"curve": curve, "sampled": play(layers, False, seed), "greedy": play(layers, True, seed)}


def spread(values):
    """Lowest, median, highest."""
    return f"{min(values):.1f} / {np.median(values):.1f} / {max(values):.1f}"


def beside(printed, values):
    """The spread, and where the article's figure lies: within it, above it or below it."""
    return f"{spread(values)} {'↑' if printed > max(values) else '↓' if printed < min(values) else '✓'}"


def solved(runs, way):
    """How many of the seeds reach the bar."""
    return f"{sum(run[way] >= SOLVED for run in runs)}/{len(runs)}"


def table(rows):
    """A Markdown table; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def tables(results, chinese):
    """README's two tables in one language: the epochs beside the article's, what changes do."""
    default, articles = results[""], results[ARTICLES]
    said = (lambda english, own: own) if chinese else (lambda english, own: english)
    pair = (
        said("gamma 0.9, lam 0.97", "gamma 0.9，lam 0.97"),
        said("gamma 0.99, lam 0.95", "gamma 0.99，lam 0.95"),
    )
    rows = [[said("printed average", "打印的平均奖励"), said("the tutorial", "原文"), *pair]]
    for epoch, trajectories in ARTICLE.items():
        printed = round(5000 / trajectories, 1)
        cells = [beside(printed, [run["curve"][epoch - 1] for run in runs]) for runs in (default, articles)]
        rows.append([said(f"epoch {epoch}", f"第 {epoch} 轮"), str(printed), *cells])
    epochs = table(rows)

    reached = said(f"{SOLVED} or more", f"达到 {SOLVED}")
    rows = [[said("options", "选项"), said("epoch 5", "第 5 轮"), said("sampled", "按概率采样"), reached]]
    rows[0] += [said("likelier action", "选概率最大的"), reached]
    names = {"untrained": said("not trained", "未训练"), "": said("no option", "不改")}
    for setting in ["untrained", *SETTINGS]:
        runs = results[setting]
        early = "" if setting == "untrained" else spread([run["curve"][4] for run in runs])
        cells = [[spread([run[way] for run in runs]), solved(runs, way)] for way in ("sampled", "greedy")]
        rows.append([names.get(setting, f"`{setting}`"), early, *cells[0], *cells[1]])
    return epochs, table(rows)


def chart(results):
    """A Mermaid chart of the default's printed averages: lowest, median and highest."""
    curves = [run["curve"] for run in results[""]]
    lines = [np.round(statistic(curves, axis=0), 1).tolist() for statistic in (np.min, np.median, np.max)]
    return f"""```mermaid
%%{{init: {{'themeVariables': {{'xyChart': {{'plotColorPalette': '#888, #d33, #888'}}}}}}}}%%
xychart-beta
    title "{len(curves)} seeds: median (red), lowest, highest"
    x-axis "epoch" 1 --> {len(curves[0])}
    y-axis "average reward" 0 --> 200
    line {lines[0]}
    line {lines[1]}
    line {lines[2]}
```"""


def main():
    """Train, evaluate, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--keep", default=RESULTS, help="file for the results (default: %(default)s)")
    arguments = parser.parse_args()
    settings = [None, *SETTINGS]
    jobs = [(seed, setting) for seed in range(1, arguments.seeds + 1) for setting in settings]
    with ProcessPoolExecutor() as pool:  # one thread each
        measured = list(tqdm(pool.map(measure, jobs), total=len(jobs), unit="run"))
    results = {"untrained" if setting is None else setting: [] for setting in settings}
    for (_, setting), result in zip(jobs, measured, strict=True):
        results["untrained" if setting is None else setting].append(result)
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(runs)}" for name, runs in results.items())
    Path(arguments.keep).write_text(f"{{\n{rows}\n}}\n")
    print(*tables(results, chinese=False), chart(results), *tables(results, chinese=True), sep="\n\n")


if __name__ == "__main__":
    main()
