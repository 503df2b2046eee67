"""A control plane as in containers: rhino, several api-servers and the programs beside them, each
with a certificate."""
import json
import os
import ssl
import urllib.error
import urllib.request

from control_plane import Program, free_port

SERVICE_RANGE = "10.96.0.0/16"


class Pki:
    """Authorities and leaves in one folder, as NAME.crt and NAME.key."""

    def __init__(self, context, folder):
        self.context, self.folder = context, folder
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def key(self, name):
        self.context.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                         self.path(f"{name}.key"))

    def authority(self, name):
        self.key(name)
        self.context.run("openssl", "req", "-x509", "-new", "-key", self.path(f"{name}.key"),
                         "-subj", f"/CN={name}", "-days", 2, "-out", self.path(f"{name}.crt"))

    def leaf(self, name, authority, subject, usage, names="IP:127.0.0.1,DNS:localhost"):
        """`subject` as /O=GROUP/CN=USER, `usage` as serverAuth or clientAuth, or both by a comma."""
        self.key(name)
        request, extensions = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"extendedKeyUsage={usage}\nsubjectAltName={names}\n")
        self.context.run("openssl", "req", "-new", "-key", self.path(f"{name}.key"), "-subj", subject, "-out",
                         request)
        self.context.run("openssl", "x509", "-req", "-in", request, "-CA", self.path(f"{authority}.crt"),
                         "-CAkey", self.path(f"{authority}.key"), "-CAcreateserial", "-days", 2,
                         "-extfile", extensions, "-out", self.path(f"{name}.crt"))


class SecurePlane:
    """Starts nothing by itself. Ports are known before their programs run, as names are of containers."""

    USERS = {  # kubeconfig: subject of its certificate
        "admin": "/O=kubeadm:cluster-admins/CN=kubernetes-admin",
        "super-admin": "/O=system:masters/CN=super-admin",
        "scheduler": "/CN=system:kube-scheduler", "controller-manager": "/CN=system:kube-controller-manager",
        "dns": "/CN=system:coredns", "kube-proxy": "/CN=system:kube-proxy",
        "network-policy": "/CN=system:network-policy",
        "host-agent": "/CN=system:host-agent", "node-routes": "/CN=system:node-routes",
        "node-1": "/O=system:nodes/CN=system:node:node-1"}

    def __init__(self, context, name, api_servers=2):
        self.context, self.folder, self.programs = context, os.path.join(context.work, name), []
        self.addresses, self.port = [f"127.0.0.{n + 1}" for n in range(api_servers)], free_port()
        self.urls = [f"https://{address}:{self.port}" for address in self.addresses]
        pki = self.pki = Pki(context, os.path.join(self.folder, "pki"))
        for authority in ("ca", "etcd-ca"):
            pki.authority(authority)
        pki.key("sa")
        pki.leaf("etcd-server", "etcd-ca", "/CN=rhino", "serverAuth,clientAuth")
        pki.leaf("apiserver-etcd-client", "etcd-ca", "/CN=apiserver-etcd-client", "clientAuth")
        pki.leaf("apiserver", "ca", "/CN=kube-apiserver", "serverAuth",
                 ",".join(f"IP:{ip}" for ip in (*self.addresses,
                                                "10.96.0.1")) + ",DNS:kubernetes.default.svc")
        pki.leaf("apiserver-kubelet-client", "ca", "/O=kubeadm:cluster-admins/CN=apiserver-kubelet-client",
                 "clientAuth")
        for user, subject in self.USERS.items():
            pki.leaf(f"user-{user}", "ca", subject, "clientAuth")
        self.store_port = free_port()

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, name, *flags):
        program = Program(self.context, name, *flags)
        self.programs.append(program)
        return program

    def start_store(self):
        url, pki = f"https://127.0.0.1:{self.store_port}", self.pki
        return self.start("rhino", "--data-dir", self.path("store"), "--listen-client-urls", url,
                          "--advertise-client-urls", url,
                          "--cert-file", pki.path("etcd-server.crt"), "--key-file",
                          pki.path("etcd-server.key"),
                          "--trusted-ca-file", pki.path("etcd-ca.crt"), "--client-cert-auth")

    def start_api_server(self, index, *more):
        pki, address = self.pki, self.addresses[index]
        listens = ("--bind-address", address, "--advertise-address", address, "--secure-port", self.port,
                   "--tls-cert-file", pki.path("apiserver.crt"),
                   "--tls-private-key-file", pki.path("apiserver.key"))
        store = ("--etcd-servers", f"https://127.0.0.1:{self.store_port}",
                 "--etcd-cafile", pki.path("etcd-ca.crt"),
                 "--etcd-certfile", pki.path("apiserver-etcd-client.crt"),
                 "--etcd-keyfile", pki.path("apiserver-etcd-client.key"))
        who = ("--client-ca-file", pki.path("ca.crt"), "--authorization-mode", "Node,RBAC",
               "--enable-admission-plugins", "NodeRestriction", "--allow-privileged", "true",
               "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
               "--service-account-key-file", pki.path("sa.key"),
               "--service-account-signing-key-file", pki.path("sa.key"))
        kubelets = ("--kubelet-client-certificate", pki.path("apiserver-kubelet-client.crt"),
                    "--kubelet-client-key", pki.path("apiserver-kubelet-client.key"),
                    "--kubelet-certificate-authority", pki.path("ca.crt"))
        return self.start("api-server", *listens, *store, *who, *kubelets,
                          "--service-cluster-ip-range", SERVICE_RANGE, *more)

    def kubeconfig(self, user, server=0):
        path = self.path(f"{user}.kubeconfig")
        cluster = {"server": self.urls[server], "certificate-authority": self.pki.path("ca.crt")}
        who = {"client-certificate": self.pki.path(f"user-{user}.crt"),
               "client-key": self.pki.path(f"user-{user}.key")}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                       "clusters": [{"name": "k", "cluster": cluster}],
                       "users": [{"name": "u", "user": who}]}, file)
        os.chmod(path, 0o600)
        return path

    def request(self, method, path, body=None, user="super-admin", server=0, content_type="application/json",
                raw=False):
        tls = ssl.create_default_context(cafile=self.pki.path("ca.crt"))
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        tls.load_cert_chain(self.pki.path(f"user-{user}.crt"), self.pki.path(f"user-{user}.key"))
        request = urllib.request.Request(self.urls[server] + path, method=method,
                                         headers={"content-type": content_type},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, context=tls, timeout=self.context.seconds(20)) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise OSError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None
        return text if raw else json.loads(text)

    def wait_ready(self, server=0, timeout=60):
        self.context.wait_until(f"api-server {server} to be ready",
                                lambda: self.request("GET", "/readyz", server=server, raw=True) == "ok",
                                timeout)

    def forget(self, *programs):
        self.programs = [program for program in self.programs if program not in programs]

    def stop(self):
        problems = []
        # The store last: who stops takes back what it holds.
        last = ("controller-manager", "api-server", "rhino")
        for program in sorted(self.programs,
                              key=lambda one: last.index(one.name) if one.name in last else -1):
            try:
                code = program.stop()
                if code != 0:
                    problems.append(f"{program.name} ended with {code}:\n{program.log()[-2000:]}")
            except AssertionError as problem:
                problems.append(str(problem))
        self.programs = []
        assert not problems, "\n".join(problems)
