# The packages that the app needs: all of them for the build script, without devDependencies in the slug.

install_dependencies() {
  local key
  key=$(modules_key)
  step 'Installing dependencies'
  if restore_modules "$key"; then
    detail "Nothing that node_modules depends on has changed: taking it from the cache"
    return
  fi
  case $manager in
    npm) install_with_npm ;;
    yarn) install_with yarn install --frozen-lockfile --production=false --non-interactive ;;
    berry) install_with_berry ;;
    pnpm) install_with_pnpm ;;
  esac
  save_modules "$key"
}

install_with_npm() {
  if [[ -f $build_dir/package-lock.json || -f $build_dir/npm-shrinkwrap.json ]]; then
    detail 'Installing node modules (package-lock.json)'
    install_with npm ci --include=dev
  else
    warn 'There is no lock file: what is installed may differ from build to build. Run `npm install` and commit package-lock.json.'
    detail 'Installing node modules (package.json)'
    install_with npm install --include=dev --no-package-lock
  fi
}

# CI, or pnpm asks before it replaces node_modules. Not for the app's own scripts: some take warnings for errors then.
install_with_pnpm() {
  local frozen=(--no-frozen-lockfile)
  if [[ -f $build_dir/pnpm-lock.yaml ]]; then frozen=(--frozen-lockfile); fi
  install_with env CI=true pnpm install "${frozen[@]}" --prod=false --store-dir "$cache_dir/pnpm-store"
}

install_with_berry() {
  export YARN_ENABLE_GLOBAL_CACHE=false YARN_ENABLE_TELEMETRY=false YARN_ENABLE_IMMUTABLE_INSTALLS=false
  if [[ -f $build_dir/yarn.lock ]]; then YARN_ENABLE_IMMUTABLE_INSTALLS=true; fi
  if ! grep -qs '^npmRegistryServer:' "$build_dir/.yarnrc.yml"; then export YARN_NPM_REGISTRY_SERVER=$registry; fi
  install_with yarn install
}

install_with() {
  for_app "$@" || fail "Installing the dependencies with ${manager/berry/yarn} failed. Its output is above." \
    'If the lock file does not fit package.json, run the installation on your machine and commit both.'
}

# What is for the build alone goes, unless the app's own NODE_ENV or *_PRODUCTION says that it needs it.
prune_dependencies() {
  if [[ $(config_var NODE_ENV production) != production ]]; then return; fi
  if jq -e '(.devDependencies // {}) == {} and .workspaces == null' "$build_dir/package.json" > /dev/null; then return; fi
  case $manager in
    npm) pruned NPM_CONFIG_PRODUCTION=false npm prune --omit=dev ;;
    yarn) pruned YARN_PRODUCTION=false yarn install --frozen-lockfile --production=true --ignore-scripts --prefer-offline --non-interactive ;;
    pnpm) pruned 'PNPM_PRODUCTION=false PNPM_SKIP_PRUNING=true' env CI=true pnpm prune --prod ;;
    berry) if ((${manager_version%%.*} >= 4)); then pruned 'YARN_PRODUCTION=false YARN2_SKIP_PRUNING=true' yarn workspaces focus --all --production; fi ;;
  esac
}

# pruned 'VAR=VALUE ...' COMMAND...: unless one of these config vars has that value.
pruned() {
  local unless
  for unless in $1; do
    if [[ $(config_var "${unless%=*}") == "${unless#*=}" ]]; then return; fi
  done
  shift
  step 'Pruning devDependencies'
  for_app "$@" || fail 'Pruning the devDependencies failed. The output is above.'
}
