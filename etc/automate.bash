# Completion of the automate commands for bash.
_automate()
{
	local word=${COMP_WORDS[COMP_CWORD]} words
	if [[ $word == -* ]]; then
		words=$("${COMP_WORDS[0]}" --help 2>/dev/null |
			grep -oE -- '--?[a-z][a-z-]*')
	elif [[ ${COMP_WORDS[0]##*/} == automate-deliver ]]; then
		words='list show retry cancel hold release purge'
	elif [[ ${COMP_WORDS[0]##*/} == automate-log ]]; then
		words='list show tail ack resolve silence silences unsilence why'
	elif [[ ${COMP_WORDS[0]##*/} == automate-check ]]; then
		words='config'
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _automate automate-alert automate-call automate-cgi \
	automate-check automate-deliver automate-dunning automate-log \
	automate-onboard automate-reconcile automate-retell-event \
	automate-stripe-event
