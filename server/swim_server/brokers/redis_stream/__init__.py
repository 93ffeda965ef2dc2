"""Several nodes on one Redis or Valkey server: it gives the ids and keeps the order; each node keeps a copy."""
