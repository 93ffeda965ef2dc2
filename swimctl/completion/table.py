"""Words that completion offers. Made by ``python -m swimctl.completion.tree``."""

# fmt: off
# ruff: noqa: E501
COMMANDS = {
    '': {
        'commands': {'demo': 'Try it: simulated traffic, a key and the live table.', 'serve': 'Run the service.', 'stop': 'Stop the daemon gracefully.', 'restart': 'Restart with the code on disk, without dropping clients.', 'reload': 'Apply a changed configuration without dropping clients.', 'status': 'Show connections, rates, sources and history.', 'top': 'Watch rates, latency and the busiest connections.', 'nodes': 'List the nodes that share one Redis server.', 'dashboard': "Open the operator's page in a browser.", 'logs': "Show the daemon's log.", 'service': 'Run the daemon under systemd: install, show and remove the unit.', 'keys': 'Create, list, expire and revoke API keys.', 'tail': 'Watch events as they happen.', 'flights': 'List the current flights.', 'tmis': 'List the traffic management initiatives in force.', 'publish': 'Publish events.', 'record': 'Record events to one file.', 'replay': 'Replay history or a recording.', 'connections': 'List or close client connections.', 'explain': 'Explain why a client did or did not get an event.', 'bench': 'Measure the service under load.', 'doctor': 'Check that the deployed code is running and works.', 'config': 'Show, check and change the configuration.', 'context': 'Name services, and choose the one that commands use.', 'db': "Compare and upgrade the key database's schema.", 'history': 'Inspect stored events: check them, salvage a damaged file.', 'schema': 'Print the protocol as an AsyncAPI or OpenAPI document.', 'backup': 'Back up keys, history and configuration to one file.', 'restore': 'Restore a backup while the service is stopped.', 'completion': "Print a shell's completion script.", 'version': 'Show version, commit and fingerprint of the code on disk.'},
        'options': {'--config': ('Configuration file (env SWIM_CONFIG).', ''), '--context': ("The service to use, by its context's name (env SWIM_CONTEXT).", 'contexts'), '--debug': ('Show tracebacks too.', None), '--version': ('Show the version and exit.', None), '--install-completion': ('Install completion for the current shell.', None), '--show-completion': ('Show completion for the current shell, to copy it or customize the installation.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'demo': {
        'commands': {},
        'options': {'--flights': ('Number of simulated flights.', ''), '--speed': ('Speed as a multiple of real time.', ''), '--seed': ('Random seed: the same seed gives the same traffic.', ''), '--count': ('Stop after N events.', ''), '--script': ('Play a script to your own client instead of the demo.', ''), '--port': ('Port to listen on; 0 picks a free one.', ''), '--open': ('Open the live map in a browser.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'serve': {
        'commands': {},
        'options': {'--detach': ('Run in the background; return once clients can connect.', None), '--host': ('Address to listen on.', ''), '--port': ('Port; 0 picks a free one.', ''), '--tls-cert': ('TLS: the certificate with its chain, PEM.', ''), '--tls-key': ('TLS: its private key, PEM.', ''), '--workers': ('Processes that serve clients; auto: one per processor.', ''), '--source': ('file:PATH, recording:PATH?speed=30&loop=false, simulator?flights=300.', 'sources'), '--json': ('With --detach: print one JSON document about the daemon.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'stop': {
        'commands': {},
        'options': {'--timeout': ('Seconds to wait for a graceful stop before signals are sent.', ''), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'restart': {
        'commands': {},
        'options': {'--all': ('With several nodes: the others too, one after the other, this one last.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'reload': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'status': {
        'commands': {},
        'options': {'--json': ('Print one JSON document; with --watch, one per second.', None), '--node': ('With several nodes: only this one.', 'node_names'), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--watch': ('Keep showing it until q or Ctrl-C.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'top': {
        'commands': {},
        'options': {'--rows': ('Number of rows in each list.', ''), '--count': ('Stop after N samples, one per second.', ''), '--node': ('With several nodes: only this one.', 'node_names'), '--json': ('Print JSON lines, one per sample.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'nodes': {
        'commands': {},
        'options': {'--node': ('With several nodes: only this one.', 'node_names'), '--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'dashboard': {
        'commands': {},
        'options': {'--print': ('Print address and a token to be typed, and open nothing.', None), '--json': ('Print one JSON document: url, token, seconds.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'logs': {
        'commands': {},
        'options': {'--follow': ('Follow the log until Ctrl-C.', None), '-f': ('Follow the log until Ctrl-C.', None), '--lines': ('Number of lines to show.', ''), '-n': ('Number of lines to show.', ''), '--json': ('Print JSON lines: the log entry, or its text as {"line": …}.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service': {
        'commands': {'show': 'Print the unit that would be installed.', 'install': 'Write the unit and enable it at boot.', 'uninstall': 'Stop the service and remove its unit.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service show': {
        'commands': {},
        'options': {'--scope': ("Use the system's or the user's service manager; default: the system's for root.", 'scopes'), '--name': ('Name of the unit.', ''), '--run-as': ('User that a system unit runs as.', ''), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service install': {
        'commands': {},
        'options': {'--scope': ("Use the system's or the user's service manager; default: the system's for root.", 'scopes'), '--name': ('Name of the unit.', ''), '--run-as': ('User that a system unit runs as.', ''), '--now': ('Start the service too.', None), '--dry-run': ('Show what would be done, without doing it.', None), '--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service uninstall': {
        'commands': {},
        'options': {'--scope': ("Use the system's or the user's service manager; default: the system's for root.", 'scopes'), '--name': ('Name of the unit.', ''), '--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys': {
        'commands': {'create': 'Create a key and show it once.', 'list': 'List keys.', 'show': 'Show one key: its row, its live connections, its audit trail.', 'find': "Find a key's row by the key itself.", 'expire': 'Set when a key expires: now or later.', 'revoke': 'Revoke a key permanently.', 'accept': "Accept a key's row that was changed outside swimctl.", 'rotate': 'Create a key that replaces another.', 'import': 'Import existing keys.', 'harden': 'Hash the keys that the former system stored in plain text.', 'audit': 'Show who did what to which key.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys create': {
        'commands': {},
        'options': {'--tier': ('public, developer, partner or system.', 'tiers'), '--owner': ("The key's owner.", ''), '--email': ("The owner's email address.", ''), '--description': ('What the key is for.', ''), '--expires': ('90d, 2027-01-31 (UTC, its first second) or never.', ''), '--allow-ip': ('Allow connections only from this network; repeatable.', ''), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys list': {
        'commands': {},
        'options': {'--tier': ('Only keys of this tier.', 'tiers'), '--state': ('active, expiring (within 14 days), expired, revoked or all.', 'key_states'), '--owner': ("Only keys whose owner's name contains this text.", ''), '--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys show': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys find': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys expire': {
        'commands': {},
        'options': {'--at': ('now, 7d, 2027-01-31 or never.', ''), '--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys revoke': {
        'commands': {},
        'options': {'--reason': ('Reason for the audit trail.', ''), '--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys accept': {
        'commands': {},
        'options': {'--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys rotate': {
        'commands': {},
        'options': {'--overlap': ('How long both keys are valid.', ''), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys import': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'keys harden': {
        'commands': {},
        'options': {'--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys audit': {
        'commands': {},
        'options': {'--limit': ('Show the newest N entries.', ''), '--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'tail': {
        'commands': {},
        'options': {'--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--since': ('Begin with history from WHEN: 10m ago, or a time.', ''), '--after': ('Begin with history after the event with this id.', ''), '--last': ('Begin with the newest N events.', ''), '--state': ('Begin with the current state.', None), '--count': ('Stop after N events.', ''), '--no-follow': ('End when history has been shown.', None), '--json': ('Print JSON lines, as received.', None), '--url': ('Use the service at URL, or at any of URL,URL; key: SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('channels', True)],
    },
    'flights': {
        'commands': {},
        'options': {'--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--format': ('Output format.', ''), '--json': ('The same as --format json.', None), '--watch': ('Keep the list up to date until q or Ctrl-C.', None), '--header': ('When piped: begin with a line of column names.', None), '--url': ('Use the service at URL, or at any of URL,URL; key: SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'tmis': {
        'commands': {},
        'options': {'--airport': ('Initiatives at this airport.', ''), '--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--url': ('Use the service at URL, or at any of URL,URL; key: SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'publish': {
        'commands': {},
        'options': {'--data': ("The event's data, a JSON object.", ''), '--timestamp': ('Time of the event, RFC 3339.', ''), '--event-id': ('Your own id for the event: a repeat within a day is not stored.', ''), '--file': ('File of JSON lines; - is standard input.', ''), '--force': ('With TYPE: publish even if fields that clients expect are missing.', None), '--wait': ('Seconds to wait if the daemon becomes unavailable while publishing.', ''), '--json': ("Print JSON lines: each event's id and type.", None), '--url': ('Use the service at URL, or at any of URL,URL; key: SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('event_types', False)],
    },
    'record': {
        'commands': {},
        'options': {'--channel': ('Channels, such as flight.departed or tmi.*; default: all.', 'channels'), '--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--since': ('Begin with history from WHEN: 10m ago, or a time.', ''), '--after': ('Begin with history after the event with this id.', ''), '--last': ('Begin with the newest N events.', ''), '--count': ('Stop after N events.', ''), '--for': ('Stop after this long: 90s, 1h.', ''), '--no-follow': ('End when history has been shown.', None), '--yes': ('Replace FILE without asking.', None), '-y': ('Replace FILE without asking.', None), '--json': ('At the end, print one JSON document about the recording.', None), '--url': ('Use the service at URL, or at any of URL,URL; key: SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'replay': {
        'commands': {},
        'options': {'--from': ('An id, a time, or 10m: in history that long ago, in FILE after its start.', ''), '--to': ('Where to stop; default: the end.', ''), '--channel': ('Only these channels.', 'channels'), '--speed': ('Speed as a multiple of real time; 0: as fast as possible.', ''), '--output': ('Write JSON lines to this file.', ''), '--into': ('Publish into the daemon of this home.', ''), '--json': ('With --output or --into: at the end, print one JSON document about it.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'connections': {
        'commands': {'list': 'List the live connections.', 'close': 'Close one connection.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'connections list': {
        'commands': {},
        'options': {'--tier': ('Only connections of this tier.', 'tiers'), '--key': ('Only connections of this key.', 'key_ids'), '--node': ('With several nodes: only this one.', 'node_names'), '--json': ('Print one JSON document: a list.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'connections close': {
        'commands': {},
        'options': {'--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('connection_ids', False)],
    },
    'explain': {
        'commands': {},
        'options': {'--key': ('All connections of this key.', 'key_ids'), '--connection': ('One connection, open or closed.', 'connection_ids'), '--channel': ('A consumer subscribed to this channel.', 'channels'), '--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--since': ('With a TYPE: how far to look back.', ''), '--node': ('With several nodes: only this one.', 'node_names'), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('channels', False)],
    },
    'bench': {
        'commands': {},
        'options': {'--clients': ('Number of listening clients.', ''), '--rate': ('Events per second.', ''), '--duration': ('Duration in seconds.', ''), '--size': ('Approximate size of an event, in bytes.', ''), '--url': ('Load another service; the key is read from SWIM_API_KEY.', ''), '--running': ('Load the service that runs here, after asking.', None), '--temporary': ('Load a temporary service; the default without --running and --url.', None), '--compare': ('Compare with the --json document of an earlier run.', ''), '--yes': ('Do not ask before loading a service in use.', None), '-y': ('Do not ask before loading a service in use.', None), '--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'doctor': {
        'commands': {},
        'options': {'--only': ('Only these checks or areas; repeatable, or separated by commas.', 'areas'), '--skip': ('Checks or areas to leave out.', 'areas'), '--list': ('List the checks without running them.', None), '--fix': ('Fix what can be fixed safely, then check again.', None), '--yes': ('Answer yes to the questions of --fix and --bundle.', None), '-y': ('Answer yes to the questions of --fix and --bundle.', None), '--strict': ('Treat warnings as failures.', None), '--json': ('Print one JSON document; same as --format json.', None), '--format': ('text, json, nagios, prometheus.', ''), '--explain': ('Show the facts behind one check, and the checks it depends on.', 'areas'), '--save-facts': ('Write all that was observed to a file, secrets removed.', ''), '--facts': ('Evaluate the facts of a file or bundle instead of observing.', ''), '--watch': ('Repeat until q or Ctrl-C; report what changes.', None), '--on-change': ('With --watch: run this, without a shell, for each change; JSON on its standard input.', ''), '--interval': ('Time between two runs with --watch.', ''), '--bundle': ('Write a support bundle: .tar.gz or .zip.', ''), '--url': ('Check another service from outside; the key is read from SWIM_API_KEY.', ''), '--deep': ('Also run checks that load the service: fill tiers to their limits.', None), '--expect-version': ('Version that must be running.', ''), '--timeout': ('Seconds that each check may take, for a slow machine.', ''), '--node': ('With several nodes: only this one.', 'node_names'), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config': {
        'commands': {'show': 'Show the effective configuration, as TOML.', 'check': 'Check the configuration.', 'init': 'Write an annotated configuration file.', 'set': 'Set one value.', 'path': 'Print the files that are in use.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config show': {
        'commands': {},
        'options': {'--origin': ('Show where each value comes from.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config check': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config init': {
        'commands': {},
        'options': {'--user': ("Write the user's own file, used in every folder.", None), '--yes': ('Overwrite without asking.', None), '-y': ('Overwrite without asking.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'config set': {
        'commands': {},
        'options': {'--unset': ('Remove the value from swim.local.toml.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('settings', False), ('', False)],
    },
    'config path': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'context': {
        'commands': {'add': 'Name a service: a home on this machine, or an address and its key.', 'use': 'Choose the context that commands use from now on.', 'list': 'List the contexts.', 'remove': 'Remove a context, and its key from the keyring.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'context add': {
        'commands': {},
        'options': {'--home': ('SWIM_HOME of a service on this machine.', ''), '--url': ('Address of a service.', ''), '--key-store': ('keyring, file (0600), or auto: a keyring if there is one.', ''), '--use': ('Use it as the current context.', None), '--yes': ('Replace a context of this name without asking.', None), '-y': ('Replace a context of this name without asking.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'context use': {
        'commands': {},
        'options': {'--none': ("Use no context: SWIM_HOME or this user's home applies again.", None), '--help': ('Show this message and exit.', None)},
        'arguments': [('contexts', False)],
    },
    'context list': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'context remove': {
        'commands': {},
        'options': {'--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('contexts', False)],
    },
    'db': {
        'commands': {'status': 'Compare the schema with what the code needs.', 'upgrade': 'Add what is missing in the schema.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'db status': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'db upgrade': {
        'commands': {},
        'options': {'--sql': ('Print the statements instead of running them.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'history': {
        'commands': {'info': 'Show what history holds.', 'check': 'Check a whole history: structure and checksums.', 'salvage': 'Recover what can be read of a damaged history to a new file.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'history info': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'history check': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'history salvage': {
        'commands': {},
        'options': {'--output': ('The new file; must not exist.', ''), '-o': ('The new file; must not exist.', ''), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'schema': {
        'commands': {},
        'options': {'--format': ('Which document.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'backup': {
        'commands': {},
        'options': {'--yes': ('Overwrite without asking.', None), '-y': ('Overwrite without asking.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'restore': {
        'commands': {},
        'options': {'--only': ('keys, history or config; repeatable.', ''), '--yes': ('Do not ask for confirmation.', None), '-y': ('Do not ask for confirmation.', None), '--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'completion': {
        'commands': {},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [('shells', False)],
    },
    'version': {
        'commands': {},
        'options': {'--json': ('Print one JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
}
CHANNELS = ('*', 'aman.*', 'aman.sequence', 'aman.updated', 'cdm.*', 'cdm.ctot', 'cdm.edct', 'cdm.gs', 'cdm.updated', 'controller.*', 'controller.connected', 'controller.disconnected', 'controller.positions', 'ctp.*', 'ctp.edct.assigned', 'ctp.edct.batch_assigned', 'ctp.edct.removed', 'ctp.flights.detected', 'ctp.route.modified', 'ctp.session.*', 'ctp.session.updated', 'ctp.slots.optimized', 'ctp_slot_assigned', 'ctp_slot_at_risk', 'ctp_slot_frozen', 'ctp_slot_missed', 'ctp_slot_released', 'facility.*', 'facility.staffing', 'flight.*', 'flight.arrived', 'flight.created', 'flight.deleted', 'flight.departed', 'flight.position', 'flight.positions', 'flight.updated', 'metering.*', 'simtraffic.*', 'simtraffic.lifecycle.*', 'splits.*', 'splits.activated', 'splits.deactivated', 'splits.ingested', 'splits.updated', 'system.*', 'system.heartbeat', 'system.notice', 'tmi.*', 'tmi.action', 'tmi.advisory.*', 'tmi.coordination.*', 'tmi.edct_assigned', 'tmi.edct_cancelled', 'tmi.entry.*', 'tmi.flow_measure.*', 'tmi.gate_hold', 'tmi.gate_release', 'tmi.issued', 'tmi.modified', 'tmi.program.*', 'tmi.released', 'tmi.reroute.*', 'tmi.slot.*')
SETTINGS = ('server.host', 'server.port', 'server.public_url', 'server.allowed_origins', 'server.trusted_proxies', 'server.heartbeat_seconds', 'server.max_message_bytes', 'server.handshake_timeout_seconds', 'server.close_timeout_seconds', 'server.max_buffer_bytes', 'server.max_waiting_bytes', 'server.max_turn_frames', 'server.max_turn_bytes', 'server.abuse_factor', 'server.max_head_bytes', 'server.max_arriving', 'server.max_arriving_per_address', 'server.max_arriving_bytes', 'server.descriptor_reserve', 'server.max_connection_hours', 'server.workers', 'server.tls_certificate', 'server.tls_key', 'auth.cache_seconds', 'auth.negative_cache_seconds', 'auth.stale_grace_seconds', 'auth.recheck_seconds', 'database.url', 'database.odbc', 'database.username', 'database.password', 'database.password_file', 'database.authentication', 'database.identity_client_id', 'database.connect_timeout_seconds', 'database.query_timeout_seconds', 'database.pool_size', 'tiers.public.connections', 'tiers.public.connections_per_key', 'tiers.public.messages_per_second', 'tiers.public.requests_per_minute', 'tiers.developer.connections', 'tiers.developer.connections_per_key', 'tiers.developer.messages_per_second', 'tiers.developer.requests_per_minute', 'tiers.partner.connections', 'tiers.partner.connections_per_key', 'tiers.partner.messages_per_second', 'tiers.partner.requests_per_minute', 'tiers.system.connections', 'tiers.system.connections_per_key', 'tiers.system.messages_per_second', 'tiers.system.requests_per_minute', 'history.keep', 'history.keep_positions', 'history.max_bytes', 'history.synchronous', 'broker.url', 'broker.username', 'broker.password', 'broker.password_file', 'broker.prefix', 'cluster.node', 'cluster.remote_restart', 'channels.families', 'state.max_age', 'state.kinds', 'sources', 'adl', 'detection.boundaries', 'pages.enabled', 'pages.status', 'publish.events_per_second', 'publish.max_event_bytes', 'publish.keys', 'logging.level', 'logging.format', 'logging.file', 'logging.max_bytes', 'logging.keep_files', 'expect.version', 'expect.commit', 'expect.event_within', 'expect.connections.public.min', 'expect.connections.public.max', 'expect.connections.developer.min', 'expect.connections.developer.max', 'expect.connections.partner.min', 'expect.connections.partner.max', 'expect.connections.system.min', 'expect.connections.system.max', 'expect.connections.owner')
