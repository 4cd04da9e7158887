"""Every check of the inventory, in the order in which its mistakes are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible.module_utils.preflight import (
    application,
    artifacts,
    cache,
    certificates,
    controller,
    edge,
    names,
    network,
    passwords,
    search_tier,
    topology,
    values,
    watching,
)
from ansible.module_utils.preflight.model import Inventory, Mistake

Check = Callable[[Inventory], Iterable[Mistake]]

INVENTORY_CHECKS: tuple[Check, ...] = (
    controller.versions,
    topology.host_names,
    topology.hosts_without_group,
    topology.misspelt_groups,
    topology.managers,
    topology.data_nodes,
    topology.tiers_in_need,
    topology.addresses,
    names.unknown_variables,
    names.undefined_variables,
    names.missing_variables,
    names.wrong_types,
    values.placeholders,
    values.paths,
    values.counts,
    values.certificate_lives,
    passwords.weak_secrets,
    passwords.shared_secrets,
    certificates.provided_certificates,
    network.networks,
    network.nobody_let_in,
    network.firewall_sources,
    network.ports,
    artifacts.checksums,
    artifacts.sources,
    search_tier.heap,
    search_tier.one_cluster,
    search_tier.organization,
    search_tier.age,
    search_tier.plugins,
    search_tier.node_roles,
    search_tier.copies,
    search_tier.watermarks,
    search_tier.settings,
    search_tier.users,
    search_tier.racks,
    cache.sentinels,
    cache.writes,
    cache.memory,
    cache.primary,
    cache.users,
    edge.service_name,
    edge.hsts,
    edge.virtual_address,
    edge.vrrp,
    edge.upstreams,
    edge.known_to_nodes,
    edge.trusted_by_address,
    edge.names_that_prove_nothing,
    application.settings,
    watching.receivers,
    watching.pauses,
    watching.retention,
)


def inventory_mistakes(inventory: Inventory) -> list[Mistake]:
    """Return every mistake of an inventory."""
    return [mistake for check in INVENTORY_CHECKS for mistake in check(inventory)]
