"""Shell completion: the words, a table of the commands, and answers in each shell's format."""
