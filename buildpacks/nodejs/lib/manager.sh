# npm, which every app gets, and yarn or pnpm for apps that have their lock file or name them.

# The major version of npm that comes with each Node.js.
npm_of_node() {
  case ${node_version%%.*} in
    [0-9] | 1[0-4]) echo 6.x ;;
    15 | 16 | 17) echo 8.x ;;
    18 | 19 | 20 | 21 | 22 | 23) echo 10.x ;;
    *) echo 11.x ;;
  esac
}

install_npm() {
  local range
  range=$(jq -r '.engines.npm? // "" | tostring' "$build_dir/package.json")
  detail "engines.npm (package.json):    ${range:-unspecified (the one for node ${node_version%%.*})}"
  npm_version=$(install_tool npm "${range:-$(npm_of_node)}")
  detail "Using npm $npm_version"
}

# Sets manager to npm, yarn, berry (yarn 2 and later) or pnpm, and manager_range to what the app asks for.
choose_manager() {
  local named locks=() lock
  for lock in package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml; do
    if [[ -f $build_dir/$lock ]]; then locks+=("$lock"); fi
  done
  named=$(jq -r '.packageManager? // "" | tostring' "$build_dir/package.json")
  named=${named%%+*}
  case $named,${locks[*]} in
    pnpm@*) manager=pnpm ;;
    yarn@*) manager=yarn ;;
    npm@*) manager=npm ;;
    *,*pnpm-lock.yaml*) manager=pnpm ;;
    *,*yarn.lock*) manager=yarn ;;
    *) manager=npm ;;
  esac
  if ((${#locks[@]} > 1)) && [[ ${locks[*]} != 'package-lock.json npm-shrinkwrap.json' ]]; then
    warn "The source has several lock files (${locks[*]}); $manager is used. Keep only the lock file of the package manager that you use."
  fi
  manager_range=
  if [[ $named == "$manager"@* ]]; then manager_range=${named#*@}; fi
  if [[ -z $manager_range ]]; then
    manager_range=$(jq -r --arg name "$manager" '.engines[$name]? // "" | tostring' "$build_dir/package.json")
  fi
  if [[ $manager == yarn ]] && is_berry; then manager=berry; fi
}

is_berry() {
  [[ -f $build_dir/.yarnrc.yml ]] || grep -q '^__metadata:' "$build_dir/yarn.lock" 2> /dev/null || [[ $manager_range =~ ^[^0-9]*([2-9]|[1-9][0-9])(\.|$) ]]
}

install_manager() {
  case $manager in
    npm) if [[ -n $manager_range && $manager_range != "$npm_version" ]]; then npm_version=$(install_tool npm "$manager_range"); fi ;;
    yarn) manager_version=$(install_tool yarn "${manager_range:-1.x}") ;;
    berry) manager_version=$(install_tool @yarnpkg/cli-dist "${manager_range:-4.x}") ;;
    pnpm) manager_version=$(install_tool pnpm "${manager_range:-$(pnpm_of_lock)}") ;;
  esac
  if [[ $manager != npm ]]; then detail "Using ${manager/berry/yarn} $manager_version"; else manager_version=$npm_version; fi
}

# The newest pnpm that still writes the lock file's version.
pnpm_of_lock() {
  case $(grep -m 1 '^lockfileVersion:' "$build_dir/pnpm-lock.yaml" 2> /dev/null) in
    *5.*) echo 7.x ;;
    *6.*) echo 8.x ;;
    *) if ((${node_version%%.*} < 18)); then echo 8.x; else echo 10.x; fi ;;
  esac
}

# install_tool PACKAGE RANGE: links it into Node's folder and prints its version. Runs in a subshell: what users see goes to stderr.
install_tool() {
  local name=$1 version folder home
  {
    version=$(resolve "$name" "$2") || fail "The npm registry cannot be reached to look for $name."
    [[ -n $version ]] || fail "No version of $name fits \"$2\" (see package.json)."
    folder=$cache_dir/${name//\//-}-$version
    fetch "$name" "$version" "$folder" --exclude='*/docs/output' --exclude='*/man' || fail "$name $version cannot be downloaded."
    home=$node_home/lib/node_modules/$name
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    cp -al "$folder" "$home"
    link_commands "$name" "$home"
  } >&2
  echo "$version"
}

link_commands() {
  local command path
  while IFS=$'\t' read -r command path; do
    chmod +x "$2/$path"
    ln -sfn "../lib/node_modules/$1/$path" "$node_home/bin/$command"
  done < <(jq -r '(.bin | if type == "object" then . else {} end) | to_entries[] | [.key, .value] | @tsv' "$2/package.json")
}
