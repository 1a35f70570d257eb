# What is kept between builds in CACHE_DIR: the stack's Python with its headers (base), the tools that read lock files, pip's cache,
# and the virtual environment twice: with pip alone (bare), and as it was just after the installation (environment), under a hash of
# everything that names packages.
#
# With another hash the installation starts from the bare one, so that what the app no longer names is gone. With the same one pip
# still looks whether all is there. Files are hard-linked, as in Heroku's own buildpack: pip, sed and Python replace files, and write none anew.

most_cached_kb=$((1024 * 1024))

bare_key() { echo "$STACK $(uname -m) $python_version $pip_version"; }

environment_key() {
  local file
  {
    bare_key
    echo "$manifest"
    while IFS= read -r file; do
      echo "${file#"$build_dir"}"
      cat "$file"
    done < <(manifest_files)
  } | sha256sum | cut -d ' ' -f 1
}

restore_environment() {
  key=$(environment_key)
  rm -rf "$build_dir/.heroku/python"
  mkdir -p "$build_dir/.heroku"
  if restore environment "$key"; then
    step 'Restoring installed packages from the cache'
    return
  fi
  if [[ -d $cache_dir/environment ]]; then
    step "Discarding installed packages of the last build since ${manifest/#./what the app names} or the stack has changed"
  fi
  restore bare "$(bare_key)" || true
}

# restore NAME KEY
restore() {
  [[ $(cat "$cache_dir/$1.key" 2> /dev/null) == "$2" ]] && cp -al "$cache_dir/$1" "$build_dir/.heroku/python"
}

# save NAME KEY
save() {
  rm -rf "${cache_dir:?}/$1" "$cache_dir/$1.key"
  mkdir "$cache_dir/$1"
  find "$build_dir/.heroku/python" -mindepth 1 -maxdepth 1 ! -name base -exec cp -al -t "$cache_dir/$1" {} +
  echo "$2" > "$cache_dir/$1.key"
}

clean_cache() {
  local entry
  for entry in "$cache_dir"/*; do
    case ${entry##*/} in
      base | base.key | bare | bare.key | environment | environment.key | "${tool:-none}") ;;
      pip-cache) if (($(du -sk "$entry" | cut -f 1) > most_cached_kb)); then rm -rf "$entry"; fi ;;
      *) rm -rf "$entry" ;;
    esac
  done
}
