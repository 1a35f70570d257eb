# .slugignore: https://devcenter.heroku.com/articles/slug-compiler#ignoring-files-with-slugignore

# Removes from folder $1 what its .slugignore names, before any buildpack sees it. One shell glob a line; one that begins with a slash
# counts from the top, others at any depth; there is no negation. What a symbolic link leads to is never touched.
remove_ignored() (
  cd -P "$1" || return
  [[ -f .slugignore && ! -L .slugignore ]] || return 0
  shopt -s globstar nullglob
  top=$PWD
  # shellcheck disable=SC2030
  IFS=
  removed=0
  while read -r line || [[ -n $line ]]; do
    line=${line#$'\xef\xbb\xbf'}
    line=${line%$'\r'}
    line=${line%"${line##*[![:space:]]}"}
    [[ -z $line || $line == '#'* ]] && continue
    line=${line%"${line##*[!/]}"}
    # shellcheck disable=SC2206
    case $line in
      '') continue ;;
      /*) matches=(./${line#/}) ;;
      *) matches=(./**/$line) ;;
    esac
    found=()
    for match in "${matches[@]}"; do
      case ${match##*/} in '' | . | ..) continue ;; esac
      cd -P "${match%/*}" 2> /dev/null || continue
      if [[ $PWD == "$top" || $PWD == "$top"/* ]]; then found+=("$PWD/${match##*/}"); fi
      cd "$top" || return
    done
    removed=$((removed + ${#found[@]}))
    # No process for each: there may be a hundred thousand.
    ((${#found[@]} == 0)) || printf '%s\0' "${found[@]}" | xargs -0 rm -rf || true
  done < <(head -c 65536 .slugignore)
  if ((removed == 1)); then echo '-----> Deleting 1 file matching .slugignore patterns.'; fi
  if ((removed > 1)); then echo "-----> Deleting $removed files matching .slugignore patterns."; fi
)
