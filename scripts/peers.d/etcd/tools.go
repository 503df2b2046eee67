//go:build tools

// Package peers names what scripts/peers builds, so that go.mod and go.sum hold all it needs.
package peers

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
