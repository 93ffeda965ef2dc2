"""Doctor: proof that the deployed code is what runs. One module per area; a check is one small function."""
