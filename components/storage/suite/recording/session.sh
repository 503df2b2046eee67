# What the recorded kube-apiserver was asked to do. Sourced by record, which defines k (kubectl) and refused.

manifests() { # NAMESPACE
  cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: $1, labels: {app: bare}}
spec:
  containers: [{name: c, image: "example.invalid/c:1", resources: {requests: {cpu: 10m}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: $1}
stringData: {a: b}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: $1}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: lock, namespace: $1}
spec: {holderIdentity: one, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.000000Z"}
Y
}

deployment() { # NAMESPACE REPLICAS
  cat <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: $1}
spec:
  replicas: $2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "example.invalid/c:1"}]}
Y
}

crd() {
  cat <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
          status: {type: object, properties: {ready: {type: boolean}}}
Y
}
widget() { # NAME SIZE
  printf 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: %s, namespace: one}\nspec: {size: %s}\n' "$1" "$2"
}
event() { # NAME
  printf 'apiVersion: v1\nkind: Event\nmetadata: {name: %s, namespace: one}\ninvolvedObject: {kind: Pod, name: bare, namespace: one}\nreason: R\nmessage: m\ntype: Normal\ncount: 1\nfirstTimestamp: "2026-01-01T00:00:00Z"\nlastTimestamp: "2026-01-01T00:00:00Z"\nsource: {component: c}\n' "$1"
}
version_of() { k get "$@" -o 'jsonpath={.metadata.resourceVersion}'; }
pages() { # PATH LIMIT: every page of a list
  local next= page
  while :; do
    page=$(k get --raw "$1?limit=$2&continue=$next")
    next=$(python3 -c 'import json,sys,urllib.parse; print(urllib.parse.quote(json.loads(sys.argv[1])["metadata"].get("continue","")))' "$page")
    [ -n "$next" ] || return 0
  done
}

session() {
  for n in one two; do k create namespace $n; done
  k get --raw '/api/v1/configmaps?watch=1&timeoutSeconds=6' >/dev/null &
  local watching=$!
  for n in one two; do manifests $n | k create -f -; deployment $n 2 | k create -f -; done
  refused k create namespace one
  for i in $(seq 1 12); do k create configmap "map$i" -n one --from-literal=n="$i" >/dev/null; done
  pages /api/v1/namespaces/one/configmaps 5
  pages /api/v1/configmaps 3
  k get pods,deployments,secrets,leases,services -A >/dev/null
  old=$(version_of configmap map1 -n one)
  k patch configmap map1 -n one -p '{"data":{"n":"patched"}}'
  k patch deployment web -n one --type=json -p '[{"op":"replace","path":"/spec/replicas","value":3}]'
  k scale deployment web -n one --replicas=1
  k label pod bare -n one tier=x
  k annotate configmap map2 map3 -n one note=1
  deployment one 5 | k apply --server-side --force-conflicts -f -
  k create configmap dry -n one --dry-run=server --from-literal=a=b
  # Conflicts: an old resourceVersion, and four writers of one object.
  k get configmap map4 -n one -o json >map4.json
  k annotate configmap map4 -n one note=2
  refused k replace -f map4.json
  for w in 1 2 3 4; do (for i in 1 2 3 4; do k annotate --overwrite configmap map5 -n one "w$w=$i" >/dev/null; done) & writers[w]=$!; done
  wait "${writers[@]}"
  for i in 1 2 3; do k patch lease lock -n one --type=merge -p "{\"spec\":{\"renewTime\":\"2026-01-01T00:00:0$i.000000Z\"}}"; done
  k patch pod bare -n one --subresource=status -p '{"status":{"phase":"Running"}}'
  crd | k create -f -
  k wait --for=condition=Established crd/widgets.example.com --timeout=30s
  for i in 1 2 3 4; do widget "w$i" "$i" | k create -f -; done
  widget w1 10 | k apply -f -
  k patch widget w2 -n one --type=merge -p '{"spec":{"size":20}}'
  k get widgets -A >/dev/null
  pages /apis/example.com/v1/widgets 2
  refused k create -f <(widget w1 1)
  for i in 1 2 3; do event "e$i" | k create -f -; done
  k get events -n one >/dev/null
  k delete configmap map6 -n one
  k delete configmap --all -n two
  k delete --raw "/api/v1/namespaces/one/secrets" >/dev/null
  k delete pod bare -n one --grace-period=0 --force
  k delete pod bare -n two --grace-period=30 --wait=false
  k delete namespace two --wait=false
  k get namespace two -o json | python3 -c 'import json,sys; o=json.load(sys.stdin); o["spec"]["finalizers"]=[]; print(json.dumps(o))' >two.json
  k replace --raw /api/v1/namespaces/two/finalize -f two.json >/dev/null
  k delete crd widgets.example.com --wait=false
  wait $watching
}

# The events' time ends, and kube-apiserver compacts. What it still remembers itself it answers from there; the store's
# refusals are session_without_cache's.
compactions() {
  local page
  page=$(k get --raw '/api/v1/namespaces/one/configmaps?limit=2')
  next=$(python3 -c 'import json,sys,urllib.parse; print(urllib.parse.quote(json.loads(sys.argv[1])["metadata"]["continue"]))' "$page")
  for i in $(seq 1 5); do
    k annotate --overwrite configmap map1 -n one round="$i"
    sleep 4
  done
  k get --raw "/api/v1/namespaces/one/configmaps?limit=2&continue=$next" >/dev/null || true
  k get --raw "/api/v1/namespaces/one/configmaps?resourceVersion=$old&resourceVersionMatch=Exact" >/dev/null || true
  [ "$(k get events -n one -o name | wc -l)" = 0 ] || { echo "events outlived their time" >&2; exit 1; }
}

session_without_cache() {
  local now watching
  now=$(k get --raw /api/v1/configmaps | python3 -c 'import json,sys; print(json.load(sys.stdin)["metadata"]["resourceVersion"])')
  k get --raw "/api/v1/namespaces/one/configmaps?watch=1&timeoutSeconds=5&resourceVersion=$now" >/dev/null &
  watching=$!
  k get --raw "/api/v1/configmaps?watch=1&timeoutSeconds=5" >/dev/null &
  watching="$watching $!"
  for i in 1 2 3; do
    k annotate --overwrite configmap map7 -n one last="$i"
    k create configmap "late$i" -n one
  done
  k delete configmap late2 -n one
  pages /api/v1/namespaces/one/configmaps 4
  k get --raw "/api/v1/namespaces/one/configmaps?resourceVersion=$now&resourceVersionMatch=Exact" >/dev/null
  k get --raw "/api/v1/namespaces/one/configmaps?resourceVersion=$now&resourceVersionMatch=Exact&limit=3" >/dev/null
  k get --raw "/api/v1/namespaces/one/configmaps/map7?resourceVersion=$now" >/dev/null
  # From before the compaction, a page begun before it too, and from the past that is left.
  refused k get --raw "/api/v1/namespaces/one/configmaps?limit=2&continue=$next"
  refused k get --raw "/api/v1/namespaces/one/configmaps?resourceVersion=$old&resourceVersionMatch=Exact"
  k get --raw "/api/v1/namespaces/one/configmaps?watch=1&timeoutSeconds=1&resourceVersion=$old" >/dev/null || true
  k get --raw "/api/v1/namespaces/one/configmaps?watch=1&timeoutSeconds=1&resourceVersion=$now" >/dev/null
  k delete configmap --all -n one
  k get all,configmaps,secrets,leases -A >/dev/null
  # shellcheck disable=SC2086
  wait $watching
}
