"""What the README says is true: its commands, example, tables and pictures, in both languages."""

import ast
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, SCRIPT, environment, run_here
from study import ARTICLE
from test_gifs import HOLD, decode

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)


def section(heading):
    """The text below a heading, up to the next of its rank."""
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text):
    """The cells of a text's table rows, without the heads."""
    lines = re.findall(r"^\|(?! *-)(.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_the_first_two_blocks_are_the_commands():
    (_, run_command), (_, test_command) = BLOCKS[:2]
    assert run_command.count("\n") == test_command.count("\n") == 0
    assert run_command.endswith(".venv/bin/python ppo_cartpole.py")
    assert test_command.endswith(".venv/bin/python -m pytest")


def test_the_example_works_also_after_the_untrained_policy_has_played(default_run):
    ((_, example),) = (block for block in BLOCKS if block[0] == "python")
    imports, use = example.split("\n\n")
    check = "print([weight.tobytes() for weight in ppo.actor.get_weights()] != untrained)"
    untrained = "untrained = [weight.tobytes() for weight in ppo.actor.get_weights()]"
    play = "untrained_pictures = ppo.record_gif('outputs/first.gif')"
    process = subprocess.run(
        [sys.executable, "-c", "\n".join([imports, untrained, play, use, check])],
        cwd=default_run.folder.parent,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        encoding="utf-8",
    )
    assert process.returncode == 0 and process.stderr == ""
    assert process.stdout.endswith("True\n")
    first, another = (default_run.folder / name for name in ("first.gif", "another.gif"))
    # An untrained policy rarely reaches 60 steps.
    assert len(decode(first)) - HOLD < 60 < len(decode(another)) - HOLD
    first.unlink()
    another.unlink()


def test_the_hyperparameter_table_is_the_files(tmp_path):
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    assigned = [node for node in tree.body if type(node) is ast.Assign]
    values = {getattr(node.targets[0], "id", None): node.value for node in assigned}
    table = rows(section("Hyperparameters · 超参数"))[1:]
    tiny = "--no-gif", "--epochs", 1, "--steps-per-epoch", 9, "--output-dir", tmp_path
    settings = run_here(*tiny).names["settings"]
    names = [name.strip("`") for name, *_ in table]
    assert sorted(names) == sorted(settings)
    help_text = " ".join(run_here("--help").output.split())
    for name, (_, shown, allowed, meaning) in zip(names, table, strict=True):
        value = ast.literal_eval(values[name])
        if isinstance(value, bool):
            assert shown == ("on" if value else "off")
        elif isinstance(value, tuple):
            assert tuple(map(int, shown.split())) == value
        else:
            assert type(value)(shown) == value
        if re.search(r"\d", allowed):
            option = "--" + name.replace("_", "-")
            limits = allowed.removeprefix("each ")
            assert re.search(rf"{option} [^;]+; {limits} \(default", help_text), name
        assert re.search(r"[a-z]", meaning) and re.search(r"[\u4e00-\u9fff]", meaning)


def test_the_map_names_what_is_there_and_all_of_it(ppo):
    table = rows(section("From the article to the code · 对照原文"))[1:]
    names = [name for cells in table for name in re.findall(r"`(\w+)`", cells[1])]
    assert [name for name in names if not hasattr(ppo, name)] == []
    defined = ast.parse(SCRIPT.read_text("utf-8")).body
    defined = {node.name for node in defined if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert defined <= set(names)


def test_the_map_has_the_scripts_headings_in_its_order():
    source = SCRIPT.read_text("utf-8")
    headings = re.findall(r"^# ==== (\S+) · ", source, re.MULTILINE)
    headings = [heading for heading in headings if "原文没有" not in heading]
    table = rows(section("From the article to the code · 对照原文"))[1:]
    mapped = [cells[0].split(" (")[0] for cells in table if cells[0] != "原文没有"]
    assert list(dict.fromkeys(mapped)) == headings
    parts = re.findall(r"^# \((\d)\) ", source, re.MULTILINE)
    assert parts == re.findall(r"模型定义 \((\d)\)", " ".join(cells[0] for cells in table))


def test_the_drawing_names_what_is_there(ppo):
    (drawing,) = (text for language, text in BLOCKS if "flowchart" in text)
    names = set(re.findall(r"\b[a-z]+_[a-z_]+\b|\bcritic\b", drawing)) - {"logprobability_t"}
    functions = {"step_and_store", "finish_and_reset", "train_policy", "train_value_function"}
    assert functions < names
    known = {*vars(ppo), *vars(ppo.Buffer), *ppo.rollout.python_function.__code__.co_varnames}
    assert names - known == set()


def test_the_pictures_are_there_and_play():
    pictures = set(re.findall(r"\((outputs/[^)]+\.gif)\)", README))
    lengths = {path: len(decode(ROOT / path)) - HOLD for path in pictures}
    before, after = lengths["outputs/未训练前的样子.gif"], lengths["outputs/训练后的样子.gif"]
    assert before < 100 < after == lengths["outputs/训练前后对比.gif"]
    assert len(lengths) == 3


def test_the_printout_it_shows_is_what_a_run_prints(default_run):
    shown = next(text for language, text in BLOCKS if language == "text").splitlines()
    lines = default_run.lines
    parts = [*lines[:3], *lines[-2:]]
    # Another processor or TensorFlow rounds otherwise: the form is what must agree.
    form = [re.sub(r"[\d.]+", "#", line) for line in shown if line != "…"]
    assert form == [re.sub(r"[\d.]+", "#", line) for line in parts]


def spreads(cell):
    """Lowest, median and highest, as the study prints them."""
    return [float(number) for number in re.findall(r"[\d.]+", cell)]


@pytest.fixture(scope="module")
def results():
    """The study's tables: a row's name to its cells."""
    return {
        cells[0]: cells[1:] for cells in rows(section("Results over ten seeds · 十个种子的结果"))
    }


def test_the_medians_at_the_top_are_the_studys(results):
    untrained, trained = (spreads(cell)[1] for cell in results["actions sampled 按概率采样"][:2])
    english, chinese = README.split("\n## 中文说明\n")
    assert f"from {untrained:g} steps an episode to {trained:g}:" in english.replace("\n", " ")
    assert f"一局从 {untrained:g} 步变成 {trained:g} 步" in chinese.split("\n## ")[0]


def test_the_marks_beside_the_articles_figures_are_right(results):
    for epoch, trajectories in ARTICLE.items():
        printed, *cells = results[f"epoch {epoch}"]
        assert float(printed) == round(5000 / trajectories, 1)
        for cell in cells:
            lowest, _, highest = spreads(cell)
            mark = "↑" if float(printed) > highest else "↓" if float(printed) < lowest else "✓"
            assert cell.endswith(mark)


def test_the_chart_shows_the_tables_numbers(results):
    (chart,) = (text for language, text in BLOCKS if "xychart" in text)
    lines = np.array([spreads(line) for line in re.findall(r"line \[(.*)\]", chart)])
    assert lines.shape == (3, 20) and np.all(np.diff(lines, axis=0) >= 0)
    for epoch in ARTICLE:
        assert list(lines[:, epoch - 1]) == spreads(results[f"epoch {epoch}"][1])


def test_links_within_the_page_have_their_targets():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\(#(.*?)\)", README))
    assert len(links) > 8 and links <= anchors


def test_both_languages_stand_beside_each_other():
    for text in re.split(r"\n## ", README)[1:]:
        heading = text.split("\n")[0]
        assert re.search(r"[\u4e00-\u9fff]", heading), heading
        assert len(re.findall(r"[\u4e00-\u9fff]", text)) > 50, heading
