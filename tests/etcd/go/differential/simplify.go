package differential

import (
	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// simpler yields requests that ask for a little less than this one does.
func simpler(req proto.Message) (all []proto.Message) {
	switch r := req.(type) {
	case *pb.TxnRequest:
		for _, txn := range simplerTxn(r) {
			all = append(all, txn)
		}
	case *pb.RangeRequest:
		for _, change := range []func(*pb.RangeRequest){
			func(r *pb.RangeRequest) { r.RangeEnd = nil }, func(r *pb.RangeRequest) { r.Limit = 0 }, func(r *pb.RangeRequest) { r.Revision = 0 },
			func(r *pb.RangeRequest) { r.SortOrder = 0 }, func(r *pb.RangeRequest) { r.SortTarget = 0 },
			func(r *pb.RangeRequest) { r.Serializable = false }, func(r *pb.RangeRequest) { r.KeysOnly = false },
			func(r *pb.RangeRequest) { r.CountOnly = false }, func(r *pb.RangeRequest) { r.MinModRevision = 0 },
			func(r *pb.RangeRequest) { r.MaxModRevision = 0 }, func(r *pb.RangeRequest) { r.MinCreateRevision = 0 },
			func(r *pb.RangeRequest) { r.MaxCreateRevision = 0 },
		} {
			all = append(all, changed(r, change))
		}
	case *pb.PutRequest:
		for _, change := range []func(*pb.PutRequest){
			func(r *pb.PutRequest) { r.Value = nil }, func(r *pb.PutRequest) { r.Lease = 0 }, func(r *pb.PutRequest) { r.PrevKv = false },
			func(r *pb.PutRequest) { r.IgnoreLease = false }, func(r *pb.PutRequest) { r.IgnoreValue = false },
		} {
			all = append(all, changed(r, change))
		}
	case *pb.DeleteRangeRequest:
		all = append(all, changed(r, func(r *pb.DeleteRangeRequest) { r.PrevKv = false }),
			changed(r, func(r *pb.DeleteRangeRequest) { r.RangeEnd = nil }))
	case *pb.WatchCreateRequest:
		for _, change := range []func(*pb.WatchCreateRequest){
			func(r *pb.WatchCreateRequest) { r.Filters = nil }, func(r *pb.WatchCreateRequest) { r.PrevKv = false },
			func(r *pb.WatchCreateRequest) { r.ProgressNotify = false }, func(r *pb.WatchCreateRequest) { r.Fragment = false },
			func(r *pb.WatchCreateRequest) { r.RangeEnd = nil },
		} {
			all = append(all, changed(r, change))
		}
	}
	return all
}

// changed is a copy with one change; nil if that changes nothing.
func changed[Request proto.Message](r Request, change func(Request)) proto.Message {
	next := proto.Clone(r).(Request)
	change(next)
	if proto.Equal(next, r) {
		return nil
	}
	return next
}

func simplerTxn(r *pb.TxnRequest) (all []*pb.TxnRequest) {
	for i := range r.Compare {
		next := proto.Clone(r).(*pb.TxnRequest)
		next.Compare = append(next.Compare[:i], next.Compare[i+1:]...)
		all = append(all, next)
	}
	for _, list := range []func(*pb.TxnRequest) *[]*pb.RequestOp{
		func(t *pb.TxnRequest) *[]*pb.RequestOp { return &t.Success }, func(t *pb.TxnRequest) *[]*pb.RequestOp { return &t.Failure },
	} {
		for i, op := range *list(r) {
			next := proto.Clone(r).(*pb.TxnRequest)
			*list(next) = append((*list(next))[:i], (*list(next))[i+1:]...)
			all = append(all, next)
			for _, inner := range simplerOp(op) {
				next := proto.Clone(r).(*pb.TxnRequest)
				(*list(next))[i] = inner
				all = append(all, next)
			}
		}
	}
	return all
}

func simplerOp(op *pb.RequestOp) (all []*pb.RequestOp) {
	wrap := func(req proto.Message) {
		switch r := req.(type) {
		case *pb.TxnRequest:
			all = append(all, &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: r}})
		case *pb.RangeRequest:
			all = append(all, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}})
		case *pb.PutRequest:
			all = append(all, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}})
		case *pb.DeleteRangeRequest:
			all = append(all, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}})
		}
	}
	var inner proto.Message
	switch r := op.Request.(type) {
	case *pb.RequestOp_RequestTxn:
		inner = r.RequestTxn
	case *pb.RequestOp_RequestRange:
		inner = r.RequestRange
	case *pb.RequestOp_RequestPut:
		inner = r.RequestPut
	case *pb.RequestOp_RequestDeleteRange:
		inner = r.RequestDeleteRange
	default:
		return nil
	}
	for _, req := range simpler(inner) {
		if req != nil {
			wrap(req)
		}
	}
	return all
}
