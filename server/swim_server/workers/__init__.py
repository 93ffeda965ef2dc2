"""Several processes on one machine as one service: what primary and worker say to each other, and a worker's parts."""
