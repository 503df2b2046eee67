"""Objects whose table rows are worth comparing: (path, object, status, options). Options: "delete" deletes it (with a finalizer), so
that it is shown while it goes. What is needed for the printers' branches is here, nothing else."""

NAMESPACE = "tables"
IN = f"/api/v1/namespaces/{NAMESPACE}"
OLD, OLDER = "2026-01-02T03:04:05Z", "2025-01-02T03:04:05Z"
TWO = [{"name": "web", "image": "registry.local/web:1"}, {"name": "log", "image": "registry.local/log:2"}]
TEMPLATE = {"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {"containers": TWO}}
SELECTOR = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]},
                                                                {"key": "old", "operator": "DoesNotExist"}]}
JOB_TEMPLATE = {"metadata": TEMPLATE["metadata"], "spec": {"containers": TWO, "restartPolicy": "Never"}}
SAMPLES = []


def group(name, version):
    return f"/apis/{name}/{version}" if name else f"/api/{version}"


def add(api_version, kind, resource, name, body=None, status=None, namespaced=True, metadata=None, **options):
    g, _, v = api_version.rpartition("/")
    path = group(g, v) + (f"/namespaces/{NAMESPACE}" if namespaced else "") + "/" + resource
    meta = {"name": name, **({"namespace": NAMESPACE} if namespaced else {}), **(metadata or {})}
    SAMPLES.append((path, {"apiVersion": api_version, "kind": kind, "metadata": meta, **(body or {})}, status, options))


def pod(name, status=None, spec=None, metadata=None, **options):
    add("v1", "Pod", "pods", name, {"spec": {"schedulerName": "none", "serviceAccountName": "default", "containers": TWO, **(spec or {})}}, status,
        metadata=metadata, **options)


def state(name, ready=False, restarts=0, last=None, started=None, **what):
    out = {"name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": restarts, "state": what}
    if started is not None:
        out["started"] = started
    if last:
        out["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": last, "startedAt": last}}
    return out


RUN = {"running": {"startedAt": OLD}}


def condition(kind, status="True", reason=""):
    return {"type": kind, "status": status, **({"reason": reason} if reason else {})}


INIT = {"initContainers": [{"name": "first", "image": "i"}, {"name": "side", "image": "i", "restartPolicy": "Always"}, {"name": "last", "image": "i"}]}
DONE = state("first", terminated={"exitCode": 0, "reason": "Completed"})
pod("pending")
pod("gated", spec={"schedulingGates": [{"name": "a.b/c"}]})
pod("running", {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}], "nominatedNodeName": "other",
                "conditions": [condition("Ready"), condition("a.b/c"), condition("d.e/f", "False")],
                "containerStatuses": [state("web", True, 3, OLD, **RUN), state("log", True, 1, OLDER, **RUN)]},
    spec={"readinessGates": [{"conditionType": "a.b/c"}, {"conditionType": "d.e/f"}]})
pod("crash", {"phase": "Running", "containerStatuses": [state("web", False, 5, OLD, waiting={"reason": "CrashLoopBackOff"}), state("log", True, **RUN)]})
pod("half", {"phase": "Running", "conditions": [condition("Ready", "False")],
             "containerStatuses": [state("web", terminated={"exitCode": 0, "reason": "Completed"}), state("log", True, **RUN)]})
pod("half-ready", {"phase": "Running", "conditions": [condition("Ready")],
                   "containerStatuses": [state("web", terminated={"exitCode": 0, "reason": "Completed"}), state("log", True, **RUN)]})
pod("one-failed", {"phase": "Running", "containerStatuses": [state("web", terminated={"exitCode": 0, "reason": "Completed"}),
                                                           state("log", terminated={"exitCode": 2, "reason": "Error"})]})
pod("succeeded", {"phase": "Succeeded", "containerStatuses": [state("web", terminated={"exitCode": 0, "reason": "Completed"})]})
pod("failed", {"phase": "Failed", "containerStatuses": [state("web", terminated={"exitCode": 137, "signal": 9})]})
pod("exit-code", {"phase": "Failed", "containerStatuses": [state("web", terminated={"exitCode": 3})]})
pod("evicted", {"phase": "Failed", "reason": "Evicted", "message": "low on memory"})
pod("init-0", {"phase": "Pending", "initContainerStatuses": [state("first", **RUN)]}, INIT)
pod("init-waits", {"phase": "Pending", "initContainerStatuses": [state("first", waiting={"reason": "PodInitializing"})]}, INIT)
pod("init-pull", {"phase": "Pending", "initContainerStatuses": [state("first", waiting={"reason": "ImagePullBackOff"})]}, INIT)
pod("init-error", {"phase": "Pending", "initContainerStatuses": [state("first", False, 4, OLD, terminated={"exitCode": 1, "reason": "Error"})]}, INIT)
pod("init-signal", {"phase": "Pending", "initContainerStatuses": [state("first", terminated={"exitCode": 137, "signal": 9})]}, INIT)
pod("init-code", {"phase": "Pending", "initContainerStatuses": [state("first", terminated={"exitCode": 7})]}, INIT)
pod("init-last", {"phase": "Pending", "initContainerStatuses": [DONE, state("side", True, 2, OLD, True, **RUN), state("last", **RUN)]}, INIT)
pod("sidecar", {"phase": "Running", "conditions": [condition("Initialized"), condition("Ready")],
                "initContainerStatuses": [DONE, state("side", True, 2, OLD, True, **RUN), state("last", False, 6, OLD, terminated={"exitCode": 0})],
                "containerStatuses": [state("web", True, **RUN), state("log", True, **RUN)]}, INIT)
pod("terminating", {"phase": "Running", "containerStatuses": [state("web", True, **RUN)]}, metadata={"finalizers": ["a.b/c"]}, delete=True)
pod("lost", {"phase": "Running", "reason": "NodeLost"}, metadata={"finalizers": ["a.b/c"]}, delete=True)

add("v1", "Namespace", "namespaces", "tables-other", namespaced=False)
add("v1", "Node", "nodes", "tables-bare", namespaced=False)
add("v1", "Node", "nodes", "tables-node", {"spec": {"unschedulable": True}},
    {"conditions": [condition("MemoryPressure", "False"), condition("Ready", "Unknown")],
     "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.1.1.1"}, {"type": "InternalIP", "address": "10.1.1.2"},
                   {"type": "ExternalIP", "address": "1.2.3.4"}],
     "nodeInfo": {"kubeletVersion": "v1.35.4", "osImage": "Debian", "kernelVersion": "6.1", "containerRuntimeVersion": "x://1", "machineID": "",
                  "systemUUID": "", "bootID": "", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64"}},
    namespaced=False, metadata={"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}})
add("v1", "Node", "nodes", "tables-ready", None, {"conditions": [condition("Ready")]}, namespaced=False)
add("v1", "ConfigMap", "configmaps", "map", {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AA=="}})
add("v1", "Secret", "secrets", "secret", {"type": "kubernetes.io/basic-auth", "stringData": {"username": "u", "password": "p"}})
add("v1", "ServiceAccount", "serviceaccounts", "account")
add("v1", "LimitRange", "limitranges", "limits", {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "10000"}}]}})
add("v1", "ResourceQuota", "resourcequotas", "quota", {"spec": {"hard": {"pods": "1000"}}},
    {"hard": {"requests.cpu": "4", "limits.cpu": "8", "pods": "1000", "limits.memory": "16Gi", "requests.memory": "8Gi"},
     "used": {"requests.cpu": "1500m", "limits.cpu": "2", "pods": "3", "requests.memory": "1Gi"}})
add("v1", "PodTemplate", "podtemplates", "template", {"template": TEMPLATE})
add("v1", "PodTemplate", "podtemplates", "plain", {"template": {"spec": {"containers": TWO[:1]}}})
add("v1", "ReplicationController", "replicationcontrollers", "rc", {"spec": {"replicas": 0, "selector": {"tier": "front", "app": "web"}, "template": TEMPLATE}},
    {"replicas": 0})
add("v1", "Endpoints", "endpoints", "none")
add("v1", "Endpoints", "endpoints", "some", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
                                                         "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}]},
                                                        {"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 53, "protocol": "UDP"}]}]})
add("v1", "Endpoints", "endpoints", "headless", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::2"}]}]})
add("v1", "Endpoints", "endpoints", "unready", {"subsets": [{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]})
PORTS = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
add("v1", "Service", "services", "cluster", {"spec": {"ports": PORTS, "selector": {"b": "2", "a": "1"}}})
add("v1", "Service", "services", "headless", {"spec": {"clusterIP": "None"}})
add("v1", "Service", "services", "node-port", {"spec": {"type": "NodePort", "externalIPs": ["1.2.3.4", "1.2.3.5"], "ports": [{"port": 80, "nodePort": 31234}]}})
add("v1", "Service", "services", "pending", {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 31235}]}})
add("v1", "Service", "services", "balanced", {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 31236}]}},
    {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}, {"hostname": "a.example"}, {"ip": "1.1.1.1"}]}})
add("v1", "Service", "services", "both", {"spec": {"type": "LoadBalancer", "externalIPs": ["9.9.9.9"], "ports": [{"port": 80, "nodePort": 31237}]}},
    {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}})
add("v1", "Service", "services", "external", {"spec": {"type": "ExternalName", "externalName": "x.example"}})
add("v1", "PersistentVolume", "persistentvolumes", "tables-pv",
    {"spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany"], "hostPath": {"path": "/tmp/x"},
              "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "slow", "volumeMode": "Block", "claimRef": {"namespace": NAMESPACE, "name": "c"}}},
    {"phase": "Failed", "reason": "Why"}, namespaced=False)
add("v1", "PersistentVolume", "persistentvolumes", "tables-pv-2",
    {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOncePod"], "csi": {"driver": "d.example", "volumeHandle": "h"}, "storageClassName": "slow",
              "volumeAttributesClassName": "gold"}}, namespaced=False, metadata={"annotations": {"volume.beta.kubernetes.io/storage-class": "beta"}})
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "slow"}
add("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "claim", {"spec": CLAIM})
add("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "bound", {"spec": {**CLAIM, "volumeName": "v", "volumeMode": "Block", "volumeAttributesClassName": "gold"}},
    {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]})
add("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "going", {"spec": {**CLAIM, "volumeName": "v"}}, metadata={"finalizers": ["a.b/c"]}, delete=True)
POD_REF = {"kind": "Pod", "namespace": NAMESPACE, "name": "web", "fieldPath": "spec.containers{web}"}
add("v1", "Event", "events", "old", {"involvedObject": POD_REF, "reason": "Pulled", "message": " Two\nlines \n", "type": "Normal", "count": 7,
                                    "firstTimestamp": OLDER, "lastTimestamp": OLD, "source": {"component": "kubelet", "host": "n"}}, twin="events.k8s.io/v1")
add("v1", "Event", "events", "bare", {"involvedObject": {"kind": "ReplicaSet", "namespace": NAMESPACE}, "reason": "X", "message": ""}, twin="events.k8s.io/v1")
add("events.k8s.io/v1", "Event", "events", "new", {"regarding": POD_REF, "reason": "Scheduled", "note": "Assigned", "type": "Warning", "action": "Binding",
                                                  "eventTime": "2026-01-02T03:04:05.000001Z", "reportingController": "scheduler", "reportingInstance": "scheduler-0",
                                                  "series": {"count": 4, "lastObservedTime": "2026-02-02T03:04:05.000001Z"}}, twin="v1")
add("events.k8s.io/v1", "Event", "events", "single", {"regarding": POD_REF, "reason": "Scheduled", "note": "Assigned", "type": "Normal", "action": "Binding",
                                                     "eventTime": "2026-01-02T03:04:05.000001Z", "reportingController": "s.example/s", "reportingInstance": "s-0"}, twin="v1")

A = "apps/v1"
add(A, "Deployment", "deployments", "web", {"spec": {"replicas": 4, "paused": True, "selector": SELECTOR, "template": TEMPLATE}},
    {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 3, "readyReplicas": 2, "availableReplicas": 1}, scale=True)
add(A, "ReplicaSet", "replicasets", "set", {"spec": {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE}})
add(A, "StatefulSet", "statefulsets", "stateful", {"spec": {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE, "serviceName": "s"}})
DAEMON = {**TEMPLATE, "spec": {"containers": TWO, "nodeSelector": {"z": "1", "disk": "ssd"}}}
add(A, "DaemonSet", "daemonsets", "daemon", {"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": DAEMON}},
    {"currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 2, "numberReady": 3, "updatedNumberScheduled": 4, "numberAvailable": 5})
add(A, "ControllerRevision", "controllerrevisions", "free", {"data": {"a": 1}, "revision": 3})
add(A, "ControllerRevision", "controllerrevisions", "owned", {"data": {"a": 1}, "revision": 4}, owner=f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/daemon")
B = "batch/v1"
JOB = {"template": JOB_TEMPLATE, "suspend": True}
add(B, "Job", "jobs", "plain", {"spec": JOB})
add(B, "Job", "jobs", "many", {"spec": {**JOB, "completions": 5, "parallelism": 2}})
add(B, "Job", "jobs", "queue", {"spec": {**JOB, "parallelism": 3}})
add(B, "Job", "jobs", "zero", {"spec": {**JOB, "parallelism": 0, "completions": 0}})
add(B, "Job", "jobs", "managed", {"spec": {**JOB, "suspend": False, "managedBy": "a.example/b", "completions": 2}},
    {"startTime": OLDER, "completionTime": OLD, "succeeded": 2, "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]})
add(B, "Job", "jobs", "managed-fails", {"spec": {**JOB, "suspend": False, "managedBy": "a.example/b"}}, {"startTime": OLD, "conditions": [condition("FailureTarget")]})
add(B, "Job", "jobs", "managed-failed", {"spec": {**JOB, "suspend": False, "managedBy": "a.example/b"}},
    {"startTime": OLD, "conditions": [condition("FailureTarget"), condition("Failed")]})
add(B, "Job", "jobs", "managed-met", {"spec": {**JOB, "suspend": False, "managedBy": "a.example/b", "completions": 3}},
    {"startTime": OLD, "succeeded": 1, "conditions": [condition("SuccessCriteriaMet")]})
add(B, "Job", "jobs", "managed-runs", {"spec": {**JOB, "suspend": False, "managedBy": "a.example/b"}}, {"startTime": OLD, "active": 1})
add(B, "CronJob", "cronjobs", "cron", {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}, "suspend": True}})
add(B, "CronJob", "cronjobs", "zoned", {"spec": {"schedule": "0 0 1 1 *", "timeZone": "Europe/Berlin", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}, "suspend": False}},
    {"lastScheduleTime": OLD, "active": [{"kind": "Job", "namespace": NAMESPACE, "name": "x"}]})
H = "autoscaling/v2"
REF = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}


def hpa(name, metrics, current=None, **spec):
    add(H, "HorizontalPodAutoscaler", "horizontalpodautoscalers", name, {"spec": {"scaleTargetRef": REF, "maxReplicas": 9, "metrics": metrics, **spec}},
        {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": current or []})


def cpu(target, key="resource", kind="Resource", **more):
    return {"type": kind, key: {"name": "cpu", "target": target, **more}}


hpa("percent", [cpu({"type": "Utilization", "averageUtilization": 80})], [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 55, "averageValue": "5m"}}}], minReplicas=3)
hpa("unknown", [cpu({"type": "Utilization", "averageUtilization": 80})])
hpa("amount", [cpu({"type": "AverageValue", "averageValue": "100m"}), cpu({"type": "AverageValue", "averageValue": "1"}, "containerResource", "ContainerResource", container="web")],
    [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageValue": "50m"}}},
     {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "web", "current": {"averageValue": "70m"}}}])
hpa("container", [cpu({"type": "Utilization", "averageUtilization": 60}, "containerResource", "ContainerResource", container="web")],
    [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "web", "current": {"averageUtilization": 44}}}])
hpa("others", [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
               {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "30"}}},
               {"type": "Object", "object": {"metric": {"name": "o"}, "describedObject": REF, "target": {"type": "Value", "value": "20"}}}],
    [{"type": "Pods", "pods": {"metric": {"name": "m"}, "current": {"averageValue": "7"}}}, {"type": "External", "external": {"metric": {"name": "q"}, "current": {"value": "15"}}}])
hpa("averages", [{"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "30"}}},
                 {"type": "Object", "object": {"metric": {"name": "o"}, "describedObject": REF, "target": {"type": "AverageValue", "averageValue": "20"}}}],
    [{"type": "External", "external": {"metric": {"name": "q"}, "current": {"averageValue": "15"}}},
     {"type": "Object", "object": {"metric": {"name": "o"}, "describedObject": REF, "current": {"averageValue": "3", "value": "9"}}}])
add("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "simple", {"spec": {"scaleTargetRef": REF, "maxReplicas": 4, "targetCPUUtilizationPercentage": 70}},
    {"currentReplicas": 1, "desiredReplicas": 1, "currentCPUUtilizationPercentage": 33}, twin="autoscaling/v2")
N = "networking.k8s.io/v1"
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


def rule(host=None):
    return {**({"host": host} if host else {}), "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}


add(N, "Ingress", "ingresses", "plain", {"spec": {"defaultBackend": BACKEND}})
add(N, "Ingress", "ingresses", "hosts", {"spec": {"ingressClassName": "c", "tls": [{"hosts": ["a.example"]}], "rules": [rule("a.example"), rule(), rule("b.example")]}},
    {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}, {"hostname": "a-very-long-name.example"}]}})
add(N, "Ingress", "ingresses", "more", {"spec": {"rules": [rule(f"{x}.example") for x in "abcde"]}})
add(N, "IngressClass", "ingressclasses", "tables-class", {"spec": {"controller": "a.example/b"}}, namespaced=False)
add(N, "IngressClass", "ingressclasses", "tables-with", {"spec": {"controller": "a.example/b", "parameters": {"apiGroup": "k.example", "kind": "Params", "name": "p", "scope": "Cluster"}}},
    namespaced=False)
add(N, "NetworkPolicy", "networkpolicies", "all", {"spec": {"podSelector": {}}})
add(N, "NetworkPolicy", "networkpolicies", "some", {"spec": {"podSelector": SELECTOR}})
add(N, "IPAddress", "ipaddresses", "10.250.1.1", {"spec": {"parentRef": {"group": "gateway.example", "resource": "things", "namespace": "n", "name": "x"}}}, namespaced=False,
    metadata={"labels": {"ipaddress.kubernetes.io/managed-by": "test"}})
add(N, "IPAddress", "ipaddresses", "10.250.1.2", {"spec": {"parentRef": {"resource": "nodes", "name": "x"}}}, namespaced=False)
add(N, "ServiceCIDR", "servicecidrs", "tables-range", {"spec": {"cidrs": ["10.251.0.0/24", "fd00:1::/112"]}}, namespaced=False)
D = "discovery.k8s.io/v1"
add(D, "EndpointSlice", "endpointslices", "empty", {"addressType": "IPv4", "endpoints": []})
add(D, "EndpointSlice", "endpointslices", "few", {"addressType": "IPv4", "ports": [{"port": 80}, {"name": "named"}], "endpoints": [{"addresses": ["10.0.0.1"]}]})
add(D, "EndpointSlice", "endpointslices", "many", {"addressType": "IPv6", "ports": [{"name": x, "port": 80 + i} for i, x in enumerate("abcde")],
                                                  "endpoints": [{"addresses": [f"fd00::{i}"]} for i in range(1, 6)]})
S = "storage.k8s.io/v1"
add(S, "StorageClass", "storageclasses", "tables-plain", {"provisioner": "p.example"}, namespaced=False)
add(S, "StorageClass", "storageclasses", "tables-full", {"provisioner": "p.example", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": True},
    namespaced=False, metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}})
add(S, "VolumeAttributesClass", "volumeattributesclasses", "tables-gold", {"driverName": "d.example", "parameters": {"iops": "5"}}, namespaced=False)
add(S, "VolumeAttachment", "volumeattachments", "tables-attachment", {"spec": {"attacher": "a.example", "nodeName": "n", "source": {"persistentVolumeName": "v"}}}, {"attached": True},
    namespaced=False)
add(S, "CSINode", "csinodes", "tables-node", {"spec": {"drivers": [{"name": "d.example", "nodeID": "x", "topologyKeys": None}]}}, namespaced=False)
add(S, "CSIDriver", "csidrivers", "plain.example", {"spec": {}}, namespaced=False)
add(S, "CSIDriver", "csidrivers", "full.example", {"spec": {"attachRequired": False, "podInfoOnMount": True, "storageCapacity": True, "requiresRepublish": True,
                                                           "volumeLifecycleModes": ["Persistent", "Ephemeral"], "tokenRequests": [{"audience": ""}, {"audience": "vault"}]}}, namespaced=False)
add(S, "CSIStorageCapacity", "csistoragecapacities", "capacity", {"storageClassName": "slow", "capacity": "10Gi"})
R = "rbac.authorization.k8s.io/v1"
add(R, "Role", "roles", "role", {"rules": []})
add(R, "ClusterRole", "clusterroles", "tables-role", {"rules": []}, namespaced=False)
SUBJECTS = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}, {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "bob"},
            {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "devs"}, {"kind": "ServiceAccount", "namespace": "n", "name": "x"},
            {"kind": "ServiceAccount", "namespace": "n", "name": "y"}]
add(R, "RoleBinding", "rolebindings", "binding", {"subjects": SUBJECTS, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "role"}})
add(R, "ClusterRoleBinding", "clusterrolebindings", "tables-binding", {"subjects": [], "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
    namespaced=False)
add("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "least", {"spec": {"minAvailable": 2, "selector": {}}})
add("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "most", {"spec": {"maxUnavailable": "25%"}},
    {"disruptionsAllowed": 3, "currentHealthy": 4, "desiredHealthy": 1, "expectedPods": 4})
add("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "tables-high", {"value": 1000}, namespaced=False)
add("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "tables-never", {"value": -5, "preemptionPolicy": "Never"}, namespaced=False)
add("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", "tables-runtime", {"handler": "kata"}, namespaced=False)
add("coordination.k8s.io/v1", "Lease", "leases", "free", {"spec": {}})
add("coordination.k8s.io/v1", "Lease", "leases", "held", {"spec": {"holderIdentity": "me"}})
V = "admissionregistration.k8s.io/v1"
RULES = {"matchResources": {"resourceRules": [{"apiGroups": ["x.example"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["things"]}]}}
HOOK = {"name": "a.b.example", "clientConfig": {"url": "https://127.0.0.1:1/x"}, "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore"}
add(V, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "tables-mutating", {"webhooks": [HOOK, {**HOOK, "name": "c.d.example"}]}, namespaced=False)
add(V, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "tables-validating", {"webhooks": [HOOK]}, namespaced=False)
CONSTRAINTS = {"matchConstraints": RULES["matchResources"], "failurePolicy": "Ignore"}
add(V, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "tables-policy", {"spec": {**CONSTRAINTS, "validations": [{"expression": "true"}, {"expression": "1 == 1"}]}}, namespaced=False)
add(V, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "tables-params",
    {"spec": {**CONSTRAINTS, "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": [{"expression": "true"}]}}, namespaced=False)
BINDING = {"policyName": "none", "validationActions": ["Warn"]}
add(V, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "tables-plain", {"spec": BINDING}, namespaced=False)
for n, ref in {"named": {"name": "p"}, "spaced": {"name": "p", "namespace": "n"},
               "selected": {"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [{"key": "x", "operator": "In", "values": ["c", "d"]}]}}}.items():
    add(V, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", f"tables-{n}", {"spec": {**BINDING, "paramRef": {**ref, "parameterNotFoundAction": "Deny"}}},
        namespaced=False)
F = "flowcontrol.apiserver.k8s.io/v1"
add(F, "FlowSchema", "flowschemas", "tables-flow", {"spec": {"priorityLevelConfiguration": {"name": "none-such"}, "matchingPrecedence": 9000}}, namespaced=False)
add(F, "FlowSchema", "flowschemas", "tables-by-user", {"spec": {"priorityLevelConfiguration": {"name": "global-default"}, "distinguisherMethod": {"type": "ByUser"}}},
    {"conditions": [condition("Dangling", "False", "Found")]}, namespaced=False)
add(F, "PriorityLevelConfiguration", "prioritylevelconfigurations", "tables-exempt", {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 7, "limitResponse": {"type": "Reject"}}}},
    namespaced=False)
add(F, "PriorityLevelConfiguration", "prioritylevelconfigurations", "tables-queue",
    {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": 16, "handSize": 4, "queueLengthLimit": 20}}}}}, namespaced=False)
X = "resource.k8s.io/v1"
REQUEST = {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c.example"}}]}}}
add(X, "DeviceClass", "deviceclasses", "tables.example", {"spec": {}}, namespaced=False)
add(X, "ResourceClaim", "resourceclaims", "claim", REQUEST)
add(X, "ResourceClaim", "resourceclaims", "reserved", {**REQUEST, "metadata": {"name": "reserved", "namespace": NAMESPACE}},
    {"allocation": {"devices": {"results": [{"request": "r", "driver": "d.example", "pool": "p", "device": "d"}]}}, "reservedFor": [{"resource": "pods", "name": "x", "uid": "1"}]})
add(X, "ResourceClaim", "resourceclaims", "going", {**REQUEST, "metadata": {"name": "going", "namespace": NAMESPACE, "finalizers": ["a.b/c"]}}, delete=True)
add(X, "ResourceClaimTemplate", "resourceclaimtemplates", "template", {"spec": REQUEST})
add(X, "ResourceSlice", "resourceslices", "tables-slice", {"spec": {"driver": "d.example", "nodeName": "n", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}}, namespaced=False)
add("apiregistration.k8s.io/v1", "APIService", "apiservices", "v1.tables.example",
    {"spec": {"group": "tables.example", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10, "service": {"namespace": NAMESPACE, "name": "s"}}}, namespaced=False)
add("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "things.tables.example",
    {"spec": {"group": "tables.example", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
              "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}, namespaced=False)
