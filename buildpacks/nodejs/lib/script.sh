# Commands of the app, which see its config vars.

# Names that a build must not take from its app, as in Heroku's own buildpack.
denied='^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LANG|BUILD_DIR)$'

# for_app COMMAND...: runs it at the top of the source, in a subshell, so that no config var can change a variable of ours.
for_app() (
  __names=("$env_dir"/*)
  __command=("$@")
  cd "$build_dir"
  export NODE_ENV=production NPM_CONFIG_CACHE="$cache_dir/npm-cache" YARN_CACHE_FOLDER="$cache_dir/yarn-cache"
  if [[ -f $ca_bundle ]]; then export NODE_EXTRA_CA_CERTS=$ca_bundle; fi
  for __name in "${__names[@]}"; do
    if [[ ! -f $__name || ${__name##*/} =~ $denied ]]; then continue; fi
    # Not $(<file), which would drop newlines at the end.
    IFS= read -r -d '' __value < "$__name" || true
    export "${__name##*/}=$__value"
  done
  "${__command[@]}" < /dev/null 2>&1 | indent
)

# The value of one config var, or the second argument.
config_var() { if [[ -f $env_dir/$1 ]]; then cat "$env_dir/$1"; else echo "${2-}"; fi; }

has_script() { jq -e --arg name "$1" '.scripts[$name]? | type == "string" and . != ""' "$build_dir/package.json" > /dev/null; }

# run_script NAME: if package.json has it.
run_script() {
  if ! has_script "$1"; then return; fi
  step "Running $1"
  for_app "${manager/berry/yarn}" run "$1" || fail "The $1 script of package.json failed. Its output is above."
}

# heroku-postbuild takes the place of build.
build_app() {
  if has_script heroku-postbuild; then run_script heroku-postbuild; else run_script build; fi
}
