"""What makes no key valid that was ended: checksums of the rows, and a second record of endings beside the database."""
