# Which Python: there is one, the stack's, and what the app asks for must be that.

choose_version() {
  local asked=
  python_version=$(/usr/bin/python3 -c 'import platform; print(platform.python_version())')
  python_minor=${python_version%.*}
  if [[ -f $build_dir/runtime.txt ]]; then
    asked=$(meaningful runtime.txt)
    [[ $asked =~ ^python-(3\.[0-9]+(\.[0-9]+)?)$ ]] || invalid runtime.txt "$asked" "python-$python_minor"
    asked=${BASH_REMATCH[1]}
    version_source=runtime.txt
  elif [[ -f $build_dir/.python-version ]]; then
    asked=$(meaningful .python-version)
    [[ $asked =~ ^3\.[0-9]+(\.[0-9]+)?$ ]] || invalid .python-version "$asked" "$python_minor"
    version_source=.python-version
  elif [[ -f $build_dir/Pipfile.lock ]]; then
    asked=$(jq -r '._meta.requires | .python_full_version // .python_version // ""' "$build_dir/Pipfile.lock") ||
      fail 'Error: Pipfile.lock is not valid JSON.' '' "Run 'pipenv lock' on your machine and commit it."
    version_source=Pipfile.lock
  fi
  if [[ -z $asked ]]; then
    step "No Python version was specified. Using the stack's: Python $python_minor"
  elif [[ $asked == "$python_minor" || $asked == "$python_version" ]]; then
    step "Using Python $asked specified in $version_source"
  else
    unavailable "$asked"
  fi
}

# The lines of a file without comments, blanks and the marks of other systems' editors, at most 200 characters.
meaningful() {
  tr -d '\r' < "$build_dir/$1" | sed -E $'1s/^\xef\xbb\xbf//; s/#.*//; s/^[[:space:]]+//; s/[[:space:]]+$//; /^$/d' | head -c 200
}

invalid() {
  fail "Error: Invalid Python version in $1." '' "It says \"${2//$'\n'/, }\", and must say one version only, such as:" "$3"
}

unavailable() {
  fail "Error: Python $1 (asked for in $version_source) is not available." '' \
    "This buildpack uses the Python of the stack image of $STACK, which is $python_version." "Ask for \"$python_minor\" in .python-version, or bring another Python:" \
    '- by a Dockerfile, with the container stack' \
    "- by Heroku's own buildpack, where builds can reach it and its downloads:" \
    '  heroku buildpacks:set https://github.com/heroku/heroku-buildpack-python'
}
