"""One file with a service's keys, history and configuration: made while it runs, brought back while it is stopped."""
