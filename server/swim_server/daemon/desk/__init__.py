"""What the operator's page is told, beyond what ``swimctl`` asks too."""
