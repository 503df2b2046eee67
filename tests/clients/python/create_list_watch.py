"""Creates, lists and watches with the Kubernetes client of Python; KUBECONFIG names the cluster. Ends with 0 if all is well."""
import threading

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core = client.CoreV1Api()


def expect(what, is_so):
    if not is_so:
        raise SystemExit(f"not so: {what}")


def refused(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except ApiException as error:
        return error
    raise SystemExit("it was not refused")


def config_map(name):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"app": name}), data={"k": "v"})


namespace = core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(generate_name="python-"))).metadata.name
listed = core.list_namespaced_config_map(namespace)
expect("a new namespace is empty", listed.items == [])

seen = []


def follow():
    for event in watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version=listed.metadata.resource_version,
                                      timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 5:
            break


follower = threading.Thread(target=follow)
follower.start()
made = [core.create_namespaced_config_map(namespace, config_map(name)) for name in ("a", "b", "c")]
expect("the server fills in metadata", all(m.metadata.uid and m.metadata.creation_timestamp for m in made))
core.patch_namespaced_config_map("a", namespace, {"data": {"k": "w"}})
core.delete_namespaced_config_map("b", namespace)
follower.join(30)
expect(f"the watch saw all: {seen}", seen == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("MODIFIED", "a"), ("DELETED", "b")])

expect("the list has what is left", [m.metadata.name for m in core.list_namespaced_config_map(namespace).items] == ["a", "c"])
expect("a selector chooses", [m.metadata.name for m in core.list_namespaced_config_map(namespace, label_selector="app=c").items] == ["c"])
first = core.list_namespaced_config_map(namespace, limit=1)
second = core.list_namespaced_config_map(namespace, limit=1, _continue=first.metadata._continue)
expect("pages follow", [m.metadata.name for m in first.items + second.items] == ["a", "c"] and not second.metadata._continue)
expect("reading gives the change", core.read_namespaced_config_map("a", namespace).data == {"k": "w"})

expect("AlreadyExists", refused(core.create_namespaced_config_map, namespace, config_map("a")).status == 409)
expect("NotFound", refused(core.read_namespaced_config_map, "none", namespace).status == 404)
expect("Invalid", refused(core.create_namespaced_config_map, namespace, config_map("Bad_Name")).status == 422)
stale = made[0]
stale.data = {"k": "x"}
expect("Conflict", refused(core.replace_namespaced_config_map, "a", namespace, stale).status == 409)

labels = {"app": "web"}
apps = client.AppsV1Api()
apps.create_namespaced_deployment(namespace, client.V1Deployment(
    metadata=client.V1ObjectMeta(name="web"),
    spec=client.V1DeploymentSpec(selector=client.V1LabelSelector(match_labels=labels), template=client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i")])))))
expect("defaults are filled in", apps.read_namespaced_deployment("web", namespace).spec.strategy.type == "RollingUpdate")
expect("scale", apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 3}}).spec.replicas == 3)
expect("API groups are found", "apps" in [group.name for group in client.ApisApi().get_api_versions().groups])
expect("the version is told", client.VersionApi().get_code().major == "1")
core.delete_collection_namespaced_config_map(namespace)
expect("the collection is gone", core.list_namespaced_config_map(namespace).items == [])
print("well")
