"""Accept `-word` for `--word`. Imports nothing."""


def with_double_dashes(arguments: list[str]) -> list[str]:
    """``-out=x`` -> ``--out=x``.

    Left as they are: ``-f``, ``-5``, ``-``, what stands after ``=``, and all after ``--``.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [f"-{argument}" if _is_word(argument) else argument for argument in arguments[:end]] + arguments[end:]


def _is_word(argument: str) -> bool:
    word = argument.partition("=")[0]
    return len(word) > 2 and word[0] == "-" and word[1].isalpha()
