package differential

import (
	"math/rand/v2"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Few letters, so that keys, prefixes and the ends of ranges meet; the first and the last byte there are among them.
var alphabet = []byte{0, 'a', 'b', 0xff}

const (
	streams   = 4
	leaseTTL  = 100_000 // none of these runs out by itself
	maxTxnOps = 128     // etcd's default of --max-txn-ops
)

type generator struct{ *rand.Rand }

func (g generator) chance(one, in int) bool { return g.IntN(in) < one }

// weights of the kinds; what waits (expire, restart, big) is rare, and its number is set by Generate.
var weights = []struct {
	kind   string
	weight int
}{
	{"put", 260}, {"range", 330}, {"txn", 160}, {"delete", 70}, {"watch", 45}, {"cancel", 25}, {"progress", 8}, {"close", 5},
	{"grant", 25}, {"revoke", 15}, {"ttl", 15}, {"keepalive", 10}, {"leases", 5}, {"grantauto", 2},
	{"compact", 6}, {"hashkv", 4}, {"misc", 5},
}

// Generate makes `count` operations from a seed. `slow` of each kind that takes seconds are among them.
func Generate(seed uint64, count, slow int) []*Op {
	g := generator{rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	ops := make([]*Op, 0, count)
	for range count {
		pick := g.IntN(total)
		for _, w := range weights {
			if pick -= w.weight; pick < 0 {
				ops = append(ops, g.op(w.kind))
				break
			}
		}
	}
	for i := 0; i < slow && count > 20; i++ {
		for _, kind := range []string{"expire", "restart", "big"} {
			ops[g.IntN(count)] = g.op(kind)
		}
	}
	return ops
}

func (g generator) op(kind string) *Op {
	op := &Op{Kind: kind}
	switch kind {
	case "put":
		op.Req = g.put()
	case "range":
		op.Req = g.rangeRequest()
	case "delete":
		op.Req = g.deleteRange()
	case "txn":
		op.Req = g.txn(0)
		if g.chance(1, 150) {
			op.Req = g.longTxn()
		}
	case "compact":
		op.Req = &pb.CompactionRequest{Revision: g.revisionOf(-30, 3), Physical: g.chance(1, 2)}
	case "hashkv":
		op.Req = &pb.HashKVRequest{Revision: g.revisionOf(-30, 2)}
	case "grant":
		op.Req = &pb.LeaseGrantRequest{ID: g.lease(), TTL: g.ttl()}
	case "revoke":
		op.Req = &pb.LeaseRevokeRequest{ID: g.lease()}
	case "ttl":
		op.Req = &pb.LeaseTimeToLiveRequest{ID: g.lease(), Keys: g.chance(3, 4)}
	case "keepalive":
		op.Req = &pb.LeaseKeepAliveRequest{ID: g.lease()}
	case "watch":
		op.Stream, op.Req = g.IntN(streams), g.watch()
	case "cancel":
		op.Stream, op.Req = g.IntN(streams), &pb.WatchCancelRequest{WatchId: int64(g.IntN(12)) - 1}
	case "progress", "close":
		op.Stream = g.IntN(streams)
	case "expire":
		op.Req = &pb.LeaseGrantRequest{ID: 1000 + int64(g.IntN(3)), TTL: int64(g.IntN(4)) - 1}
	case "misc", "restart", "big":
		op.N = int64(g.IntN(1 << 20))
	}
	return op
}

func (g generator) key() []byte {
	if g.chance(1, 300) {
		return nil
	}
	key := make([]byte, 1+g.IntN(3))
	for i := range key {
		key[i] = alphabet[g.IntN(len(alphabet))]
	}
	return key
}

// bounds are of one key, a prefix, from a key on, everything, or anything at all: ends before beginnings, too.
func (g generator) bounds() (key, end []byte) {
	key = g.key()
	switch g.IntN(10) {
	case 0, 1, 2:
		return key, nil
	case 3, 4, 5:
		return key, prefixEnd(key)
	case 6:
		return key, []byte{0}
	case 7:
		return []byte{0}, []byte{0}
	default:
		return key, g.key()
	}
}

func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0}
}

func (g generator) value() []byte {
	size := g.IntN(6)
	switch {
	case g.chance(1, 40):
		size = 2000 + g.IntN(2000)
	case g.chance(1, 4000):
		size = 1_600_000 // above --max-request-bytes
	}
	value := make([]byte, size)
	for i := range value {
		value[i] = alphabet[g.IntN(len(alphabet))]
	}
	return value
}

func (g generator) lease() int64 {
	switch {
	case g.chance(1, 60):
		return -1 - int64(g.IntN(2))
	case g.chance(1, 60):
		return 1<<62 + int64(g.IntN(2))
	}
	return 1 + int64(g.IntN(7))
}

func (g generator) ttl() int64 {
	switch {
	case g.chance(1, 20):
		return 9_000_000_000 + int64(g.IntN(2)) // the largest there is, and one more
	case g.chance(1, 40):
		return 1 << 62
	}
	return leaseTTL + int64(g.IntN(1000))
}

// revisionOf is near the current or the compacted revision or an odd absolute one; `low` and `high` bound the first.
func (g generator) revisionOf(low, high int64) int64 {
	switch {
	case g.chance(1, 20):
		return []int64{-1, -7, 0, 1, 2, 1 << 62}[g.IntN(6)]
	case g.chance(1, 8):
		return Compacted + int64(g.IntN(5)) - 2
	}
	return Current + low + g.Int64N(high-low+1)
}

func (g generator) put() *pb.PutRequest {
	put := &pb.PutRequest{Key: g.key(), Value: g.value(), PrevKv: g.chance(1, 3)}
	if g.chance(1, 3) {
		put.Lease = g.lease()
	}
	if g.chance(1, 12) {
		put.IgnoreValue = true
		if g.chance(9, 10) {
			put.Value = nil // with a value it is an error
		}
	}
	if g.chance(1, 12) {
		put.IgnoreLease = true
		if g.chance(9, 10) {
			put.Lease = 0
		}
	}
	return put
}

func (g generator) deleteRange() *pb.DeleteRangeRequest {
	request := &pb.DeleteRangeRequest{Key: g.key(), PrevKv: g.chance(1, 2)}
	if g.chance(1, 3) {
		request.Key, request.RangeEnd = g.bounds()
		// All at once is rare, or there would never be much to read.
		if len(request.RangeEnd) == 1 && request.RangeEnd[0] == 0 && g.chance(7, 8) {
			request.RangeEnd = nil
		}
	}
	return request
}

func (g generator) rangeRequest() *pb.RangeRequest {
	r := &pb.RangeRequest{Serializable: g.chance(1, 4)}
	r.Key, r.RangeEnd = g.bounds()
	if g.chance(2, 5) {
		r.Revision = g.revisionOf(-60, 2)
	}
	if g.chance(1, 3) {
		r.Limit = int64(g.IntN(9))
		if g.chance(1, 20) {
			r.Limit = -1
		}
	}
	r.CountOnly, r.KeysOnly = g.chance(1, 10), g.chance(1, 8)
	if g.chance(1, 3) {
		r.SortOrder, r.SortTarget = pb.RangeRequest_SortOrder(g.IntN(3)), pb.RangeRequest_SortTarget(g.IntN(5))
		if g.chance(1, 60) {
			r.SortOrder = 3
		}
		if g.chance(1, 60) {
			r.SortTarget = 5
		}
	}
	for _, bound := range []*int64{&r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision} {
		if g.chance(1, 12) {
			*bound = g.revisionOf(-60, 1)
		}
	}
	return r
}

func (g generator) compare() *pb.Compare {
	c := &pb.Compare{Key: g.key(), Result: pb.Compare_CompareResult(g.IntN(4)), Target: pb.Compare_CompareTarget(g.IntN(5))}
	if g.chance(1, 4) {
		c.Key, c.RangeEnd = g.bounds()
	}
	switch c.Target {
	case pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: int64(g.IntN(4))}
	case pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: g.zeroOr(g.revisionOf(-200, 1))}
	case pb.Compare_MOD:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: g.zeroOr(g.revisionOf(-60, 1))}
	case pb.Compare_VALUE:
		c.TargetUnion = &pb.Compare_Value{Value: g.value()}
	case pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: g.zeroOr(g.lease())}
	}
	if g.chance(1, 100) {
		c.TargetUnion = nil
	}
	return c
}

func (g generator) zeroOr(value int64) int64 {
	if g.chance(1, 3) {
		return 0
	}
	return value
}

func (g generator) txn(depth int) *pb.TxnRequest {
	txn := &pb.TxnRequest{}
	for range g.IntN(3) {
		txn.Compare = append(txn.Compare, g.compare())
	}
	txn.Success, txn.Failure = g.txnOps(depth), g.txnOps(depth)
	return txn
}

func (g generator) txnOps(depth int) (ops []*pb.RequestOp) {
	count := g.IntN(4)
	if g.chance(1, 20) {
		count += g.IntN(12)
	}
	for range count {
		op := &pb.RequestOp{}
		switch pick := g.IntN(20); {
		case pick < 7:
			put := g.put()
			// Many keys, or one of a transaction would often be there twice, which is refused.
			if g.chance(3, 4) {
				put.Key = append(put.Key, alphabet[g.IntN(4)], alphabet[g.IntN(4)], alphabet[g.IntN(4)])
			}
			op.Request = &pb.RequestOp_RequestPut{RequestPut: put}
		case pick < 14:
			op.Request = &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest()}
		case pick < 17:
			op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.deleteRange()}
		case pick < 19 && depth < 3:
			op.Request = &pb.RequestOp_RequestTxn{RequestTxn: g.txn(depth + 1)}
		case g.chance(1, 20): // an operation without a request
		default:
			continue
		}
		ops = append(ops, op)
	}
	return ops
}

// longTxn is just at, or above, the number of operations that a transaction may have.
func (g generator) longTxn() *pb.TxnRequest {
	txn := &pb.TxnRequest{}
	for i := range maxTxnOps + g.IntN(2) {
		key := append([]byte{alphabet[i%4], alphabet[i/4%4]}, byte(i))
		put := &pb.PutRequest{Key: key, Value: g.value()}
		txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
	}
	return txn
}

func (g generator) watch() *pb.WatchCreateRequest {
	w := &pb.WatchCreateRequest{PrevKv: g.chance(1, 3), Fragment: g.chance(1, 4), ProgressNotify: g.chance(1, 4)}
	w.Key, w.RangeEnd = g.bounds()
	switch pick := g.IntN(10); {
	case pick < 3:
	case pick < 8:
		w.StartRevision = g.revisionOf(-80, 0)
	case pick < 9:
		w.StartRevision = g.revisionOf(0, 25)
	default:
		w.StartRevision = Compacted + int64(g.IntN(4)) - 1
	}
	if w.StartRevision > 1<<60 {
		w.StartRevision = Current + 1
	}
	for _, filter := range []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE} {
		if g.chance(1, 10) {
			w.Filters = append(w.Filters, filter)
		}
	}
	if g.chance(2, 3) {
		w.WatchId = int64(1 + g.IntN(8))
		if g.chance(1, 100) {
			w.WatchId = -1 - int64(g.IntN(3))
		}
	}
	return w
}
