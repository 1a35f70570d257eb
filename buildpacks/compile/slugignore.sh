# .slugignore: https://devcenter.heroku.com/articles/slug-compiler#ignoring-files-with-slugignore

# Removes from folder $1 what its .slugignore names, before any buildpack sees it. One shell glob a line; one that begins with a slash
# counts from the top, others at any depth; there is no negation. What a symbolic link leads to is never touched.
remove_ignored() (
  cd "$1" || return
  [[ -f .slugignore && ! -L .slugignore ]] || return 0
  shopt -s globstar nullglob
  top=$(pwd -P)
  # shellcheck disable=SC2030
  IFS=
  removed=0
  while read -r line || [[ -n $line ]]; do
    line=${line#$'\xef\xbb\xbf'}
    line=${line%$'\r'}
    line=${line%"${line##*[![:space:]]}"}
    [[ -z $line || $line == '#'* ]] && continue
    line=${line%/}
    # shellcheck disable=SC2206
    case $line in
      '') continue ;;
      /*) matches=(./${line#/}) ;;
      *) matches=(./**/$line) ;;
    esac
    for match in "${matches[@]}"; do
      folder=$(cd -P "$(dirname "$match")" 2> /dev/null && pwd -P) || continue
      [[ $folder == "$top" || $folder == "$top"/* ]] || continue
      case ${match##*/} in . | ..) continue ;; esac
      rm -rf "${folder:?}/${match##*/}" && removed=$((removed + 1))
    done
  done < <(head -c 65536 .slugignore)
  if ((removed == 1)); then echo '-----> Deleting 1 file matching .slugignore patterns.'; fi
  if ((removed > 1)); then echo "-----> Deleting $removed files matching .slugignore patterns."; fi
)
