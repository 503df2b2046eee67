// client-go against a running api-server of ours, which $KUBECONFIG names: what every Go program of the ecosystem does.
package clients

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
)

const limit = 30 * time.Second

func config(t *testing.T, contentType string) *rest.Config {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Skip("KUBECONFIG names no cluster")
	}
	c, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	c.ContentType = contentType
	c.QPS = -1 // no waiting on this side
	return c
}

// A namespace of the test's own.
func namespace(t *testing.T, ctx context.Context, c kubernetes.Interface) string {
	t.Helper()
	made, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "client-go-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made.Name
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Data: map[string]string{"k": "v"}}
}

func TestCreateListWatch(t *testing.T) {
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(contentType, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			c := kubernetes.NewForConfigOrDie(config(t, contentType))
			maps := c.CoreV1().ConfigMaps(namespace(t, ctx, c))
			list, err := maps.List(ctx, metav1.ListOptions{})
			if err != nil || len(list.Items) != 0 {
				t.Fatalf("%d items, %v", len(list.Items), err)
			}
			w, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, AllowWatchBookmarks: true})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			for i := range 7 {
				if _, err := maps.Create(ctx, configMap(fmt.Sprintf("m%d", i)), metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := maps.Create(ctx, configMap("m0"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Errorf("not AlreadyExists: %v", err)
			}
			if _, err := maps.Get(ctx, "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("not NotFound: %v", err)
			}
			if _, err := maps.Create(ctx, configMap("Bad_Name"), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
				t.Errorf("not Invalid: %v", err)
			}
			if _, err := maps.Patch(ctx, "m0", types.StrategicMergePatchType, []byte(`{"data":{"k":"w"}}`), metav1.PatchOptions{}); err != nil {
				t.Error(err)
			}
			if err := maps.Delete(ctx, "m1", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
			want := []watch.EventType{watch.Added, watch.Added, watch.Added, watch.Added, watch.Added, watch.Added, watch.Added, watch.Modified, watch.Deleted}
			for i, kind := range want {
				select {
				case event := <-w.ResultChan():
					if event.Type != kind {
						t.Fatalf("event %d is %s, not %s", i, event.Type, kind)
					}
				case <-ctx.Done():
					t.Fatalf("event %d did not come", i)
				}
			}
			pages := 0
			var names []string
			p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				pages++
				return maps.List(ctx, options)
			})
			p.PageSize = 2
			if err := p.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
				names = append(names, o.(*corev1.ConfigMap).Name)
				return nil
			}); err != nil || len(names) != 6 || pages != 3 {
				t.Errorf("%v in %d pages, %v", names, pages, err)
			}
			if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app in (m2,m3)"}); err != nil {
				t.Error(err)
			}
			if list, err = maps.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 4 {
				t.Errorf("%d items are left, %v", len(list.Items), err)
			}
		})
	}
}

func TestConflictIsRetried(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := kubernetes.NewForConfigOrDie(config(t, runtime.ContentTypeProtobuf))
	maps := c.CoreV1().ConfigMaps(namespace(t, ctx, c))
	old, err := maps.Create(ctx, configMap("a"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Patch(ctx, "a", types.MergePatchType, []byte(`{"data":{"n":"1"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	tries := 0
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		object := old
		if tries++; tries > 1 {
			if object, err = maps.Get(ctx, "a", metav1.GetOptions{}); err != nil {
				return err
			}
		}
		object.Data["k"] = "new"
		_, err := maps.Update(ctx, object, metav1.UpdateOptions{})
		return err
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestInformersFollow(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := kubernetes.NewForConfigOrDie(config(t, runtime.ContentTypeProtobuf))
	ns := namespace(t, ctx, c)
	maps := c.CoreV1().ConfigMaps(ns)
	if _, err := maps.Create(ctx, configMap("first"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c, 0, informers.WithNamespace(ns))
	informer := factory.Core().V1().ConfigMaps()
	heard := make(chan string, 100)
	informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { heard <- "+" + o.(*corev1.ConfigMap).Name },
		UpdateFunc: func(_, o any) { heard <- "~" + o.(*corev1.ConfigMap).Name },
		DeleteFunc: func(o any) { heard <- "-" + o.(*corev1.ConfigMap).Name },
	})
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			t.Fatalf("%v did not sync", kind)
		}
	}
	if _, err := maps.Create(ctx, configMap("second"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Patch(ctx, "second", types.MergePatchType, []byte(`{"data":{"n":"1"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(ctx, "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"+first", "+second", "~second", "-first"} {
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("%s, not %s", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("%s was not heard of", want)
		}
	}
	if _, err := informer.Lister().ConfigMaps(ns).Get("second"); err != nil {
		t.Error(err)
	}
}

func TestDynamicClientAndDiscovery(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := kubernetes.NewForConfigOrDie(config(t, ""))
	ns := namespace(t, ctx, c)
	_, lists, err := c.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			served[list.GroupVersion+"/"+resource.Name] = true
		}
	}
	for _, name := range []string{"v1/pods", "v1/pods/binding", "apps/v1/deployments/scale", "coordination.k8s.io/v1/leases"} {
		if !served[name] {
			t.Errorf("%s is not in discovery", name)
		}
	}
	deployments := dynamic.NewForConfigOrDie(config(t, "")).Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(ns)
	labels := map[string]any{"app": "web"}
	made, err := deployments.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web"},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": "i"}}},
			},
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if replicas, found, _ := unstructured.NestedInt64(made.Object, "spec", "replicas"); !found || replicas != 1 {
		t.Errorf("spec.replicas is not defaulted: %v", made.Object["spec"])
	}
}

func TestLeaderElection(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := kubernetes.NewForConfigOrDie(config(t, runtime.ContentTypeProtobuf))
	ns := namespace(t, ctx, c)
	leads := make(chan string, 2)
	candidate := func(ctx context.Context, identity string) <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
				Lock: &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: ns, Name: "lock"}, Client: c.CoordinationV1(),
					LockConfig: resourcelock.ResourceLockConfig{Identity: identity}},
				LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
				Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { leads <- identity }, OnStoppedLeading: func() {}},
			})
		}()
		return done
	}
	first, stop := context.WithCancel(ctx)
	ended := candidate(first, "first")
	if who := <-leads; who != "first" {
		t.Fatal(who)
	}
	candidate(ctx, "second")
	// Not while it renews: an update that is cancelled under way may still happen, and then the release is a conflict.
	for renewed := false; !renewed; {
		lease, err := c.CoordinationV1().Leases(ns).Get(ctx, "lock", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		renewed = lease.Spec.RenewTime.After(lease.Spec.AcquireTime.Time)
	}
	stop()
	<-ended
	select {
	case who := <-leads:
		if who != "second" {
			t.Error(who)
		}
	case <-ctx.Done():
		t.Error("the second candidate does not lead")
	}
}
