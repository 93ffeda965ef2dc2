"""Doctor: proof that what runs is what was deployed and keeps its promises. One module an area, a check = a function."""
