#!/bin/sh
# sh .setup.sh [FOLDER]: make .venv, with Python 3.10 or 3.11 and what FOLDER/requirements.txt lists.
# PPO_PYTHON=3.11 asks for that one. Where nothing has changed since the last time, it does nothing.
case $0 in */*) cd "${0%/*}" || exit ;; esac
list=${1:-.}/requirements.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1
[ -t 1 ] || export PIP_QUIET=1

fail() {
    echo "Set-up failed: $1. More in README.md: Troubleshooting, 装不上或报错" >&2
    exit 1
}
network="pip could not install. Check the network (PIP_INDEX_URL names a mirror) and the disk (2 GB)"
[ -f "$list" ] || fail "there is no $list"

# Copies of the lists are written last: where they are, .venv is whole.
works() { .venv/bin/python -c "import sys; sys.exit('${PPO_PYTHON:-3.1}' not in sys.version[:4])"; }
whole() { works && [ -f .venv/requirements.txt ]; } >/dev/null 2>&1
whole && cmp -s requirements.txt .venv/requirements.txt && cmp -s "$list" ".venv/$list" && exit

echo "Setting up .venv. The first time takes minutes: 0.7 GB to fetch."
exec 9>>.setup.sh # one set-up at a time: another waits until this one has ended, or was killed
python3 -c 'import fcntl, sys; assert sys.version_info > (3, 8); fcntl.flock(9, fcntl.LOCK_EX)' ||
    fail "no python3 of 3.8 or newer. apt-get install python3-venv"
if whole; then # a list that cannot be had must not cost what works
    .venv/bin/python -m pip install -q --dry-run -r "$list" || fail "$network"
else
    rm -rf .venv
    python3 -m venv --clear .uv || fail "python3 has no venv. apt-get install python3-venv"
    .uv/bin/python -m pip install uv==0.13.8 || fail "$network"
    for bin in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[01].*/bin; do PATH=$PATH:$bin; done
    for version in ${PPO_PYTHON:-3.10 3.11}; do
        .uv/bin/uv venv -q --no-python-downloads -p "$version" .venv 2>/dev/null && break
    done || .uv/bin/uv venv -p "${PPO_PYTHON:-3.10}" .venv ||
        fail "no Python 3.10 or 3.11, and none to fetch. Install one, or set UV_PYTHON_INSTALL_MIRROR"
    .venv/bin/python -c 'import sys; print("Python", sys.version.split()[0], "in", sys.base_prefix)'
    # gym 0.20 can be installed by an old pip only, which itself runs on no Python newer than these.
    .uv/bin/python -m pip install pip==23.0.1 setuptools==65.5.0 wheel==0.38.4 \
        --target "$(echo .venv/lib/python3.1?/site-packages)" || fail "$network"
fi
rm -f .venv/requirements.txt
.venv/bin/python -m pip install -r "$list" || fail "$network"
mkdir -p ".venv/${1:-.}" && cp "$list" ".venv/$list" && cp requirements.txt .venv
