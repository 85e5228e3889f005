"""Which addresses are public, whatever the version of Python knows about them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
LOOPBACK = "loopback"

# The registries of special addresses of IANA, with some that only look public. The first network that fits decides.
_V4 = [
    (ip_network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", LOOPBACK),
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "private"),  # of carriers; clouds have services there
        ("169.254.0.0/16", "link-local"),  # the metadata of clouds
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("168.63.129.16/32", "reserved"),  # a public address, with which Azure's machines reach their host
    )
]
_V6 = [
    (ip_network(network), kind)
    for network, kind in (
        ("::1/128", LOOPBACK),
        ("::/128", "unspecified"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),  # Teredo among them, which leads into other networks
        ("2001:db8::/32", "reserved"),
        ("3fff::/20", "reserved"),
    )
]
_EMBEDDING = [
    # The network, and how many bits follow the IPv4 address in it.
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
]
_GLOBAL = IPv6Network("2000::/3")
_ISATAP = {0x00005EFE, 0x02005EFE}


def kind_of(address: Address) -> str | None:
    """What is special about an address, as in ``loopback`` or ``private``; ``None`` if it is public.

    An IPv6 address that leads to an IPv4 address is what that one is.
    """
    if isinstance(address, IPv4Address):
        return _kind(address, _V4)
    found = _kind(address, _V6)
    if found is not None:
        return found
    number = int(address)
    for network, bits in _EMBEDDING:
        if address in network:
            return kind_of(IPv4Address(number >> bits & 0xFFFFFFFF))
    if address not in _GLOBAL:
        return "reserved"
    return kind_of(IPv4Address(number & 0xFFFFFFFF)) if number >> 32 & 0xFFFFFFFF in _ISATAP else None


def _kind(address: Address, networks: list[tuple[IPv4Network | IPv6Network, str]]) -> str | None:
    return next((kind for network, kind in networks if address in network), None)


def literal(host: str) -> Address | None:
    """Returns the address that a host of a URL is; ``None`` for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
