"""Objects of every kind that both servers have, each with more than its least. They live in the namespace "things"."""
import os

from servers import MERGE, STRATEGIC, text64
from stores import authority

NAMESPACE = "things"
LABELS = {"app": "thing", "example.com/long": "v"}
CONTAINER = {
    "name": "c", "image": "registry.example/web:1", "command": ["/bin/web"], "args": ["-v"],
    "env": [{"name": "A", "value": "ä\n"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "thing", "key": "a", "optional": True}}}],
    "envFrom": [{"prefix": "P_", "configMapRef": {"name": "thing"}}],
    "ports": [{"name": "web", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP", "hostPort": 5353}],
    "resources": {"requests": {"cpu": "0.1", "memory": "64Mi"}, "limits": {"memory": "1e9", "example.com/gpu": "2"}},
    "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 3}, "readinessProbe": {"exec": {"command": ["true"]}},
    "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}, "securityContext": {"capabilities": {"drop": ["ALL"]}, "runAsUser": 0},
    "volumeMounts": [{"name": "m", "mountPath": "/m", "readOnly": True, "subPath": "x"}]}
VOLUMES = [{"name": "m", "configMap": {"name": "thing", "items": [{"key": "a", "path": "x", "mode": 256}]}}, {"name": "e", "emptyDir": {"sizeLimit": "1Gi"}},
           {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 700}},
                                                   {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}}]
POD = {"containers": [CONTAINER], "volumes": VOLUMES, "initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always"}],
       "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
       "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["1"]}]}]}},
                    "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "h", "labelSelector": {"matchLabels": LABELS}}}]}},
       "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": LABELS}}],
       "securityContext": {"fsGroup": 5, "sysctls": [{"name": "net.core.somaxconn", "value": "1"}], "seccompProfile": {"type": "RuntimeDefault"}},
       "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}, "hostAliases": [{"ip": "192.0.2.99", "hostnames": ["h"]}], "terminationGracePeriodSeconds": 7}
TEMPLATE = {"metadata": {"labels": LABELS, "annotations": {"note": "x"}}, "spec": POD}
ENDING = {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}
SELECTOR = {"matchLabels": {"app": "thing"}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1.5Gi"}}, "storageClassName": "thing"}
REQUEST = {"requests": [{"name": "r", "exactly": {"deviceClassName": "thing", "count": 2, "selectors": [{"cel": {"expression": "device.driver == 'a.example'"}}]}}]}
RULE = {"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}
WEBHOOK = {"name": "w.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore", "rules": [RULE],
           "clientConfig": {"service": {"namespace": NAMESPACE, "name": "thing", "path": "/x"}}, "matchConditions": [{"name": "m", "expression": "true"}]}


def thing(api_version, kind, name="thing", cluster=False, labels=None, **fields):
    metadata = {"name": name, "labels": labels or LABELS, "annotations": {"example.com/note": "line\nline", "empty": ""}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata | ({} if cluster else {"namespace": NAMESPACE}), **fields}


def definition(name, scope, version="v1", **schema):
    return thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{name}s.example.com", True, spec={
        "group": "example.com", "scope": scope, "names": {"plural": f"{name}s", "singular": name, "kind": name.capitalize(), "listKind": f"{name.capitalize()}List"},
        "versions": [{"name": version, "served": True, "storage": True, "subresources": {"status": {}},
                      "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                          "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 5}, "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                                                    "rate": {"type": "number"}, "either": {"x-kubernetes-int-or-string": True}}, **schema},
                          "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]})


def signing_request(context):
    pki = authority(context)
    if not os.path.exists(pki.path("user.csr")):
        pki.issue("user", "/O=people/CN=somebody")
    with open(pki.path("user.csr"), encoding="utf-8") as file:
        return text64(file.read())


def core(context):
    del context
    v1 = "v1"
    yield thing(v1, "ServiceAccount", "default", automountServiceAccountToken=False)
    yield thing(v1, "ServiceAccount", secrets=[{"name": "thing"}], imagePullSecrets=[{"name": "p"}])
    yield thing(v1, "ConfigMap", data={"a": "b", "long": "x" * 70000, "e": ""}, binaryData={"b": "AP8="}, immutable=True)
    yield thing(v1, "Secret", stringData={"a": "plain"}, data={"b": "AP8="}, type="example.com/kind")
    yield thing(v1, "Secret", "login", stringData={"username": "u", "password": "p"}, type="kubernetes.io/basic-auth")
    yield thing(v1, "LimitRange", spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "2Ti"}, "min": {"storage": "1Mi"}}]})
    yield thing(v1, "ResourceQuota", spec={"hard": {"count/nothings.none.example.com": "5"}})
    yield thing(v1, "Node", "thing", True, spec={"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"], "taints": [{"key": "k", "effect": "NoSchedule", "value": "v"}], "providerID": "a://b"})
    yield thing(v1, "Pod", spec={**POD, "nodeName": "thing", "serviceAccountName": "thing"})
    yield thing(v1, "Pod", "bare", spec={"containers": [{"name": "c", "image": "i"}]})
    yield thing(v1, "PodTemplate", template=TEMPLATE)
    yield thing(v1, "ReplicationController", spec={"replicas": 2, "selector": {"app": "thing"}, "template": TEMPLATE})
    yield thing(v1, "PersistentVolume", cluster=True, spec={
        "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "thing",
        "csi": {"driver": "a.example", "volumeHandle": "h", "volumeAttributes": {"a": "b"}},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}})
    yield thing(v1, "PersistentVolumeClaim", spec={**CLAIM, "dataSource": {"kind": "PersistentVolumeClaim", "name": "other"}})
    yield thing(v1, "Service", spec={"selector": LABELS, "ports": [{"name": "web", "port": 80, "targetPort": "web"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
                                     "sessionAffinity": "ClientIP", "trafficDistribution": "PreferClose"})
    yield thing(v1, "Service", "node-port", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}], "externalTrafficPolicy": "Local", "externalIPs": ["198.51.100.7"]})
    yield thing(v1, "Service", "balancer", spec={"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerClass": "a.example/b", "loadBalancerSourceRanges": ["10.0.0.0/8"]})
    yield thing(v1, "Service", "headless", spec={"clusterIP": "None", "selector": LABELS, "publishNotReadyAddresses": True})
    yield thing(v1, "Service", "name", spec={"type": "ExternalName", "externalName": "a.example"})
    yield thing(v1, "Endpoints", "thing", subsets=[{"addresses": [{"ip": "10.0.0.1", "hostname": "h", "nodeName": "thing"}], "notReadyAddresses": [{"ip": "fd00::1"}],
                                                     "ports": [{"name": "web", "port": 80, "appProtocol": "kubernetes.io/h2c"}]}])
    yield thing(v1, "Event", involvedObject={"kind": "Pod", "namespace": NAMESPACE, "name": "thing", "fieldPath": "spec.containers{c}"}, reason="R", message="M", type="Warning",
                count=3, firstTimestamp="2024-01-01T00:00:00Z", lastTimestamp="2024-01-02T00:00:00Z", source={"component": "c", "host": "h"})
    yield thing("events.k8s.io/v1", "Event", "new", regarding={"kind": "Pod", "namespace": NAMESPACE, "name": "thing"}, eventTime="2024-01-01T00:00:00.123456Z", reason="R",
                reportingController="a.example/b", reportingInstance="i", action="A", note="N", type="Normal", series={"count": 2, "lastObservedTime": "2024-01-01T00:00:01.000001Z"})


def workloads(context):
    del context
    apps = "apps/v1"
    yield thing(apps, "Deployment", spec={"selector": SELECTOR, "template": TEMPLATE, "strategy": {"rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 0}}, "paused": True, "minReadySeconds": 3})
    yield thing(apps, "ReplicaSet", spec={"selector": SELECTOR, "template": TEMPLATE, "replicas": 0})
    yield thing(apps, "DaemonSet", spec={"selector": SELECTOR, "template": TEMPLATE, "updateStrategy": {"type": "OnDelete"}})
    yield thing(apps, "StatefulSet", spec={"selector": SELECTOR, "template": TEMPLATE, "serviceName": "headless", "podManagementPolicy": "Parallel", "ordinals": {"start": 3},
                                           "volumeClaimTemplates": [{"metadata": {"name": "e2"}, "spec": CLAIM}], "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}})
    yield thing(apps, "ControllerRevision", revision=7, data={"spec": {"any": ["thing", 1, 1.5, None, True]}})
    yield thing("batch/v1", "Job", spec={"template": ENDING, "completions": 3, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1, "suspend": True,
                                         "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}]}})
    yield thing("batch/v1", "CronJob", spec={"schedule": "*/5 * * * *", "timeZone": "Etc/UTC", "concurrencyPolicy": "Replace", "jobTemplate": {"spec": {"template": ENDING}}})
    yield thing("autoscaling/v2", "HorizontalPodAutoscaler", spec={
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "thing"}, "minReplicas": 2, "maxReplicas": 9,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                    {"type": "Pods", "pods": {"metric": {"name": "m", "selector": SELECTOR}, "target": {"type": "AverageValue", "averageValue": "1500m"}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 9, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}})
    yield thing("policy/v1", "PodDisruptionBudget", spec={"maxUnavailable": "25%", "selector": SELECTOR, "unhealthyPodEvictionPolicy": "AlwaysAllow"})
    yield thing("scheduling.k8s.io/v1", "PriorityClass", cluster=True, value=-5, preemptionPolicy="Never", description="d")
    yield thing("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "h", "leaseDurationSeconds": 9, "renewTime": "2024-01-01T00:00:00.123456Z", "leaseTransitions": 2})
    yield thing("node.k8s.io/v1", "RuntimeClass", cluster=True, handler="h", overhead={"podFixed": {"cpu": "10m"}}, scheduling={"nodeSelector": {"a": "b"}})


def network(context):
    del context
    v1 = "networking.k8s.io/v1"
    yield thing(v1, "IngressClass", cluster=True, spec={"controller": "a.example/b", "parameters": {"kind": "ConfigMap", "name": "x", "scope": "Namespace", "namespace": "y"}})
    yield thing(v1, "Ingress", spec={"ingressClassName": "thing", "tls": [{"hosts": ["a.example"], "secretName": "s"}], "defaultBackend": {"service": {"name": "x", "port": {"name": "web"}}},
                                     "rules": [{"host": "*.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "x", "port": {"number": 80}}}}]}}]})
    yield thing(v1, "NetworkPolicy", spec={"podSelector": SELECTOR, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": "web"}, {"port": 80, "endPort": 90}]}]})
    yield thing(v1, "ServiceCIDR", cluster=True, spec={"cidrs": ["10.97.0.0/24"]})
    yield thing(v1, "IPAddress", "10.97.0.7", True, spec={"parentRef": {"group": "example.com", "resource": "widgets", "namespace": NAMESPACE, "name": "thing"}},
                labels={"ipaddress.kubernetes.io/managed-by": "example.com"})
    yield thing("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", ports=[{"name": "web", "port": 80}, {"name": ""}], endpoints=[
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False}, "zone": "z", "hints": {"forZones": [{"name": "z"}]},
         "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": "thing"}, "nodeName": "thing"}])


def rights(context):
    v1 = "rbac.authorization.k8s.io/v1"
    subjects = [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount", "name": "s", "namespace": NAMESPACE}]
    rule = {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments/scale"], "resourceNames": ["x"]}
    yield thing(v1, "Role", rules=[rule])
    yield thing(v1, "ClusterRole", cluster=True, rules=[rule, {"verbs": ["*"], "nonResourceURLs": ["/metrics"]}], labels={"a": "b"})
    yield thing(v1, "ClusterRole", "gathered", True, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"none": "such"}}]})
    yield thing(v1, "RoleBinding", roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "thing"}, subjects=subjects)
    yield thing(v1, "ClusterRoleBinding", cluster=True, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "thing"}, subjects=subjects)
    yield thing("certificates.k8s.io/v1", "CertificateSigningRequest", cluster=True, spec={
        "request": signing_request(context), "signerName": "example.com/signer", "usages": ["client auth", "digital signature"], "expirationSeconds": 900})
    v1 = "admissionregistration.k8s.io/v1"
    yield thing(v1, "ValidatingWebhookConfiguration", cluster=True, webhooks=[WEBHOOK])
    yield thing(v1, "MutatingWebhookConfiguration", cluster=True, webhooks=[{**WEBHOOK, "reinvocationPolicy": "IfNeeded", "timeoutSeconds": 3}])
    yield thing(v1, "ValidatingAdmissionPolicy", cluster=True, spec={"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "object.spec.size > 1", "message": "m", "reason": "Invalid"}],
                                                                     "variables": [{"name": "v", "expression": "1"}], "failurePolicy": "Ignore"})
    yield thing(v1, "ValidatingAdmissionPolicyBinding", cluster=True, spec={"policyName": "thing", "validationActions": ["Warn", "Audit"]})
    v1 = "flowcontrol.apiserver.k8s.io/v1"
    yield thing(v1, "PriorityLevelConfiguration", cluster=True, spec={
        "type": "Limited", "limited": {"nominalConcurrencyShares": 3, "limitResponse": {"type": "Queue", "queuing": {"queues": 8, "handSize": 2, "queueLengthLimit": 9}}}})
    yield thing(v1, "FlowSchema", cluster=True, spec={"priorityLevelConfiguration": {"name": "thing"}, "matchingPrecedence": 700, "distinguisherMethod": {"type": "ByUser"}, "rules": [
        {"subjects": [{"kind": "User", "user": {"name": "u"}}], "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}]}]})


def storage_and_devices(context):
    del context
    v1 = "storage.k8s.io/v1"
    yield thing(v1, "StorageClass", cluster=True, provisioner="a.example", parameters={"a": "b"}, mountOptions=["ro"], volumeBindingMode="WaitForFirstConsumer",
                allowedTopologies=[{"matchLabelExpressions": [{"key": "z", "values": ["1"]}]}])
    yield thing(v1, "CSIDriver", "a.example", True, spec={"attachRequired": False, "podInfoOnMount": True, "tokenRequests": [{"audience": "x"}]})
    yield thing(v1, "CSINode", cluster=True, spec={"drivers": [{"name": "a.example", "nodeID": "n", "topologyKeys": ["z"], "allocatable": {"count": 5}}]})
    yield thing(v1, "CSIStorageCapacity", storageClassName="thing", nodeTopology=SELECTOR, capacity="1.5Ti", maximumVolumeSize="1Gi")
    yield thing(v1, "VolumeAttachment", cluster=True, spec={"attacher": "a.example", "nodeName": "thing", "source": {"persistentVolumeName": "thing"}})
    yield thing(v1, "VolumeAttributesClass", cluster=True, driverName="a.example", parameters={"iops": "5"})
    v1 = "resource.k8s.io/v1"
    yield thing(v1, "DeviceClass", cluster=True, spec={"selectors": [{"cel": {"expression": "device.driver == 'a.example'"}}],
                                                       "config": [{"opaque": {"driver": "a.example", "parameters": {"any": [1, "x"]}}}]})
    yield thing(v1, "ResourceClaim", spec={"devices": REQUEST})
    yield thing(v1, "ResourceClaimTemplate", spec={"metadata": {"labels": LABELS}, "spec": {"devices": REQUEST}})
    yield thing(v1, "ResourceSlice", cluster=True, spec={"driver": "a.example", "nodeName": "thing", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [
        {"name": "d0", "attributes": {"model": {"string": "m"}, "count": {"int": 3}, "a.example/v": {"version": "1.2.3"}, "on": {"bool": True}}, "capacity": {"memory": {"value": "80Gi"}}}]})


def definitions(context):
    del context
    yield definition("widget", "Namespaced")
    yield definition("gadget", "Cluster", "v1beta1")
    yield thing("apiregistration.k8s.io/v1", "APIService", "v1alpha1.absent.example.com", True, spec={
        "group": "absent.example.com", "version": "v1alpha1", "groupPriorityMinimum": 100, "versionPriority": 5, "insecureSkipTLSVerify": True,
        "service": {"namespace": NAMESPACE, "name": "absent", "port": 8443}})


def custom(context):
    del context
    spec = {"free": {"deep": [{"any": 1.5e300, "big": 9007199254740993}, None, "ü"]}, "rate": 0.1, "either": "5%"}
    yield thing("example.com/v1", "Widget", spec={**spec, "size": 7})
    yield thing("example.com/v1", "Widget", "defaulted", spec={"either": 5, "rate": 3})
    yield thing("example.com/v1beta1", "Gadget", cluster=True, spec=spec)


# What our api-server does not do yet (README.md); a test says so when it does.
OURS_LACKS = ("server-side apply", "custom objects")


class Writer:
    """Makes all of this at one server, without what that `lacks`."""

    def __init__(self, context, api, lacks=()):
        self.context, self.api, self.lacks, self.resources = context, api, lacks, api.resources()

    def path(self, one):
        prefix, resource, is_namespaced, _ = self.resources[one["apiVersion"], one["kind"]]
        return f"{prefix}/namespaces/{NAMESPACE}/{resource}" if is_namespaced else f"{prefix}/{resource}"

    def change(self, one, body, subresource="", kind=MERGE):
        return self.api.send("PATCH", f"{self.path(one)}/{one['metadata']['name']}{subresource}", body, kind)

    def write(self):
        self.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": LABELS, "annotations": {"example.com/note": "x"}}})
        for kinds in (core, workloads, network, rights, storage_and_devices, definitions):
            for one in kinds(self.context):
                self.api.send("POST", f"{self.path(one)}?fieldManager=writer", one)
        for one in custom(self.context) if "custom objects" not in self.lacks else ():
            def is_served():
                self.resources = self.api.resources()
                return (one["apiVersion"], one["kind"]) in self.resources
            self.context.wait_until(f"{one['kind']}s to be served", is_served)
            # What discovery says and what is served are two things of kube-apiserver's.
            self.context.wait_until(f"{one['kind']}s to be served", lambda: self.api.exchange("GET", self.path(one))[0] == 200)
            self.api.send("POST", f"{self.path(one)}?fieldManager=writer", one)
        self.change_some()

    def change_some(self):
        """Status, other managers of fields, owners, names that the server makes up, deletion that waits."""
        named = {(one["kind"], one["metadata"]["name"]): one for kinds in (core, workloads, custom) for one in kinds(self.context)}
        made = self.change(named["Deployment", "thing"], {"spec": {"replicas": 4}})
        self.change(named["Deployment", "thing"], {"status": {"replicas": 2, "observedGeneration": 1, "conditions": [
            {"type": "Progressing", "status": "True", "reason": "R", "message": "m", "lastUpdateTime": "2024-01-01T00:00:00Z", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}, "/status", STRATEGIC)
        self.change(named["Node", "thing"], {"status": {"capacity": {"cpu": "4", "memory": "8Gi"}, "addresses": [{"type": "InternalIP", "address": "192.0.2.77"}], "images": [
            {"names": ["x@sha256:1"], "sizeBytes": 5000000000}]}}, "/status", STRATEGIC)
        self.change(named["Pod", "thing"], {"status": {"phase": "Running", "podIP": "10.9.0.3", "podIPs": [{"ip": "10.9.0.3"}], "startTime": "2024-01-01T00:00:00Z", "containerStatuses": [
            {"name": "c", "image": "i", "imageID": "x", "ready": True, "restartCount": 2, "state": {"running": {"startedAt": "2024-01-01T00:00:00Z"}},
             "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "containerID": "docker://1"}}}]}}, "/status", STRATEGIC)
        self.change(named["Service", "balancer"], {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}, "/status")
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "thing", "uid": made["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        self.api.send("POST", maps, {"metadata": {"generateName": "made-", "ownerReferences": [owner]}, "data": {"a": "b"}})
        self.api.send("POST", maps, {"metadata": {"name": "leaving", "finalizers": ["example.com/stay"]}})
        self.api.send("DELETE", f"{maps}/leaving", {"gracePeriodSeconds": 5})
        self.api.send("POST", f"/api/v1/namespaces/{NAMESPACE}/pods/bare/binding", {"metadata": {"name": "bare"}, "target": {"kind": "Node", "name": "thing"}})
        if "server-side apply" not in self.lacks:
            self.apply_some()
        if "custom objects" not in self.lacks:
            self.change(named["Widget", "thing"], {"status": {"any": {"thing": [1, 2.5]}}}, "/status")

    def apply_some(self):
        maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied", "labels": {"l": "1"}}, "data": {"a": "b", "c": "d"}}
        self.api.apply(f"{maps}/applied", applied, "first")
        self.api.apply(f"{maps}/applied", {**applied, "data": {"c": "d", "e": "f"}}, "second")
        if "custom objects" not in self.lacks:
            widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "applied"}, "spec": {"size": 3}}
            self.api.apply(f"{self.path(widget)}/applied", widget, "first")
        sub = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "thing"}, "spec": {"template": {"spec": {"containers": [{"name": "more", "image": "m"}]}}}}
        self.api.apply(f"{self.path(sub)}/thing", sub, "third")
