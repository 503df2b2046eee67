// controller-runtime's envtest starts our api-server where it would start a kube-apiserver, and a manager of its own runs on
// it: with a store of its own ($API_SERVER is the binary), and with rhino as its etcd ($RHINO).
package clients

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const listenFlag = "--listen-client-urls="

// envtest always starts an etcd beside the api-server and waits for its /health. Ours keeps its store itself, so this test
// program, started under the name of etcd, is all that has to answer.
func TestMain(m *testing.M) {
	if os.Getenv("ENVTEST_STAND_IN") == "etcd" {
		for _, word := range os.Args[1:] {
			if strings.HasPrefix(word, listenFlag) {
				standIn(strings.TrimPrefix(word, listenFlag))
			}
		}
		os.Exit(0) // envtest also asks for --help
	}
	os.Exit(m.Run())
}

func standIn(address string) {
	at, err := url.Parse(address)
	if err != nil {
		os.Exit(2)
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	go func() { _ = http.ListenAndServe(at.Host, nil); os.Exit(1) }()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	os.Exit(0)
}

// Copies data["from"] to data["to"].
type copier struct{ client.Client }

func (c copier) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object corev1.ConfigMap
	if err := c.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.Data["from"] == object.Data["to"] {
		return ctrl.Result{}, nil
	}
	object.Data["to"] = object.Data["from"]
	return ctrl.Result{}, c.Update(ctx, &object)
}

func TestEnvtestRunsOnOurAPIServer(t *testing.T) {
	binary := os.Getenv("API_SERVER")
	if binary == "" {
		t.Skip("API_SERVER names no binary")
	}
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ENVTEST_STAND_IN", "etcd")
	environment := &envtest.Environment{}
	environment.ControlPlane.Etcd = &envtest.Etcd{Path: self}
	server := environment.ControlPlane.GetAPIServer()
	server.Path = binary
	server.Out, server.Err = os.Stderr, os.Stderr
	server.Configure().Disable("etcd-servers").Set("data-dir", t.TempDir())
	runAManager(t, environment)
}

// Nothing is told to envtest but where its binaries are.
func TestEnvtestRunsOnRhinoAndOurAPIServer(t *testing.T) {
	server, store := os.Getenv("API_SERVER"), os.Getenv("RHINO")
	if server == "" || store == "" {
		t.Skip("API_SERVER or RHINO names no binary")
	}
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	for _, variable := range os.Environ() { // these would come before what is set here
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "TEST_ASSET_") || name == "KUBEBUILDER_ASSETS" {
			t.Setenv(name, "") // so that it is as before when the test ends
			os.Unsetenv(name)
		}
	}
	assets := t.TempDir()
	for name, binary := range map[string]string{"kube-apiserver": server, "etcd": store, "kubectl": "/nonexistent"} {
		absolute, err := filepath.Abs(binary)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(absolute, filepath.Join(assets, name)); err != nil {
			t.Fatal(err)
		}
	}
	environment := &envtest.Environment{BinaryAssetsDirectory: assets, AttachControlPlaneOutput: true}
	runAManager(t, environment)
	if used := environment.ControlPlane.Etcd.Path; used != filepath.Join(assets, "etcd") {
		t.Errorf("the etcd was %s", used)
	}
}

func runAManager(t *testing.T, environment *envtest.Environment) {
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("the servers did not stop in order: %v", err)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()

	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme.Scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionID: "copier", LeaderElectionNamespace: "default", LeaderElectionReleaseOnCancel: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Complete(copier{manager.GetClient()}); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()

	direct, err := client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKey{Namespace: "default", Name: "copied"}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: map[string]string{"from": "x"}}
	if err := direct.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	w, err := direct.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace("default"), client.MatchingFields{"metadata.name": key.Name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for copied := false; !copied; {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				t.Fatal("the watch ended before the controller acted")
			}
			got, is := event.Object.(*corev1.ConfigMap)
			copied = is && got.Data["to"] == "x"
		case <-ctx.Done():
			t.Fatal("the controller did nothing")
		}
	}
	other, err := environment.AddUser(envtest.User{Name: "somebody"}, config)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := client.New(other.Config(), client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Get(ctx, key, object); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights reads: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
