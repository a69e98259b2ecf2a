"""One mistake that `crossauth doctor` looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from crossauth_fastapi.cli.doctor.snapshot import Snapshot


class Severity(StrEnum):
    """How bad a finding is; an error makes the exit code 1."""

    error = "error"
    warning = "warning"
    info = "info"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One mistake.

    Parameters:
        id: what it is called, for `--ignore`.
        severity: how bad it is.
        title: what is wrong, in one line.
        why: what an attacker could do, or what will not work.
        fix: what to change.
        check: each case of it in a snapshot, as a text that names what was found; never a secret.
    """

    id: str
    severity: Severity
    title: str
    why: str
    fix: str
    check: Callable[[Snapshot], Iterable[str]]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A mistake that was found: the rule, and what was found."""

    rule: Rule
    detail: str

    def to_dict(self) -> dict[str, str]:
        """It as JSON."""
        rule = self.rule
        return {
            "id": rule.id, "severity": rule.severity.value, "title": rule.title, "detail": self.detail,
            "why": rule.why, "fix": rule.fix,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """It for people."""
        rule = self.rule
        return [
            f"{rule.severity.value.upper()} {rule.id}: {rule.title}",
            f"  Found: {self.detail}",
            f"  Why:   {rule.why}",
            f"  Fix:   {rule.fix}",
        ]


def examine(snapshot: Snapshot, rules: Iterable[Rule], ignored: Iterable[str] = ()) -> list[Finding]:
    """What the rules find, errors first.

    Parameters:
        snapshot: the configuration.
        rules: what to look for.
        ignored: ids of rules to leave out.
    """
    left_out = set(ignored)
    found = [
        Finding(rule=rule, detail=detail)
        for rule in rules
        if rule.id not in left_out
        for detail in rule.check(snapshot)
    ]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.rule.severity))
