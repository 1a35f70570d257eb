# Lock files. Each is turned into requirements with hashes, which pip installs from the app's index: the tools' own installations
# know only the index that the lock was made from, which may not be reachable here.

uv_version=0.9.5
poetry_version=2.2.1
poetry_export_version=1.9.0

install_locked() {
  local wanted
  wanted=$(mktemp -d)
  case $manifest in
    Pipfile.lock) python "$pack/lib/pipfile.py" "$build_dir/Pipfile.lock" > "$wanted/all" || fail 'Error: Pipfile.lock cannot be read.' "Run 'pipenv lock' and commit it." ;;
    poetry.lock)
      install_tool poetry "$poetry_version" "poetry-plugin-export==$poetry_export_version"
      exported poetry check --lock
      exported poetry export --only main --format requirements.txt --output "$wanted/all"
      ;;
    uv.lock)
      install_tool uv "$uv_version"
      exported uv export --quiet --locked --no-default-groups --no-emit-project --no-annotate --format requirements-txt --output-file "$wanted/all"
      ;;
  esac
  split_requirements "$wanted"
  if [[ -s $wanted/hashed ]]; then pip_install "$manifest" --no-deps -r "$wanted/hashed"; fi
  if [[ -s $wanted/plain ]]; then pip_install "$manifest (repositories, folders)" --no-deps -r "$wanted/plain"; fi
  if is_package; then pip_install 'pip install --no-deps --editable .' --no-deps --editable .; fi
}

# With one hash pip wants all: what can have none (repositories, folders) is installed apart. Options hold for both.
split_requirements() {
  sed -e ':more' -e '/\\$/{N;s/\\\n/ /;b more' -e '}' "$1/all" | grep -vE '^[[:space:]]*(#|$)' > "$1/joined" || true
  grep -E '^--|--hash=' "$1/joined" > "$1/hashed" || true
  grep -vE '^--|--hash=' "$1/joined" > "$1/plain" || true
  if grep -q . "$1/plain"; then { grep -E '^--' "$1/joined" || true; cat "$1/plain"; } > "$1/both"; mv "$1/both" "$1/plain"; fi
  if ! grep -q -- '--hash=' "$1/hashed"; then : > "$1/hashed"; fi
}

# Whether the source is itself a package, which its lock says nothing of.
is_package() {
  [[ $manifest != Pipfile.lock ]] && grep -qs '^\[build-system\]' "$build_dir/pyproject.toml" &&
    ! grep -qsE '^package(-mode)? *= *false' "$build_dir/pyproject.toml"
}

# install_tool NAME VERSION [REQUIREMENT...]: in an environment of its own, which is no part of the slug.
install_tool() {
  tool=$1-$2
  local home=$cache_dir/$tool
  if [[ -x $home/bin/$1 ]]; then
    step "Using cached $1 $2"
  else
    step "Installing $1 $2"
    python -m venv --without-pip "$home"
    for_app pip --python "$home/bin/python" install --quiet "$1==$2" "${@:3}" ||
      fail "Error: Unable to install $1 $2, which reads $manifest." '' \
        'Its output is above. If the package index does not have it, commit a requirements.txt in place of the lock file.' "$(hint)"
  fi
  tool_bin=$home/bin
}

# exported TOOL ARGUMENT...
exported() {
  for_app env UV_PYTHON="$python_home/bin/python" UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR="$cache_dir/uv-cache" POETRY_VIRTUALENVS_CREATE=false \
    POETRY_NO_INTERACTION=1 "$tool_bin/$1" "${@:2}" ||
    fail "Error: $1 cannot read $manifest. Its output is above." '' "If it is out of date, run '$1 lock' on your machine and commit it."
}
