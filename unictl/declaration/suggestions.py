"""Suggestions for a wrong key: words of other tools and misspellings -> the key to use. Mostly data."""

from collections.abc import Iterable, Mapping

from unictl.fleet.names import closest_match

# By what the map is (``x-entries`` of the schema; "" is the fleet file), then by the wrong key.
_ALIASES: Mapping[str, Mapping[str, Iterable[str]]] = {
    "": {
        "fleet": ("name", "project", "app"),
        "services": ("service", "apps", "jobs", "deployments", "units"),
        "hosts": ("host", "nodes", "node", "servers", "machines", "inventory"),
        "variables": ("vars", "var", "values", "locals", "args"),
        "environments": ("env", "envs", "environment", "stages"),
        "default_env": ("default_environment", "env_default"),
        "include": ("includes", "import", "imports", "files"),
        "images": ("image", "kernels"),
        "defaults": ("default", "all"),
        "networks": ("network", "nets"),
        "templates": ("template", "extends"),
        "policy": ("policies", "limits"),
        "notify": ("notifications", "hooks", "webhooks"),
    },
    "host": {
        "connect": ("ssh", "url", "uri", "host", "hostname", "user", "port", "connection", "ansible_host"),
        "address": ("ip", "addr", "ip_address"),
        "become": ("sudo", "root_user", "privileged"),
        "memory": ("mem", "ram"),
        "cpus": ("cpu", "cores", "vcpus"),
        "root": ("path", "dir", "store", "state"),
        "labels": ("label", "tags", "tag"),
        "zone": ("rack", "site", "region", "az"),
        "lost": ("dead", "down"),
        "drain": ("cordon", "evacuate", "maintenance"),
        "hypervisors": ("hypervisor",),
        "reserve": ("reserved",),
    },
    "network": {
        "mode": ("type", "driver", "kind"),
        "subnet": ("cidr", "range", "network", "ip_range"),
        "gateway": ("gw", "router"),
        "endpoints": ("ports", "pool"),
    },
    "image": {
        "guest": ("family", "type", "kind", "os"),
        "kernel": ("path", "file", "binary", "elf", "unikernel"),
        "initrd": ("initramfs", "rootfs", "ramdisk", "cpio"),
        "sha256": ("sha", "digest", "checksum", "hash"),
        "oci": ("docker", "registry", "image", "ref"),
    },
    "volume": {"size": ("capacity", "storage", "bytes"), "host": ("hosts", "node", "pin"), "snapshot": ("snapshots",)},
    "secret": {"env": ("environment", "variable"), "file": ("path", "from"), "command": ("cmd", "run", "exec")},
    "service": {
        "ports": ("port", "listen"),
        "environment": ("env", "envs", "environ", "variables", "env_vars"),
        "args": ("cmd", "command", "arguments", "argv", "entrypoint", "cmdline", "append"),
        "needs": ("depends_on", "depends", "requires", "after", "dependencies", "need"),
        "health": ("healthcheck", "health_check", "checks", "check", "probe", "probes", "liveness"),
        "memory": ("mem", "ram", "memory_mb"),
        "cpus": ("cpu", "vcpus", "vcpu", "cores"),
        "replicas": ("replica", "count", "instances", "scale", "copies"),
        "publish": ("expose", "published", "ingress", "publishes"),
        "volumes": ("volume", "mounts", "mount", "disks", "storage"),
        "extends": ("template", "templates", "inherits", "extend", "uses"),
        "network": ("networks", "net"),
        "placement": ("host", "hosts", "place", "zone", "constraints", "affinity", "spread", "require"),
        "update": ("updates", "strategy", "deploy", "rollout", "rolling", "max_parallel", "canary"),
        "kind": ("type",),
        "image": ("images", "kernel", "unikernel"),
        "owners": ("owner", "codeowners", "team"),
        "labels": ("label", "tags", "tag", "metadata"),
        "was": ("renamed_from", "replaces", "previously", "formerly"),
        "restart": ("restart_policy", "restarts"),
        "activation": ("on_request", "lazy", "idle"),
        "protect": ("protected", "prevent_destroy"),
        "files": ("file", "configs"),
    },
    "check": {
        "http": ("path", "url", "get", "httpGet"),
        "console": ("log", "pattern", "line"),
        "min_healthy_time": ("healthy_time", "min_healthy"),
        "healthy_deadline": ("deadline", "start_period"),
        "interval": ("period", "every"),
    },
    "publication": {
        "to": ("target", "from", "service", "backend"),
        "sni": ("server_name",),
        "tls": ("certificate", "cert"),
    },
}


def suggest_key(entry_kind: str, wrong_key: str, valid_keys: Iterable[str]) -> str:
    """The key that was probably meant by ``wrong_key`` in a map of kind ``entry_kind``; empty where there is no
    telling.
    """
    normalized = wrong_key.lower().replace("-", "_")
    valid_keys = tuple(valid_keys)
    if normalized in valid_keys:
        return normalized
    table = _ALIASES.get(entry_kind, {})
    alias_target = next((key for key, aliases in table.items() if normalized in aliases and key in valid_keys), "")
    if len(valid_keys) == 1:
        return valid_keys[0]
    return alias_target or closest_match(wrong_key, valid_keys, cutoff=0.7)
