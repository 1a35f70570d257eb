# The Aptfile: packages (name, name=version, name/release, name:architecture), URLs of .deb files, and `:repo:` with a line of
# apt's sources. Several packages may be on a line; `#` starts a comment.

read_aptfile() {
  local line words word
  packages=() urls=() repositories=()
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    if [[ $line =~ ^[[:space:]]*:repo:[[:space:]]*(.*[^[:space:]])[[:space:]]*$ ]]; then
      word=${BASH_REMATCH[1]}
      [[ $word =~ ^deb(-src)?[[:space:]] ]] || refuse "$line" 'A :repo: line continues as in sources.list: :repo:deb URL RELEASE COMPONENT'
      repositories+=("$word")
      continue
    fi
    read -ra words <<< "${line%%#*}"
    for word in "${words[@]}"; do
      if [[ $word =~ ^https?://.*\.deb$ ]]; then
        urls+=("$word")
      elif [[ $word =~ ^[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?([=/][A-Za-z0-9.+:~-]+)?$ ]]; then
        packages+=("$word")
      else
        refuse "$word" 'That is neither the name of a package nor the URL of a .deb file.'
      fi
    done
  done < "$build_dir/Aptfile"
}

refuse() { fail "Error: The Aptfile has \"${1:0:200}\"." "$2"; }
