"""A cluster's manifest without the launcher: Debian's docker-compose brings it up on the socket of either engine, and the launcher
takes over again."""
import json
import os
import shutil

from harness.cluster import Cluster
from harness.functions import Skipped, time_limit
from test_topologies import ask_engine, check_traffic, engine_things, start_web

NAME = "composed"


def compose(context, manifest, *words, check=True):
    return context.run("docker-compose", "-f", manifest, *words, check=check, timeout=90,
                       env={"DOCKER_HOST": f"unix://{context.socket}"})


def states(context):
    """{component: whether it runs}"""
    listed = json.loads(ask_engine(context, "GET", "/containers/json?all=true"))
    return {c["Labels"]["io.rusternetes.key"]: c["State"] == "running" for c in listed if "io.rusternetes.key" in c["Labels"]}


def has_network(context):
    return f"rusternetes-{NAME}-network" in engine_things(context)[1]


def bring_up(context, manifest):
    # `stop` keeps it, and on Podman docker-compose wants to make it itself.
    if has_network(context):
        ask_engine(context, "DELETE", f"/networks/rusternetes-{NAME}-network")
    done = compose(context, manifest, "up", "-d", check=False)
    if done.returncode == 0:
        return
    # Docker takes "privileged" by the word; the launcher asks for what the host has.
    assert "unable to apply caps: operation not permitted" in done.stderr, done.stderr
    unprivileged = {key: is_up for key, is_up in states(context).items() if not key.startswith(("host-agent", "kube-proxy", "kubelet"))}
    assert len(unprivileged) == 8 and all(unprivileged.values()), unprivileged
    raise Skipped("Docker cannot start privileged containers on a host without every capability; all others came up")


def take_down(context, manifest):
    """Podman removes a container only after those that have joined it, of which docker-compose knows nothing: a second time."""
    def down():
        compose(context, manifest, "down", check=False)
        return not states(context) and not has_network(context)
    context.wait_until("nothing to be left of it", down, 60)


@time_limit(240)
def test_docker_compose_brings_the_manifest_up(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if not shutil.which("docker-compose"):
        raise Skipped("docker-compose is not installed (scripts/packages test)")
    cluster = Cluster(context, name=NAME, home=os.path.join(context.work, NAME), create_flags=["--mode", "sqlite", "--nodes", "2"])
    manifest = os.path.join(cluster.home, "clusters", NAME, "compose.yaml")
    try:
        cluster.create()
        uids = {p["metadata"]["uid"] for p in start_web(cluster, 2)}
        cluster.run_ctl("stop", NAME)
        try:
            bring_up(context, manifest)
            assert all(states(context).values()) and len(states(context)) == 13, states(context)
            context.wait_until("the nodes", cluster.node_is_ready, 60)
            pods = cluster.running_pods("app=web", 2)
            assert {p["metadata"]["uid"] for p in pods} == uids
            check_traffic(context, cluster, pods)
            # Taken over as it is, and once more after compose's own end.
            cluster.run_ctl("start", NAME)
            cluster.run_ctl("status", NAME)
            cluster.run_ctl("stop", NAME)
            bring_up(context, manifest)
        finally:
            take_down(context, manifest)
            cluster.run_ctl("start", NAME)
        assert {p["metadata"]["uid"] for p in cluster.running_pods("app=web", 2)} == uids
        check_traffic(context, cluster, cluster.running_pods("app=web", 2))
    finally:
        cluster.remove()
    assert NAME not in str(engine_things(context))
