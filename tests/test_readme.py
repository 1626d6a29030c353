"""What README says is true in both halves: its commands, tables, figures, pictures and links."""

import ast
import json
import re

import numpy as np
import pytest
import study
from conftest import ARTICLE, GIFS, ROOT, SCRIPT, decode, shipped

README = (ROOT / "README.md").read_text("utf-8")
SETUP = (ROOT / ".setup.py").read_text("utf-8")
SOURCE = SCRIPT.read_text("utf-8")
ENGLISH, CHINESE = README.split("\n# 中文\n")
HALVES = pytest.mark.parametrize("half", [ENGLISH, CHINESE], ids=["en", "zh"])
FIRST = [half.split("\n## ")[0] for half in (ENGLISH, CHINESE)]
DEFAULTS = ARTICLE | {"seed": 0, "gif": True, "output_dir": "outputs"}


def blocks(text=README):
    """The fenced blocks, as (language, content)."""
    return re.findall(r"^```(\w*)\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def results():
    """What the study measured."""
    return json.loads(study.RESULTS.read_text("ascii"))


def test_the_first_two_bash_blocks_are_the_commands_and_ci_calls_them():
    train, test = [text for language, text in blocks() if language == "bash"][:2]
    assert train == "python3 .setup.py && .venv/bin/python ppo_cartpole.py"
    assert test == "python3 .setup.py tests && .venv/bin/python -m pytest"
    for command in train, test:
        assert f"\n({command})\n" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_ci_fails_where_it_got_another_python_than_it_asked_for():
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    checks = re.findall(r'\[\[ \$\(\.venv/bin/python --version\) == \*" (3\.1\d)\."\* \]\]', ci)
    assert checks == ["3.10", "3.11"]


def test_windows_is_on_the_first_screen_of_both_halves():
    for screen in FIRST:
        assert ("bat", "py .setup.py\n.venv\\Scripts\\python ppo_cartpole.py") in blocks(screen)


def test_both_halves_have_the_same_commands():
    english, chinese = (
        [block for block in blocks(half) if block[0] in ("bash", "sh")] for half in (ENGLISH, CHINESE)
    )
    assert english == chinese and len(english) >= 3
    pins = re.findall(r'"((?:pip|setuptools|wheel)==.*?)"', SETUP)
    assert len(pins) == 3 and all(pin in dict(english)["sh"] for pin in pins)
    # What stands in the text: programs of .venv, apt-get and conda.
    pattern = r"`((?:\.venv/bin|apt-get|conda|bash) ?[^`\n]*|--[a-z]+(?:-[a-z]+)*[^`\n]*)`"
    english, chinese = (set(re.findall(pattern, half)) for half in (ENGLISH, CHINESE))
    assert english == chinese and any("tensorboard" in command for command in english)
    assert f".venv/bin/tensorboard --logdir {DEFAULTS['output_dir']}/logs" in english


@HALVES
def test_the_system_packages_are_those_that_the_script_names(half):
    (packages,) = re.findall(r"apt-get install (libgl\S* \S* \S*), or", SOURCE)
    installed = re.findall(r"apt-get install (?:--no-install-recommends python3-venv )?(lib[^`]*)`", half)
    assert set(installed) == {packages} and len(installed) == 2


@HALVES
def test_troubleshooting_names_the_messages(half):
    messages = [
        "this Python cannot make environments",
        "no Python 3.10 or 3.11, and none to fetch",
        "pip could not install",
        "python -m venv failed",
        ".venv was not made by .setup.py",
        ".venv has Python",
        "another set-up is at work here",
        "cannot draw the game",
        "training broke down",
    ]
    for message in messages:
        assert message in SETUP + SOURCE, f"nothing says: {message}"
        assert f"`{message}" in half, f"README does not say what to do about: {message}"


@HALVES
def test_the_options_are_the_files(half):
    shown = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", half, re.M)
    assert {
        name: ast.literal_eval(value) for name, value in shown if name in DEFAULTS and "-" not in name
    } == DEFAULTS
    assert f" {1.5 * ARTICLE['target_kl']:g}" in half  # where the actor's updates end
    for name, value in DEFAULTS.items():
        (own,) = re.findall(rf"^{name} = ([^#\n]*)", SOURCE, re.M)
        assert ast.literal_eval(own) == value, f"{name}: not the article's value"


@HALVES
def test_the_length_of_the_file_is_right(half):
    (lines,) = re.findall(r"(\d{3}) (?:lines|行的文件)", half)
    assert int(lines) == len(SOURCE.splitlines())


@pytest.mark.parametrize("chinese", [False, True], ids=["en", "zh"])
def test_the_figures_are_the_studys(chinese, results):
    assert all(len(runs) == 10 for runs in results.values())
    for text in study.tables(results, chinese):
        assert text in (CHINESE if chinese else ENGLISH)
    first = ("untrained", "sampled"), ("", "sampled"), ("", "greedy")
    shown = re.findall(r"\*\*(\d+\.\d)\*\*", FIRST[chinese])
    assert shown == [f"{np.median([run[way] for run in results[runs]]):.1f}" for runs, way in first]
    shown = re.findall(r"\*\*(\d+/\d+)\*\*", FIRST[chinese])
    assert shown == [study.solved(results[runs], way) for runs, way in first]


@HALVES
def test_what_is_said_of_the_changes_is_so_seed_by_seed(half, results):
    def count(setting, better):
        return sum(better(other, own) for other, own in zip(results[setting], results[""], strict=True))

    def early(other, own):
        return other["curve"][4] > own["curve"][4]

    def late(other, own):
        return other["sampled"] > own["sampled"]

    def lower(other, own):
        return other["sampled"] < own["sampled"]

    def same(other, own):
        return other["curve"] == own["curve"]

    bullets = dict(re.findall(r"^- `(--[^`]*)`(.*)", half, re.M))
    assert set(bullets) == set(study.SETTINGS) - {""}
    gamma, nothing, kl, five, four, rate = bullets
    expected = {
        gamma: [count(gamma, late), count(gamma, early)],
        nothing: [count(nothing, lower)],
        kl: [count(kl, same)],
        five: [count(five, lower), count(five, lambda other, _: other["greedy"] >= 198)],
        four: [count(four, lower)],
        rate: [count(rate, lower), count(rate, early)],
    }
    assert {key: [int(n) for n in re.findall(r"(\d+)/10\b", bullets[key])] for key in bullets} == expected
    off, fell = ([sum(run[end] for run in results[key]) for key in ("", gamma)] for end in ("off", "fell"))
    assert sorted(map(int, re.findall(r"(\d+)/1000", bullets[gamma]))) == sorted(off)
    (line,) = re.findall(r"^- (?:Of 1000|训练后的 1000)(.*)", half, re.M)
    numbers = [int(number) for number in re.findall(r"(?<![\d.])\d{2,}", re.sub("`.*?`", "", line))]
    assert numbers[:5] == [off[0] + fell[0], off[0], fell[0], off[1], fell[1]]
    assert sum(run["greedy"] == 200 for run in results["untrained"]) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pictures_of_the_study_are_drawn_from_its_results(results, tmp_path, language):
    study.draw(results, tmp_path)
    for name in f"curves-{language}.svg", f"changes-{language}.svg":
        assert (tmp_path / name).read_text("utf-8") == (study.PICTURES / name).read_text("utf-8"), name
        assert f"](outputs/example/{name})" in (ENGLISH if language == "en" else CHINESE)


def test_the_ratios_are_those_of_the_times_and_both_halves_have_them():
    english, chinese = (
        re.findall(r"^\|[^|]+\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", half, re.M)
        for half in (ENGLISH, CHINESE)
    )
    assert english == chinese and len(english) == 5
    for theirs, ours, ratio in english:
        assert float(ratio) == pytest.approx(float(theirs) / float(ours), abs=0.1)


@HALVES
def test_the_examples_pictures_play_and_take_the_steps_that_are_named(half):
    (shown,) = (text for language, text in blocks(half) if language == "text")
    steps = re.findall(r"^outputs/(\S+\.gif): .*? (\d+) 步 · this episode took (\d+) steps$", shown, re.M)
    assert len(steps) == 2 and all(one == other for _, one, other in steps)
    lengths = {name: len(decode(shipped(f"outputs/example/{name}"))) - 20 for name in GIFS}
    assert {name: int(number) for name, number, _ in steps}.items() <= lengths.items()
    assert lengths["训练前后对比.gif"] == max(lengths.values())
    assert all(f"](outputs/example/{name})" in half for name in lengths)


def test_links_have_their_targets():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors)
    links = set(re.findall(r"\(#(.*?)\)", README))
    assert links and links <= set(anchors)
    for path in re.findall(r"\]\((?!#|https?:)(.*?)\)", README):
        assert shipped(path).exists(), path
    for path in re.findall(r"^\| `(\w+\.py)` \|", README, re.M):
        assert (ROOT / "tests" / path).exists(), path
    for half in ENGLISH, CHINESE:
        tests = {path.name for path in (ROOT / "tests").glob("test_*.py")}
        assert set(re.findall(r"^\| `(test_\w+\.py)` \|", half, re.M)) == tests


def test_the_articles_table_names_what_is_there():
    table = CHINESE[CHINESE.index("## 对照原文") : CHINESE.index("## 原文里")]
    names = set(re.findall(r"`([a-z_]+)`", table))
    assert len(names) > 10 and [name for name in names if name not in SOURCE] == []
    for name, value in re.findall(r"^\| `(\w+)` \| [\de.-]+ \| ([\de.-]+) \|$", CHINESE, re.M):
        assert float(value) == ARTICLE[name], name


@HALVES
def test_the_drawing_names_what_is_there(half):
    (drawing,) = (text for _, text in blocks(half) if "flowchart" in text)
    names = set(re.findall(r"\b[a-z]+_[a-z_]+\b", drawing))
    assert len(names) > 5 and all(name in SOURCE for name in names)
