"""The metrics of the running service for Prometheus, and who may read them."""
