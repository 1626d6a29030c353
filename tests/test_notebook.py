"""The script pasted into a notebook, run by a real kernel."""

import re
import shutil

import pytest
from helpers import GIFS, SCRIPT, averages, decode, edited, environment, logged
from jupyter_client.manager import KernelManager

TINY = {"steps_per_epoch": 60, "epochs": 2, "hidden_sizes": (8,)}


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    """Run a cell in a kernel, in a folder of its own; return what it prints, errors included."""
    manager = KernelManager()
    manager.start_kernel(cwd=str(tmp_path_factory.mktemp("notebook")), env=environment())
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def run(cell):
        printed = []

        def collect(message):
            content = message["content"]
            printed.append(content.get("text", "") + "\n".join(content.get("traceback", ())))

        client.execute_interactive(cell, timeout=100, output_hook=collect)
        return "".join(printed)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def sections(path):
    """The script's sections, a cell each, with values edited into them."""
    return re.split(r"^(?=# ==== )", edited(path, **TINY).read_text("utf-8"), flags=re.M)


def left(folder):
    """What a run left, checked: three GIFs that play, two networks and a log of all its epochs."""
    assert {path.name for path in folder.iterdir()} == {"actor.h5", "critic.h5", "logs", *GIFS}
    assert all(len(decode(folder / name)) > 20 for name in GIFS)
    return len(logged(folder)["average reward"])


@pytest.mark.parametrize("way", ["whole", "by sections, without the options", "%run"])
def test_a_notebook_trains_and_leaves_its_files(execute, tmp_path, way):
    execute(f"import os\nos.chdir({str(tmp_path)!r})")
    cells = sections(tmp_path / "script.py")
    if way == "whole":
        cells = ["".join(cells)]
    if way.startswith("by sections"):
        cells = [cell for cell in cells if not cell.startswith("# ==== 命令行")]
    if way == "%run":
        shutil.copy(SCRIPT, tmp_path / "ppo_cartpole.py")
        cells = ["%run ppo_cartpole.py --steps-per-epoch 60 --epochs 2 --hidden-sizes 8"]
    printed = "".join(map(execute, cells))
    assert "Error" not in printed and len(averages(printed.splitlines())) == 2, printed
    assert left(tmp_path / "outputs") == 2
    units = execute("print([layer.units for layer in actor.layers[1:]])")
    assert units.strip() == "[8, 2]"
