"""The readers' way in: the service's name, the virtual address and what is behind it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ansible.module_utils.preflight.model import Host, Inventory, Mistake, items, strings
from ansible.module_utils.preflight.topology import ip, is_hostname

VIP = "edge_vip_address"
ROUTER_ID = "edge_vrrp_router_id"
PEERS = "edge_vrrp_peers"
ALIASES = "edge_service_aliases"
YEAR = 31536000


def service_name(inventory: Inventory) -> Iterator[Mistake]:
    """Readers and certificates call the service by its name, or by one of its others."""
    for host in inventory.group("edge"):
        named = [("edge_service_name", str(host.get("edge_service_name", "")))]
        named += [("edge_service_aliases", str(each)) for each in host.get(ALIASES) or [] if each]
        for variable, name in named:
            if name and (not is_hostname(name) or ip(name)):
                yield Mistake(
                    host.name,
                    variable,
                    name,
                    "is no name that DNS and a certificate can carry",
                    "write the name that readers type, without https:// and port, "
                    "such as library.example.org",
                )


def hsts(inventory: Inventory) -> Iterator[Mistake]:
    """What browsers are to put into their lists is what those lists take."""
    for host in inventory.group("edge"):
        seconds = str(host.get("edge_hsts_seconds", 63072000))
        if not host.get("edge_hsts_preload"):
            continue
        if not host.get("edge_hsts_subdomains"):
            yield Mistake(
                host.name,
                "edge_hsts_preload",
                "true",
                "needs the sub-domains, without which no list takes a name",
                "set edge_hsts_subdomains to true if all of them speak HTTPS",
            )
        if seconds.isdigit() and int(seconds) < YEAR:
            yield Mistake(
                host.name,
                "edge_hsts_seconds",
                seconds,
                "is less than the year that browsers' lists ask for (edge_hsts_preload)",
                f"write {YEAR} or more, or leave edge_hsts_preload off",
            )


def virtual_address(inventory: Inventory) -> Iterator[Mistake]:
    """The virtual address is a free one in the network of the edge hosts."""
    edges = inventory.group("edge")
    for host in edges:
        text = str(host.get(VIP, ""))
        if text:
            yield from one_virtual_address(inventory, host, text)
    addresses = sorted({str(host.get(VIP, "")) for host in edges})
    if len(addresses) > 1:
        yield Mistake(
            "group edge",
            VIP,
            ", ".join(each or '""' for each in addresses),
            "differs among the edge hosts, which pass one address to one another",
            "set it once, in group_vars/edge.yml or group_vars/all",
        )


def one_virtual_address(inventory: Inventory, host: Host, text: str) -> Iterator[Mistake]:
    """Check the address that one edge host would take."""
    address, slash, prefix = text.partition("/")
    found = ip(address)
    if not found:
        example = f"write an address with its prefix, such as {free(inventory)}"
        yield Mistake(host.name, VIP, text, "is no address", example)
        return
    if not slash:
        own = f"write {text}/24, with the prefix length of the edge hosts' network"
        yield Mistake(host.name, VIP, text, "has no prefix length", own)
        return
    try:
        network = ipaddress.ip_interface(text).network
    except ValueError:
        problem = f"has a prefix length {prefix} that does not exist"
        yield Mistake(host.name, VIP, text, problem, f"write {address}/24 or the like")
        return
    yield from place(inventory, host, text, network)


def place(
    inventory: Inventory,
    host: Host,
    text: str,
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> Iterator[Mistake]:
    """Check where in the network the virtual address lies."""
    address = text.partition("/")[0]
    owner = next((each for each in inventory.hosts.values() if each.address == address), None)
    if owner:
        yield Mistake(
            host.name,
            VIP,
            text,
            f"is the address of {owner.name}",
            "write an address that no host has",
        )
    own = ip(host.address)
    if own and own not in network:
        yield Mistake(
            host.name,
            VIP,
            text,
            f"lies outside of the network of {host.name} ({host.address})",
            f"write a free address beside {host.address}",
        )
    edges = (network.network_address, network.broadcast_address)
    if ip(address) in edges and network.num_addresses > 2:
        problem = "is the address of the network itself or its broadcast address"
        yield Mistake(host.name, VIP, text, problem, f"write a host's address inside {network}")


def free(inventory: Inventory) -> str:
    """Return an example of a virtual address: the highest one beside the first edge host."""
    first = inventory.group("edge")[0].address
    if not isinstance(ip(first), ipaddress.IPv4Address):
        return "10.0.0.10/24"
    network = ipaddress.ip_network(f"{first}/24", strict=False)
    taken = {host.address for host in inventory.hosts.values()}
    last = int(network.broadcast_address)
    candidates = (str(ipaddress.ip_address(last - step)) for step in range(1, 254))
    return f"{next((each for each in candidates if each not in taken), '10.0.0.10')}/24"


def vrrp(inventory: Inventory) -> Iterator[Mistake]:
    """The edge hosts agree who holds the virtual address."""
    edges = inventory.group("edge")
    for host in edges:
        router = host.get(ROUTER_ID)
        if router is not None and not (str(router).isdigit() and 1 <= int(router) <= 255):
            problem = "is no VRRP router id"
            yield Mistake(host.name, ROUTER_ID, str(router), problem, "write a number of 1 to 255")
        if host.get(VIP) and len(edges) > 1:
            yield from peers(inventory, host)


def peers(inventory: Inventory, host: Host) -> Iterator[Mistake]:
    """The list of those who may hold the address."""
    listed = items(host.get(PEERS, []))
    names = [str(peer.get("name", "")) for peer in listed]
    missing = [edge.name for edge in inventory.group("edge") if edge.name not in names]
    if missing:
        yield Mistake(
            host.name,
            PEERS,
            ", ".join(names) or "[]",
            f"lacks {', '.join(missing)}, so that two hosts would take the address at once",
            "leave it to group_vars/all/wiring.yml, or list every edge host",
        )
    priorities: dict[object, str] = {}
    for peer, name in zip(listed, names, strict=True):
        priority = peer.get("priority")
        if priority is None:
            continue
        if not (str(priority).isdigit() and 1 <= int(priority) <= 254):
            problem = f"gives {name} a priority that VRRP does not have"
            yield Mistake(host.name, PEERS, str(priority), problem, "write one of 1 to 254")
        elif priority in priorities:
            problem = f"is the priority of {priorities[priority]} and of {name}"
            yield Mistake(host.name, PEERS, str(priority), problem, "give each its own")
        priorities.setdefault(priority, name)


def upstreams(inventory: Inventory) -> Iterator[Mistake]:
    """A proxy has something to pass requests to."""
    for host in inventory.group("edge"):
        if host.get("edge_upstreams") in ([], ()) and inventory.group("app"):
            yield Mistake(
                host.name,
                "edge_upstreams",
                "[]",
                "leaves the proxy with nothing behind it",
                "leave it to group_vars/all/wiring.yml, or list the application hosts",
            )


def known_to_nodes(inventory: Inventory) -> Iterator[Mistake]:
    """An application host cuts off an edge that it does not know by name."""
    edges = [host.name for host in inventory.group("edge")]
    for host in inventory.group("app"):
        listed = [str(name).lower() for name in strings(host.get("app_edges"))]
        missing = [name for name in edges if name.lower() not in listed]
        if missing:
            yield Mistake(
                host.name,
                "app_edges",
                ", ".join(listed) or "[]",
                f"does not have {', '.join(missing)}, whose readers the host would cut off",
                "leave it to group_vars/all/wiring.yml, or list every edge host by its name",
            )


def trusted_by_address(inventory: Inventory) -> Iterator[Mistake]:
    """Edges are known by certificate, and the application takes one way only."""
    for host in inventory.group("app"):
        settings = host.get("app_settings")
        server = settings.get("server") if isinstance(settings, dict) else None
        if isinstance(server, dict) and server.get("trusted_proxies"):
            yield Mistake(
                host.name,
                "app_settings.server.trusted_proxies",
                ", ".join(strings(server["trusted_proxies"])),
                "names proxies by address, and the application knows them by certificate",
                "give the proxy a certificate of the internal authority, and its name to app_edges",
            )


def names_that_prove_nothing(inventory: Inventory) -> Iterator[Mistake]:
    """The certificate of every host says localhost, so no host is known by that."""
    for tier in ("edge", "app", "ops"):
        for host in inventory.group(tier):
            if host.name.lower() == "localhost" and inventory.group("app"):
                yield Mistake(
                    host.name,
                    "inventory_hostname",
                    host.name,
                    "is in the certificate of every host, so no application host knows who calls",
                    "give the host a name of its own and put localhost into ansible_host",
                )
                return
