"""The script pasted into a notebook, run by a real kernel."""

import re

import pytest
from helpers import FILES, GIFS, SOURCE, averages, decode, edited, environment, logged
from jupyter_client.manager import KernelManager

SMALL = {"steps_per_epoch": 60, "epochs": 2, "hidden_sizes": (8,)}


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    """Run a cell in a kernel, in a folder of its own; return what it prints, the error stream last."""
    manager = KernelManager()
    manager.start_kernel(cwd=str(tmp_path_factory.mktemp("notebook")), env=environment())
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def run(cell):
        messages = []
        client.execute_interactive(cell, timeout=300, output_hook=messages.append)
        contents = [message["content"] for message in messages]
        contents.sort(key=lambda content: content.get("name") == "stderr")  # the progress bar
        return "".join(content.get("text", "\n".join(content.get("traceback", ()))) for content in contents)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


WAYS = "whole", "by sections, without the options", "%run", "interactive window"


@pytest.mark.parametrize("way", WAYS)
def test_a_notebook_trains_and_leaves_its_files(execute, tmp_path, way):
    execute(f"import os\nos.chdir({str(tmp_path)!r})\napi_key = 'secret'")
    source = edited(**SMALL)
    sections = re.split(r"^(?=# ==== )", source, flags=re.M)
    (tmp_path / "ppo_cartpole.py").write_text(SOURCE, "utf-8")
    cells = {
        "whole": [source],
        "by sections, without the options": [cell for cell in sections if "# ==== 命令行" not in cell],
        "%run": ["%run ppo_cartpole.py --steps-per-epoch 60 --epochs 2 --hidden-sizes 8"],
        "interactive window": [
            f"__file__ = {str(tmp_path / 'ppo_cartpole.py')!r}",
            source,
        ],  # as VS Code does
    }[way]
    printed = "".join(map(execute, cells))
    assert not re.search("Error|WARNING", printed) and len(averages(printed.splitlines())) == 2, printed
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == FILES | GIFS
    assert all(len(decode(tmp_path / "outputs" / name)) > 20 for name in GIFS)
    log = logged(tmp_path / "outputs")
    assert len(log["average reward"]) == 2 and b"secret" not in log["hyperparameters"][0][1]
    assert execute("print([layer.units for layer in actor.layers[1:]])").strip() == "[8, 2]"
