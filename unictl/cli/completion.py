"""Completion scripts for shells, generated from the command table. Does not import the parser."""

from unictl.cli.command_table import COMMANDS, words
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
    cases = "\n".join(f'      {each.name}) words="{" ".join(words(each))}" ;;' for each in COMMANDS)
    return _BASH.format(commands=" ".join(each.name for each in COMMANDS), cases=cases)


def _fish() -> str:
    lines = [f"complete -c unictl -n __fish_use_subcommand -f -a {each.name} -d '{each.brief}'" for each in COMMANDS]
    for each in COMMANDS:
        seen = f"'__fish_seen_subcommand_from {each.name}'"
        lines += [f"complete -c unictl -n {seen} -o {word.removeprefix('-')}" for word in words(each)]
    return "\n".join(lines) + "\n"
