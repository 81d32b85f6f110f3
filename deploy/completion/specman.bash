# Completion for bash. Commands, flags and what their values are come from `specman --help`.
# shellcheck shell=bash

# The value that --help names behind a flag: FILE, a|b, …; "" for a switch. 1: no such flag.
_specman_value()
{
	local line
	while IFS= read -r line; do
		if [[ $line =~ ^\ \ (--[a-z0-9-]+)\ ([^ ]*) && ${BASH_REMATCH[1]} == "$1" ]]; then
			printf '%s\n' "${BASH_REMATCH[2]}"
			return 0
		fi
	done <<<"$2"
	return 1
}

# The words before the cursor that are no flags and no values of flags.
_specman_operands()
{
	local help=$1 value i
	operands=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -* ]]; then
			value=$(_specman_value "${COMP_WORDS[i]}" "$help")
			if [[ ${COMP_WORDS[i + 1]-} == = ]]; then
				((i += 2))
			elif [[ $value ]]; then
				((i += 1))
			fi
		else
			operands+=("${COMP_WORDS[i]}")
		fi
	done
}

_specman_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_specman()
{
	local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} flag='' help value
	local -a operands
	COMPREPLY=()
	help=$("${COMP_WORDS[0]}" --help 2>/dev/null) || return 0

	# --flag=value comes as three words.
	if [[ $cur == = ]]; then
		flag=$before cur=''
	elif [[ $before == = ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $before == --* ]]; then
		flag=$before
	fi
	if [[ $flag ]] && value=$(_specman_value "$flag" "$help"); then
		[[ $value || $before != = && ${COMP_WORDS[COMP_CWORD]} != = ]] || value='true|false'
		case $value in
		FILE) _specman_files -f "$cur" ;;
		DIR) _specman_files -d "$cur" ;;
		*'|'*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$cur") ;;
		esac
		[[ ! $value ]] || return 0
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--help $(sed -n \
			's/^  \(--[a-z0-9-]*\) .*/\1/p' <<<"$help")" -- "$cur")
		return 0
	fi
	_specman_operands "$help"
	case ${#operands[@]} in
	0)
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n \
			'/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$help")" -- "$cur")
		;;
	2)
		case ${operands[0]} in
		push) _specman_files -f "$cur" ;;
		export) _specman_files -d "$cur" ;;
		esac
		;;
	esac
}

complete -F _specman specman
