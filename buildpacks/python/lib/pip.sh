# pip, and what it installs.

# Of an index that does not have this version, the newest.
pip_version=25.3

packages() { echo "$python_home/lib/python$python_minor/site-packages"; }

install_pip() {
  local wheel installed
  if [[ -d $(packages)/pip ]]; then
    installed=$(compgen -G "$(packages)/pip-*.dist-info")
    installed=${installed##*/pip-}
    step "Using cached pip ${installed%.dist-info}"
    return
  fi
  wheel=$(indexes | python "$pack/lib/pip_wheel.py" "$pip_version" "$(mktemp -d)" 2> "$log") ||
    fail 'Error: Unable to install pip.' '' 'No package index that this app uses can be reached, or has pip:' "$(sed -f "$secrets" "$log")" '' \
      "The index is the config var PIP_INDEX_URL, or what the operator set with SLUICE_PIP_INDEX."
  installed=${wheel##*/pip-}
  step "Installing pip ${installed%%-*}"
  PIP_NO_INDEX=1 python "$wheel/pip" install --quiet "$wheel" 2>&1 | indent || fail 'Error: Unable to install pip.'
  save bare "$(bare_key)"
}

install_dependencies() {
  case $manifest in
    requirements.txt) pip_install 'pip install -r requirements.txt' -r requirements.txt ;;
    .) pip_install 'pip install --editable .' --editable . ;;
    *) install_locked ;;
  esac
}

# pip_install TITLE ARGUMENT...
pip_install() {
  step "Installing dependencies using '$1'"
  quiet='/Requirement already satisfied/d' for_app pip install "${@:2}" ||
    fail 'Error: Unable to install dependencies using pip.' '' 'Its output is above.' "$(hint)"
}

# What mostly helps. The first that fits: pip says that a package does not exist when the index does not answer, too.
hint() {
  case $(< "$log") in
    *'Failed to establish a new connection'* | *'Name or service not known'* | *'Connection refused'* | *'ConnectTimeoutError'* | *'Read timed out'* | *CERTIFICATE_VERIFY_FAILED*)
      echo 'The package index cannot be reached. It is the config var PIP_INDEX_URL, or what the operator set with SLUICE_PIP_INDEX.' ;;
    *'DO NOT MATCH THE HASHES'* | *'Hashes are required'*)
      echo 'The index has other files than those whose hashes the source names. Make the hashes anew if that is meant to be.' ;;
    *'requires a different Python'* | *'require a different python version'*)
      echo "That needs another Python than $python_version. Choose a version of the package that supports Python $python_minor." ;;
    *'from versions: none'*)
      if closed_index; then
        echo 'The package index wants a user and a password: set PIP_INDEX_URL or PIP_EXTRA_INDEX_URL to https://USER:PASSWORD@HOST/...'
      else
        echo "The index has no package of that name for Python $python_minor, or gives no answer. Check the name."
      fi
      ;;
    *'No matching distribution found'*)
      echo "The index has no such version for Python $python_minor. Check the version, and that it has not been withdrawn." ;;
    *'Failed building wheel'* | *'Failed to build'* | *metadata-generation-failed* | *'error: command '*)
      echo 'A package with native code may need a library of the system: name its -dev package in an Aptfile and put heroku-community/apt first.' ;;
    *'Cannot find command'* | *'git clone'*) echo 'A package from a repository could not be fetched from there.' ;;
    *) echo 'Try the same installation on your machine.' ;;
  esac
}

# Installed in place, packages name the folder of this build, which is another one in dynos.
relocate() {
  local file
  while IFS= read -r -d '' file; do
    sed -i "s#$build_dir#$HOME#g" "$file"
  done < <(find "$(packages)" \( -name '*.pth' -o -name '*.egg-link' -o -name '__editable__*.py' -o -name direct_url.json \) -type f \
    -exec grep -lZF "$build_dir" {} +)
}
