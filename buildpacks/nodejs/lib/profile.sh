# What dynos and later buildpacks find.

write_profile() {
  mkdir -p "$build_dir/.profile.d"
  cp "$pack/lib/dyno.sh" "$build_dir/.profile.d/nodejs.sh"
}

write_export() {
  {
    echo "export PATH=\"$node_home/bin:$build_dir/node_modules/.bin:\$PATH\""
    echo "export NODE_HOME=\"$node_home\""
  } > "$pack/export"
}
