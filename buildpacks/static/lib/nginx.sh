# nginx as the stack's distribution packs it. Its libraries are in every stack image.

# A week old at the most, so that security fixes come with the builds; an older one does while the archive cannot be reached.
most_days=7

install_nginx() {
  local kept=$cache_dir/nginx-$STACK
  if [[ ! -x $kept/nginx || -n $(find "$kept/nginx" -ctime "+$most_days") ]]; then
    if ! fetch_nginx "$kept"; then
      [[ -x $kept/nginx ]] || fail "nginx cannot be downloaded from the stack's package archive. Its answer is above."
      warn 'The package archive cannot be reached: using the nginx of an earlier build.'
    fi
  fi
  cp -l "$kept"/* "$home"
  detail "$("$home/nginx" -v 2>&1)"
}

fetch_nginx() {
  local files
  files=$(mktemp -d)
  fetch_packages "$files" nginx nginx-common || return
  rm -rf "$1"
  mkdir -p "$1"
  mv "$files/usr/sbin/nginx" "$files/etc/nginx/mime.types" "$1"
}
