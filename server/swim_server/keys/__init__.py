"""API keys: their format, the store that keeps them, and the authenticator that uses it."""
