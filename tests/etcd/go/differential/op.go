// Package differential runs one random sequence of operations on two etcd v3 servers and compares all that they answer.
package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Op is one operation. Revisions in the request may be relative (see Current), so that an operation still means something
// after others were taken out of the sequence.
type Op struct {
	Kind   string
	Stream int
	N      int64
	Req    proto.Message
}

// What Req is, for each kind that is a single request; the other kinds have none.
var requests = map[string]func() proto.Message{
	"range":     func() proto.Message { return &pb.RangeRequest{} },
	"put":       func() proto.Message { return &pb.PutRequest{} },
	"delete":    func() proto.Message { return &pb.DeleteRangeRequest{} },
	"txn":       func() proto.Message { return &pb.TxnRequest{} },
	"compact":   func() proto.Message { return &pb.CompactionRequest{} },
	"grant":     func() proto.Message { return &pb.LeaseGrantRequest{} },
	"revoke":    func() proto.Message { return &pb.LeaseRevokeRequest{} },
	"ttl":       func() proto.Message { return &pb.LeaseTimeToLiveRequest{} },
	"keepalive": func() proto.Message { return &pb.LeaseKeepAliveRequest{} },
	"hashkv":    func() proto.Message { return &pb.HashKVRequest{} },
	"watch":     func() proto.Message { return &pb.WatchCreateRequest{} },
	"cancel":    func() proto.Message { return &pb.WatchCancelRequest{} },
	// Puts and a lease that runs out: the request is the grant.
	"expire": func() proto.Message { return &pb.LeaseGrantRequest{} },
}

// Current + d and Compacted + d stand for "d after the current (compacted) revision"; d is within ±relativeReach.
const (
	Current       = int64(1) << 40
	Compacted     = int64(1) << 41
	relativeReach = int64(1) << 30
)

func resolve(value, current, compacted int64) int64 {
	for _, base := range [][2]int64{{Current, current}, {Compacted, compacted}} {
		if value > base[0]-relativeReach && value < base[0]+relativeReach {
			return max(base[1]+value-base[0], 1) // what is odd is asked for by absolute revisions
		}
	}
	return value
}

// resolved is a copy of the request with all its revisions made absolute.
func resolved(req proto.Message, current, compacted int64) proto.Message {
	req = proto.Clone(req)
	at := func(value *int64) { *value = resolve(*value, current, compacted) }
	switch r := req.(type) {
	case *pb.RangeRequest:
		resolveRange(r, at)
	case *pb.TxnRequest:
		resolveTxn(r, at)
	case *pb.CompactionRequest:
		at(&r.Revision)
	case *pb.HashKVRequest:
		at(&r.Revision)
	case *pb.WatchCreateRequest:
		at(&r.StartRevision)
	}
	return req
}

func resolveRange(r *pb.RangeRequest, at func(*int64)) {
	for _, value := range []*int64{&r.Revision, &r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision} {
		at(value)
	}
}

func resolveTxn(r *pb.TxnRequest, at func(*int64)) {
	for _, compare := range r.Compare {
		switch target := compare.TargetUnion.(type) {
		case *pb.Compare_CreateRevision:
			at(&target.CreateRevision)
		case *pb.Compare_ModRevision:
			at(&target.ModRevision)
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			switch request := op.Request.(type) {
			case *pb.RequestOp_RequestRange:
				resolveRange(request.RequestRange, at)
			case *pb.RequestOp_RequestTxn:
				resolveTxn(request.RequestTxn, at)
			}
		}
	}
}

func (op *Op) String() string { return op.text(op.Req) }

func (op *Op) text(req proto.Message) string {
	words := []string{op.Kind}
	if op.Kind == "watch" || op.Kind == "cancel" || op.Kind == "progress" || op.Kind == "close" {
		words = append(words, fmt.Sprintf("stream=%d", op.Stream))
	}
	if op.N != 0 {
		words = append(words, fmt.Sprintf("n=%d", op.N))
	}
	if req != nil {
		words = append(words, shorten(req.String()))
	}
	return strings.Join(words, " ")
}

func shorten(text string) string {
	if len(text) > 2000 {
		return fmt.Sprintf("%s…(%d bytes)…%s", text[:1200], len(text), text[len(text)-400:])
	}
	return text
}

type storedOp struct {
	Kind    string `json:"kind"`
	Stream  int    `json:"stream,omitempty"`
	N       int64  `json:"n,omitempty"`
	Request []byte `json:"request,omitempty"`
	Text    string `json:"text"`
}

// Save writes one operation a line; Load reads them.
func Save(path string, ops []*Op) error {
	var out bytes.Buffer
	for _, op := range ops {
		stored := storedOp{Kind: op.Kind, Stream: op.Stream, N: op.N, Text: op.String()}
		if op.Req != nil {
			var err error
			if stored.Request, err = proto.Marshal(op.Req); err != nil {
				return err
			}
		}
		line, err := json.Marshal(stored)
		if err != nil {
			return err
		}
		out.Write(append(line, '\n'))
	}
	return os.WriteFile(path, out.Bytes(), 0o600)
}

func Load(path string) ([]*Op, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var ops []*Op
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var stored storedOp
		if err := json.Unmarshal(line, &stored); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		op := &Op{Kind: stored.Kind, Stream: stored.Stream, N: stored.N}
		if make := requests[stored.Kind]; make != nil {
			op.Req = make()
			if err := proto.Unmarshal(stored.Request, op.Req); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		ops = append(ops, op)
	}
	return ops, nil
}
