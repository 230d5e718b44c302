"""Completion scripts for shells, generated from the command table. Does not import the parser."""

from unictl.cli.command_table import COMMANDS, option_words
from unictl.diagnostics.failure import UsageFailure

_BASH = """\
_unictl() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  fi
  case "$word" in
    --*) words=" $words"; words="${{words// -/ --}}" ;;
    -*) ;;
    *) if [ "$COMP_CWORD" -ne 1 ]; then COMPREPLY=($(compgen -f -- "$word")); return; fi ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o filenames -F _unictl unictl
"""


def script(shell: str) -> str:
    """The script for a shell; UsageFailure for one that is not known."""
    match shell:
        case "bash":
            return _bash()
        case "zsh":
            return f"#compdef unictl\nautoload -U +X bashcompinit && bashcompinit\n{_bash()}"
        case "fish":
            return _fish()
    raise UsageFailure(f"there is no completion for {shell!r}", hint="known are bash, zsh and fish")


def _bash() -> str:
    cases = "\n".join(f'      {command.name}) words="{" ".join(option_words(command))}" ;;' for command in COMMANDS)
    return _BASH.format(commands=" ".join(command.name for command in COMMANDS), cases=cases)


def _fish() -> str:
    lines = [
        f"complete -c unictl -n __fish_use_subcommand -f -a {command.name} -d '{command.summary}'"
        for command in COMMANDS
    ]
    for command in COMMANDS:
        condition = f"'__fish_seen_subcommand_from {command.name}'"
        lines += [f"complete -c unictl -n {condition} -o {word.removeprefix('-')}" for word in option_words(command)]
    return "\n".join(lines) + "\n"
