"""The commands and their options as one table: source of the parser, the help and the completion scripts.

Imports nothing of the parser, so that completion scripts are generated without it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One ``--word``.

    ``value`` names what follows it; empty for a switch. ``has_negation``: there is a ``--no-word`` too.
    """

    word: str
    help: str
    value: str = ""
    is_number: bool = False
    is_repeatable: bool = False
    short: str = ""
    has_negation: bool = False

    @property
    def name(self) -> str:
        """As a Python name."""
        return self.word.replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What follows a command without a dash; ``default`` None: it must be given."""

    name: str
    metavar: str
    default: str | None = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: what it is for in a line, what it does in a few, and examples that can be copied."""

    name: str
    summary: str
    description: str
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...] = (Argument(name="path", metavar="PATH"),)
    options: tuple[Option, ...] = ()


NO_COLOR = Option(word="no-color", help="Print without colours (NO_COLOR does the same).")
JSON = Option(word="json", help="Print JSON with a format_version instead of text.")
_ENV = Option(word="env", value="E", short="e", help="The environment of the fleet file that is meant.")
_VAR = Option(word="var", value="X=V", is_repeatable=True, help="Give variable X the value V; may be repeated.")
_AT = Option(word="at", value="REV", help="Read the files of this git revision; the working tree is not touched.")
_LOCKED = Option(
    word="locked", has_negation=True, help="Do not write fleet.lock, and refuse what is not in it; on where CI is set."
)
SOURCE_OPTIONS = (_ENV, _VAR, _AT)
"""Of what writes no lock and needs none."""
FLEET_OPTIONS = (*SOURCE_OPTIONS, _LOCKED)
PLAN_OPTIONS = (
    Option(
        word="target",
        value="SEL",
        is_repeatable=True,
        help="Only this and what it needs: api, api-2, @label, host:hv*; may be repeated.",
    ),
    Option(word="exclude", value="SEL", is_repeatable=True, help="All but this; may be repeated."),
    Option(
        word="replace",
        value="INSTANCE",
        is_repeatable=True,
        help="Replace this one although nothing differs; may be repeated.",
    ),
    Option(word="destroy", help="Plan to take down everything of this fleet."),
    Option(
        word="allow-destroy",
        value="N|volume:V",
        is_repeatable=True,
        help="Allow this plan to destroy N instances, or to delete volume V.",
    ),
    Option(word="allow-changes", value="N", is_number=True, help="Allow this plan to change N instances."),
    Option(word="rebalance", help="Move what may move, until it is spread evenly over the hosts."),
)
APPLY_OPTIONS = (
    Option(word="auto-approve", help="Do not ask."),
    Option(word="parallelism", value="N", is_number=True, help="Steps in flight at once; 10 unless told."),
    Option(word="lock-timeout", value="T", help="How long to wait for a lease of somebody else, such as 30s or 5m."),
    Option(word="retry", help="Try again what failed before and has not changed since."),
    Option(
        word="expect-hash",
        value="H",
        is_repeatable=True,
        help="Do only what was approved: an approval hash, the hash of a row, or a plan file; may be repeated.",
    ),
)
_NOT_FOR_DESTROY = ("destroy", "replace", "rebalance", "retry")
"""What makes no sense where all is taken down."""
_VERBOSE = Option(word="verbose", help="A row for every instance, and values in full.")
_MARKDOWN = Option(word="markdown", help="Print it as Markdown, for a comment on a pull request.")
_HTML = Option(word="html", value="FILE", help="Write it to FILE as one HTML page that needs nothing else.")
_PATH_OR_PLAN_FILE = (Argument(name="path", metavar="PATH|PLANFILE"),)

COMMANDS = (
    Command(
        name="init",
        summary="Write a fleet to begin with.",
        description="Writes a fleet file, and what it needs, into DIR. Nothing that is there is overwritten.",
        examples=("unictl init", "unictl init -from hello shop"),
        arguments=(Argument(name="directory", metavar="DIR"),),
        options=(
            Option(
                word="from", value="PLAYBOOK", help="A ready fleet to begin with: hello unless told, shop, edge or lab."
            ),
        ),
    ),
    Command(
        name="validate",
        summary="Check a fleet's files.",
        description="Tells every problem in one run. Reads files only: no host, no secret, no command.",
        examples=("unictl validate", "unictl validate -json shop"),
        options=(*SOURCE_OPTIONS, JSON),
    ),
    Command(
        name="show",
        summary="Print a fleet with everything filled in, or a saved plan.",
        description="Prints the fleet after includes, templates, defaults and environment; of a plan file, the plan.",
        examples=("unictl show", "unictl show -json changes.plan"),
        arguments=_PATH_OR_PLAN_FILE,
        options=(*SOURCE_OPTIONS, _VERBOSE, JSON, _MARKDOWN, _HTML),
    ),
    Command(
        name="graph",
        summary="Draw what a plan does, and in which order.",
        description="Draws the graph of a plan's steps, of a fleet or a saved plan, by service and wave.",
        examples=("unictl graph", "unictl graph -format svg changes.plan > plan.svg"),
        arguments=_PATH_OR_PLAN_FILE,
        options=(
            Option(word="format", value="F", help="mermaid, dot or svg; mermaid unless told."),
            Option(word="steps", help="Every step by itself."),
            *PLAN_OPTIONS,
            *FLEET_OPTIONS,
        ),
    ),
    Command(
        name="schema",
        summary="Print the JSON Schema of fleet files, plans or status.",
        description="For editors, and as the reference of every key: "
        "of the fleet file, of a plan file, of status -json.",
        examples=("unictl schema > fleet.schema.json", "unictl schema plan"),
        arguments=(Argument(name="document", metavar="fleet|plan|status", default="fleet"),),
    ),
    Command(
        name="lock",
        summary="Pin images and endpoints in fleet.lock.",
        description="Writes the digest of every image and the number of every endpoint; the file belongs into git.",
        examples=("unictl lock", "unictl lock shop"),
        options=(_ENV, _VAR, JSON),
    ),
    Command(
        name="plan",
        summary="Show what an apply would do.",
        description="Reads what runs on the hosts and shows the difference to the fleet file. Changes nothing there.",
        examples=(
            "unictl plan",
            "unictl plan -out changes.plan && unictl apply changes.plan",
            "unictl plan -target api",
        ),
        options=(
            Option(word="out", value="FILE", help="Save the plan, to apply exactly this."),
            Option(word="detailed-exitcode", help="Exit 2 where there are changes, 0 where there are none."),
            *PLAN_OPTIONS,
            *FLEET_OPTIONS,
            _VERBOSE,
            JSON,
            _MARKDOWN,
            _HTML,
        ),
    ),
    Command(
        name="apply",
        summary="Make the hosts run what the fleet file says.",
        description="Shows the plan, asks, and carries it out; a plan file is carried out as it is, without asking.",
        examples=("unictl apply", "unictl apply -auto-approve -parallelism 20", "unictl apply changes.plan"),
        arguments=_PATH_OR_PLAN_FILE,
        options=(*APPLY_OPTIONS, *PLAN_OPTIONS, *FLEET_OPTIONS, _VERBOSE, JSON),
    ),
    Command(
        name="destroy",
        summary="Take down everything of a fleet.",
        description="The same as apply -destroy; asks for the fleet's name. Volumes stay unless they are named.",
        examples=("unictl destroy", "unictl destroy -allow-destroy volume:orders"),
        options=(
            *(each for each in (*APPLY_OPTIONS, *PLAN_OPTIONS) if each.word not in _NOT_FOR_DESTROY),
            *SOURCE_OPTIONS,
            _VERBOSE,
            JSON,
        ),
    ),
    Command(
        name="status",
        summary="Show what runs.",
        description="Asks every host what it runs of this fleet, and how it does.",
        examples=("unictl status", "unictl status -json shop"),
        options=(*SOURCE_OPTIONS, JSON),
    ),
    Command(
        name="logs",
        summary="Print consoles.",
        description="Prints the console of one instance, or of all of a service.",
        examples=("unictl logs api-2 -f", "unictl logs api -lines 50", "unictl logs api-2 -previous"),
        arguments=(
            Argument(name="selector", metavar="INSTANCE|SERVICE", default=None),
            Argument(name="path", metavar="PATH"),
        ),
        options=(
            Option(word="follow", short="f", help="Go on as more is written."),
            Option(word="previous", help="The generation before."),
            Option(word="lines", short="n", value="N", is_number=True, help="The last N lines; 100 unless told."),
            *SOURCE_OPTIONS,
        ),
    ),
    Command(
        name="locks",
        summary="Show who is at work.",
        description="Tells for every host who holds this fleet's lease there, since when, and what for.",
        examples=("unictl locks", "unictl locks -end-holder hv2"),
        options=(
            Option(
                word="end-holder",
                value="HOST",
                help="End the process that holds the lease there; what it had in hand is repaired by the next apply.",
            ),
            *SOURCE_OPTIONS,
            JSON,
        ),
    ),
    Command(
        name="whatif",
        summary="Show what would become of a fleet.",
        description="Who stays healthy, what would move and where, what would not fit, which volumes are lost. "
        "Asks the hosts what runs; with -assume it reads the fleet's files only.",
        examples=(
            "unictl whatif -lose hv1",
            "unictl whatif -lose @zone=a -scale api=20",
            "unictl whatif -assume -without cache",
        ),
        options=(
            Option(
                word="lose", value="HOST", is_repeatable=True, help="This host is lost: a name, hv* or @label=value."
            ),
            Option(word="without", value="SERVICE", is_repeatable=True, help="This service is gone; may be repeated."),
            Option(word="scale", value="S=N", is_repeatable=True, help="Service S has N replicas; may be repeated."),
            Option(word="assume", help="By the fleet's files alone: no host is asked."),
            *FLEET_OPTIONS,
            _VERBOSE,
            JSON,
        ),
    ),
    Command(
        name="test",
        summary="Try the tests of a fleet.",
        description="Judges what stands under tests: in the fleet file. "
        "Reads files only: no host, no secret, no command.",
        examples=("unictl test", "unictl test -junit report.xml shop"),
        options=(
            Option(word="junit", value="FILE", help="Write a JUnit report for a pipeline."),
            *SOURCE_OPTIONS,
            JSON,
        ),
    ),
    Command(
        name="images",
        summary="Show the images on the hosts.",
        description="Tells for every image who uses it and for which revisions it stays; "
        "an apply repairs damaged ones.",
        examples=("unictl images", "unictl images -check"),
        options=(
            Option(word="check", help="Have the hosts read every image and compare it with its digest."),
            *SOURCE_OPTIONS,
            JSON,
        ),
    ),
    Command(
        name="volumes",
        summary="Show the fleet's volumes.",
        description="Tells where each is, what it takes of the disk, who uses it, "
        "and what keeps it from being deleted.",
        examples=("unictl volumes", "unictl destroy -allow-destroy volume:orders"),
        options=(*SOURCE_OPTIONS, JSON),
    ),
    Command(
        name="completion",
        summary="Print a completion script.",
        description="SHELL is bash, zsh or fish.",
        examples=(
            "source <(unictl completion bash)",
            "unictl completion fish > ~/.config/fish/completions/unictl.fish",
        ),
        arguments=(Argument(name="shell", metavar="SHELL", default=None),),
    ),
)


def find_command(name: str) -> Command:
    """The command of that name; KeyError where there is none."""
    return next(entry for entry in COMMANDS if entry.name == name)


def option_words(command: Command) -> tuple[str, ...]:
    """Its long options with one dash, as they are completed."""
    options = (*command.options, NO_COLOR)
    return (
        "-help",
        *(f"-{option.word}" for option in options),
        *(f"-no-{option.word}" for option in options if option.has_negation),
    )
