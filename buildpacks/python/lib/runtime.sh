# Python itself. The stack's build image has one and the run image has none, so it goes into the slug: .heroku/python is a virtual
# environment (https://docs.python.org/3/library/venv.html), and what it stands on, a copy of the stack's, is in its folder base.
# /app/.heroku/python means the same at build and in dynos. The libraries that Python needs are in both images.

base=$python_home/base

# Of the build image's package too: its security updates do not change Python's version.
python_package() { dpkg-query -W -f '${Version}' "libpython$python_minor-stdlib"; }

install_python() {
  local home=$build_dir/.heroku/python cached=$cache_dir/base
  mkdir -p "$home/lib/python$python_minor/site-packages" "$home/bin" "$HOME/.heroku"
  ln -sfn "$home" "$HOME/.heroku/python"
  if [[ $(cat "$cached.key" 2> /dev/null) == "$STACK $(uname -m) $(python_package)" ]]; then
    step "Using cached install of Python $python_version"
  else
    step "Installing Python $python_version"
    rm -rf "$cached" "$cached.key"
    copy_python "$cached"
    if fetch_headers "$cached"; then
      echo "$STACK $(uname -m) $(python_package)" > "$cached.key"
    else
      warn "The headers of Python cannot be fetched from the package sources of the stack image, so packages with native code" \
        'can only be installed as wheels in this build. The next build tries again.'
    fi
  fi
  rm -rf "$home/base" "$home/pyvenv.cfg"
  cp -al "$cached" "$home/base"
  printf '%s\n' "home = $base/bin" 'include-system-site-packages = false' "version = $python_version" > "$home/pyvenv.cfg"
  ln -sfn "../base/bin/python$python_minor" "$home/bin/python$python_minor"
  ln -sfn "python$python_minor" "$home/bin/python3"
  ln -sfn "python$python_minor" "$home/bin/python"
  export PATH=$python_home/bin:$PATH PYTHONUNBUFFERED=1 LANG=${LANG:-C.UTF-8} VIRTUAL_ENV=$python_home
}

# Without what is the distribution's own affair: its sitecustomize, its mark that pip must keep away.
copy_python() {
  mkdir -p "$1/bin" "$1/lib"
  cp "/usr/bin/python$python_minor" "$1/bin/"
  cp -a "/usr/lib/python$python_minor" "$1/lib/"
  rm -rf "$1/lib/python$python_minor"/{EXTERNALLY-MANAGED,sitecustomize.py,test}
}

# Packages with C code are compiled against these. pyconfig.h stands for one that is outside of its folder on Debian.
fetch_headers() {
  local files
  files=$(mktemp -d)
  fetch_packages "$files" "libpython$python_minor-dev" || return
  mv "$files/usr/include" "$1/include"
  cp "$1/include/$(dpkg-architecture -q DEB_HOST_MULTIARCH)/python$python_minor/pyconfig.h" "$1/include/python$python_minor/"
}
