# The build output's look: https://devcenter.heroku.com/articles/buildpack-api#output-style

step() { echo "-----> $*"; }

detail() { echo "       $*"; }

indent() { sed -u 's/^/       /'; }

warn() { printf '%s\n' "$@" | sed 's/^/ !     /'; }

# Ends the build; one line or several an argument.
fail() {
  echo
  warn "$@"
  exit 1
}
