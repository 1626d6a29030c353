"""What README says is so in both halves: its commands, options, links and files, and tables from data."""

import json
import os
import re

import pytest
import study
from helpers import README, ROOT, SOURCE, TINY, blocks, run_here

RESULTS = json.loads(study.RESULTS.read_text("ascii"))
ENGLISH, CHINESE = README.split("\n# 中文\n")
HALVES = pytest.mark.parametrize("half", [ENGLISH, CHINESE], ids=["en", "zh"])


def test_ci_calls_the_two_commands():
    commands = blocks("bash", ENGLISH)
    assert len(commands) == 2 and commands[:1] == blocks("bash", CHINESE)
    for command in commands:
        assert f"\n({command})\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    pins = re.findall(r'"((?:pip|setuptools|wheel)==.*?)"', (ROOT / ".setup.py").read_text("utf-8"))
    assert len(pins) == 3 and all(README.count(pin) >= 2 for pin in pins)


@HALVES
def test_options_and_packages_are_those_of_the_script(half):
    names = [name.replace("-", "_") for name in re.findall(r"(?:ppo_cartpole\.py |`)--([a-z-]+) ", half)]
    assert len(names) >= 6 and all(f"\n{name} = " in SOURCE for name in names)
    (packages,) = re.findall(r"apt-get install (libgl\S* \S* \S*)\"", SOURCE)
    assert packages in half


@HALVES
def test_the_table_is_the_studys(half):
    assert all(len(runs) == 10 for runs in RESULTS.values())
    assert study.table_of(RESULTS) in half


@pytest.mark.parametrize("name", study.EXPERIMENTS)
def test_an_experiment_is_what_the_readme_shows_and_runs(name, tmp_path):
    added = [line.strip() for line in study.EXPERIMENTS[name][1].splitlines() if line not in SOURCE]
    shown = [line[1:].strip() for text in blocks("diff") for line in text.splitlines() if line[:1] == "+"]
    assert added and all(shown.count(line) == 2 for line in added), "not in each half"
    options = *TINY, "--no-gif", "--output-dir", tmp_path
    assert run_here(*options, source=study.edited(name, SOURCE)[0]).code is None


def test_links_and_files_are_there():
    headings = re.findall(r"^#+ (.*)$", README, re.M)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    links = set(re.findall(r"\(#(.*?)\)", README))
    assert len(set(anchors)) == len(anchors) and links and links <= set(anchors)
    paths = re.findall(r"\]\((?!#|https?:)(.*?)\)", README) + re.findall(r"(?<=[ `])tests/\w+\.\w+", README)
    # Names are UTF-8 on the disk, in any locale.
    assert len(paths) > 9 and all((ROOT / os.fsdecode(path.encode())).exists() for path in paths)
