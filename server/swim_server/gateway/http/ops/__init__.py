"""The operator's page: who may open it, and what it can show and do."""
