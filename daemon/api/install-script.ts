/**
 * A script that installs the command for whoever runs it: `curl -fsSL URL/cli/install.sh | sh`. It carries the package, so that nothing else
 * is fetched; a script that was cut off does nothing; a version is put beside the old one, and then the link is moved.
 * @param url of the API, nothing but scheme, host and port.
 * @param name of the folder of this version.
 */
export const installScript = ({ url, bytes, name }: { url: string; bytes: Buffer; name: string }): string => `#!/bin/sh
# Installs the sluice command below ~/.local, for the platform at ${url}.
# SLUICE_HOME (~/.local/share/sluice) and SLUICE_BIN (~/.local/bin) choose other folders.
set -eu
umask 022

fail() {
  printf 'sluice: %s\\n' "$*" >&2
  exit 1
}

install() {
  for tool in node tar; do
    command -v "$tool" >/dev/null || fail "$tool is missing. Install ${'$'}{tool} first$([ "$tool" != node ] || echo ' (20.12 or newer: https://nodejs.org)')."
  done
  node -e 'const [a, b] = process.versions.node.split("."); process.exit(a * 100 + +b < 2012 ? 1 : 0)' ||
    fail "Node 20.12 or newer is needed, and this is $(node --version). Get one from https://nodejs.org"
  home=${'$'}{SLUICE_HOME:-${'$'}{XDG_DATA_HOME:-$HOME/.local/share}/sluice}
  bin=${'$'}{SLUICE_BIN:-$HOME/.local/bin}
  [ -d "$bin/sluice" ] && fail "$bin/sluice is a folder. Remove it, or set SLUICE_BIN to another folder."
  mkdir -p "$home" "$bin" || fail "Set SLUICE_HOME and SLUICE_BIN to folders that you may write to."
  new=$(mktemp -d "$home/.new-XXXXXX")
  trap 'rm -rf "$new"' EXIT
  package | node -e 'process.stdout.write(Buffer.from(require("fs").readFileSync(0, "latin1"), "base64"))' | tar -xzf - -C "$new"
  "$new/package/dist/cli/main.js" version >/dev/null || fail "The command does not run here; its reason is above."
  [ ! -e "$home/${name}" ] || mv "$home/${name}" "$new/same"
  mv "$new/package" "$home/${name}"
  ln -s "$home/${name}/dist/cli/main.js" "$new/sluice"
  mv -f "$new/sluice" "$bin/sluice"
  for old in "$home"/[0-9]*.[0-9]*.[0-9]*-????????????; do
    [ "$old" = "$home/${name}" ] || [ ! -f "$old/dist/cli/main.js" ] || rm -rf "$old"
  done
  printf 'sluice is installed: %s\\n' "$bin/sluice"
  case ":$PATH:" in
    *":$bin:"*) ;;
    *) printf 'Add it to your PATH:  export PATH="%s:$PATH"\\n' "$bin" ;;
  esac
  printf 'Log in:  sluice login %s\\n' '${url}'
}

package() {
  cat <<'END'
${bytes.toString('base64').replace(/.{1,120}/g, '$&\n')}END
}

install
`
