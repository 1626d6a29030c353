"""How well does it learn? Many seeds, beside the article's printout; and what changes do.

`python tests/study.py` trains seeds 1 to 10 with each of SETTINGS and EXPERIMENTS, as a user would, keeps
the results in results.json beside it, draws README's pictures and prints its tables, in English and in
Chinese.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import gym
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import reference
from tqdm import tqdm

matplotlib.use("svg")

SCRIPT = Path(__file__).parent.parent / "ppo_cartpole.py"
RESULTS = Path(__file__).parent / "results.json"
PICTURES = SCRIPT.parent / "outputs" / "example"
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
# Changes to the code, each a diff beside this file, and the options that it is run with.
EXPERIMENTS = ["bootstrap.diff", f"bootstrap.diff {ARTICLES}", "entropy.diff"]
# The rounding of a processor without AVX2, which sends a run elsewhere.
ROUNDING = "ONEDNN_MAX_CPU_ISA=AVX"
COMPARED = ["", "bootstrap.diff", ARTICLES, f"bootstrap.diff {ARTICLES}", "entropy.diff"]
SOLVED = 195  # CartPole-v0's own bar, over 100 episodes
# What is measured of each seed, and what the curves are called, in English and in Chinese.
MEASURES = (
    ("average reward in epoch 5", "mean steps, sampled actions", "mean steps, greedy actions"),
    ("第 5 轮的平均奖励", "平均步数，按概率采样动作", "平均步数，选概率最大的动作"),
)
CURVES = (
    ("one seed", "median of ten seeds", "the tutorial's printout"),
    ("一个种子", "十个种子的中位数", "原文打印的数值"),
)
# The article's printout, in trajectories an epoch: it printed 5000 divided by them.
ARTICLE = {1: 162, 2: 124, 9: 27, 11: 29, 14: 29, 18: 27, 20: 25}


def play(layers, greedy, seed, episodes=100):
    """Play fresh episodes with a forward pass and a sampler of our own.

    Returns their mean length, and how many ended early: the cart off the track, the pole down.
    """
    env = gym.make("CartPole-v0")
    env.seed(10_000 + seed)  # no start seen in training
    rng = np.random.default_rng(seed)
    steps, ends = 0, {"off": 0, "fell": 0}
    for _ in range(episodes):
        observation, done = env.reset(), False
        while not done:
            left, right = reference.forward(layers, observation[None])[-1][0]
            chance = 1 / (1 + np.exp(left - right))
            observation, _, done, _ = env.step(int(chance > (0.5 if greedy else rng.random())))
            steps += 1
        if abs(observation[0]) > env.x_threshold:
            ends["off"] += 1
        elif abs(observation[2]) > env.theta_threshold_radians:
            ends["fell"] += 1
    return steps / episodes, ends


def patched(diff, source):
    """A source after a diff; what a hunk removes, or else the lines around what it adds, say where."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.M)[1:]:
        lines = hunk.splitlines(keepends=True)
        around = "" if any(line[0] == "-" for line in lines) else " "
        old, new = ("".join(line[1:] for line in lines if line[0] in around + kind) for kind in "-+")
        assert source.count(old) == 1
        source = source.replace(old, new)
    return source


def measure(job):
    """Train one seed with one setting, or not at all, where it is "untrained"; return what came of it."""
    seed, setting = job
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(SCRIPT.parent))
    import ppo_cartpole as ppo  # here, so that --help is quick

    if setting == "untrained":
        ppo.keras.utils.set_random_seed(seed)
        x = ppo.keras.Input(shape=(4,))
        actor, curve = ppo.keras.Model(x, ppo.mlp(x, [*ppo.hidden_sizes, 2])), []
    else:
        with tempfile.TemporaryDirectory() as folder:
            script, source = Path(folder, "ppo_cartpole.py"), SCRIPT.read_text("utf-8")
            options, own = ["--no-gif", "--output-dir", folder, "--seed", str(seed)], {}
            for word in setting.split():
                if word.endswith(".diff"):
                    source = patched((RESULTS.parent / word).read_text("utf-8"), source)
                elif "=" in word:
                    own[word.split("=")[0]] = word.split("=")[1]
                else:
                    options.append(word)
            script.write_text(source, "utf-8")
            output = subprocess.run(
                [sys.executable, script, *options],
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            ).stdout
            actor = ppo.keras.models.load_model(f"{folder}/actor.h5", compile=False)
        curve = [round(float(line.split()[-1]), 1) for line in output.splitlines()]
    layers = reference.layers_of(actor)
    (sampled, ends), (greedy, _) = play(layers, False, seed), play(layers, True, seed)
    return {"curve": curve, "sampled": sampled, "greedy": greedy, **ends}


def solved(runs, way):
    """How many of the seeds reach the bar."""
    return f"{sum(run[way] >= SOLVED for run in runs)}/{len(runs)}"


def table(rows):
    """A Markdown table; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def tables(results, chinese):
    """README's tables in one language: epochs beside the article's, what options do, what experiments do."""
    lowest, median, highest = ("最低", "中位数", "最高") if chinese else ("lowest", "median", "highest")
    rows = [["轮" if chinese else "epoch", "原文" if chinese else "the tutorial"]]
    for name in "0.90 / 0.97", "0.99 / 0.95":
        rows[0] += [f"{name} {statistic}" for statistic in (lowest, median, highest)]
    for epoch, trajectories in ARTICLE.items():
        rows.append([str(epoch), f"{5000 / trajectories:.1f}"])
        for setting in "", ARTICLES:
            values = [run["curve"][epoch - 1] for run in results[setting]]
            rows[-1] += [f"{number:.1f}" for number in (min(values), np.median(values), max(values))]
    epochs = table(rows)

    changes = table(rows_of({name: results[name] for name in ("untrained", *SETTINGS)}, chinese))
    experiments = table(rows_of({name: results[name] for name in COMPARED}, chinese))
    return epochs, changes, experiments


def rows_of(results, chinese):
    """The rows of a table of settings: what each reaches, early and after training."""
    lowest, median = ("最低", "中位数") if chinese else ("lowest", "median")
    early, sampled, greedy = MEASURES[chinese]
    join = "，" if chinese else ", "
    rows = [["设置" if chinese else "setting", f"{early}{join}{median}"]]
    for way in sampled, greedy:
        rows[0] += [f"{way}{join}{statistic}" for statistic in (lowest, median, f"≥ {SOLVED}")]
    for setting, runs in results.items():
        name = label(setting, chinese)
        name = f"`{name}`" if name.startswith("-") else name
        rows.append([name, f"{np.median([run['curve'][4] for run in runs]):.1f}" if runs[0]["curve"] else ""])
        for way in "sampled", "greedy":
            values = [run[way] for run in runs]
            rows[-1] += [f"{min(values):.1f}", f"{np.median(values):.1f}", solved(runs, way)]
    return rows


def label(setting, chinese):
    """What a setting is called."""
    names = {
        "untrained": ("not trained", "未训练"),
        "": ("no option", "默认设置"),
        "bootstrap.diff": ("bootstrap at the step limit", "步数上限处自举"),
        "entropy.diff": ("entropy bonus of 0.01", "熵奖励 0.01"),
    }
    name, _, options = setting.partition(" ") if ".diff" in setting else (setting, "", "")
    return " ".join([names.get(name, (name, name))[chinese], options]).strip()


def draw_curves(results, chinese, path):
    """Draw each seed's printed averages, and the article's."""
    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    curves = np.array([run["curve"] for run in results[""]])
    epochs = np.arange(1, curves.shape[1] + 1)
    names = CURVES[chinese]
    for number, curve in enumerate(curves):
        axes.plot(epochs, curve, color="#9db7d5", linewidth=1, label=None if number else names[0])
    axes.plot(epochs, np.median(curves, axis=0), color="#1f4e8c", linewidth=2.5, label=names[1])
    printed = [5000 / trajectories for trajectories in ARTICLE.values()]
    axes.plot(list(ARTICLE), printed, "D", color="#d1495b", markeredgecolor="white", label=names[2])
    axes.set(xlim=(0.5, len(epochs) + 0.5), ylim=(0, 205), xticks=[1, 5, 10, 15, 20])
    axes.set_xlabel("轮 (epoch)" if chinese else "epoch")
    axes.set_ylabel("平均奖励" if chinese else "average reward")
    axes.legend(loc="lower center", frameon=False)
    save(figure, path)


def draw_settings(results, chinese, path):
    """Draw a dot for each seed and a bar at their median, early in training and after it, by setting."""
    size = {"figsize": (9.6, 1.2 + 0.3 * len(results)), "layout": "constrained"}
    figure, panels = plt.subplots(1, 3, sharey=True, **size)
    for axes, title, way in zip(panels, MEASURES[chinese], ("early", "sampled", "greedy"), strict=True):
        for row, (setting, runs) in enumerate(results.items()):
            if way == "early" and setting == "untrained":
                continue
            values = [run["curve"][4] if way == "early" else run[way] for run in runs]
            heights = row + np.linspace(-0.25, 0.25, len(runs))
            axes.plot(values, heights, "o", color="#1f4e8c", alpha=0.6, markersize=4, markeredgewidth=0)
            axes.plot(2 * [np.median(values)], [row - 0.4, row + 0.4], color="#e08a00", linewidth=2.5)
        if way != "early":
            axes.axvline(SOLVED, color="#d1495b", linewidth=1, linestyle="--")
        axes.set(xlim=(0, 205), xticks=[0, 50, 100, 150, 200])
        axes.set_xlabel(title)
        axes.grid(axis="y", color="#e5e5e5")
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(results)), [label(setting, chinese) for setting in results])
    panels[0].invert_yaxis()
    save(figure, path)


def save(figure, path):
    """Write a figure as SVG, its text as text; it says from which results it is."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    metadata = {"Date": None, "Creator": None, "Description": digest()}
    figure.savefig(path, metadata=metadata)
    plt.close(figure)


def digest():
    """Names the results that are kept."""
    return f"results {hashlib.sha256(RESULTS.read_text('ascii').encode()).hexdigest()}"


def draw(results, folder):
    """Draw README's six pictures into a folder."""
    style = {"svg.fonttype": "none", "svg.hashsalt": "ppo_cartpole", "font.family": "sans-serif"}
    with plt.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the browser has the Chinese ones
        for language in "en", "zh":
            chinese, end = language == "zh", f"-{language}.svg"
            draw_curves(results, chinese, Path(folder, f"curves{end}"))
            changes = {name: results[name] for name in ("untrained", *SETTINGS)}
            draw_settings(changes, chinese, Path(folder, f"changes{end}"))
            experiments = {name: results[name] for name in COMPARED}
            draw_settings(experiments, chinese, Path(folder, f"experiments{end}"))


def main():
    """Train, evaluate and keep, unless told to draw only; then draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draw", action="store_true", help="train nothing: draw and print what is kept")
    if not parser.parse_args().draw:
        settings = "untrained", *SETTINGS, *EXPERIMENTS, ROUNDING
        jobs = [(seed, setting) for setting in settings for seed in range(1, 11)]
        with ProcessPoolExecutor() as pool:  # one thread each
            measured = list(tqdm(pool.map(measure, jobs), total=len(jobs), unit="run"))
        results = {setting: [] for _, setting in jobs}
        for (_, setting), result in zip(jobs, measured, strict=True):
            results[setting].append(result)
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(runs)}" for name, runs in results.items())
        RESULTS.write_text(f"{{\n{rows}\n}}\n", "ascii")
    results = json.loads(RESULTS.read_text("ascii"))
    draw(results, PICTURES)
    print(*tables(results, chinese=False), *tables(results, chinese=True), sep="\n\n")


if __name__ == "__main__":
    main()
