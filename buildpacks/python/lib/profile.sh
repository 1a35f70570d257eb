# What dynos and later buildpacks find.

write_profile() {
  mkdir -p "$build_dir/.profile.d"
  cp "$pack/lib/dyno.sh" "$build_dir/.profile.d/python.sh"
}

write_export() {
  {
    echo "export PATH=\"$python_home/bin:\$PATH\""
    echo "export PYTHONUNBUFFERED=1"
    echo "export LANG=\"\${LANG:-C.UTF-8}\""
    echo "export VIRTUAL_ENV=\"$python_home\""
  } > "$pack/export"
}
