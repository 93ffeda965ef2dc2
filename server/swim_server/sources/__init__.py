"""Sources: where events come from. None of them knows who subscribes."""
