"""The methods of the control socket: status, diagnostics, explain, reload, top."""
