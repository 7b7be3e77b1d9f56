# Completion of forgectl for bash: the program itself says what may stand at the cursor.
_forgectl() {
  local line quoted
  COMPREPLY=()
  while IFS= read -r line; do
    printf -v quoted '%q' "${line%%$'\t'*}"
    COMPREPLY+=("$quoted")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _forgectl forgectl
