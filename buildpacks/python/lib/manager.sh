# Which file says what to install. In the order of Heroku's own buildpack, when there are several.

choose_manager() {
  local found=() file
  if [[ -f $build_dir/Pipfile && ! -f $build_dir/Pipfile.lock ]]; then
    fail "Error: No 'Pipfile.lock' found!" '' "A 'Pipfile' alone does not say which versions to install." \
      "Run 'pipenv lock' on your machine and commit Pipfile.lock."
  fi
  for file in Pipfile.lock requirements.txt poetry.lock uv.lock; do
    if [[ -f $build_dir/$file ]]; then found+=("$file"); fi
  done
  if ((${#found[@]} == 0)); then
    if [[ ! -f $build_dir/setup.py ]] && ! grep -qsE '^\[(project|build-system)\]' "$build_dir/pyproject.toml"; then none_found; fi
    found=(.)
  elif ((${#found[@]} > 1)); then
    warn "Several files say what to install (${found[*]}); ${found[0]} is used." 'Keep only the one of the package manager that you use.'
  fi
  manifest=${found[0]}
}

none_found() {
  fail "Error: Couldn't find any supported Python package manager files." '' \
    "A Python app must have a 'requirements.txt', 'uv.lock', 'poetry.lock', 'Pipfile.lock', 'setup.py', or a 'pyproject.toml'" \
    'with a [project] table, at the top of its source. This source has:' '' "$(cd "$build_dir" && ls -1Ap | head -n 40)" '' \
    'Check its spelling, .gitignore and .slugignore. An app without dependencies needs an empty requirements.txt.'
}

# The files whose contents say what gets installed.
manifest_files() {
  case $manifest in
    requirements.txt) included "$build_dir/requirements.txt" ;;
    *) find "$build_dir" -maxdepth 1 -type f \( -name "${manifest%.}" -o -name pyproject.toml -o -name 'setup.*' \) ;;
  esac | LC_ALL=C sort -u
}

# included FILE: it and what it takes in by -r and -c, each once.
seen=$'\n'
included() {
  local file name
  file=$(realpath -m "$1")
  if [[ ! -f $file || $seen == *$'\n'"$file"$'\n'* ]]; then return; fi
  seen+=$file$'\n'
  echo "$file"
  while IFS= read -r name; do included "$(dirname "$file")/$name"; done < <(
    sed -nE 's/^[[:space:]]*(-r|-c|--requirement|--constraint)[[:space:]=]*([^[:space:]#]+).*/\2/p' "$file"
  )
}
