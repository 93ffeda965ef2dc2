"""What a client sends, frame by frame: cut, checked, and read within a budget."""
