"""The migrations, in order. Each checks what exists, because installations differ."""
