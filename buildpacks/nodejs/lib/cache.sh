# What is kept between builds in CACHE_DIR: Node.js and tools by version, the package managers' caches, and node_modules as it was
# just after its installation, under a hash of everything that it was made from.
#
# node_modules is copied, not hard-linked: a build script may edit files in place, and the next build must not see that.

most_cached_kb=$((1024 * 1024))

# Empty when the installation must run: scripts of the app itself, workspaces and local packages depend on more than the hash tells.
modules_key() {
  local lock
  case $manager in
    npm) lock=package-lock.json ;;
    yarn) lock=yarn.lock ;;
    *) return ;;
  esac
  if [[ ! -f $build_dir/$lock || -d $build_dir/node_modules || $(config_var NODE_MODULES_CACHE true) == false ]]; then return; fi
  if jq -e '.workspaces != null or ([.scripts // {} | keys[] | select(test("^(pre|post)?(install|prepare)$|^prepublish$"))] != [])' \
    "$build_dir/package.json" > /dev/null || grep -qE '"link": true|file:|link:' "$build_dir/$lock" "$build_dir/package.json"; then return; fi
  {
    echo "$STACK $(uname -m) $node_version $npm_version $manager $manager_version"
    cd "$build_dir"
    tail -n +1 package.json "$lock" .npmrc .yarnrc 2> /dev/null || true
    cd "$env_dir"
    find . -type f | LC_ALL=C sort | xargs -r tail -n +1 --
  } | sha256sum | cut -d ' ' -f 1
}

restore_modules() {
  [[ -n $1 && -d $cache_dir/modules && $(cat "$cache_dir/modules.key" 2> /dev/null) == "$1" ]] || return
  cp -a --reflink=auto "$cache_dir/modules" "$build_dir/node_modules"
}

save_modules() {
  rm -rf "$cache_dir/modules" "$cache_dir/modules.key"
  if [[ -z $1 || ! -d $build_dir/node_modules ]]; then return; fi
  cp -a --reflink=auto "$build_dir/node_modules" "$cache_dir/modules"
  echo "$1" > "$cache_dir/modules.key"
}

# What package.json asks to be kept, such as the work of a bundler: folders of the app, one a line.
cached_folders() {
  jq -r '.cacheDirectories? // .cache_directories? // [] | if type == "array" then .[] else empty end | strings' "$build_dir/package.json" |
    while IFS= read -r folder; do
      folder=${folder#./}
      case /${folder%/}/ in
        // | */../* | //* | /node_modules/) ;;
        *) echo "${folder%/}" ;;
      esac
    done
}

restore_folders() {
  local folder
  while IFS= read -r folder; do
    if [[ ! -d $cache_dir/folders/$folder || -e $build_dir/$folder ]]; then continue; fi
    detail "Restoring $folder from the cache"
    mkdir -p "$(dirname "$build_dir/$folder")"
    cp -a --reflink=auto "$cache_dir/folders/$folder" "$build_dir/$folder"
  done < <(cached_folders)
}

save_folders() {
  local folder
  rm -rf "$cache_dir/folders"
  while IFS= read -r folder; do
    if [[ ! -d $build_dir/$folder ]]; then continue; fi
    detail "Keeping $folder for the next build"
    mkdir -p "$(dirname "$cache_dir/folders/$folder")"
    cp -a --reflink=auto "$build_dir/$folder" "$cache_dir/folders/$folder"
  done < <(cached_folders)
  if [[ -d $cache_dir/folders ]] && (($(du -sk "$cache_dir/folders" | cut -f 1) > most_cached_kb)); then
    warn 'What cacheDirectories (package.json) names is larger than 1 GB, so it is not kept.'
    rm -rf "$cache_dir/folders"
  fi
}

# Versions that this build did not use go, and so does a package manager's cache that has grown too large.
clean_cache() {
  local entry name
  for entry in "$cache_dir"/*; do
    name=${entry##*/}
    case $name in
      "node-$node_version" | "npm-$npm_version" | *"-$manager_version" | modules | modules.key | folders) ;;
      *-cache | *-store)
        if (($(du -sk "$entry" | cut -f 1) > most_cached_kb)); then rm -rf "$entry"; fi
        ;;
      *) rm -rf "$entry" ;;
    esac
  done
}
