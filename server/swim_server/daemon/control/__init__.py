"""What the control socket answers: status, diagnostics, explain, reload, top."""
