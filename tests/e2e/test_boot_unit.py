"""The units that systemd has of clusters: what systemd-analyze says of them, when they are there, and that what they run brings a
cluster up after a restart of the host. systemd itself cannot be PID 1 here: a `systemctl` that enables units as the real one does
off line, and starts what it is told to, stands for it."""
import json
import os
import shlex
import shutil

from harness.cluster import Cluster, assert_matches
from harness.functions import Skipped, time_limit
from harness.reboot import reboot

UNITS = "/etc/systemd/system"
# `systemctl --root=/` asks no daemon. What it cannot do off line is systemd's own part.
SYSTEMCTL = r"""#!/bin/sh
case $1 in
  enable | disable) exec {real} --root=/ "$@" ;;
  start)
    for unit; do :; done
    eval "set -- $(sed -n 's/^ExecStart=//p' "{units}/$unit" | sed 's/\$\$/\\$/g; s/%%/%/g')"
    setsid "$@" </dev/null >/dev/null 2>&1 & ;;
  daemon-reload | reset-failed | stop) ;;
  *) echo "systemctl: $1 is not played here" >&2; exit 1 ;;
esac
"""


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    real = shutil.which("systemctl")
    if not real or not shutil.which("systemd-analyze"):
        raise Skipped("systemd is not installed (scripts/packages test)")
    folder = os.path.join(context.work, "systemd")
    os.makedirs(folder)
    with open(os.open(os.path.join(folder, "systemctl"), os.O_WRONLY | os.O_CREAT, 0o755), "w", encoding="utf-8") as file:
        file.write(SYSTEMCTL.format(real=real, units=UNITS))
    os.makedirs(UNITS, exist_ok=True)
    context.state["path"] = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    os.makedirs("/run/systemd/system")  # the sign of a host that systemd has booted


def teardown(context):
    if "path" in context.state:
        os.environ["PATH"] = context.state["path"]
        os.rmdir("/run/systemd/system")


def units(name):
    """(files, links by which systemd starts them at boot)"""
    wants = os.path.join(UNITS, "multi-user.target.wants")
    of = lambda folder: [os.path.join(folder, f) for f in (os.listdir(folder) if os.path.isdir(folder) else []) if f"-{name}-" in f]
    return of(UNITS), of(wants)


def check_unit(context, name, ending=".service"):
    """The path of the one unit, of which systemd-analyze has nothing to say."""
    files, links = ([path for path in paths if path.endswith(ending)] for paths in units(name))
    assert len(files) == 1 and len(links) == 1, (files, links)
    said = context.run("systemd-analyze", "verify", "--man=no", files[0], check=False)
    about_it = [line for line in (said.stdout + said.stderr).splitlines() if name in line]
    assert not about_it and said.returncode == 0, (said, open(files[0], encoding="utf-8").read())
    return files[0]


def lines(path, key):
    with open(path, encoding="utf-8") as file:
        return [line.split("=", 1)[1].strip() for line in file if line.startswith(key + "=")]


def run_as_init(context, line):
    """A command of a unit, with as little environment as systemd gives it."""
    words = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line.lstrip("-"))]
    context.run("env", "-i", f"PATH={os.environ['PATH']}", "LANG=C.UTF-8", *words, timeout=120)


def check_life(context, name, *flags):
    cluster = Cluster(context, name=name, home=os.path.join(context.work, "a home", name), create_flags=flags)
    try:
        cluster.create()
        cluster.load_image()
        cluster.apply(cluster.deployment("web"))
        uid = cluster.running_pods("app=web", 1)[0]["metadata"]["uid"]
        unit = check_unit(context, name)
        text = open(unit, encoding="utf-8").read()
        reboot(context, cluster.home)
        for key in ("ExecStart",) if flags else ():
            run_as_init(context, lines(unit, key)[0])
        if not flags:  # the supervisor, which goes on, and then what makes links and rules
            context.run("systemctl", "start", os.path.basename(unit))
            run_as_init(context, lines(unit, "ExecStartPost")[0])
        context.wait_until("the cluster to be ready", lambda: cluster.run_ctl("status", name, check=False).returncode == 0, 60)
        assert cluster.running_pods("app=web", 1)[0]["metadata"]["uid"] == uid
        assert check_unit(context, name) == unit and open(unit, encoding="utf-8").read() == text
        cluster.run_ctl("stop", name)
        # A host that starts now leaves a stopped cluster alone.
        assert not units(name)[1], units(name)
        cluster.run_ctl("start", name)
        check_unit(context, name)
    finally:
        cluster.remove()
    assert units(name) == ([], [])


@time_limit(240)
def test_a_cluster_of_containers_is_started_at_boot(context):
    check_life(context, "unitlite", "--mode", "sqlite", "--nodes", "1")


@time_limit(240)
def test_a_process_is_started_at_boot(context):
    check_life(context, "unitone")


@time_limit(240)
def test_a_schedule_of_snapshots_is_started_at_boot(context):
    cluster = Cluster(context, name="unitsnap", home=os.path.join(context.work, "a home", "unitsnap"))
    try:
        cluster.create()
        cluster.run_ctl("snapshot", "schedule", "unitsnap", "--every", "2s", "--keep", "1")
        unit = check_unit(context, "unitsnap", "-snapshots.service")
        ids = lambda: [s["id"] for s in json.loads(cluster.run_ctl("snapshot", "list", "unitsnap", "-o", "json").stdout)["snapshots"]]
        context.wait_until("a snapshot", ids, 20)
        reboot(context, cluster.home)
        before = ids()
        # After the cluster's, which it names.
        assert lines(unit, "After") == [os.path.basename(unit).replace("-snapshots", "")]
        cluster.run_ctl("start", "unitsnap", "--wait", "60s")
        context.wait_until("another snapshot", lambda: set(ids()) - set(before), 20)
        cluster.run_ctl("stop", "unitsnap")
        assert units("unitsnap")[1] == []
        cluster.run_ctl("start", "unitsnap")
        check_unit(context, "unitsnap", "-snapshots.service")
        cluster.run_ctl("snapshot", "schedule", "unitsnap", "--off")
        assert check_unit(context, "unitsnap") and not units("unitsnap")[0][0].endswith("-snapshots.service")
    finally:
        cluster.run_ctl("delete", "unitsnap", "--yes", "--snapshots")
    assert units("unitsnap") == ([], [])
