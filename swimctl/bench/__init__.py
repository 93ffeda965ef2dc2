"""Load on a service, measured: a crowd of clients in processes of its own, and a publisher. For ``swimctl bench``."""
