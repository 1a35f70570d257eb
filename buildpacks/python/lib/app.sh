# Commands that see the app's config vars, as pip and everything of the app's own does.

# Names that a build must not take from its app.
denied='^(PATH|HOME|STACK|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LD_LIBRARY_PATH|LIBRARY_PATH|PYTHONHOME|VIRTUAL_ENV|BUILD_DIR|CACHE_DIR|ENV_DIR)$'
# What the last command said, without passwords.
log=$(mktemp)

# for_app COMMAND...: what it says is shown, but for the lines that the sed script `quiet` takes out.
for_app() { with_config "$@" 2>&1 | sed -u -f "$secrets" | tee "$log" | sed -u "${quiet:-}" | indent; }

# At the top of the source, in a subshell, so that no config var can change a variable of ours.
with_config() (
  __names=("$env_dir"/*)
  __command=("$@")
  cd "$build_dir" || exit
  for __name in "${__names[@]}"; do
    if [[ ! -f $__name || ${__name##*/} =~ $denied ]]; then continue; fi
    # Not $(<file), which would drop newlines at the end.
    IFS= read -r -d '' __value < "$__name" || true
    export "${__name##*/}=$__value"
  done
  "${__command[@]}" < /dev/null
)

# The value of one config var, or the second argument.
config_var() { if [[ -f $env_dir/$1 ]]; then cat "$env_dir/$1"; else echo "${2-}"; fi; }

# run_hook NAME: the app's own script for this moment, if it has one. It may write what is looked at after it.
run_hook() {
  if [[ ! -f $build_dir/bin/$1 ]]; then return; fi
  step "Running bin/$1 hook"
  chmod +x "$build_dir/bin/$1"
  for_app env BUILD_DIR="$build_dir" CACHE_DIR="$(dirname "$cache_dir")" ENV_DIR="$env_dir" "./bin/$1" ||
    fail "Error: Failed to run the bin/$1 script." '' 'Its output is above. Fix it, or remove the script if it is not meant for builds.'
}
