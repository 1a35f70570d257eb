# Where packages come from: what the app's config vars name (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL), else the operator's index, else PyPI.

index=
if [[ -f $pack/etc/pip-index ]]; then index=$(< "$pack/etc/pip-index"); fi
ca_bundle=/etc/ssl/certs/ca-certificates.crt

# For sed: takes the user and the password out of URLs.
secrets=$(mktemp)
echo 's,\(https\?://\)[^/@[:space:]]*@,\1****@,g' > "$secrets"

choose_index() {
  index=${index:-https://pypi.org/simple}
  export PIP_INDEX_URL=$index PIP_CACHE_DIR=$cache_dir/pip-cache PIP_SRC=$python_home/src
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PIP_EXISTS_ACTION=w
  if [[ $index =~ ^http://([^/@]*@)?([^/]+) ]]; then export PIP_TRUSTED_HOST=${BASH_REMATCH[2]}; fi
  if [[ -f $ca_bundle ]]; then export PIP_CERT=$ca_bundle SSL_CERT_FILE=$ca_bundle REQUESTS_CA_BUNDLE=$ca_bundle; fi
}

# Whether one of them keeps us out, which pip does not say. curl reads the URL from a file: command lines are public.
closed_index() {
  local url
  while IFS= read -r url; do
    if [[ $(printf 'url = "%s"\n' "${url%/}/" | curl -s -K - -o /dev/null -m 15 -w '%{http_code}') == 40[13] ]]; then return; fi
  done < <(indexes | sed '/^$/d' | sort -u)
  return 1
}

# Every index that the app may use, one a line.
indexes() {
  config_var PIP_INDEX_URL "$index"
  echo
  config_var PIP_EXTRA_INDEX_URL | tr -s '[:space:]' '\n'
  echo "$index"
}
