# Downloads into CACHE_DIR, with package sources and lists of the build's own. What is in the stack's build image already counts as
# installed, as in Heroku's own buildpack; what the Aptfile names itself is fetched in any case.

archives=$cache_dir/archives
linked=$cache_dir/linked
state=$(mktemp -d)
log=$state/log

# Another Aptfile or stack starts from nothing, so that what is no longer named is gone.
restore_cache() {
  local key
  key=$(echo "$STACK $(dpkg --print-architecture) $(. /etc/os-release && echo "$VERSION_ID")" | cat - "$build_dir/Aptfile" | sha256sum)
  if [[ $(cat "$cache_dir/key" 2> /dev/null) == "$key" ]]; then
    step 'Reusing cache'
  else
    step 'Detected Aptfile or Stack changes, flushing cache'
    rm -rf "$cache_dir"
  fi
  mkdir -p "$archives/partial" "$linked" "$state/lists/partial" "$state/sources"
  echo "$key" > "$cache_dir/key"
}

fetch_packages() {
  local url
  if ((${#packages[@]} > 0)); then
    write_sources
    step 'Updating apt caches'
    if update; then
      step "Fetching .debs for ${packages[*]}"
      apt -y -d --reinstall --allow-downgrades --allow-remove-essential --allow-change-held-packages install "${packages[@]}" || fail_fetching
      apt autoclean
    elif compgen -G "$archives/*.deb" > /dev/null; then
      warn 'The lists of packages cannot be fetched; what the last build downloaded is used.'
    else
      fail_fetching
    fi
  fi
  for url in "${urls[@]}"; do fetch_url "$url"; done
}

write_sources() {
  cp -R /etc/apt/sources.list.d/. "$state/sources/"
  if [[ -f /etc/apt/sources.list ]]; then cp /etc/apt/sources.list "$state/sources/stack.list"; fi
  if ((${#repositories[@]} > 0)); then
    step 'Adding custom repositories'
    printf '%s\n' "${repositories[@]}" > "$state/sources/aptfile.list"
  fi
}

# apt takes a source that it cannot reach for a warning; here it is an error, unless the cache helps.
update() { apt -o APT::Update::Error-Mode=any update; }

apt() {
  apt-get -o Debug::NoLocking=true -o "Dir::State=$state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$state" \
    -o "Dir::Cache::archives=$archives" \
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$state/sources" -o Acquire::Languages=none -o Acquire::Retries=1 \
    -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 "$@" < /dev/null 2>&1 | hide_passwords | tee "$log" | indent
}

hide_passwords() { sed -u 's,\(https\?://\)[^/@[:space:]]*@,\1****@,g'; }

fail_fetching() {
  local named
  named=$(sed -nE 's/^E: (Unable to locate package|Version .* for|Release .* for|Package) .*/\0/p' "$log" | sed 's/^E: //' | head -n 5)
  if [[ -n $named ]]; then
    fail 'Error: A package of the Aptfile does not exist in the sources of packages.' '' "$named" '' \
      "This stack image is $(. /etc/os-release && echo "$PRETTY_NAME"): look the name up at its distribution, or add the source that has it by a :repo: line."
  elif grep -qE 'unmet dependencies|held broken packages' "$log"; then
    fail 'Error: The packages of the Aptfile do not go together. What apt says is above.'
  fi
  fail 'Error: Packages cannot be fetched. What apt says is above.' '' \
    'They come from the package sources of the stack image and the :repo: lines of the Aptfile. If one cannot be reached, try again later.'
}

# With the same name as before only when it has changed.
fetch_url() {
  local file=$linked/${1##*/}
  step "Fetching $(hide_passwords <<< "$1")"
  curl -fsSL --retry 2 --connect-timeout 15 --max-time 600 -z "$file" -o "$file.part" "$1" 2>&1 | hide_passwords | indent ||
    fail 'Error: The .deb file of that URL cannot be downloaded.' 'Check the URL in the Aptfile.'
  if [[ -e $file.part ]]; then mv "$file.part" "$file"; fi
  dpkg-deb --info "$file" > /dev/null 2>&1 || fail 'Error: What that URL of the Aptfile leads to is no .deb file.'
}
