"""Several nodes as one service: who is there, whose connections count, who runs a source, which keys have changed."""
