"""The parts of a token consumer, made from its options."""

from __future__ import annotations

from datetime import timedelta

from crossauth_backend.core.clock import Clock
from crossauth_backend.core.fetch import Fetcher
from crossauth_backend.core.jose import ASYMMETRIC_ALGORITHMS
from crossauth_backend.oauth.resource.introspect import IntrospectionPolicy, Introspector
from crossauth_backend.oauth.resource.options import TokenConsumerSettings
from crossauth_backend.oauth.resource.remote_keys import FetchLimits, RemoteKeys
from crossauth_backend.oauth.resource.verify_jwt import TokenPolicies


def policies(settings: TokenConsumerSettings) -> TokenPolicies:
    """What tokens must be."""
    key_type = settings.jwt_key_type
    algorithms = (key_type,) if key_type else tuple(settings.algorithms or ASYMMETRIC_ALGORITHMS)
    return TokenPolicies.of(
        settings.auth_server_base_url, settings.audiences(), algorithms=algorithms,
        access_types=tuple(settings.access_token_types), leeway=timedelta(seconds=settings.clock_tolerance),
    )  # fmt: skip


def remote_keys(settings: TokenConsumerSettings, fetcher: Fetcher, clock: Clock) -> RemoteKeys:
    """Where keys and metadata come from."""
    limits = FetchLimits(
        cooldown=timedelta(seconds=settings.jwks_cooldown), max_age=timedelta(seconds=settings.jwks_max_age),
        timeout=timedelta(seconds=settings.fetch_timeout),
    )  # fmt: skip
    return RemoteKeys(settings.auth_server_base_url, fetcher, clock, limits, settings.oidc_config)


def introspector(settings: TokenConsumerSettings, fetcher: Fetcher, clock: Clock) -> Introspector | None:
    """What asks about tokens; `None` where nothing is asked."""
    if settings.introspection == "never" or settings.introspection_client_id is None:
        return None
    policy = IntrospectionPolicy(
        client_id=settings.introspection_client_id, client_secret=settings.introspection_client_secret,
        issuer=settings.auth_server_base_url, audiences=settings.audiences(),
        needs_audience=settings.introspection_needs_audience, leeway=timedelta(seconds=settings.clock_tolerance),
        cache_for=timedelta(seconds=settings.introspection_cache_seconds),
        timeout=timedelta(seconds=settings.fetch_timeout),
    )  # fmt: skip
    return Introspector(policy, fetcher, clock)
