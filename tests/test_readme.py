"""What the README says is true: its commands, its example, its tables, its pictures."""

import ast
import os
import re
import subprocess
import sys

import numpy as np
from conftest import ROOT, SCRIPT
from test_gifs import decode

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_two_blocks_are_the_commands():
    (_, run_command), (_, test_command) = BLOCKS[:2]
    assert run_command.count("\n") == test_command.count("\n") == 0
    assert run_command.endswith(".venv/bin/python ppo_cartpole.py")
    assert test_command.endswith(".venv/bin/python -m pytest")
    assert BLOCKS[-2:] == BLOCKS[:2]  # in Chinese once more


def test_the_example_records_with_the_saved_network(default_run):
    ((_, example),) = (block for block in BLOCKS if block[0] == "python")
    process = subprocess.run(
        [sys.executable, "-c", example],
        cwd=default_run.folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert process.returncode == 0 and process.stderr == ""
    frames = decode(default_run.folder / "another.gif")
    assert len(frames) > 60  # an untrained policy rarely reaches half of that
    assert f"for {len(frames)} steps" in process.stdout
    (default_run.folder / "another.gif").unlink()


def test_the_hyperparameter_table_is_the_files(ppo):
    assignments = [
        node for node in ast.parse(SCRIPT.read_text("utf-8")).body if type(node) is ast.Assign
    ]
    values = {
        node.targets[0].id: node.value for node in assignments if type(node.targets[0]) is ast.Name
    }
    table = README.split("## Hyperparameters")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \|", table, re.M)
    assert [name for name, _ in rows] == [name for name, _, _ in ppo.hyperparameters]
    for name, shown in rows:
        value = ast.literal_eval(values[name])
        if isinstance(value, bool):
            assert shown == ("on" if value else "off")
        elif isinstance(value, tuple):
            assert tuple(map(int, shown.split())) == value
        else:
            assert type(value)(shown) == value


def test_the_map_names_what_is_there(ppo):
    table = README.split("## From the article to the code")[1].split("\n## ")[0]
    names = [name for row in table.splitlines()[4:] for name in re.findall(r"`(\w+)`", row)]
    assert len(names) > 20
    parameters = {"discount"}
    assert [name for name in names if not hasattr(ppo, name) and name not in parameters] == []


def test_the_pictures_are_there_and_play():
    pictures = set(re.findall(r"\((outputs/[^)]+\.gif)\)", README))
    lengths = {path: len(decode(ROOT / path)) for path in pictures}
    before, after = lengths["outputs/未训练前的样子.gif"], lengths["outputs/训练后的样子.gif"]
    assert before < 100 < after == lengths["outputs/训练前后对比.gif"]
    assert len(lengths) == 3


def test_the_output_it_shows_is_what_a_run_prints(default_run):
    shown = next(text for language, text in BLOCKS if language == "text").splitlines()
    shape = [re.sub(r"[\d.]+", "#", line) for line in default_run.lines]
    assert [re.sub(r"[\d.]+", "#", line) for line in shown if line != "…"] == [
        *shape[:3],
        *shape[-3:],
    ]
    averages = [float(line.split()[-1]) for line in shown if line.startswith("完成")]
    assert np.all(np.array(averages) <= 200)
