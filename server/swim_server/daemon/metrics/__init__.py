"""What Prometheus is told of the running service, and who may ask."""
