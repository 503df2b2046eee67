"""The engine's own process in this world, found by its socket, which can be killed and started again as it was."""
import json
import os
import signal
import socket
import struct
import subprocess


class Engine:
    def __init__(self, context):
        self.context, self.started = context, None

    def pid(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.context.socket)
            return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def get(self, path, is_gone_allowed=False):
        """None when there is no such thing (any more) and that is allowed."""
        answer = self.context.run("curl", "-sf", "--unix-socket", self.context.socket, f"http://engine/v1.41{path}", check=not is_gone_allowed)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def containers(self, *filters):
        """Inspected, of every kind and state. `filters` are labels."""
        labels = json.dumps({"label": list(filters)})
        answer = self.context.run("curl", "-sfG", "--unix-socket", self.context.socket, "-d", "all=true",
                                  "--data-urlencode", f"filters={labels}", "http://engine/v1.41/containers/json")
        inspected = (self.get(f"/containers/{c['Id']}/json", is_gone_allowed=True) for c in json.loads(answer.stdout))
        return [c for c in inspected if c]

    def kill(self):
        pid = self.pid()
        read = lambda name: open(f"/proc/{pid}/{name}", "rb").read().rstrip(b"\0").split(b"\0")
        self.command = read("cmdline")
        self.environment = dict(e.split(b"=", 1) for e in read("environ") if b"=" in e)
        self.log = os.readlink(f"/proc/{pid}/fd/1")
        os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(pid, 0)  # of this process, if it was started again before
        except ChildProcessError:
            pass
        # Docker refuses to start while the process in its pid file is there, if only as a zombie.
        self.context.wait_until("the engine's end", lambda: not os.path.exists(f"/proc/{pid}"), 10)

    def start(self):
        with open(self.log, "ab") as log:
            self.started = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        self.context.wait_until("the engine's answer", lambda: self.get("/containers/json") is not None, 30, 0.02)

    def set_live_restore(self, is_on):
        """Without it Docker stops every container when it starts again, which is its user's choice, not ours."""
        if self.context.engine != "docker":
            return
        pid = self.pid()
        words = open(f"/proc/{pid}/cmdline", encoding="utf-8").read().split("\0")
        with open(words[words.index("--config-file") + 1], "w", encoding="utf-8") as file:
            json.dump({"live-restore": is_on}, file)  # what is not named stays as it is
        os.kill(pid, signal.SIGHUP)
        self.context.wait_until(f"live-restore {is_on}", lambda: self.get("/info")["LiveRestoreEnabled"] == is_on, 10)
