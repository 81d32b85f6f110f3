# Completion for fish. Commands, flags and what their values are come from `specman --help`.

function __specman_operands
    # The words that are no flags; a flag's value may be among them.
    string match -v -- '-*' (commandline -opc)[2..-1]
end

function __specman_has_no_command
    not string match -qr -- '^('(string join '|' $__specman_commands)')$' (commandline -opc)[2..-1]
end

function __specman_is_second_operand
    set -l words (__specman_operands)
    test "$words[1]" = "$argv[1]"; and test (count $words) -eq 2
end

complete -c specman -f
complete -c specman -l help -d 'say more'
set -g __specman_commands
set -l part
for line in (command specman --help 2>/dev/null)
    if test "$line" = Commands:
        set part commands
    else if not string match -q -- '  *' $line
        set part
    else if test "$part" = commands
        set -l found (string match -r -- '^  ([a-z]+)(?: \S+)* {2,}(.*)$' $line)
        set -a __specman_commands $found[2]
        complete -c specman -n __specman_has_no_command -a $found[2] -d $found[3]
    else if set -l found (string match -r -- '^  --([a-z0-9-]+) (\S*) +(.*)$' $line)
        switch $found[3]
            case ''
                complete -c specman -l $found[2] -d $found[4]
            case FILE
                complete -c specman -l $found[2] -r -F -d $found[4]
            case DIR
                complete -c specman -l $found[2] -x -a '(__fish_complete_directories)' -d $found[4]
            case '*|*'
                complete -c specman -l $found[2] -x -a (string replace -a '|' ' ' -- $found[3]) -d $found[4]
            case '*'
                complete -c specman -l $found[2] -x -d $found[4]
        end
    end
end
complete -c specman -n '__specman_is_second_operand push' -F
complete -c specman -n '__specman_is_second_operand export' -a '(__fish_complete_directories)'
