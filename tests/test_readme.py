"""What README says is so in both halves: its commands, options, links and files, and figures from data."""

import ast
import json
import os
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import study
from helpers import (
    ARTICLES_VALUES,
    DEFAULTS,
    GIFS,
    HOLD,
    README,
    ROOT,
    SOURCE,
    blocks,
    decode,
    load,
    run_here,
)

RESULTS = json.loads(study.RESULTS.read_text("ascii"))
ENGLISH, CHINESE = README.split("\n# 中文\n")
HALVES = pytest.mark.parametrize("half", [ENGLISH, CHINESE], ids=["en", "zh"])


def shipped(path):
    """A file of this repository, whose names are UTF-8 on the disk, in any locale."""
    return ROOT / os.fsdecode(path.encode())


def test_ci_calls_the_two_commands():
    commands = blocks("bash", ENGLISH)
    assert len(commands) == 2
    for command in commands:
        assert f"\n({command})\n" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_both_halves_have_the_same_commands():
    def commands(half):
        fenced = [blocks(language, half) for language in ("bash", "bat", "sh", "diff")]
        pattern = r"`((?:\.venv/bin|apt-get|conda|bash|git|py) [^`\n]*|--[a-z]+(?:-[a-z]+)*[^`\n]*)`"
        return fenced, set(re.findall(pattern, half))

    assert commands(ENGLISH) == commands(CHINESE)
    assert blocks("bat", ENGLISH) == ["py .setup.py\n.venv\\Scripts\\python ppo_cartpole.py"]
    (own,) = blocks("sh", ENGLISH)
    pins = re.findall(r'"((?:pip|setuptools|wheel)==.*?)"', (ROOT / ".setup.py").read_text("utf-8"))
    assert len(pins) == 3 and all(pin in own for pin in pins)


@HALVES
def test_every_option_that_is_named_is_one_and_all_are_named(half):
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", half, re.M))
    assert {name: ast.literal_eval(rows[name]) for name in DEFAULTS} == DEFAULTS
    for command in re.findall(r"ppo_cartpole\.py (--[^`\n]*)`", half):
        options = re.findall(r"--([a-z-]+)", command)
        assert options and all(option.replace("-", "_") in DEFAULTS for option in options), command
    changed = re.findall(r"^\| `(\w+)` \| [\de.-]+ \| ([\de.-]+) \|$", half, re.M)
    assert len(changed) == 4
    assert all(float(value) == ARTICLES_VALUES[name] for name, value in changed)


@HALVES
def test_the_system_packages_are_those_that_the_script_names(half):
    (packages,) = re.findall(r"apt-get install (libgl\S* \S* \S*), or", SOURCE)
    installed = re.findall(r"apt-get install [^`]*?(lib[^`]*)`", half)
    assert installed and set(installed) == {packages}


@HALVES
def test_every_message_has_its_row(half):
    names = vars(load(ROOT / ".setup.py")).items()
    messages = [value.split("\n")[1] for name, value in names if re.match("NO_|NOT_|OWN_|TOO_", name)]
    assert len(messages) >= 7
    messages += ["cannot draw the game: ", "training broke down: ", "wrote a broken GIF"]
    messages += ["found gym 0.26.2, wanted "]
    shown = [text for row in re.findall(r"^\| (.*?) \| ", half, re.M) for text in re.findall("`(.*?)`", row)]
    for message in messages:
        assert any(" " in text and text in message for text in shown), f"no row for: {message}"


@HALVES
def test_the_figures_are_the_studys(half):
    assert all(len(runs) == 10 for runs in RESULTS.values())
    for text in study.tables(RESULTS, half == CHINESE):
        assert text in half
    figures = [
        (f"{np.median([run[way] for run in RESULTS[name]]):.1f}", study.solved(RESULTS[name], way))
        for name in ("untrained", "", study.ROUNDING)
        for way in ("sampled", "greedy")
    ]
    first = re.findall(r"^\| \S+ \| [^|]+ \| ([\d.]+) \| (\d+/\d+) \|$", half, re.M)
    assert first == figures[:4]
    assert all(figure in half.split("\n## ")[0] for pair in figures[4:] for figure in pair)


@HALVES
def test_the_shares_of_seeds_and_episodes_are_the_studys(half):
    """Each n/10 or n/1000 of a line that names a setting is one that can be counted in the results."""
    lines = re.findall(r"^- (?:`\.venv/bin/python ppo_cartpole\.py (--[^`]*)`)(.*)", half, re.M)
    assert {setting for setting, _ in lines} == set(study.SETTINGS) - {""}
    for setting, text in lines:
        pairs = list(zip(RESULTS[setting], RESULTS[""], strict=True))
        better = {
            "higher": sum(other["sampled"] > own["sampled"] for other, own in pairs),
            "lower": sum(other["sampled"] < own["sampled"] for other, own in pairs),
            "higher early": sum(other["curve"][4] > own["curve"][4] for other, own in pairs),
            "lower early": sum(other["curve"][4] < own["curve"][4] for other, own in pairs),
            "the same": sum(other["curve"] == own["curve"] for other, own in pairs),
            "greedy, 195": sum(other["greedy"] >= study.SOLVED for other, _ in pairs),
        }
        shown = [int(count) for count in re.findall(r"(\d+)/10\b", text)]
        assert shown and all(count in better.values() for count in shown), (setting, better)
        ends = {sum(run[end] for run in RESULTS[name]) for name in (setting, "") for end in ("off", "fell")}
        assert {int(count) for count in re.findall(r"(\d+)/1000", text)} <= ends, (setting, ends)


def test_the_pictures_show_the_results(tmp_path, monkeypatch):
    figures = {}
    monkeypatch.setattr(study, "save", lambda figure, path: figures.update({path.name: figure}))
    study.draw(RESULTS, tmp_path)
    for language in "en", "zh":
        curves = [line.get_ydata() for line in figures[f"curves-{language}.svg"].axes[0].lines]
        np.testing.assert_array_equal(curves[:10], [run["curve"] for run in RESULTS[""]])
        for name, settings in ("changes", ["untrained", *study.SETTINGS]), ("experiments", study.COMPARED):
            _, sampled, greedy = figures[f"{name}-{language}.svg"].axes
            for axes, way in (sampled, "sampled"), (greedy, "greedy"):
                dots = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
                np.testing.assert_array_equal(dots, [[run[way] for run in RESULTS[key]] for key in settings])
    for name in figures:
        assert study.digest() in (study.PICTURES / name).read_text("utf-8"), f"{name}: of other results"
        assert f"](outputs/example/{name})" in (ENGLISH if "-en" in name else CHINESE)
    plt.close("all")


@pytest.mark.parametrize("name", ["bootstrap", "entropy"])
def test_an_experiment_is_what_the_readme_shows_and_runs(name, tmp_path):
    diff = (ROOT / "tests" / f"{name}.diff").read_text("utf-8")
    changed = [line for line in diff.splitlines()[2:] if line[0] in "+-"]
    assert 0 < len(changed) <= 5
    shown = [text.splitlines() for text in blocks("diff")]
    assert shown.count(changed) == 2  # in each half
    tiny = "--no-gif", "--epochs", 1, "--steps-per-epoch", 60, "--output-dir", tmp_path
    assert run_here(*tiny, source=study.patched(diff, SOURCE)).code is None


def test_the_ratios_are_those_of_the_times():
    row = r"^\|[^|]+\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$"
    english, chinese = (re.findall(row, half, re.M) for half in (ENGLISH, CHINESE))
    assert english == chinese and len(english) == 5
    for theirs, ours, ratio in english:
        assert float(ratio) == pytest.approx(float(theirs) / float(ours), abs=0.1)


@HALVES
def test_the_examples_pictures_take_the_steps_that_are_named(half):
    (shown,) = blocks("text", half)
    steps = re.findall(r"^outputs/(\S+\.gif): .*? (\d+) 步 · this episode took (\d+) steps$", shown, re.M)
    assert len(steps) == 2 and all(one == other for _, one, other in steps)
    lengths = {name: len(decode(shipped(f"outputs/example/{name}"))) - HOLD for name in GIFS}
    assert {name: int(number) for name, number, _ in steps}.items() <= lengths.items()
    assert lengths["训练前后对比.gif"] == max(lengths.values())
    assert all(f"](outputs/example/{name})" in half for name in lengths)


def test_links_and_files_are_there():
    headings = re.findall(r"^#+ (.*)$", README, re.M)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    links = set(re.findall(r"\(#(.*?)\)", README))
    assert len(set(anchors)) == len(anchors) and links and links <= set(anchors)
    paths = re.findall(r"\]\((?!#|https?:)(.*?)\)", README) + re.findall(r"(?<![\w/])tests/\w+\.\w+", README)
    assert paths and all(os.path.exists(shipped(path)) for path in paths)
    tests = {path.name for path in (ROOT / "tests").glob("test_*.py")}
    for half in ENGLISH, CHINESE:
        assert set(re.findall(r"^\| `(test_\w+\.py)` \|", half, re.M)) == tests


@HALVES
def test_the_drawing_and_the_sections_name_what_is_there(half):
    (drawing,) = blocks("mermaid", half)
    rows = re.findall(r"^\| .*", half[half.index("| 库准备") : half.index("| 保存训练后")], re.M)
    names = set(re.findall(r"\b[a-z]+_[a-z_]+\b", drawing)) | set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
    assert len(names) > 15 and [name for name in names if name not in SOURCE] == []
