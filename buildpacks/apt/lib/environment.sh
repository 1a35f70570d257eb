# What dynos and later buildpacks find. The names and their order are those of Heroku's own buildpack.

write_environment() {
  step 'Writing profile script'
  mkdir -p "$build_dir/.profile.d"
  # shellcheck disable=SC2016
  variables '$HOME/.apt' > "$build_dir/.profile.d/000_apt.sh"
  variables "$build_dir/.apt" > "$pack/export"
}

variables() {
  local libraries=$1/usr/lib/$multiarch:$1/usr/lib
  prepend PATH "$1/usr/bin"
  prepend LD_LIBRARY_PATH "$libraries"
  prepend LIBRARY_PATH "$libraries"
  prepend INCLUDE_PATH "$1/usr/include:$1/usr/include/$multiarch"
  # shellcheck disable=SC2016
  printf 'export CPATH="$INCLUDE_PATH"\nexport CPPPATH="$INCLUDE_PATH"\n'
  prepend PKG_CONFIG_PATH "$1/usr/lib/$multiarch/pkgconfig:$1/usr/lib/pkgconfig:$1/usr/share/pkgconfig"
  prepend GI_TYPELIB_PATH "$1/usr/lib/$multiarch/girepository-1.0"
}

# Without a colon at the end when there was nothing: to the linker that means the working directory.
prepend() { printf 'export %s="%s${%s:+:$%s}"\n' "$1" "$2" "$1" "$1"; }
