"""What is written about keys behind their use: uses and refusals in batches, endings that had to wait."""
