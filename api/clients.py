"""Which address a request came from, as it is counted."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

NETWORK_OF_A_CLIENT = 64  # bits; who has an IPv6 address has all that begin with these


def address_of(request: HttpRequest) -> str | None:
    """Return the client's IPv4 address, the first one of its IPv6 network, or None where it is unknown.

    Behind ``PROXIES`` it is the one that the outermost of them saw: what stands before it in
    X-Forwarded-For came from the client, and may be made up.
    """
    text = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.PROXIES and forwarded:
        seen = forwarded.split(",")
        text = seen[-min(settings.PROXIES, len(seen))]
    return counted(text.strip())


def counted(text: str) -> str | None:
    """Return the address under which a client is counted; None for a text that is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, NETWORK_OF_A_CLIENT), strict=False).network_address)
