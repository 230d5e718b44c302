"""A port that may not be taken says whose rule that is."""

from pathlib import Path

import pytest

from unictl.onhost import errors
from unictl.onhost.ingress import ingress_ports
from unictl.onhost.platform import privileges, selinux


@pytest.mark.parametrize(("port", "hint"), [(80, "set `become: true`"), (8080, "setsebool -P haproxy_connect_any 1")])
def test_a_port_that_may_not_be_taken_says_whose_rule_that_is(
    port: int, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "enforce").write_text("1")
    monkeypatch.setattr(selinux, "ENFORCE_PATH", str(tmp_path / "enforce"))
    monkeypatch.setattr(privileges, "lowest_bindable_port", lambda: 1024)

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ingress_ports, "_try_bind", denied)
    with pytest.raises(errors.HostError) as told:
        ingress_ports.check_free([("", port)], set())
    assert f"may not listen on *:{port}" in told.value.text and hint in told.value.hint
