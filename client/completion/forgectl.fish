# Completion of forgectl for fish: the program itself says what may stand at the cursor.
function __forgectl_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l found ($program __complete $words (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c forgectl -f -a '(__forgectl_complete)'
