# The build output's look: https://devcenter.heroku.com/articles/buildpack-api#output-style

step() { echo "-----> $*"; }

detail() { echo "       $*"; }

indent() { sed -u 's/^/       /'; }

warn() { printf ' !     %s\n' "$@"; }

# Ends the build; one line an argument.
fail() {
  echo
  printf ' !     %s\n' "$@"
  exit 1
}
