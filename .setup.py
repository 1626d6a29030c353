"""Make .venv: Python 3.10 or 3.11 with the packages of requirements.txt · 建立 .venv，安装所需的包."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT, WINDOWS = Path(os.path.abspath(__file__)).parent, os.name == "nt"
VENV, UV = ROOT / ".venv", ROOT / ".uv"
MARK = VENV / "made-by-setup.txt"  # empty until all is installed, then what the lists said

# Asked of a Python, which prints its version if it will do: TensorFlow is not for 32 bits or Windows ARM64.
QUESTION = """import ctypes, ensurepip, platform, ssl, sys
if sys.maxsize > 2**32 and platform.machine() in ['x86_64', 'AMD64', 'aarch64', 'arm64']:
    print('%d.%d' % sys.version_info[:2])"""

NO_PACKAGES = """安装失败：pip 没装上所需的包，原因见上。请检查网络（PIP_INDEX_URL 可指定镜像）、磁盘（2 GB）
Set-up failed: see above why pip stopped. Check the network (PIP_INDEX_URL names a mirror), the disk (2 GB)"""
NO_PYTHON = """安装失败：没有可用的 64 位 Python 3.10 或 3.11，也下载不到。请安装一个（Windows ARM64 不行）
Set-up failed: no 64-bit Python 3.10 or 3.11, and none to fetch. Install one (Windows ARM64 will not do)"""
NO_VENV = """安装失败：不能建立环境，原因见上。请检查磁盘（2 GB）、权限；Debian：apt-get install python3-venv
Set-up failed: see above why. Check the disk (2 GB), your rights; on Debian, apt-get install python3-venv"""
NOT_OURS = """安装失败：.venv 不是 .setup.py 建立的，或不是 --python 要的版本，没有动它。请先改名或删除
Set-up failed: .venv was not made by .setup.py, or not with that --python. Rename or delete it first"""


def run_or_fail(reason, *command):
    """Run a command; where it fails, end with what to do, a line in Chinese and one in English."""
    if subprocess.run(command).returncode:
        sys.exit(reason)


def program(environment, name):
    """A program's whole path: a relative one, or one without .exe, Windows may not find."""
    return environment / (f"Scripts/{name}.exe" if WINDOWS else f"bin/{name}")


def examine(*command):
    """The version of a Python that will do, else ""."""
    try:
        return subprocess.run([*command, "-c", QUESTION], capture_output=True).stdout.decode().strip()
    except OSError:  # there is no such command
        return ""


def make(environment, *python):
    """Make an environment in a folder, in which pip installs there and nowhere else."""
    run_or_fail(NO_VENV, *python, "-m", "venv", environment)
    settings = "".join(f"[{section}]\ntarget =\nprefix =\nuser = no\n" for section in ("global", "install"))
    (environment / ("pip.ini" if WINDOWS else "pip.conf")).write_text(settings)  # before the reader's own


def find_python(versions):
    """The command of a Python at hand, the first version first; else of one that uv fetches."""
    for version in versions:
        os.environ["PYENV_VERSION"] = version  # pyenv's python3.10 refuses unless it is chosen
        for command in [sys.executable], [shutil.which(f"python{version}") or ""], ["py", f"-{version}"]:
            if examine(*command) == version:
                return command
    make(UV, sys.executable)
    run_or_fail(NO_PACKAGES, program(UV, "python"), "-m", "pip", "install", "uv==0.13.8")
    fetch = "venv", "--managed-python", "--clear", "--python", versions[0], UV / "python"
    run_or_fail(NO_PYTHON, program(UV, "uv"), *fetch)  # managed: what is at hand will not do
    return [program(UV / "python", "python")]


def main():
    """Do what is missing; where nothing is, say nothing."""
    parser = argparse.ArgumentParser(description="Linux, macOS: python3 .setup.py. Windows: py .setup.py.")
    parser.add_argument("tests", nargs="?", choices=["tests"], help="install what the tests need, too")
    parser.add_argument("--python", choices=["3.10", "3.11"], help="this one, instead of 3.10 or else 3.11")
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_QUIET="" if sys.stdout.isatty() else "1")
    for name in "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER":
        os.environ.pop(name, None)
    versions = [options.python] if options.python else ["3.10", "3.11"]
    lists = ["requirements.txt", "tests/requirements.txt"][: 2 if options.tests else 1]
    wanted = [Path(path).read_bytes() for path in lists]
    pip = program(VENV, "python"), "-m", "pip", "install"

    found = examine(pip[0])
    if VENV.exists() and not MARK.exists() and any(VENV.iterdir()) or found not in ["", *versions]:
        sys.exit(NOT_OURS)
    installed = MARK.read_bytes() if found else b""
    if installed and all(text in installed for text in wanted):
        return
    if not installed:
        python = find_python(versions)
        print(f"建立 .venv，要下载 0.4 GB · Making .venv, 0.4 GB to fetch: {python[0]}", file=sys.stderr)
        VENV.mkdir(exist_ok=True)
        MARK.write_bytes(b"")  # stays while the rest is removed, so that .venv is known as ours at any moment
        for path in set(VENV.iterdir()) - {MARK}:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        make(VENV, *python)
        run_or_fail(NO_PACKAGES, *pip, "pip==23.0.1", "setuptools==65.5.0", "wheel==0.38.4")  # for gym
    MARK.write_bytes(b"")
    run_or_fail(NO_PACKAGES, *pip, "-r", lists[-1])
    MARK.write_bytes(b"".join(wanted))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"{error}\n{NO_VENV}")
