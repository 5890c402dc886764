"""All attempts, by family."""

from attacks import Attempt, calls, escapes, files, neighbours, network, processes

FAMILIES: dict[str, list[Attempt]] = {
    "system calls": calls.ATTEMPTS,
    "reading": files.READING,
    "writing": files.WRITING,
    "families of sockets": network.FAMILIES,
    "reaching others": network.REACHING,
    "processes of others": processes.OTHERS,
    "init": processes.INIT,
    "limits of oneself": processes.ONESELF,
    "privileges": escapes.PRIVILEGES,
    "namespaces": escapes.NAMESPACES,
    "helpers of the host": escapes.HELPERS,
    "neighbours": neighbours.ATTEMPTS,
}
ATTEMPTS = [attempt for family in FAMILIES.values() for attempt in family]
