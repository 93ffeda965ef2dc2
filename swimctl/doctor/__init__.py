"""Doctor: proof that what runs is what was deployed. One module an area, a check = one small function."""
