"""Small objects of each kind, and what may be wrong with them. Paths are dotted; "~1" in a part stands for a dot."""

NAMESPACE = "oracle"
IN = f"/api/v1/namespaces/{NAMESPACE}"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"

SETUP = [
    ("namespace", "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
    ("service account", "POST", f"{IN}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
]
TEARDOWN = [
    ("service account", "DELETE", f"{IN}/serviceaccounts/default", None),
]

LONG = "a" * 300


def meta(name, **more):
    return {"name": name, "namespace": NAMESPACE, **more}


CONTAINER = {"name": "c", "image": "registry.local/web:1"}
POD_SPEC = {"containers": [CONTAINER]}
LABELS = {"app": "web"}
C = "spec.containers.0"

POD_VALUES = {
    # names and classes
    "spec.nodeName": ["bad_name"],
    "spec.serviceAccountName": ["Bad_Name", "absent"],
    "spec.hostname": ["Bad_Host", "a.b"],
    "spec.subdomain": ["Bad_Sub"],
    "spec.schedulerName": [""],
    "spec.priorityClassName": ["system-node-critical", "absent"],
    "spec.runtimeClassName": ["Bad_Class"],
    "spec.preemptionPolicy": ["Wrong", "Never"],
    "spec.restartPolicy": ["Never", "OnFailure", "Wrong"],
    "spec.dnsPolicy": ["Default", "None", "Wrong"],
    "spec.terminationGracePeriodSeconds": [0, -5, 60],
    "spec.activeDeadlineSeconds": [0, -1, 10, 3000000000],
    "spec.nodeSelector": [{"a": "b"}, {"-bad": "x"}, {"a": "not valid!"}],
    "spec.hostNetwork": [True],
    "spec.hostUsers": [False],
    "spec.hostAliases": [[{"ip": "1.2.3"}], [{"ip": "127.0.0.1", "hostnames": ["Bad_Name"]}], [{"ip": "127.0.0.1", "hostnames": ["ok"]}]],
    "spec.hostnameOverride": ["Bad_Name", "fine"],
    "spec.setHostnameAsFQDN": [True],
    "spec.enableServiceLinks": [False],
    "spec.shareProcessNamespace": [True],
    "spec.imagePullSecrets": [[{"name": "x"}], [{}]],
    "spec.readinessGates": [[{"conditionType": "bad type"}], [{"conditionType": "a.b/c"}]],
    "spec.schedulingGates": [[{"name": "bad gate"}], [{"name": "a"}, {"name": "a"}], [{"name": "a.b/c"}]],
    "spec.overhead": [{"cpu": "1"}, {"wrong": "1"}],
    "spec.os": [{"name": "linux"}, {"name": "wrong"}, {"name": ""}, {"name": "windows"}],
    "spec.resourceClaims": [[{"name": "a"}], [{"name": "a", "resourceClaimName": "x"}], [{"name": "Bad_Name", "resourceClaimName": "x"}]],
    "spec.workloadRef": [{"name": "w", "podGroup": "g"}],
    "spec.ephemeralContainers": [[{"name": "e", "image": "i"}]],
    # dns
    "spec.dnsConfig": [{"nameservers": ["x"]}, {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]}, {"searches": ["bad name"]},
                       {"searches": ["_ok.example", "."]}, {"options": [{"value": "x"}]}, {"options": [{"name": "ndots", "value": "2"}]}],
    # security
    "spec.securityContext": [{"runAsUser": -1}, {"runAsGroup": -1}, {"fsGroup": -1}, {"supplementalGroups": [1, -1]}, {"runAsNonRoot": True},
                             {"fsGroupChangePolicy": "Wrong"}, {"fsGroupChangePolicy": "Always"}, {"seccompProfile": {"type": "Wrong"}}, {"seccompProfile": {}},
                             {"seccompProfile": {"type": "Localhost"}}, {"seccompProfile": {"type": "Localhost", "localhostProfile": "../x"}},
                             {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "x"}}, {"appArmorProfile": {"type": "Wrong"}},
                             {"appArmorProfile": {"type": "Localhost"}}, {"appArmorProfile": {"type": "RuntimeDefault", "localhostProfile": "x"}},
                             {"supplementalGroupsPolicy": "Wrong"}, {"supplementalGroupsPolicy": "Strict"}, {"seLinuxChangePolicy": "MountOption"},
                             {"seLinuxChangePolicy": "Recursive"}, {"sysctls": [{"name": "Bad", "value": "1"}]}, {"sysctls": [{"value": "1"}]},
                             {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}, {"name": "net.core.somaxconn", "value": "1"}]},
                             {"windowsOptions": {"runAsUserName": ""}}, {"windowsOptions": {"hostProcess": True}}],
    # scheduling
    "spec.tolerations": [[{"operator": "Exists"}], [{"key": "a"}], [{"operator": "Equal"}], [{"key": "bad key", "operator": "Exists"}],
                         [{"key": "a", "operator": "Wrong"}], [{"key": "a", "operator": "Exists", "value": "x"}], [{"key": "a", "operator": "Gt", "value": "5"}],
                         [{"key": "a", "effect": "Wrong"}], [{"key": "a", "tolerationSeconds": 5}], [{"key": "a", "value": "not valid!"}],
                         [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}]],
    "spec.affinity": [
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Wrong"}]}]}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}]}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["not valid!"]}]}]}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a", "b"]}]}]}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["a"]}]}]}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}},
        {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {}}]}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "labelSelector": {"matchLabels": {"-": "x"}}}]}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "namespaces": ["Bad_Name"]}]}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "matchLabelKeys": ["app"]}]}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "labelSelector": {}, "matchLabelKeys": ["app"], "mismatchLabelKeys": ["app"]}]}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "labelSelector": {}, "matchLabelKeys": ["app"]}]}},
        {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "podAffinityTerm": {"topologyKey": "a"}}]}},
    ],
    "spec.topologySpreadConstraints": [
        [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}], [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "Wrong"}],
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}] * 2,
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 0}],
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule", "nodeAffinityPolicy": "Wrong", "nodeTaintsPolicy": "Wrong"}],
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["app"]}],
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"x": "y"}}, "matchLabelKeys": ["app"]}],
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]],
    # containers
    "spec.containers": [[], [CONTAINER, CONTAINER]],
    f"{C}.name": ["Bad_Name", "", LONG],
    f"{C}.image": ["", " spaced ", "x", "x:latest", "reg:5000/x", "reg:5000/x:2", "x@sha256:" + "a" * 64, "UPPER"],
    f"{C}.imagePullPolicy": ["Wrong", "Never"],
    f"{C}.terminationMessagePolicy": ["Wrong", "FallbackToLogsOnError"],
    f"{C}.ports": [[{}], [{"containerPort": 0}], [{"containerPort": 70000}], [{"containerPort": 80, "protocol": "Wrong"}], [{"containerPort": 80, "hostPort": 70000}],
                   [{"containerPort": 80, "name": "Bad_Name"}], [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}],
                   [{"containerPort": 80, "name": "a-very-long-port-name"}], [{"containerPort": 80, "hostPort": 1}, {"containerPort": 81, "hostPort": 1}], [{"containerPort": 80}]],
    f"{C}.env": [[{"value": "x"}], [{"name": "1ok"}], [{"name": "a=b"}], [{"name": "a", "valueFrom": {}}],
                 [{"name": "a", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}], [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                 [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "spec.wrong"}}}], [{"name": "a", "valueFrom": {"fieldRef": {}}}],
                 [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}], [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}],
                 [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name['x']"}}}], [{"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}}}],
                 [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}], [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "wrong"}}}],
                 [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "5"}}}],
                 [{"name": "a", "valueFrom": {"configMapKeyRef": {}}}], [{"name": "a", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}}],
                 [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "Bad_Name", "key": "y z"}}}],
                 [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}, "fieldRef": {"fieldPath": "metadata.name"}}}],
                 [{"name": "a", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}], [{"name": "a", "valueFrom": {"fileKeyRef": {}}}]],
    f"{C}.envFrom": [[{}], [{"configMapRef": {}}], [{"configMapRef": {"name": "x"}, "secretRef": {"name": "y"}}], [{"prefix": "a=", "configMapRef": {"name": "x"}}],
                     [{"secretRef": {"name": "x"}}]],
    f"{C}.resources": [{"limits": {"cpu": "1"}}, {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, {"limits": {"wrong": "1"}}, {"limits": {"example.com/gpu": "1"}},
                       {"requests": {"example.com/gpu": "1"}}, {"requests": {"cpu": "-1"}}, {"limits": {"cpu": "1", "memory": "1Gi"}},
                       {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}, {"limits": {"hugepages-2Mi": "3Mi"}},
                       {"limits": {"hugepages-2Mi": "4Mi"}}, {"limits": {"example.com/gpu": "1.5"}}, {"limits": {"cpu": "bad"}}, {"claims": [{"name": "x"}]},
                       {"requests": {"cpu": "1u"}}, {"limits": {"ephemeral-storage": "1Gi"}}, {"limits": {"storage": "1Gi"}}],
    f"{C}.resizePolicy": [[{"resourceName": "cpu", "restartPolicy": "Wrong"}], [{"resourceName": "disk", "restartPolicy": "NotRequired"}], [{}],
                          [{"resourceName": "cpu", "restartPolicy": "NotRequired"}] * 2],
    f"{C}.restartPolicy": ["Always", "Wrong"],
    f"{C}.restartPolicyRules": [[{"action": "Restart"}], [{"action": "Wrong", "exitCodes": {"operator": "In", "values": [1]}}]],
    f"{C}.volumeMounts": [[{"name": "absent", "mountPath": "/x"}], [{"mountPath": "/x"}], [{"name": "absent"}]],
    f"{C}.volumeDevices": [[{"name": "absent", "devicePath": "/x"}]],
    f"{C}.livenessProbe": [{}, {"exec": {}}, {"exec": {"command": ["a"]}}, {"httpGet": {"port": 80}}, {"httpGet": {"port": 0}}, {"httpGet": {"port": "bad name"}},
                           {"httpGet": {"port": 80, "scheme": "Wrong"}}, {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": "x"}]}}, {"tcpSocket": {"port": 80}},
                           {"tcpSocket": {}}, {"grpc": {"port": 80}}, {"grpc": {"port": 0}}, {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}},
                           {"exec": {"command": ["a"]}, "successThreshold": 2}, {"exec": {"command": ["a"]}, "periodSeconds": -1},
                           {"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 0}],
    f"{C}.readinessProbe": [{"exec": {"command": ["a"]}, "successThreshold": 2}, {"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 5}],
    f"{C}.startupProbe": [{"exec": {"command": ["a"]}, "failureThreshold": -1}],
    f"{C}.lifecycle": [{"preStop": {}}, {"preStop": {"sleep": {"seconds": 5}}}, {"preStop": {"sleep": {"seconds": 50}}}, {"postStart": {"httpGet": {"port": "http"}}},
                       {"postStart": {"exec": {}}}, {"stopSignal": "SIGTERM"}],
    f"{C}.securityContext": [{"privileged": True}, {"privileged": True, "allowPrivilegeEscalation": False}, {"capabilities": {"add": ["CAP_SYS_ADMIN"]}, "allowPrivilegeEscalation": False},
                             {"runAsUser": -1}, {"procMount": "Wrong"}, {"procMount": "Unmasked"}, {"procMount": "Default"}, {"seccompProfile": {"type": "Localhost"}},
                             {"appArmorProfile": {"type": ""}}, {"windowsOptions": {"gmsaCredentialSpec": ""}}],
    "spec.initContainers": [[{"name": "c", "image": "x"}], [{"name": "i", "image": "x"}], [{"name": "i", "image": "x", "restartPolicy": "Always"}],
                            [{"name": "i", "image": "x", "livenessProbe": {"exec": {"command": ["a"]}}}], [{"name": "i", "image": "x", "restartPolicy": "Wrong"}],
                            [{"name": "i"}], [{"name": "i", "image": "x", "lifecycle": {"preStop": {"exec": {"command": ["a"]}}}}]],
    "spec.resources": [{"limits": {"cpu": "1"}}, {"requests": {"cpu": "1"}}, {"requests": {"storage": "1"}}, {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}],
    # volumes
    "spec.volumes": [
        [{}], [{"name": "v"}], [{"name": "Bad_Name"}], [{"name": "v"}, {"name": "v"}], [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}],
        [{"name": "v", "emptyDir": {"sizeLimit": "-1"}}], [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}], [{"name": "v", "hostPath": {}}],
        [{"name": "v", "hostPath": {"path": "/a/../b"}}], [{"name": "v", "hostPath": {"path": "/x", "type": "Wrong"}}], [{"name": "v", "hostPath": {"path": "/x"}}],
        [{"name": "v", "secret": {}}], [{"name": "v", "secret": {"secretName": "s", "defaultMode": 1000}}], [{"name": "v", "secret": {"secretName": "s", "items": [{}]}}],
        [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "a", "path": "../x", "mode": -1}]}}], [{"name": "v", "secret": {"secretName": "s"}}],
        [{"name": "v", "configMap": {}}], [{"name": "v", "configMap": {"name": "m", "items": [{"key": "a", "path": "/abs"}]}}], [{"name": "v", "configMap": {"name": "m"}}],
        [{"name": "v", "persistentVolumeClaim": {}}], [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
        [{"name": "v", "downwardAPI": {"items": [{"path": "p"}]}}], [{"name": "v", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}}],
        [{"name": "v", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "spec.nodeName"}}]}}],
        [{"name": "v", "downwardAPI": {"items": [{"path": "p", "resourceFieldRef": {"resource": "limits.cpu"}}]}}],
        [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 10}}]}}],
        [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}}], [{"name": "v", "projected": {"sources": [{"secret": {}, "configMap": {}}]}}],
        [{"name": "v", "projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "k", "path": "p"}]}}, {"configMap": {"name": "b", "items": [{"key": "k", "path": "p"}]}}]}}],
        [{"name": "v", "projected": {"sources": [{"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}}],
        [{"name": "v", "nfs": {}}], [{"name": "v", "iscsi": {}}], [{"name": "v", "iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:x", "lun": 300}}],
        [{"name": "v", "csi": {}}], [{"name": "v", "csi": {"driver": "Bad_Driver", "nodePublishSecretRef": {}}}], [{"name": "v", "image": {}}],
        [{"name": "v", "image": {"reference": "x"}}], [{"name": "v", "image": {"reference": "x:1", "pullPolicy": "Wrong"}}], [{"name": "v", "ephemeral": {}}],
        [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}],
        [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x"}, "spec": {"accessModes": ["Wrong"], "resources": {"requests": {"storage": "0"}}}}}}],
        [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}],
        [{"name": "v", "gitRepo": {}}], [{"name": "v", "fc": {}}], [{"name": "v", "rbd": {}}], [{"name": "v", "azureDisk": {"diskName": "d", "diskURI": "u"}}],
        [{"name": "v", "flexVolume": {"driver": "d", "options": {"kubernetes.io/x": "y"}}}], [{"name": "v", "scaleIO": {}}], [{"name": "v", "glusterfs": {}}],
        [{"name": "v", "cephfs": {}}], [{"name": "v", "gcePersistentDisk": {"partition": 300}}], [{"name": "v", "quobyte": {"registry": "x"}}],
    ],
}


def pod_with_volume(mounts, volumes):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", labels=LABELS),
            "spec": {"containers": [{**CONTAINER, **mounts}], "volumes": volumes}}


EMPTY = [{"name": "v", "emptyDir": {}}]
POD = {
    "label": "Pod", "path": f"{IN}/pods", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", labels=LABELS), "spec": POD_SPEC},
    "required": ["spec", "spec.containers", f"{C}.name", f"{C}.image"],
    "values": POD_VALUES,
    "creates": {
        "with a mount": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}, EMPTY),
        "with a mount twice": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}]}, EMPTY),
        "with a bad subPath": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "../a"}]}, EMPTY),
        "with subPath and subPathExpr": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "a", "subPathExpr": "b"}]}, EMPTY),
        "with a bad propagation": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x", "mountPropagation": "Wrong"}]}, EMPTY),
        "with bidirectional propagation": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x", "mountPropagation": "Bidirectional"}]}, EMPTY),
        "with recursiveReadOnly": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x", "recursiveReadOnly": "Enabled"}]}, EMPTY),
        "with a wrong recursiveReadOnly": pod_with_volume({"volumeMounts": [{"name": "v", "mountPath": "/x", "recursiveReadOnly": "Wrong"}]}, EMPTY),
        "with a device that is no claim": pod_with_volume({"volumeDevices": [{"name": "v", "devicePath": "/x"}]}, EMPTY),
        "with a device": pod_with_volume({"volumeDevices": [{"name": "v", "devicePath": "/x"}]}, [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
        "with host ports on the host network": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web"), "spec": {"hostNetwork": True, "containers": [{**CONTAINER, "ports": [{"containerPort": 80}]}]}},
        "with other host ports on the host network": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web"), "spec": {"hostNetwork": True, "containers": [{**CONTAINER, "ports": [{"containerPort": 80, "hostPort": 81}]}]}},
        "with an old service account field": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web"), "spec": {"serviceAccount": "default", **POD_SPEC}},
        "with status": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web"), "spec": POD_SPEC, "status": {"phase": "Running", "podIP": "1.2.3.4"}},
        "as a mirror without a node": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", annotations={"kubernetes.io/config.mirror": "x"}), "spec": POD_SPEC},
        "with a bad deletion cost": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", annotations={"controller.kubernetes.io/pod-deletion-cost": "+5"}), "spec": POD_SPEC},
        "with a bad seccomp annotation": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", annotations={"seccomp.security.alpha.kubernetes.io/pod": "wrong"}), "spec": POD_SPEC},
        "with an AppArmor annotation": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", annotations={"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}), "spec": POD_SPEC},
        "with an AppArmor annotation of no container": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web", annotations={"container.apparmor.security.beta.kubernetes.io/x": "wrong"}), "spec": POD_SPEC},
        "guaranteed": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web"), "spec": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}},
        "burstable": {"apiVersion": "v1", "kind": "Pod", "metadata": meta("web"), "spec": {"containers": [{**CONTAINER, "resources": {"requests": {"cpu": "1"}}}]}},
    },
    "updates": {
        f"{C}.image": ["registry.local/web:2", ""], f"{C}.command": [["x"]], f"{C}.name": ["d"], "spec.containers": [[CONTAINER, {"name": "d", "image": "x"}]],
        "spec.nodeName": ["n1"], "spec.restartPolicy": ["Never"], "spec.activeDeadlineSeconds": [30, 0], "spec.tolerations": [[{"key": "a", "operator": "Exists"}]],
        "spec.schedulingGates": [[{"name": "a"}]], "spec.hostname": ["x"], "spec.terminationGracePeriodSeconds": [5], "spec.serviceAccountName": ["other"],
        "spec.priorityClassName": ["system-node-critical"], "spec.volumes": [EMPTY], f"{C}.resources": [{"limits": {"cpu": "1"}}], "spec.ephemeralContainers": [[{"name": "e", "image": "i"}]],
        "spec.dnsPolicy": ["Wrong"], "spec.nodeSelector": [{"a": "b"}], "status": [{"phase": "Running"}],
        "metadata.annotations": [{"kubernetes.io/config.mirror": "x"}, {"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}],
    },
    "patches": {
        "of the image": {"spec": {"containers": [{"name": "c", "image": "registry.local/web:3"}]}},
        "of a node": {"spec": {"nodeName": "n1"}},
    },
    "typed_patches": {
        "strategic patch of an image": ("application/strategic-merge-patch+json", {"spec": {"containers": [{"name": "c", "image": "registry.local/web:3"}]}}),
        "strategic patch that adds a container": ("application/strategic-merge-patch+json", {"spec": {"containers": [{"name": "d", "image": "x"}]}}),
        "JSON patch of an image": ("application/json-patch+json", [{"op": "replace", "path": "/spec/containers/0/image", "value": "registry.local/web:3"}]),
    },
    "status": {
        "ignored": "spec.restartPolicy", "ignored_value": "Never",
        "values": [
            {"phase": "Running"}, {"phase": "Running", "podIP": "10.0.0.1"}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}, {"podIP": "x"}, {"qosClass": "Guaranteed"},
            {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.2"}]}, {"hostIPs": [{"ip": "10.0.0.1"}]}, {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}]},
            {"nominatedNodeName": "Bad_Name"}, {"conditions": [{"type": "bad type", "status": "True"}]}, {"conditions": [{"type": "Ready", "status": "True"}]},
            {"observedGeneration": -1}, {"resourceClaimStatuses": [{"name": "x"}]},
            {"containerStatuses": [{"name": "c", "image": "x", "imageID": "y", "ready": True, "restartCount": 0, "state": {"running": {}}}]},
            {"containerStatuses": [{"name": "c", "image": "x", "imageID": "y", "ready": True, "restartCount": 0, "user": {"linux": {"uid": -1, "gid": -1}}}]},
        ],
    },
    "subresources": {
        "ephemeral container": ("PATCH", "/ephemeralcontainers?dryRun=All", {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}}),
        "ephemeral container named as a container": ("PATCH", "/ephemeralcontainers?dryRun=All", {"spec": {"ephemeralContainers": [{"name": "c", "image": "i"}]}}),
        "ephemeral container with ports": ("PATCH", "/ephemeralcontainers?dryRun=All", {"spec": {"ephemeralContainers": [{"name": "e", "image": "i", "ports": [{"containerPort": 1}]}]}}),
        "ephemeral container with a bad target": ("PATCH", "/ephemeralcontainers?dryRun=All", {"spec": {"ephemeralContainers": [{"name": "e", "image": "i", "targetContainerName": "x"}]}}),
        "resize that changes the class": ("PATCH", "/resize?dryRun=All", {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}}),
        "resize of nothing": ("PATCH", "/resize?dryRun=All", {"spec": {"containers": [{"name": "c", "image": "other"}]}}),
        "binding without a target": ("POST", "/binding?dryRun=All", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"}, "target": {}}),
        "binding to a wrong kind": ("POST", "/binding?dryRun=All", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"}, "target": {"kind": "Wrong", "name": "n"}}),
        "log of a Pod without a node": ("GET", "/log", None),
    },
}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD_SPEC}
TC = "spec.template.spec.containers.0"

TEMPLATE_VALUES = {
    "spec.selector": [{}, {"matchLabels": {"app": "other"}}, {"matchLabels": {"app": "not valid!"}}, {"matchExpressions": [{"key": "app", "operator": "Wrong"}]},
                      {"matchExpressions": [{"key": "app", "operator": "In"}]}, {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}],
    "spec.replicas": [-1, 0, 3],
    "spec.minReadySeconds": [-1, 5],
    "spec.template.metadata.labels": [{"app": "other"}, {"app": "web", "-": "x"}],
    "spec.template.metadata.annotations": [{"a b": "x"}],
    "spec.template.spec.restartPolicy": ["Never", "Wrong"],
    "spec.template.spec.activeDeadlineSeconds": [5],
    "spec.template.spec.volumes": [[{"name": "v"}], [{"name": "v", "secret": {}}], [{"name": "v", "image": {}}]],
    f"{TC}.ports": [[{"containerPort": 80}], [{}]],
    f"{TC}.livenessProbe": [{"httpGet": {"port": 80}}],
    f"{TC}.resources": [{"limits": {"cpu": "1"}}],
    f"{TC}.image": ["x", " spaced "],
}

DEPLOYMENT = {
    "label": "Deployment", "path": f"{APPS}/deployments",
    "object": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("web"), "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
    "required": ["spec", "spec.selector", "spec.template", "spec.template.spec", "spec.template.metadata", f"{TC}.name", f"{TC}.image"],
    "values": {**TEMPLATE_VALUES,
               "spec.strategy": [{"type": "Wrong"}, {"type": "Recreate"}, {"type": "Recreate", "rollingUpdate": {}}, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
                                 {"rollingUpdate": {"maxSurge": "x"}}, {"rollingUpdate": {"maxUnavailable": "101%"}}, {"rollingUpdate": {"maxSurge": -1}}, {"rollingUpdate": {"maxSurge": 1}}],
               "spec.revisionHistoryLimit": [-1, 2], "spec.progressDeadlineSeconds": [-1, 0, 10], "spec.paused": [True]},
    "updates": {"spec.selector": [{"matchLabels": {"app": "web", "x": "y"}}], "spec.replicas": [2, -1], f"{TC}.image": ["other", ""], "spec.template.metadata.labels": [{"app": "x"}],
                "metadata.annotations": [{"a": "b"}], "status": [{"replicas": 5}], "spec.strategy": [{"type": "Recreate"}]},
    "status": {"ignored": "spec.replicas", "ignored_value": 7,
               "values": [{"replicas": 3, "readyReplicas": 2}, {"replicas": -1}, {"replicas": 1, "readyReplicas": 2}, {"replicas": 3, "readyReplicas": 1, "availableReplicas": 2}, {"observedGeneration": -1},
                          {"collisionCount": -1}, {"collisionCount": 2}, {"replicas": 1, "terminatingReplicas": -1}]},
    "subresources": {
        "scale": ("GET", "/scale", None),
        "scale up": ("PUT", "/scale?dryRun=All", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"replicas": 3}}),
        "scale below zero": ("PUT", "/scale?dryRun=All", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"replicas": -1}}),
        "scale of a stale version": ("PUT", "/scale?dryRun=All", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": NAMESPACE, "resourceVersion": "1"}, "spec": {"replicas": 3}}),
        "scale by patch": ("PATCH", "/scale?dryRun=All", {"spec": {"replicas": 4}}),
    },
}

REPLICA_SET = {
    "label": "ReplicaSet", "path": f"{APPS}/replicasets",
    "object": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta("web"), "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
    "required": ["spec", "spec.selector", "spec.template"],
    "values": TEMPLATE_VALUES,
    "updates": {"spec.selector": [{"matchLabels": {"app": "web", "x": "y"}}], "spec.replicas": [2, -1], f"{TC}.image": ["other"]},
    "status": {"ignored": "spec.replicas", "ignored_value": 7,
               "values": [{"replicas": 3, "readyReplicas": 2}, {"replicas": -1}, {"replicas": 1, "readyReplicas": 2}, {"replicas": 3, "fullyLabeledReplicas": 4}, {"replicas": 3, "readyReplicas": 1, "availableReplicas": 2}]},
    "subresources": {"scale": ("GET", "/scale", None)},
}

NAMESPACE_KIND = {
    "label": "Namespace", "path": "/api/v1/namespaces", "object": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "oracle-n"}},
    "bad_names": ["Upper", "-dash", "under_score", "a" * 64, "a.b"],
    "values": {"spec.finalizers": [["kubernetes"], ["bad one"], ["plain"], ["example.com/x"]], "status": [{"phase": "Terminating"}], "metadata.labels": [{"kubernetes.io/metadata~1name": "x"}]},
    "updates": {"spec.finalizers": [["example.com/x"], []], "metadata.labels": [{"kubernetes.io/metadata.name": "x"}], "status": [{"phase": "Terminating"}]},
    "status": {"ignored": "spec.finalizers", "ignored_value": ["example.com/x"], "values": [{"phase": "Active"}, {"phase": "Terminating"}, {"phase": "Wrong"}]},
    "subresources": {
        "finalize with a bad finalizer": ("PUT", "/finalize?dryRun=All", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "oracle-n"}, "spec": {"finalizers": ["bad one"]}}),
        "finalize": ("PUT", "/finalize?dryRun=All", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "oracle-n"}, "spec": {"finalizers": ["kubernetes", "example.com/x"]}}),
    },
    "lingers": True,
}

NODE = {
    "label": "Node", "path": "/api/v1/nodes", "object": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "oracle-node"}},
    "values": {
        "spec.podCIDR": ["10.0.0.0/24", "x"], "spec.podCIDRs": [["10.0.0.0/24", "10.1.0.0/24"], ["10.0.0.0/24", "fd00::/64"], ["x"]], "spec.unschedulable": [True], "spec.providerID": ["a://b"],
        "spec.taints": [[{}], [{"key": "a", "effect": "Wrong"}], [{"key": "a", "effect": "NoSchedule"}], [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule", "value": "x"}],
                        [{"key": "bad key", "effect": "NoSchedule"}], [{"key": "a", "value": "not valid!", "effect": "NoSchedule"}]],
        "spec.configSource": [{"configMap": {"namespace": "a", "name": "b", "kubeletConfigKey": "c"}}],
        "status": [{"capacity": {"cpu": "4", "memory": "8Gi"}}, {"capacity": {"cpu": "-1"}}, {"capacity": {"example.com/gpu": "1.5"}}, {"capacity": {"pods": "110"}, "allocatable": {"pods": "100"}},
                   {"addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]}, {"declaredFeatures": ["A"]}],
    },
    "updates": {"spec.podCIDR": ["10.0.0.0/24"], "spec.providerID": ["x"], "spec.unschedulable": [True], "spec.taints": [[{"key": "a", "effect": "NoSchedule"}], [{"key": "a"}]], "spec.externalID": ["x"],
                "status": [{"capacity": {"cpu": "4"}}]},
    "status": {"ignored": "spec.unschedulable", "ignored_value": True,
               "values": [{"capacity": {"cpu": "4"}}, {"capacity": {"cpu": "-4"}}, {"addresses": [{"type": "InternalIP", "address": "1.2.3.4"}] * 2}, {"conditions": [{"type": "Ready", "status": "True"}]}, {"phase": "Running"}]},
}

SERVICE = {
    "label": "Service", "path": f"{IN}/services",
    "object": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "bad_names": ["Upper", "-dash", "1digit", "a" * 64, "a.b"],
    "required": ["spec", "spec.ports", "spec.ports.0.port"],
    "values": {
        "spec.type": ["NodePort", "LoadBalancer", "ExternalName", "Wrong"],
        "spec.clusterIP": ["None", "x", "300.1.1.1"],
        "spec.clusterIPs": [["x"], ["None", "10.96.0.50"], ["10.96.0.50", "10.96.0.51"]],
        "spec.ipFamilies": [["Wrong"], ["IPv4"], ["IPv6"], ["IPv4", "IPv4"]],
        "spec.ipFamilyPolicy": ["Wrong", "SingleStack", "PreferDualStack", "RequireDualStack"],
        "spec.sessionAffinity": ["ClientIP", "Wrong"],
        "spec.sessionAffinityConfig": [{"clientIP": {"timeoutSeconds": 5}}],
        "spec.externalTrafficPolicy": ["Local", "Wrong"],
        "spec.internalTrafficPolicy": ["Local", "Wrong"],
        "spec.trafficDistribution": ["PreferClose", "Wrong"],
        "spec.externalIPs": [["1.2.3.4"], ["127.0.0.1"], ["x"], ["169.254.1.1"], ["0.0.0.0"]],
        "spec.externalName": ["a.b"],
        "spec.selector": [{"-": "x"}, {"a": "not valid!"}],
        "spec.loadBalancerClass": ["a.b/c"], "spec.allocateLoadBalancerNodePorts": [True], "spec.loadBalancerSourceRanges": [["10.0.0.0/8"]], "spec.healthCheckNodePort": [30000],
        "spec.ports": [[{"port": 80}, {"port": 81}], [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}], [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}], [{"port": 0}], [{"port": 70000}],
                       [{"port": 80, "protocol": "Wrong"}], [{"port": 80, "targetPort": "http"}], [{"port": 80, "targetPort": "bad name"}], [{"port": 80, "targetPort": 70000}], [{"port": 80, "nodePort": 30080}],
                       [{"port": 80, "name": "Bad_Name"}], [{"port": 80, "appProtocol": "bad value"}], [{"port": 80, "appProtocol": "a.b/c"}], []],
    },
    "creates": {
        "of an external name": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"type": "ExternalName", "externalName": "a.example"}},
        "of a bad external name": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"type": "ExternalName", "externalName": "bad name"}},
        "of an external name with an address": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"]}},
        "headless without ports": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"clusterIP": "None", "selector": LABELS}},
        "headless as NodePort": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"clusterIP": "None", "type": "NodePort", "ports": [{"port": 80}]}},
        "with affinity": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 100000}}, "ports": [{"port": 80}]}},
        "with a balancer and ranges": {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["x"], "ports": [{"port": 80}]}},
    },
    "updates": {"spec.clusterIP": ["10.96.200.200", "None", "<gone>"], "spec.type": ["NodePort", "ExternalName", "Wrong"], "spec.ports": [[{"port": 81}], []], "spec.sessionAffinity": ["ClientIP"],
                "spec.ipFamilies": [["IPv6"]], "spec.selector": [{"a": "b"}], "status": [{"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}]},
    "status": {"ignored": "spec.sessionAffinity", "ignored_value": "ClientIP",
               "values": [{"loadBalancer": {}}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}]},
}

ENDPOINTS = {
    "label": "Endpoints", "path": f"{IN}/endpoints",
    "object": {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta("web"), "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "required": ["subsets", "subsets.0.addresses", "subsets.0.addresses.0.ip", "subsets.0.ports", "subsets.0.ports.0.port"],
    "values": {
        "subsets.0.addresses.0.ip": ["x", "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "fd00::1"], "subsets.0.addresses.0.hostname": ["Bad_Name", "ok"], "subsets.0.addresses.0.nodeName": ["Bad_Name", "n1"],
        "subsets.0.ports.0.port": [0, 70000], "subsets.0.ports.0.protocol": ["Wrong", "UDP"], "subsets.0.ports.0.name": ["Bad_Name"], "subsets.0.ports": [[{"port": 80}, {"port": 81}]], "subsets.0.ports.0.appProtocol": ["bad value"],
        "subsets.0.notReadyAddresses": [[{"ip": "x"}]],
    },
    "updates": {"subsets.0.addresses.0.ip": ["10.0.0.2", "x"], "subsets": [[]]},
}

ENDPOINT_SLICE = {
    "label": "EndpointSlice", "path": f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
    "object": {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta("web"), "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    "required": ["addressType", "endpoints", "endpoints.0.addresses"],
    "enums": ["addressType"],
    "values": {
        "addressType": ["IPv6", "FQDN"], "endpoints.0.addresses": [[], ["x"], ["fd00::1"], ["127.0.0.1"], ["a"] * 101], "endpoints.0.hostname": ["Bad_Name", "ok"], "endpoints.0.nodeName": ["Bad_Name"],
        "endpoints.0.deprecatedTopology": [{"a": "b"}], "endpoints.0.zone": ["z"], "endpoints.0.hints": [{"forZones": [{"name": "a"}, {"name": "a"}]}, {"forZones": [{"name": "not valid!"}]}, {"forNodes": [{"name": "Bad_Name"}]}],
        "endpoints.0.conditions": [{"ready": True}], "endpoints.0.targetRef": [{"kind": "Pod", "name": "p"}],
        "ports": [[{}], [{"name": "Bad_Name"}], [{"protocol": "Wrong"}], [{"port": 1}, {"port": 2}], [{"appProtocol": "bad value"}], []],
    },
    "updates": {"addressType": ["IPv6"], "endpoints.0.addresses": [["10.0.0.2"], ["x"]], "ports": [[{"port": 81}]], "metadata.labels": [{"a": "b"}]},
}

CONFIG_MAP = {
    "label": "ConfigMap", "path": f"{IN}/configmaps", "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("web"), "data": {"a": "b"}, "immutable": True},
    "values": {"data": [{"bad key": "x"}, {"..": "x"}, {LONG: "x"}, {}, {"a": 5}], "binaryData": [{"a": "eA=="}, {"b": "eA=="}, {"b": "not base64"}], "immutable": [False, "x"]},
    "updates": {"data": [{"a": "c"}], "binaryData": [{"b": "eA=="}], "immutable": [False, "<gone>"], "metadata.labels": [{"a": "b"}]},
}

SECRET = {
    "label": "Secret", "path": f"{IN}/secrets", "object": {"apiVersion": "v1", "kind": "Secret", "metadata": meta("web"), "data": {"a": "eA=="}, "immutable": True},
    "values": {
        "data": [{"bad key": "eA=="}, {"a": "not base64"}, {}], "stringData": [{"a": "plain"}, {"b": "plain"}, {"bad key": "x"}], "immutable": [False],
        "type": ["kubernetes.io/tls", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson", "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "any.example/type"],
    },
    "creates": {
        "of docker credentials": {"apiVersion": "v1", "kind": "Secret", "metadata": meta("web"), "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}},
        "of bad docker credentials": {"apiVersion": "v1", "kind": "Secret", "metadata": meta("web"), "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "[]"}},
        "of a user name": {"apiVersion": "v1", "kind": "Secret", "metadata": meta("web"), "type": "kubernetes.io/basic-auth", "stringData": {"username": "u"}},
    },
    "updates": {"type": ["kubernetes.io/tls", "other", "<gone>"], "data": [{"a": "eQ=="}], "immutable": [False], "stringData": [{"b": "x"}]},
}

SERVICE_ACCOUNT = {
    "label": "ServiceAccount", "path": f"{IN}/serviceaccounts", "object": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("web")},
    "values": {"secrets": [[{"name": "a", "namespace": "b", "kind": "Secret"}], [{}]], "imagePullSecrets": [[{"name": "x"}]], "automountServiceAccountToken": [False]},
    "updates": {"secrets": [[{"name": "a", "uid": "x"}]]},
    "subresources": {
        "token": ("POST", "/token?dryRun=All", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 5}}),
    },
}

EVENT = {
    "label": "Event", "path": f"{IN}/events",
    "object": {"apiVersion": "v1", "kind": "Event", "metadata": meta("web"), "involvedObject": {"kind": "Pod", "name": "p", "namespace": NAMESPACE}, "reason": "R", "message": "M", "type": "Normal"},
    "bad_names": ["a/b", "..", "Upper_Is_Fine"],
    "required": ["involvedObject", "reason"],
    "values": {"involvedObject.namespace": ["other", ""], "type": ["Wrong", ""], "count": [3], "eventTime": ["2024-01-01T00:00:00.000000Z"], "firstTimestamp": ["2024-01-01T00:00:00Z"], "source": [{"component": "c"}],
               "series": [{"count": 1}]},
    "creates": {
        "of the new form": {"apiVersion": "v1", "kind": "Event", "metadata": meta("web"), "involvedObject": {"kind": "Pod", "namespace": NAMESPACE}, "eventTime": "2024-01-01T00:00:00.000000Z",
                            "reportingComponent": "a.b/c", "reportingInstance": "i", "action": "A", "reason": "R", "type": "Normal"},
        "of the new form with long texts": {"apiVersion": "v1", "kind": "Event", "metadata": meta("web"), "involvedObject": {"kind": "Pod", "namespace": NAMESPACE}, "eventTime": "2024-01-01T00:00:00.000000Z",
                                            "reportingComponent": "bad value", "reportingInstance": LONG, "action": LONG, "reason": LONG, "message": LONG * 4, "type": "Normal"},
    },
    "updates": {"reason": ["S"], "message": ["N"], "count": [5], "involvedObject": [{"kind": "Pod", "name": "q", "namespace": NAMESPACE}]},
}

NEW_EVENT = {
    "label": "events.k8s.io Event", "path": f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events",
    "object": {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": meta("new"), "regarding": {"kind": "Pod", "name": "p", "namespace": NAMESPACE}, "eventTime": "2024-01-01T00:00:00.000000Z",
               "reportingController": "a.b/c", "reportingInstance": "i", "action": "A", "reason": "R", "note": "N", "type": "Normal"},
    "required": ["eventTime", "reportingController", "reportingInstance", "action", "reason", "type", "regarding", "note"],
    "enums": ["type"],
    "values": {"series": [{"count": 1, "lastObservedTime": "2024-01-01T00:00:00.000000Z"}, {"count": 2}, {"count": 2, "lastObservedTime": "2024-01-01T00:00:00.000000Z"}], "deprecatedCount": [1],
               "deprecatedSource": [{"component": "c"}], "deprecatedFirstTimestamp": ["2024-01-01T00:00:00Z"], "reportingController": ["bad value"], "action": [LONG], "note": [LONG * 4], "regarding.namespace": ["other", ""]},
    "updates": {"reason": ["S"], "note": ["O"], "type": ["Warning"], "action": ["B"], "regarding": [{"kind": "Pod", "name": "q", "namespace": NAMESPACE}], "series": [{"count": 2, "lastObservedTime": "2024-01-01T00:00:00.000000Z"}, {"count": 1}],
                "reportingController": ["x"], "reportingInstance": ["x"], "eventTime": ["2024-01-02T00:00:00.000000Z"], "related": [{"kind": "Pod"}]},
}

LEASE = {
    "label": "Lease", "path": f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases", "object": {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta("web"), "spec": {"holderIdentity": "h"}},
    "values": {"spec.leaseDurationSeconds": [0, -1, 10], "spec.leaseTransitions": [-1, 1], "spec.strategy": ["OldestEmulationVersion", "Wrong"], "spec.preferredHolder": ["x"], "spec.renewTime": ["2024-01-01T00:00:00.000000Z", "x"]},
    "updates": {"spec.holderIdentity": ["i"], "spec.leaseDurationSeconds": [0]},
}

PRIORITY_CLASS = {
    "label": "PriorityClass", "path": "/apis/scheduling.k8s.io/v1/priorityclasses", "object": {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "oracle-class"}, "value": 5},
    "required": ["value"],
    "values": {"value": [2000000000, 1000000000, -5], "preemptionPolicy": ["Wrong", "Never"], "metadata.name": ["system-wrong", "system-node-critical"], "globalDefault": [True], "description": ["x"]},
    "updates": {"value": [6], "preemptionPolicy": ["Never"], "description": ["y"]},
}

IP_ADDRESS = {
    "label": "IPAddress", "path": "/apis/networking.k8s.io/v1/ipaddresses",
    "object": {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "192.168.7.7"}, "spec": {"parentRef": {"resource": "services", "name": "x", "namespace": "y"}}},
    "bad_names": ["x", "010.0.0.1", "FD00::1", "1.2.3.4/8"], "other_name": "192.168.7.8", "generate": "192.168.7.9",
    "required": ["spec", "spec.parentRef", "spec.parentRef.resource", "spec.parentRef.name"],
    "values": {"spec.parentRef.group": ["Bad_Group"], "spec.parentRef.namespace": ["a/b"], "spec.parentRef.resource": [".."]},
    "updates": {"spec.parentRef.name": ["z"], "metadata.labels": [{"a": "b"}]},
}

SERVICE_CIDR = {
    "label": "ServiceCIDR", "path": "/apis/networking.k8s.io/v1/servicecidrs", "object": {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "oracle-cidr"}, "spec": {"cidrs": ["10.97.0.0/16"]}},
    "required": ["spec", "spec.cidrs"],
    "values": {"spec.cidrs": [["x"], ["10.97.0.0/16", "10.98.0.0/16"], ["10.97.0.0/16", "fd00:1::/112"], ["10.97.0.1/16"], ["a", "b", "c"], []]},
    "updates": {"spec.cidrs": [["10.98.0.0/16"], ["10.97.0.0/16", "fd00:1::/112"], ["10.98.0.0/16", "fd00:1::/112"], ["10.97.0.0/16", "10.98.0.0/16"]]},
    "status": {"ignored": "spec.cidrs", "ignored_value": ["10.98.0.0/16"], "values": [{"conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}]},
    "lingers": True,
}

RBAC = "/apis/rbac.authorization.k8s.io/v1"
RULE = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
RULE_VALUES = [[{}], [{"verbs": ["get"]}], [{"verbs": ["get"], "nonResourceURLs": ["/x"]}], [{"verbs": ["get"], "nonResourceURLs": ["/x"], "apiGroups": [""], "resources": ["pods"]}], [{"apiGroups": [""], "resources": ["pods"]}], []]
RBAC_NAMES = ["..", "a/b", "a%b"]
ROLE = {
    "label": "Role", "path": f"{RBAC}/namespaces/{NAMESPACE}/roles", "object": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta("web"), "rules": [RULE]}, "bad_names": RBAC_NAMES,
    "required": ["rules", "rules.0.verbs", "rules.0.apiGroups", "rules.0.resources"], "values": {"rules": RULE_VALUES}, "updates": {"rules": [[{}], [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]]},
}
CLUSTER_ROLE = {
    "label": "ClusterRole", "path": f"{RBAC}/clusterroles", "object": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "oracle-web"}, "rules": [RULE]}, "bad_names": RBAC_NAMES,
    "required": ["rules", "rules.0.verbs"],
    "values": {"rules": RULE_VALUES, "aggregationRule": [{}, {"clusterRoleSelectors": [{"matchLabels": {"a": "not valid!"}}]}, {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}, {"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "Wrong"}]}]}]},
    "updates": {"rules": [[{}]]},
}
SUBJECTS = [[{}], [{"kind": "User", "name": "u"}], [{"kind": "Group", "name": "g"}], [{"kind": "ServiceAccount", "name": "s"}], [{"kind": "ServiceAccount", "name": "s", "namespace": "n"}], [{"kind": "Wrong", "name": "x"}],
            [{"kind": "User", "name": "u", "apiGroup": "wrong"}], [{"kind": "ServiceAccount", "name": "Bad_Name", "namespace": "n"}], [{"kind": "ServiceAccount", "name": "s", "namespace": "n", "apiGroup": "x"}]]
REF_VALUES = {"roleRef.kind": ["Wrong", ""], "roleRef.apiGroup": ["wrong"], "roleRef.name": ["", ".."], "subjects": SUBJECTS}
ROLE_BINDING = {
    "label": "RoleBinding", "path": f"{RBAC}/namespaces/{NAMESPACE}/rolebindings",
    "object": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta("web"), "roleRef": {"kind": "ClusterRole", "name": "view"}}, "bad_names": RBAC_NAMES,
    "required": ["roleRef", "roleRef.kind", "roleRef.name"], "values": REF_VALUES, "updates": {"roleRef.name": ["edit"], "roleRef.kind": ["Role"], "subjects": [[{"kind": "User", "name": "v"}], [{}]]},
}
CLUSTER_ROLE_BINDING = {
    "label": "ClusterRoleBinding", "path": f"{RBAC}/clusterrolebindings",
    "object": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "oracle-web"}, "roleRef": {"kind": "ClusterRole", "name": "view"}}, "bad_names": RBAC_NAMES,
    "required": ["roleRef", "roleRef.kind", "roleRef.name"], "values": {**REF_VALUES, "roleRef.kind": ["Role", "Wrong"]}, "updates": {"roleRef.name": ["edit"], "subjects": [[{"kind": "User", "name": "v"}]]},
}

KINDS = [NAMESPACE_KIND, NODE, SERVICE_ACCOUNT, SECRET, CONFIG_MAP, POD, DEPLOYMENT, REPLICA_SET, SERVICE, ENDPOINTS, ENDPOINT_SLICE, EVENT, NEW_EVENT, LEASE, PRIORITY_CLASS,
         IP_ADDRESS, SERVICE_CIDR, ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING]
