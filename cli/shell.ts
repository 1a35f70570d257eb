/** What each shell is told, to be taken by `eval` or from a file. The command itself says what may stand where (`completion.ts`). */
export const scripts = {
  bash: `_sluice() {
  local line=\${COMP_LINE:0:COMP_POINT} word
  local current=\${line##*[[:space:]]}
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    COMPREPLY+=("$word")
  done < <(sluice completion:words --line "$line" 2>/dev/null)
  # readline takes what is before a colon or an equals sign for a word of its own
  local tail=$current
  [[ $COMP_WORDBREAKS == *:* ]] && tail=\${tail##*:}
  [[ $COMP_WORDBREAKS == *=* ]] && tail=\${tail##*=}
  COMPREPLY=("\${COMPREPLY[@]#"\${current%"$tail"}"}")
}
complete -o default -F _sluice sluice
`,
  zsh: `#compdef sluice
_sluice() {
  local line
  local -a found
  for line in "\${(@f)$(sluice completion:words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( $#found )); then _describe 'sluice' found; else _files; fi
}
if [[ $funcstack[1] == _sluice ]]; then _sluice "$@"; else compdef _sluice sluice; fi
`,
  fish: `function __sluice_words
  set -l found (sluice completion:words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c sluice -f -a '(__sluice_words)'
`,
} as const
