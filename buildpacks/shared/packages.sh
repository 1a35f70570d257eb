# Packages of the stack's distribution, for buildpacks that need some of their files.

# fetch_packages FOLDER NAME...: unpacks them there, without what they depend on. Without root, so apt's own folders are ours. What apt
# says is shown only when it fails.
fetch_packages() (
  into=$1
  shift
  work=$(mktemp -d) && cd "$work" && mkdir -p lists/partial archives/partial || return
  options=(-q -o "Dir::State=$work" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$work" -o Debug::NoLocking=true
    -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10)
  if ! { timeout 120 apt-get "${options[@]}" update && timeout 120 apt-get "${options[@]}" download "$@"; } > log 2>&1; then
    tail -n 5 log | indent
    return 1
  fi
  mkdir -p "$into" || return
  for package in *.deb; do dpkg-deb --extract "$package" "$into" || return; done
  rm -rf "$work"
)
