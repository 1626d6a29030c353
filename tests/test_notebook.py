"""The script pasted into a notebook, run by a real kernel."""

import re

import pytest
from helpers import FILES, GIFS, SOURCE, averages, decode, edited, environment, logged
from jupyter_client.manager import start_new_kernel


@pytest.fixture
def execute(tmp_path):
    """Run a cell in a kernel, in a folder of its own; return what it prints, the error stream last."""
    manager, client = start_new_kernel(cwd=str(tmp_path), env=environment())

    def run(cell):
        messages = []
        client.execute_interactive(cell, timeout=300, output_hook=messages.append)
        contents = [message["content"] for message in messages]
        contents.sort(key=lambda content: content.get("name") == "stderr")  # the progress bar
        return "".join(content.get("text", "\n".join(content.get("traceback", ()))) for content in contents)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_notebook_trains_and_leaves_its_files(execute, tmp_path):
    source = edited(steps_per_epoch=60, epochs=2, hidden_sizes=(8,))
    sections = re.split(r"^(?=# ==== )", source, flags=re.M)
    (tmp_path / "ppo_cartpole.py").write_text(SOURCE, "utf-8")
    ways = {
        "whole": [source],
        "by sections": [cell for cell in sections if "# ==== 命令行" not in cell],  # which may be skipped
        "run": ["%run ../ppo_cartpole.py --steps-per-epoch 60 --epochs 2 --hidden-sizes 8"],
        "window": [f"__file__ = {str(tmp_path / 'ppo_cartpole.py')!r}\n", source],  # as VS Code does
    }
    for way, cells in ways.items():
        (tmp_path / way).mkdir()
        execute(f"import os\nos.chdir({str(tmp_path / way)!r})\napi_key = 'secret'")
        printed = "".join(map(execute, cells))
        assert not re.search("Error|WARNING", printed) and len(averages(printed.splitlines())) == 2, printed
        assert {path.name for path in (tmp_path / way / "outputs").iterdir()} == FILES | GIFS
        assert all(len(decode(tmp_path / way / "outputs" / name)) > 20 for name in GIFS)
        assert execute("print([layer.units for layer in actor.layers[1:]])").strip() == "[8, 2]"
        log = logged(tmp_path / way / "outputs")
        assert len(log["average reward"]) == 2 and b"secret" not in log["hyperparameters"][0][1]
