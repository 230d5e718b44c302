"""``whatif`` and ``test`` by a fleet's files alone: what they print, write and return."""

import io
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from unictl.cli.main import main

HELLO = Path(__file__).parents[2] / "playbooks" / "hello"
TESTS = """
tests:
  any-host: {lose: any host, healthy: {"*": 1}}
  data-stays:
    no_plan_destroys: [counter]
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A fleet without its image, with a secret that nobody has and a command that must not run."""
    shutil.copy(HELLO / "fleet.yaml", tmp_path)
    shutil.copy(HELLO / "fleet.lock", tmp_path)
    text = (tmp_path / "fleet.yaml").read_text().replace("args: [", 'args: ["--key=${secret.key}", ', 1)
    secret = f"secrets: {{key: {{command: [touch, {tmp_path}/ran]}}}}\n"
    (tmp_path / "fleet.yaml").write_text(text + secret + TESTS)
    return tmp_path


def ran(*argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = main([str(each) for each in argv], {"CI": "1"}, io.StringIO(), out, err)
    return code, out.getvalue(), err.getvalue()


def test_failing_tests_are_1_and_say_where_and_why(fleet: Path) -> None:
    code, out, _ = ran("test", str(fleet))
    assert code == 1 and out.splitlines()[-1] == "2 tests: 2 fail."
    line = next(n for n, text in enumerate((fleet / "fleet.yaml").read_text().splitlines(), 1) if "any-host" in text)
    assert f"fleet.yaml:{line}:" in out and "front has 0 of 3 healthy when local is lost" in out
    assert not (fleet / "ran").exists()


def test_tests_that_hold_are_0(fleet: Path) -> None:
    text = (fleet / "fleet.yaml").read_text().replace("args: [", "protect: true\n    args: [", 1)
    (fleet / "fleet.yaml").write_text(text.replace("any-host: {lose: any host, healthy", "now: {healthy"))
    code, out, _ = ran("test", str(fleet))
    assert (code, out.splitlines()[-1]) == (0, "2 tests: 2 hold.")


def test_a_fleet_without_tests_says_so(fleet: Path) -> None:
    shutil.copy(HELLO / "fleet.yaml", fleet)
    assert ran("test", str(fleet))[:2] == (0, "No tests: the fleet file has no `tests:`.\n")


def test_the_report_is_junit(fleet: Path, tmp_path: Path) -> None:
    ran("test", str(fleet), "-junit", str(tmp_path / "report.xml"))
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    case = suite[0]
    assert (case.get("name"), case.get("file")) == ("any-host", "fleet.yaml")
    assert "front has 0 of 3 healthy" in "".join(each.text or "" for each in case)


def test_a_report_that_cannot_be_written_is_a_sentence(fleet: Path) -> None:
    code, _, err = ran("test", str(fleet), "-junit", str(fleet / "no" / "report.xml"))
    assert code == 1 and "report.xml" in err and "Traceback" not in err


def test_as_json(fleet: Path) -> None:
    document = json.loads(ran("test", str(fleet), "-json")[1])
    assert (document["type"], document["holds"]) == ("test", False)
    assert document["tests"][0]["failures"][0]["range"]["file"] == "fleet.yaml"


def test_a_supposed_loss_is_shown_without_asking_a_host(fleet: Path) -> None:
    code, out, _ = ran("whatif", str(fleet), "-assume", "-lose", "local", "-scale", "front=5")
    assert code == 0 and out.startswith("What if local is lost, front has 5 replicas?")
    assert "no host was asked" in " ".join(out.split()) and max(map(len, out.splitlines())) <= 80
    assert not (fleet / "ran").exists()


def test_a_supposed_loss_as_json(fleet: Path) -> None:
    document = json.loads(ran("whatif", str(fleet), "-assume", "-without", "counter", "-json")[1])
    assert (document["type"], document["destroyed"]) == ("whatif", ["counter-0"])
    assert document["format_version"] == "1.0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-lose", "hv7"), "there is no host 'hv7'"),
        (("-without", "conter"), "did you mean counter?"),
        (("-scale", "front"), "names no number of replicas"),
    ],
)
def test_what_is_not_there_is_a_usage_error(fleet: Path, words: tuple[str, ...], said: str) -> None:
    code, _, err = ran("whatif", str(fleet), "-assume", *words)
    assert code == 1 and said in err
