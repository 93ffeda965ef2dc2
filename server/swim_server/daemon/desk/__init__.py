"""The data of the operator's page, beyond what ``swimctl`` also uses."""
