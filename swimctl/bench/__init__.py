"""Load measurement for ``swimctl bench``: listening clients in processes of their own, and a publisher."""
