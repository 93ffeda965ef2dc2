"""The command line of the SWIM service. Thin: parse, call, render."""
