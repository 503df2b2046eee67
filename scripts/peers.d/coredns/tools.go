//go:build tools

// Package peers names what scripts/peers builds, so that go.mod and go.sum hold all it needs.
package peers

import _ "github.com/coredns/coredns"
