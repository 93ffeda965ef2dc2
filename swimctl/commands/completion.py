"""``swimctl completion``."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.completion.answer import SHELLS
from swimctl.completion.words import shells
from swimctl.errors import WrongUsage
from swimctl.invocation import invocation_of

app = single_command()

BASH = """\
_swimctl_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
                   _SWIMCTL_COMPLETE=complete_bash "$1" ) )
    return 0
}
complete -o default -F _swimctl_completion swimctl
"""
ZSH = """\
#compdef swimctl
_swimctl_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _SWIMCTL_COMPLETE=complete_zsh swimctl)
}
compdef _swimctl_completion swimctl
"""
FISH = """\
complete --command swimctl --no-files \\
    --arguments "(env _SWIMCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
_TYPER_COMPLETE_ARGS=(commandline -cp) swimctl)" \\
    --condition "env _SWIMCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args \\
_TYPER_COMPLETE_ARGS=(commandline -cp) swimctl"
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@app.command()
def completion(
    context: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="SHELL", autocompletion=shells, help="bash, zsh or fish.")],
) -> None:
    """Print a shell's completion script.

    It completes commands, options, channels, keys, connections and settings. Evaluate it in the shell, or save it where
    the shell looks for completion scripts.

    \b
    Examples:
      eval "$(swimctl completion bash)"
      swimctl completion zsh > ~/.zfunc/_swimctl
      swimctl completion fish > ~/.config/fish/completions/swimctl.fish
    """
    if shell not in SHELLS:
        raise WrongUsage(f"SHELL: must be {', '.join(SHELLS)}, got {shell!r}", "see: swimctl completion --help")
    output = invocation_of(context).output()
    output.stream.write(SCRIPTS[shell])
    output.stream.flush()
