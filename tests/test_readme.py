"""What README says is true in both halves: its commands, tables, figures, pictures and links."""

import ast
import json
import re

import pytest
import study
from conftest import ROOT, SCRIPT, decode

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = (ROOT / ".setup.py").read_text(encoding="utf-8")
ENGLISH, CHINESE = README.split("\n# 中文\n")
HALVES = pytest.mark.parametrize("half, chinese", [(ENGLISH, False), (CHINESE, True)], ids=["en", "zh"])


def blocks(text=README):
    """The fenced blocks, as (language, content)."""
    return re.findall(r"^```(\w*)\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def results():
    """What the study measured."""
    return json.loads(study.RESULTS.read_text())


def test_the_first_two_blocks_are_the_commands_and_ci_calls_them():
    (_, train), (_, test) = blocks()[:2]
    assert train == "python3 .setup.py && .venv/bin/python ppo_cartpole.py"
    assert test == "python3 .setup.py tests && .venv/bin/python -m pytest"
    for command in train, test:
        assert f"\n({command})\n" in (ROOT / ".ci" / "run").read_text()


def test_troubleshooting_names_the_set_ups_words():
    messages = re.findall(r'(?:fail |network=)"(\w[^$]*?)"', SETUP)
    words = [message.split(". ")[0] for message in messages]
    assert len(words) == 4
    for half in ENGLISH, CHINESE:
        assert [word for word in words if word not in half] == []


def test_both_halves_have_the_same_commands():
    english, chinese = (
        [text for language, text in blocks(half) if language == "bash"] for half in (ENGLISH, CHINESE)
    )
    assert english == chinese and len(english) >= 3


def test_the_hyperparameters_are_the_files():
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    assigned = {getattr(node.targets[0], "id", None): node for node in tree.body if type(node) is ast.Assign}
    first, last = assigned["steps_per_epoch"].lineno, assigned["output_dir"].lineno
    values = {
        name: ast.literal_eval(node.value) for name, node in assigned.items() if first <= node.lineno <= last
    }
    shown = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", CHINESE, re.M))
    assert {name: ast.literal_eval(value) for name, value in shown.items()} == values


@HALVES
def test_the_results_are_the_studys(half, chinese, results):
    assert all(len(runs) == 10 for runs in results.values())
    for text in study.tables(results, chinese):
        assert text in half
    assert study.chart(results) in ENGLISH
    first_screen = half.split("\n## ")[0]
    for runs, way in (("untrained", "sampled"), ("", "sampled"), ("", "greedy")):
        median = study.spread([run[way] for run in results[runs]]).split(" / ")[1]
        assert f"**{median}**" in first_screen
    for way in "sampled", "greedy":
        assert f"**{study.solved(results[''], way)}**" in first_screen


def test_every_change_it_names_was_studied():
    named = set(re.findall(r"python ppo_cartpole\.py (--[^`\n]*)", ENGLISH))
    assert named == set(study.SETTINGS) - {""}


def test_the_ratios_are_those_of_the_times_in_both_halves():
    rows = re.findall(r"^\|[^|]+\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", ENGLISH, re.M)
    assert len(rows) == 5
    for theirs, ours, ratio in rows:
        assert float(ratio) == pytest.approx(float(theirs) / float(ours), rel=0.05)
        assert re.search(rf"\D{theirs} \S+ {ours} \S+（{ratio} 倍）", CHINESE) or re.search(
            rf"\D{theirs} MB 对 {ours} MB（{ratio} 倍）", CHINESE
        )


def test_the_pictures_are_there_and_play():
    pictures = set(re.findall(r"\((outputs/example/[^)]+\.gif)\)", README))
    lengths = {path.split("/")[-1]: len(decode(ROOT / path)) for path in pictures}
    assert set(lengths) == {"未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif"}
    assert lengths["训练前后对比.gif"] == max(lengths.values())


def test_links_have_their_targets():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors)
    links = set(re.findall(r"\(#(.*?)\)", README))
    assert links and links <= set(anchors)
    for path in re.findall(r"\]\((?!#|https?:)(.*?)\)", README):
        assert (ROOT / path).exists(), path


@HALVES
def test_the_drawing_names_what_is_there(half, chinese):
    (drawing,) = (text for _, text in blocks(half) if "flowchart" in text)
    names = set(re.findall(r"\b[a-z]+_[a-z_]+\b", drawing))
    assert len(names) > 5 and all(name in SCRIPT.read_text("utf-8") for name in names)
