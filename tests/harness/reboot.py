"""What a restart of the host leaves of an engine and its clusters: the files on disk, and nothing else."""
import json
import os
import shutil
import signal

from harness.engine import Engine

# All that engines and clusters run as beside containers; whoever runs a test is none of them. Who starts or watches others goes
# first, so that nobody takes note of another one's end.
MONITORS = ("conmon", "containerd-shim", "containerd-shim-runc-v2")
PROGRAMS = (("supervisor",), ("rusternetes", "rusternetes-ctl"), ("dockerd", "podman"), ("containerd",), MONITORS,
            ("docker-proxy", "aardvark-dns", "netavark", "crun", "runc"))
# Below /run, where a boot finds an empty tmpfs. The world's own files, sockets and namespaces stay.
RUN_FOLDERS = ("/run/libpod", "/run/containers", "/run/crun", "/run/runc", "/run/docker-exec", "/run/docker", "/run/containerd")
WORLD_LINKS, WORLD_NAMESPACES = ("lo", "outside0"), ("outside",)


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.path.basename(file.read().split(b"\0")[0].decode())
    except OSError:
        return ""


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def is_over(pid):
    """A zombie's parent has only not looked yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def pids_of_containers(engine):
    return [c["State"]["Pid"] for c in engine.containers() if c["State"]["Pid"]]


def end_processes(context, contained, all_programs):
    ended = []
    for programs in all_programs:
        found = [pid for pid in processes() if command_of(pid) in programs]
        kill(found)
        ended += found
    kill(contained)
    context.wait_until("the end of every process", lambda: all(is_over(pid) for pid in ended + contained), 20)


def end_unseen(context):
    """Every container, and who would have seen its end; the engine lives on."""
    end_processes(context, pids_of_containers(Engine(context)), (MONITORS,))


def unmount(context, folders):
    mounts = [line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")]
    for mount in reversed(mounts):
        mount = mount.encode().decode("unicode_escape")
        if mount.startswith(tuple(f + "/" for f in folders)) or mount in folders:
            context.run("umount", "--lazy", mount, check=False)


def remove_namespaces(context):
    for name in os.listdir("/run/netns"):
        if name not in WORLD_NAMESPACES:
            context.run("ip", "netns", "delete", name)


def remove_links(context):
    for link in json.loads(context.run("ip", "-j", "link").stdout):
        # The other end of one that was removed has gone, too.
        if link["ifname"] not in WORLD_LINKS:
            context.run("ip", "link", "delete", link["ifname"], check=False)
    left = {link["ifname"] for link in json.loads(context.run("ip", "-j", "link").stdout)}
    assert left <= set(WORLD_LINKS), left


def remove_cgroups():
    """All without a process, in every hierarchy: those of the test itself stay."""
    for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if os.path.exists(os.path.join(folder, "cgroup.procs")) and not os.path.ismount(folder):
            try:
                os.rmdir(folder)
            except OSError:
                pass


def remove_what_a_kernel_has(context, homes):
    unmount(context, ["/var/lib/containers/storage/overlay", "/var/lib/containers/storage/overlay-containers", "/run/docker-data",
                      *RUN_FOLDERS, *homes])
    remove_namespaces(context)
    remove_links(context)
    context.run("nft", "flush", "ruleset")
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        if os.path.exists(f"/proc/sys/net/{setting}"):
            with open(f"/proc/sys/net/{setting}", "w", encoding="utf-8") as file:
                file.write("0")
    remove_cgroups()


def remove_run_folders():
    for folder in RUN_FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
        assert not os.path.exists(folder), os.listdir(folder)
    for name in ("/dev/shm/libpod_lock", "/run/docker.pid"):
        if os.path.exists(name):
            os.remove(name)


def reboot(context, *homes):
    """As when the host has lost power and was started again: no process, namespace, link, rule, mount or cgroup of before is
    there, and below /run nothing; the engine runs, and what it brings up by itself comes up."""
    engine = Engine(context)
    contained = pids_of_containers(engine)
    engine.kill()
    try:
        end_processes(context, contained, PROGRAMS)
        remove_what_a_kernel_has(context, homes)
        remove_run_folders()
    finally:
        engine.start()
