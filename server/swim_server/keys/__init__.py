"""API keys: their format, the store that keeps them, the authenticator that asks it."""
