# From .deb files to .apt. Their install scripts do not run.

install_packages() {
  local deb
  mkdir -p "$build_dir/.apt"
  for deb in "$archives"/*.deb "$linked"/*.deb; do
    step "Installing $(basename "$deb")"
    dpkg -x "$deb" "$build_dir/.apt/" || fail "Error: $(basename "$deb") cannot be unpacked."
  done
}

# So that pkg-config leads later buildpacks to .apt. Some files have no prefix, but whole paths.
rewrite_package_config() {
  step 'Rewrite package-config files'
  find "$build_dir/.apt" -type f -ipath '*/pkgconfig/*.pc' -exec sed -i -E "s!^([A-Za-z_]+)=(/usr(/.*)?)\$!\1=$build_dir/.apt\2!" {} +
}
