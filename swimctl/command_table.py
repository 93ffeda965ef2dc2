"""The top-level commands: name, module, summary. What ``--help`` shows, without importing any of them."""

from __future__ import annotations


class Entry:
    """A top-level command. Its module has a Typer instance called ``app``."""

    __slots__ = ("name", "summary")

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.summary = summary

    @property
    def module(self) -> str:
        return f"swimctl.commands.{self.name}"


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("First minute", (Entry("demo", "Try it: simulated traffic, a key and the live table."),)),
    (
        "The daemon",
        (
            Entry("serve", "Run the service."),
            Entry("stop", "Stop the daemon gracefully."),
            Entry("restart", "Restart with the code on disk, without dropping clients."),
            Entry("reload", "Apply a changed configuration without dropping clients."),
            Entry("status", "Show connections, rates, sources and history."),
            Entry("top", "Watch rates, latency and the busiest connections."),
            Entry("nodes", "List the nodes that share one Redis server."),
            Entry("dashboard", "Open the operator's page in a browser."),
            Entry("logs", "Show the daemon's log."),
            Entry("service", "Run the daemon under systemd: install, show and remove the unit."),
        ),
    ),
    ("Access", (Entry("keys", "Create, list, expire and revoke API keys."),)),
    (
        "Events",
        (
            Entry("tail", "Watch events as they happen."),
            Entry("flights", "List the current flights."),
            Entry("tmis", "List the traffic management initiatives in force."),
            Entry("publish", "Publish events."),
            Entry("record", "Record events to one file."),
            Entry("replay", "Replay history or a recording."),
            Entry("connections", "List or close client connections."),
            Entry("explain", "Explain why a client did or did not get an event."),
            Entry("bench", "Measure the service under load."),
        ),
    ),
    (
        "This installation",
        (
            Entry("doctor", "Check that the deployed code is running and works."),
            Entry("config", "Show, check and change the configuration."),
            Entry("context", "Name services, and choose the one that commands use."),
            Entry("db", "Compare and upgrade the key database's schema."),
            Entry("history", "Inspect stored events: check them, salvage a damaged file."),
            Entry("schema", "Print the protocol as an AsyncAPI or OpenAPI document."),
            Entry("backup", "Back up keys, history and configuration to one file."),
            Entry("restore", "Restore a backup while the service is stopped."),
            Entry("completion", "Print a shell's completion script."),
            Entry("version", "Show version, commit and fingerprint of the code on disk."),
        ),
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for _, entries in SECTIONS for entry in entries}

GLOBAL_OPTIONS: tuple[tuple[str, str], ...] = (
    ("--config FILE", "Configuration file; default: SWIM_CONFIG, ./config/swim.toml, the user's, /etc/swim/swim.toml."),
    ("--context NAME", "Service to use; default: SWIM_CONTEXT, SWIM_HOME, the one chosen with context use."),
    ("--debug", "Show tracebacks, and debug lines in the log."),
    ("--version", "Show the version and exit."),
    ("--install-completion", "Install completion for this shell."),
    ("--show-completion", "Print the completion script of this shell."),
    ("-h, --help", "Show help; also after a command: swimctl keys create --help."),
)
