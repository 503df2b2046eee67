"""scripts/world keeps its promise: what happens in a world is neither seen nor found by the host. scripts/test runs
these on the host itself, since it is the host that is looked at."""
import os
import signal
import subprocess
import time

from harness.functions import Skipped, time_limit

CONTAINER = """
set -eu
for engine in $RUSTERNETES_TEST_ENGINES; do
  name=${engine%%:*}; socket=${engine#*:}
  api() { curl -sS --fail-with-body --max-time 30 --unix-socket "$socket" -H 'Content-Type: application/json' "$@"; }
  api -X POST --data-binary @"$ARCHIVE" -H 'Content-Type: application/x-tar' http://e/v1.41/images/load >/dev/null
  api -X POST -d '{"Name":"net1","CheckDuplicate":true}' http://e/v1.41/networks/create >/dev/null
  api -X POST -d '{"Image":"localhost/busybox:local","Cmd":["/bin/sh","-c","echo hello >/var/www/index.html; exec httpd -f -p 80 -h /var/www"],
    "HostConfig":{"NetworkMode":"net1","PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"'"${#name}"'080"}]}}}' \
    "http://e/v1.41/containers/create?name=web-server" >/dev/null
  api -X POST http://e/v1.41/containers/web-server/start
  curl -sS --fail --retry 20 --retry-delay 0 --retry-all-errors --max-time 5 "http://127.0.0.1:${#name}080/"
done
"""


def snapshot(context):
    return context.run(context.script("host-state")).stdout


def differences(context, before):
    files = [os.path.join(context.work, name) for name in ("before", "after")]
    for path, text in zip(files, (before, snapshot(context))):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return context.run(context.script("host-state"), "--diff", *files, check=False).stdout


def need_engines(context, *names):
    for name in names:
        program = {"podman": "podman", "docker": "dockerd"}[name]
        if subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True, check=False).returncode:
            raise Skipped(f"{program} is not installed")


def world_groups():
    found = []
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(folder, name) for name in names if name.startswith("rusternetes-world-")]
    return found


@time_limit(120)
def test_two_engines_with_running_containers_leave_the_host_as_it_was(context):
    need_engines(context, "podman", "docker")
    archive = os.path.join(context.work, "busybox.tar")
    context.run(context.script("busybox-image"), archive)
    before = snapshot(context)
    done = context.run(context.script("world"), "--engine", "podman", "--engine", "docker", "--outside", "bash", "-c",
                       CONTAINER, env={"ARCHIVE": archive})
    assert done.stdout == "hello\nhello\n", done.stdout + done.stderr
    left = differences(context, before)
    assert left == "", left


def test_a_world_has_lo_and_no_route(context):
    done = context.run(context.script("world"), "sh", "-c", "ip -o link; ip route; ip -6 route; ip route get 192.0.2.1 2>&1 || true")
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and " lo: " in lines[0] and "unreachable" in lines[1], done.stdout


def test_what_is_started_with_the_hosts_routes_refuses(context):
    done = context.run("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "env",
                       f"RUSTERNETES_WORLD_ROOT={context.root}", "RUSTERNETES_WORLD_OUTSIDE=0",
                       os.path.join(context.root, "tests/world/inside"), "echo", "went on", check=False)
    if not context.run("ip", "route").stdout:
        raise Skipped("this host has no route either")
    assert done.returncode == 1 and "went on" not in done.stdout and "refusing to go on" in done.stderr, done.stderr


def test_the_outside_is_reached_over_its_link_and_nothing_else_is(context):
    script = """set -e
      mkdir -p /run/www; echo outside >/run/www/index.html
      ip netns exec outside busybox httpd -p 198.51.100.2:80 -h /run/www
      busybox wget -q -O - http://198.51.100.2/
      ip netns exec outside ip route"""
    done = context.run(context.script("world"), "--outside", "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert lines[0] == "outside" and len(lines) == 2 and lines[1].startswith("198.51.100.0/24 dev eth0"), done.stdout


def test_the_commands_exit_code_input_and_output_pass_through(context):
    done = context.run(context.script("world"), "sh", "-c", "cat; echo err >&2; exit 7", input="in\n", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "in\n", "err\n"), done


def test_files_written_to_etc_var_and_run_stay_in_the_world(context):
    name = f"rusternetes-world-test-{os.getpid()}"
    folders = ["/etc", "/etc/containers", "/var/lib", "/var/tmp", "/opt", "/run", "/dev/shm"]
    script = f'for folder; do mkdir -p "$folder" && echo x >"$folder/{name}"; done; echo done'
    done = context.run(context.script("world"), "sh", "-c", script, "sh", *folders)
    assert done.stdout == "done\n", done.stdout
    left = [f for f in folders if os.path.exists(os.path.join(f, name))]
    assert left == [], left


@time_limit(120)
def test_a_killed_script_takes_its_world_along_and_the_next_one_sweeps_its_groups(context):
    need_engines(context, "docker")
    before = snapshot(context)
    marker = os.path.join(context.work, "up")
    world = subprocess.Popen([context.script("world"), "--engine", "docker", "sh", "-c", f"touch {marker}; exec sleep 1000"],
                             stdin=subprocess.DEVNULL)
    context.wait_until("the world to be up", lambda: os.path.exists(marker), 30)
    mine = [g for g in world_groups() if g.endswith(f"-{world.pid}")]
    assert mine, "no cgroup of the world's"

    def members():
        found = []
        for top in mine:
            for folder, _, _ in os.walk(top):
                with open(os.path.join(folder, "cgroup.procs"), encoding="ascii") as file:
                    found += file.read().split()
        return found

    assert len(members()) > 0
    world.send_signal(signal.SIGKILL)
    world.wait()
    context.wait_until("every process of the world to end", lambda: not members(), 20)
    context.run(context.script("world"), "true")
    assert not [g for g in world_groups() if g.endswith(f"-{world.pid}")]
    left = differences(context, before)
    assert left == "", left


def test_a_world_in_another_pid_namespace_is_left_alone(context):
    marker, stop = (os.path.join(context.work, name) for name in ("elsewhere", "stop"))
    elsewhere = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", context.script("world"), "sh", "-c",
         f"touch {marker}; until [ -e {stop} ]; do sleep 0.1; done; echo lived"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        context.wait_until("the world to be up", lambda: os.path.exists(marker), 30)
        context.run(context.script("world"), "true")
        with open(stop, "w", encoding="ascii"):
            pass
        said, _ = elsewhere.communicate(timeout=context.seconds(20))
        assert (elsewhere.returncode, said) == (0, "lived\n"), (elsewhere.returncode, said)
    finally:
        elsewhere.kill()


def test_an_interrupted_script_ends_its_world_and_says_so_by_its_code(context):
    marker = os.path.join(context.work, "interrupted")
    world = subprocess.Popen([context.script("world"), "sh", "-c", f"touch {marker}; exec sleep 1000"],
                             stdin=subprocess.DEVNULL)
    context.wait_until("the world to be up", lambda: os.path.exists(marker), 30)
    begin = time.monotonic()
    world.terminate()
    assert world.wait(timeout=20) == 143 and time.monotonic() - begin < context.seconds(10)
    assert not [g for g in world_groups() if g.endswith(f"-{world.pid}")]
