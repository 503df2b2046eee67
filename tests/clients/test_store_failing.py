"""An api-server whose store hangs, or dies and comes back: what it says of itself, and what becomes of requests meanwhile."""
import signal
import threading
import time

from harness.functions import time_limit
from secure_plane import SecurePlane

MAPS = "/api/v1/namespaces/default/configmaps"


def outcome(plane, path):
    """The answer's text, or the error's; who does not answer in time is an error too."""
    try:
        return plane.request("GET", path, raw=True)
    except OSError as error:
        return str(error)


@time_limit(120)
def test_a_server_whose_store_hangs_is_alive_and_not_ready(context):
    plane = SecurePlane(context, "hangs", 1)
    try:
        store = plane.start_store()
        plane.start_api_server(0)
        plane.wait_ready()
        store.process.send_signal(signal.SIGSTOP)
        try:
            assert outcome(plane, "/livez") == "ok"
            begin = time.monotonic()
            said = outcome(plane, "/readyz")
            assert "500" in said and "[-]etcd failed" in said, said
            assert time.monotonic() - begin < context.seconds(15)
        finally:
            store.process.send_signal(signal.SIGCONT)
        plane.wait_ready()
    finally:
        plane.stop()


@time_limit(120)
def test_creations_outlast_the_death_of_the_store(context):
    plane = SecurePlane(context, "dies", 1)
    made, problems, over = [], [], threading.Event()

    def create(worker):
        number = 0
        while not over.is_set():
            number += 1
            name = f"map-{worker}-{number}"
            try:
                plane.request("POST", MAPS, {"metadata": {"name": name}})
                made.append(name)
            except OSError as error:
                problems.append(str(error))
    try:
        store = plane.start_store()
        plane.start_api_server(0)
        plane.wait_ready()
        workers = [threading.Thread(target=create, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        for _ in range(3):
            count = len(made)
            context.wait_until("some creations", lambda count=count: len(made) > count + 20, 30, 0.01)
            assert store.stop(signal.SIGKILL) == -signal.SIGKILL
            plane.forget(store)
            time.sleep(0.5)
            store = plane.start_store()
        count = len(made)
        context.wait_until("more of them", lambda: len(made) > count + 20, 30, 0.01)
        over.set()
        for worker in workers:
            worker.join()
        present = {o["metadata"]["name"] for o in plane.request("GET", MAPS)["items"]}
        assert not problems, problems[:3]
        assert set(made) <= present, sorted(set(made) - present)[:5]
        assert len(present) <= len(made) + 1, "what was not acknowledged is there"  # kube-root-ca.crt
    finally:
        over.set()
        plane.stop()
