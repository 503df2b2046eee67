package differential

import (
	"bytes"
	"sort"
	"strings"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// checkRange sees that a sorted answer is sorted, and brings what compares as equal into one order: etcd's is that of an
// unstable sort. Of those that a limit cuts into, any may be there.
func (s *Side) checkRange(r *pb.RangeRequest, answer *pb.RangeResponse) {
	if r.SortTarget == pb.RangeRequest_KEY || answer == nil {
		return // keys are unique: one order only
	}
	kvs := answer.Kvs
	order := func(a, b *mvccpb.KeyValue) int {
		if r.SortOrder == pb.RangeRequest_DESCEND {
			a, b = b, a
		}
		return compareBy(r.SortTarget, a, b)
	}
	for i := 1; i < len(kvs); i++ {
		// keys_only takes the values away after the sort.
		if order(kvs[i-1], kvs[i]) > 0 && !(r.KeysOnly && r.SortTarget == pb.RangeRequest_VALUE) {
			s.problem("%s: not sorted at %d: %s", r, i, answer)
			return
		}
	}
	if r.KeysOnly && r.SortTarget == pb.RangeRequest_VALUE {
		// The groups cannot be told: what is there is compared, if all is there.
		if answer.More {
			answer.Kvs = nil
		}
		sort.Slice(answer.Kvs, func(i, j int) bool { return bytes.Compare(kvs[i].Key, kvs[j].Key) < 0 })
		return
	}
	sort.SliceStable(kvs, func(i, j int) bool {
		if c := order(kvs[i], kvs[j]); c != 0 {
			return c < 0
		}
		return bytes.Compare(kvs[i].Key, kvs[j].Key) < 0
	})
	if answer.More && len(kvs) > 0 {
		last := kvs[len(kvs)-1]
		for i := len(kvs) - 1; i >= 0 && order(kvs[i], last) == 0; i-- {
			kvs[i] = sortedBy(r.SortTarget, kvs[i])
		}
	}
}

func compareBy(target pb.RangeRequest_SortTarget, a, b *mvccpb.KeyValue) int {
	switch target {
	case pb.RangeRequest_VERSION:
		return int(a.Version - b.Version)
	case pb.RangeRequest_CREATE:
		return int(a.CreateRevision - b.CreateRevision)
	case pb.RangeRequest_MOD:
		return int(a.ModRevision - b.ModRevision)
	case pb.RangeRequest_VALUE:
		return bytes.Compare(a.Value, b.Value)
	}
	return bytes.Compare(a.Key, b.Key)
}

func sortedBy(target pb.RangeRequest_SortTarget, kv *mvccpb.KeyValue) *mvccpb.KeyValue {
	switch target {
	case pb.RangeRequest_VERSION:
		return &mvccpb.KeyValue{Version: kv.Version}
	case pb.RangeRequest_CREATE:
		return &mvccpb.KeyValue{CreateRevision: kv.CreateRevision}
	case pb.RangeRequest_MOD:
		return &mvccpb.KeyValue{ModRevision: kv.ModRevision}
	}
	return &mvccpb.KeyValue{Value: kv.Value}
}

// checkTxn does the same to every range within a transaction's answer.
func (s *Side) checkTxn(r *pb.TxnRequest, answer *pb.TxnResponse) {
	ops := r.Failure
	if answer.Succeeded {
		ops = r.Success
	}
	if len(ops) != len(answer.Responses) {
		s.problem("%s: %d operations, %d responses", shorten(r.String()), len(ops), len(answer.Responses))
		return
	}
	for i, op := range ops {
		switch request := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			s.checkRange(request.RequestRange, answer.Responses[i].GetResponseRange())
		case *pb.RequestOp_RequestTxn:
			if nested := answer.Responses[i].GetResponseTxn(); nested != nil {
				s.checkTxn(request.RequestTxn, nested)
			}
		}
	}
}

func same(a, b Result, tolerant bool) bool {
	if a.err != b.err || a.note != b.note || len(a.messages) != len(b.messages) {
		return false
	}
	if apart := a.seconds - b.seconds; !tolerant && (apart > softSeconds || apart < -softSeconds) {
		return false
	}
	for i := range a.messages {
		if !sameMessage(a.messages[i], b.messages[i]) {
			return false
		}
	}
	return true
}

func sameMessage(a, b proto.Message) bool {
	one, errOne := proto.Marshal(a)
	two, errTwo := proto.Marshal(b)
	return errOne == nil && errTwo == nil && bytes.Equal(one, two)
}

func dropHash(r Result) {
	for _, message := range r.messages {
		if answer, is := message.(*pb.HashKVResponse); is {
			answer.Hash = 0
		}
	}
}

// etcd remembers the hashes that it took while it compacted, the last ten, and answers from there, as things were before; who
// computes them anew finds the revision compacted. This is the one difference that is let pass.
func isRemembered(a, b Result) bool {
	one, two := hashOf(a), hashOf(b)
	if one == nil {
		return false
	}
	if two == nil {
		return strings.Contains(b.String(), "has been compacted") && one.HashRevision > one.CompactRevision
	}
	return one.HashRevision == two.HashRevision && two.HashRevision == two.CompactRevision && one.CompactRevision < two.CompactRevision
}

func hashOf(r Result) *pb.HashKVResponse {
	for _, message := range r.messages {
		if answer, is := message.(*pb.HashKVResponse); is {
			return answer
		}
	}
	return nil
}
