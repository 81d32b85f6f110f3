# Puts the flags of `specman --help` (the first file) into the page (the second), in the place of its line
# @OPTIONS@: so no flag is ever missing there.
function text(words) {
	gsub(/\\/, "\\e", words)
	gsub(/-/, "\\-", words)
	return words
}

NR == FNR && match($0, /^  --[a-z-]+/) {
	name = substr($0, 5, RLENGTH - 4)
	rest = substr($0, RLENGTH + 1)
	value = rest
	sub(/^ /, "", value)
	sub(/ .*/, "", value)
	help = rest
	sub(/^ [^ ]*/, "", help)
	sub(/^ +/, "", help)
	help = toupper(substr(help, 1, 1)) substr(help, 2)
	options = options ".It Fl -" name (value ? " Ar " text(value) : "") "\n\\&" text(help) ".\n"
}

NR != FNR && /^@OPTIONS@$/ {
	# Narrower than the shortest name, whose text would stand beside it otherwise.
	printf ".Bl -tag -width 4n\n%s.El\n", options
	next
}

NR != FNR
