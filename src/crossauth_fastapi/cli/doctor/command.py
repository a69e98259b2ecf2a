"""`crossauth doctor`: the command."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from crossauth_fastapi.cli.doctor import rules_accounts, rules_parts, rules_site
from crossauth_fastapi.cli.doctor.collect import environment_snapshot, load, with_application
from crossauth_fastapi.cli.doctor.rule import Finding, Rule, Severity, examine
from crossauth_fastapi.cli.doctor.snapshot import Snapshot
from crossauth_fastapi.cli.doctor.stores import ask_databases, close
from crossauth_fastapi.cli.output import AsJson, Exit, show
from crossauth_fastapi.cli.target import run
from crossauth_fastapi.fastapiserver import FastApiServer

RULES: Final[tuple[Rule, ...]] = (*rules_site.RULES, *rules_accounts.RULES, *rules_parts.RULES)
_MOST_WORKERS: Final = 100_000


def doctor(
    app: Annotated[
        str | None,
        typer.Argument(metavar="[APP]", help="The application, as for every command; without it only the environment counts."),
    ] = None,
    production: Annotated[
        bool, typer.Option("--production", help="Judge it as deployed, even where 'site_url' is localhost.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=_MOST_WORKERS, help="How many processes serve it; by default as WEB_CONCURRENCY says."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not connect to databases.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(help="Id of a rule to leave out; may be given several times.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    list_rules: Annotated[bool, typer.Option("--list", help="List the rules instead.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Check the configuration of an application: what is wrong, why it matters, and how to fix it.

    Nothing is started and nothing is changed: databases are only read. Exit codes: 0 without errors, 1 with errors.
    """
    if list_rules:
        _list(as_json)
        return
    unknown = sorted(set(ignore or ()) - {rule.id for rule in RULES})
    if unknown:
        raise typer.BadParameter(f"--ignore: there is no rule {', '.join(unknown)}; see crossauth doctor --list")
    snapshot = run(_snapshot(app, production, workers, offline))
    findings = examine(snapshot, RULES, ignore or ())
    show(_as_dict(findings), as_json, _as_lines(findings))
    bad = (Severity.error, Severity.warning) if strict else (Severity.error,)
    if any(finding.rule.severity in bad for finding in findings):
        raise typer.Exit(Exit.found)


async def _snapshot(app: str | None, production: bool, workers: int | None, offline: bool) -> Snapshot:
    server = load(app) if app is not None else []
    # After the import, which may have read a file with settings.
    snapshot = environment_snapshot(Path.cwd(), os.environ, workers, production)
    if not isinstance(server, FastApiServer):
        return replace(snapshot, refused=tuple(server))
    snapshot = await with_application(snapshot, server)
    if offline:
        return snapshot
    try:
        return await ask_databases(snapshot, server)
    finally:
        await close(server)


def _list(as_json: bool) -> None:
    rows = [
        {"id": rule.id, "severity": rule.severity.value, "title": rule.title, "why": rule.why, "fix": rule.fix}
        for rule in RULES
    ]
    show(rows, as_json, [f"{row['severity']:<8} {row['id']}: {row['title']}" for row in rows])


def _counts(findings: list[Finding]) -> dict[str, int]:
    return {level.value: sum(f.rule.severity is level for f in findings) for level in Severity}


def _as_dict(findings: list[Finding]) -> dict[str, Any]:
    return {"rules": len(RULES), "found": _counts(findings), "findings": [finding.to_dict() for finding in findings]}


def _as_lines(findings: list[Finding]) -> list[str]:
    lines = [line for finding in findings for line in (*finding.lines(), "")]
    counts = _counts(findings)
    told = f"{counts['error']} errors, {counts['warning']} warnings, {counts['info']} notes"
    return [*lines, f"Checked {len(RULES)} rules: {told}"]
