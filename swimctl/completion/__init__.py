"""What shells are offered when TAB is pressed: words, a table of the commands, and answers in each shell's form."""
