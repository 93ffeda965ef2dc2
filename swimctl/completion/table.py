"""Words that completion offers. Made by ``python -m swimctl.completion.tree``."""

# fmt: off
# ruff: noqa: E501
COMMANDS = {
    '': {
        'commands': {'demo': 'See it work: simulated traffic, a key, the live table.', 'serve': 'Run the service.', 'stop': 'Stop it gracefully.', 'restart': 'Start the code on disk in its place, without dropping anyone.', 'reload': 'Make it read its configuration again.', 'status': 'Show connections, rates, sources and history.', 'top': 'Watch rates, latency and the busiest connections.', 'logs': "Show the daemon's log.", 'service': 'Run it under systemd: install, show and remove the unit.', 'keys': 'Create, list, expire and revoke API keys.', 'tail': 'Watch events as they happen.', 'publish': 'Publish events.', 'record': 'Record events into one file.', 'replay': 'Play history or a recording again.', 'connections': 'List or close client connections.', 'explain': "Tell why a client got an event, or didn't.", 'bench': 'Measure a service under load.', 'doctor': 'Check that what runs is what was deployed, and works.', 'config': 'Show, check and change the configuration.', 'db': "Compare and upgrade the key database's schema.", 'history': 'Look at stored events: check them, salvage a damaged file.', 'completion': "Print a shell's completion script.", 'version': 'Show version, commit and fingerprint of the code on disk.'},
        'options': {'--config': ('Configuration file (env SWIM_CONFIG).', ''), '--debug': ('Tell everything, tracebacks too.', None), '--version': ('Show the version and exit.', None), '--install-completion': ('Install completion for the current shell.', None), '--show-completion': ('Show completion for the current shell, to copy it or customize the installation.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'demo': {
        'commands': {},
        'options': {'--flights': ('Simulated flights.', ''), '--speed': ('Times real time.', ''), '--seed': ('The same seed, the same traffic.', ''), '--count': ('End after N events.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'serve': {
        'commands': {},
        'options': {'--detach': ('Return once clients can connect; go on behind.', None), '--host': ('Address to listen on.', ''), '--port': ('Port; 0 picks a free one.', ''), '--tls-cert': ('TLS: the certificate with its chain, PEM.', ''), '--tls-key': ('TLS: its private key, PEM.', ''), '--source': ('file:PATH, recording:PATH?speed=30&loop=false, simulator?flights=300.', 'sources'), '--json': ('With --detach: one JSON document about it.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'stop': {
        'commands': {},
        'options': {'--timeout': ('For the graceful stop; then signals.', ''), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'restart': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'reload': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'status': {
        'commands': {},
        'options': {'--json': ('One JSON document; with --watch one a second.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--watch': ('Go on showing it until Ctrl-C.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'top': {
        'commands': {},
        'options': {'--rows': ('How many of each list.', ''), '--count': ('End after N looks; each takes a second.', ''), '--json': ('JSON lines, one a look.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'logs': {
        'commands': {},
        'options': {'--follow': ('Go on with what comes, until Ctrl-C.', None), '-f': ('Go on with what comes, until Ctrl-C.', None), '--lines': ('How many of the last lines.', ''), '-n': ('How many of the last lines.', ''), '--json': ('Write JSON lines: the entry, or its text as line.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service': {
        'commands': {'show': 'Print the unit that would be installed.', 'install': 'Write the unit and let systemd start it with the machine.', 'uninstall': 'Stop the service that systemd runs and remove its unit.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service show': {
        'commands': {},
        'options': {'--scope': ("Use the system's or the user's service manager; default: the system's for root.", 'scopes'), '--name': ('What the unit is called.', ''), '--run-as': ('Whom a system unit runs as.', ''), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service install': {
        'commands': {},
        'options': {'--scope': ("Use the system's or the user's service manager; default: the system's for root.", 'scopes'), '--name': ('What the unit is called.', ''), '--run-as': ('Whom a system unit runs as.', ''), '--now': ('Start it too.', None), '--dry-run': ('Say what would be done, and do nothing.', None), '--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'service uninstall': {
        'commands': {},
        'options': {'--scope': ("Use the system's or the user's service manager; default: the system's for root.", 'scopes'), '--name': ('What the unit is called.', ''), '--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys': {
        'commands': {'create': 'Make a key and show it, this once.', 'list': 'List keys.', 'show': 'Show one key: its row, its live connections, its audit trail.', 'find': 'Find the row of a key.', 'expire': 'Set when a key ends: now, or then.', 'revoke': 'End a key for good.', 'accept': "Believe a key's row as it is.", 'rotate': 'Make a key that replaces another.', 'import': 'Import keys that exist elsewhere.', 'harden': 'Hash the keys that the former system left in plain text.', 'audit': 'Show who did what to which key.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys create': {
        'commands': {},
        'options': {'--tier': ('public, developer, partner or system.', 'tiers'), '--owner': ('Whose key it is.', ''), '--email': ("The owner's email address.", ''), '--description': ('What it is for.', ''), '--expires': ('90d, 2027-01-31 (UTC, its first second) or never.', ''), '--allow-ip': ('Only from there; several times for several.', ''), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys list': {
        'commands': {},
        'options': {'--tier': ('Only of this tier.', 'tiers'), '--state': ('active, expiring (within 14 days), expired, revoked or all.', 'key_states'), '--owner': ("Only keys whose owner's name contains this text.", ''), '--json': ('One JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys show': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys find': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys expire': {
        'commands': {},
        'options': {'--at': ('now, 7d, 2027-01-31 or never.', ''), '--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys revoke': {
        'commands': {},
        'options': {'--reason': ('Why, for the audit trail.', ''), '--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys accept': {
        'commands': {},
        'options': {'--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys rotate': {
        'commands': {},
        'options': {'--overlap': ('How long both are valid.', ''), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'keys import': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'keys harden': {
        'commands': {},
        'options': {'--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'keys audit': {
        'commands': {},
        'options': {'--limit': ('How many lines, the newest ones.', ''), '--json': ('One JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('key_ids', False)],
    },
    'tail': {
        'commands': {},
        'options': {'--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--since': ('Begin with history from WHEN: 10m ago, or a time.', ''), '--after': ('Begin with history after the event with this id.', ''), '--last': ('Begin with the newest N events.', ''), '--count': ('End after N events.', ''), '--no-follow': ('End when history has been shown.', None), '--json': ('Write JSON lines, as they came.', None), '--url': ('Ask the service at URL, with the key in SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('channels', True)],
    },
    'publish': {
        'commands': {},
        'options': {'--data': ("The event's data, a JSON object.", ''), '--timestamp': ('When it happened.', ''), '--event-id': ('Your own name for it: stored once a day.', ''), '--file': ('JSON lines; - is standard input.', ''), '--force': ('With TYPE: publish it without the fields that clients expect.', None), '--wait': ('For a daemon that goes away half-way.', ''), '--json': ('JSON lines: id and type of each.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('event_types', False)],
    },
    'record': {
        'commands': {},
        'options': {'--channel': ('Channels, like flight.departed or tmi.*; all of them without.', 'channels'), '--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--since': ('Begin with history from WHEN: 10m ago, or a time.', ''), '--after': ('Begin with history after the event with this id.', ''), '--last': ('Begin with the newest N events.', ''), '--count': ('End after N events.', ''), '--for': ('End after so long: 90s, 1h.', ''), '--no-follow': ('End when history has been shown.', None), '--yes': ('Replace FILE without asking.', None), '-y': ('Replace FILE without asking.', None), '--json': ('At the end one JSON document about the recording.', None), '--url': ('Ask the service at URL, with the key in SWIM_API_KEY.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'replay': {
        'commands': {},
        'options': {'--from': ('An id, a time, or 10m: in history that long ago, in FILE after its start.', ''), '--to': ('Up to this; else to the end.', ''), '--channel': ('Only these.', 'channels'), '--speed': ('Times real time; 0: at once.', ''), '--output': ('Write JSON lines there.', ''), '--into': ('Store the events in the daemon of that home.', ''), '--json': ('With --output or --into: at the end one JSON document about it.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'connections': {
        'commands': {'list': 'List the live connections.', 'close': 'Close one connection.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'connections list': {
        'commands': {},
        'options': {'--tier': ('Only those of this tier.', 'tiers'), '--key': ('Only those of this key.', 'key_ids'), '--json': ('One JSON document: a list.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'connections close': {
        'commands': {},
        'options': {'--yes': ("Do not ask for confirmation.", None), '-y': ("Do not ask for confirmation.", None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('connection_ids', False)],
    },
    'explain': {
        'commands': {},
        'options': {'--key': ('Every connection of this key.', 'key_ids'), '--connection': ('One connection, also one that is gone.', 'connection_ids'), '--channel': ('One that would subscribe to this.', 'channels'), '--airport': ('Flights from or to this airport.', ''), '--artcc': ('Flights in this centre.', ''), '--callsign': ('Callsigns that start with PREFIX.', ''), '--fir': ('Flights in, or planned through, this region.', ''), '--bbox': ('Flights in this box; E < W crosses the antimeridian.', ''), '--since': ('With a TYPE: how far to look back.', ''), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('channels', False)],
    },
    'bench': {
        'commands': {},
        'options': {'--clients': ('Listening clients.', ''), '--rate': ('Events a second.', ''), '--duration': ('Seconds.', ''), '--size': ('Bytes of an event, about.', ''), '--url': ('Load another service; its key in SWIM_API_KEY.', ''), '--running': ('Load the service that runs here; asks first.', None), '--temporary': ('Load a temporary service; what happens without --running and --url.', None), '--compare': ('Show an earlier --json document beside it.', ''), '--yes': ("Don't ask before a service in use is loaded.", None), '-y': ("Don't ask before a service in use is loaded.", None), '--json': ('One JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'doctor': {
        'commands': {},
        'options': {'--only': ('These alone; several, or with commas.', 'areas'), '--skip': ('All but these.', 'areas'), '--list': ('Name the checks, carry none out.', None), '--fix': ('Mend what can safely be, say what, check again.', None), '--yes': ('Answer the questions of --fix and --bundle.', None), '-y': ('Answer the questions of --fix and --bundle.', None), '--strict': ('A warning counts as a failure.', None), '--json': ('One JSON document: --format json.', None), '--format': ('text, json, nagios, prometheus.', ''), '--watch': ('Again and again until Ctrl-C.', None), '--interval': ('With --watch: between two runs.', ''), '--bundle': ('Pack what a helper would ask for: .tar.gz, .zip.', ''), '--url': ('A service elsewhere, from outside; key in SWIM_API_KEY.', ''), '--deep': ('Also what loads the service: tiers filled to their limit.', None), '--expect-version': ('The version that must be running.', ''), '--timeout': ('More time, for a slow machine.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config': {
        'commands': {'show': 'Show the effective configuration, as TOML.', 'check': 'Check the configuration.', 'init': 'Write an annotated configuration file.', 'set': 'Set one value.', 'path': 'Print the files that are in use.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config show': {
        'commands': {},
        'options': {'--origin': ('Say where each value comes from.', None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config check': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'config init': {
        'commands': {},
        'options': {'--user': ("Write the user's own, whatever the folder.", None), '--yes': ('Overwrite without asking.', None), '-y': ('Overwrite without asking.', None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'config set': {
        'commands': {},
        'options': {'--unset': ('Take the value in swim.local.toml away again.', None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('settings', False), ('', False)],
    },
    'config path': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'db': {
        'commands': {'status': 'Compare the schema with what the code needs.', 'upgrade': 'Add what is missing in the schema.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'db status': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--header': ('When piped: begin with a line of column names.', None), '--output': ('When piped: v1 has the columns of earlier releases.', ''), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'db upgrade': {
        'commands': {},
        'options': {'--sql': ('Print the statements instead of running them.', None), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'history': {
        'commands': {'info': 'Show what a history holds.', 'check': "Read all of a history: its structure, each event's checksum.", 'salvage': 'Bring what can be read of a damaged history into a new file.'},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
    'history info': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'history check': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'history salvage': {
        'commands': {},
        'options': {'--output': ('The new file; must not exist.', ''), '-o': ('The new file; must not exist.', ''), '--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [('', False)],
    },
    'completion': {
        'commands': {},
        'options': {'--help': ('Show this message and exit.', None)},
        'arguments': [('shells', False)],
    },
    'version': {
        'commands': {},
        'options': {'--json': ('One JSON document.', None), '--help': ('Show this message and exit.', None)},
        'arguments': [],
    },
}
