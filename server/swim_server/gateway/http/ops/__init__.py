"""The operator's page: who may open it, and what it asks and does."""
