"""How well does it learn? Ten seeds with each of SETTINGS, and with other games.

`python tests/study.py` trains them as a reader would, keeps what came of it in results.json beside it, draws
README's curves and prints its table. `--draw` trains nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import gym
import matplotlib.pyplot as plt
import numpy as np
import reference
from tqdm import tqdm

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results.json"
CURVES = ROOT / "outputs" / "example" / "curves.svg"
TUTORIALS = "--gamma 0.99 --lam 0.95"  # what the article's printout came from
# Words that change the code: a line, and what takes its place. README shows the first two.
GAME, OPTIMIZE = 'gym.make("CartPole-v0")', "    policy_grads = tape"
LAST = "last_value = 0 if done else critic(observation)"
ENTROPY = """\
        log_pi = tf.nn.log_softmax(actor(observation_buffer))
        policy_loss += 0.01 * tf.reduce_mean(tf.reduce_sum(tf.exp(log_pi) * log_pi, axis=1))
"""
EXPERIMENTS = {
    "bootstrap": (LAST, LAST.replace("done", "done and env._elapsed_steps < 200")),
    "entropy": (OPTIMIZE, ENTROPY + OPTIMIZE),
}
GAMES = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0"]
EDITS = EXPERIMENTS | {game: (GAME, GAME.replace("CartPole-v0", game)) for game in GAMES}
UNTRAINED = "--epochs 1 --policy-learning-rate 1e-30"  # so small that no weight changes
# A setting: words of EDITS, and options.
SETTINGS = [UNTRAINED, "", TUTORIALS, "--gamma 0", "--target-kl 0.1", "--train-policy-iterations 5"]
SETTINGS += ["--hidden-sizes 4", "--policy-learning-rate 3e-3", *EXPERIMENTS]
NAMES = {UNTRAINED: "untrained · 未训练", "": "as it is · 默认设置", "bootstrap": "bootstrap · 自举"}
NAMES |= {"entropy": "entropy bonus · 熵奖励"}
SOLVED = 195  # CartPole-v0's own bar, over 100 episodes
# The article's printout, in trajectories an epoch: it printed 5000 divided by them.
ARTICLE = {1: 162, 2: 124, 9: 27, 11: 29, 14: 29, 18: 27, 20: 25}


def play(layers, game, greedy, seed, episodes=100):
    """The mean reward of fresh episodes, by a forward pass and a sampler of our own."""
    env = gym.make(game)
    env.seed(10_000 + seed)  # no start seen in training
    rng, rewards = np.random.default_rng(seed), 0
    for _ in range(episodes):
        observation, done = env.reset(), False
        while not done:
            logits = reference.forward(layers, observation[None])[-1]
            chances = np.exp(reference.log_softmax(logits))[0]
            action = int(np.argmax(chances) if greedy else rng.choice(len(chances), p=chances))
            observation, reward, done, _ = env.step(action)
            rewards += reward
    return rewards / episodes


def edited(setting, source):
    """The script's source with a setting's edits, and the setting's options."""
    words = setting.split()
    for word in EDITS.keys() & words:
        old, new = EDITS[word]
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source, [word for word in words if word not in EDITS]


def measure(job):
    """Train one seed with one setting; return the averages that it prints, and how the policy then plays."""
    seed, setting = job
    source, options = edited(setting, (ROOT / "ppo_cartpole.py").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "ppo_cartpole.py")
        script.write_text(source, "utf-8")
        command = [sys.executable, script, "--no-gif", "--output-dir", folder, "--seed", str(seed), *options]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from tensorflow import keras  # here, so that --help is quick

        layers = reference.layers_of(keras.models.load_model(f"{folder}/actor.h5", compile=False))
    curve = [round(float(line.split()[-1]), 1) for line in output.splitlines()]
    (game,) = [word for word in setting.split() if word in GAMES] or ["CartPole-v0"]
    played = {way: play(layers, game, way == "greedy", seed) for way in ("sampled", "greedy")}
    return {"curve": curve, **played}


def table_of(results):
    """README's table of the settings."""
    rows = [["", "epoch 5", "sampled", "≥ 195", "greedy", "≥ 195"], ["---"] * 6]
    for setting in SETTINGS:
        name = NAMES.get(setting, setting)
        early = [run["curve"][4] for run in results[setting] if len(run["curve"]) > 4]
        rows.append([f"`{name}`" if name[0] == "-" else name, f"{np.median(early):.1f}" if early else ""])
        for way in "sampled", "greedy":
            values = np.array([run[way] for run in results[setting]])
            rows[-1] += [f"{np.median(values):.1f}", f"{np.sum(values >= SOLVED)}/{len(values)}"]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def draw(results):
    """Draw the printed averages of ten seeds, thin, and their median, by game; and the article's."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ppo_cartpole"})  # text as text
    warnings.filterwarnings("ignore", "Glyph")  # the browser has the Chinese ones
    figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained")
    for axes, game in zip(panels, ("CartPole-v0", "CartPole-v1", "Acrobot-v1"), strict=True):
        for options, color in ("", "#1f4e8c"), (TUTORIALS, "#e08a00"):
            runs = results[f"{game.replace('CartPole-v0', '')} {options}".strip()]
            averages = np.array([run["curve"] for run in runs])
            epochs = np.arange(1, averages.shape[1] + 1)
            axes.plot(epochs, averages.T, color=color, alpha=0.35, linewidth=0.8)
            label = "γ 0.99, λ 0.95" if options else "γ 0.90, λ 0.97"
            axes.plot(epochs, np.median(averages, axis=0), color=color, linewidth=2.5, label=label)
        axes.set(title=game, xlabel="epoch · 轮", xlim=(0.5, 20.5), xticks=[1, 5, 10, 15, 20])
        axes.spines[["top", "right"]].set_visible(False)
    printed = [5000 / trajectories for trajectories in ARTICLE.values()]
    style = {"color": "#d1495b", "markeredgecolor": "white", "label": "the tutorial · 原文"}
    panels[0].plot(list(ARTICLE), printed, "D", **style)
    panels[0].set(ylim=(0, 205), ylabel="average reward · 平均奖励")
    panels[0].legend(loc="lower right", frameon=False)
    figure.savefig(CURVES, metadata={"Date": None, "Creator": None})


def main():
    """Train, evaluate and keep, unless told to draw only; then draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="train nothing")
    if not parser.parse_args().draw:
        games = [f"{game} {options}".strip() for game in GAMES for options in ("", TUTORIALS)]
        jobs = [(seed, setting) for setting in [*SETTINGS, *games] for seed in range(1, 11)]
        with ProcessPoolExecutor() as pool:
            measured = list(tqdm(pool.map(measure, jobs), total=len(jobs), unit="run"))
        results = {setting: [] for _, setting in jobs}
        for (_, setting), result in zip(jobs, measured, strict=True):
            results[setting].append(result)
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(runs)}" for name, runs in results.items())
        RESULTS.write_text(f"{{\n{rows}\n}}\n", "ascii")
    results = json.loads(RESULTS.read_text("ascii"))
    draw(results)
    print(table_of(results))


if __name__ == "__main__":
    main()
