// Package linearizability lets clients work on few keys while the servers are killed, and checks with Porcupine that what they
// saw can have been one store.
package linearizability

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

const keyCount = 6

// entry is one key's value; values are numbers that no other write has, 0 is none.
type entry struct{ value, create, mod, version int64 }

// state is all there is in a store; it can be compared with ==.
type state struct {
	revision int64
	keys     [keyCount]entry
}

// action is one operation of a transaction; a plain request is a transaction of one.
type action struct {
	Kind  string // put, get, all, delete, deleteAll
	Key   int
	Value int64
}

// Request is what a client asks: the actions of Then if Compare holds (or is not there), those of Else if not.
type Request struct {
	Plain   bool // not sent as a transaction
	Compare bool
	Key     int
	Mod     int64 // the mod_revision that Key must have; 0 is "is not there"
	Then    []action
	Else    []action
}

// Response is what came back. Of an unknown one nothing is known, or only the revision that the log gives to its writes.
type Response struct {
	Unknown   bool
	Applied   int64
	Revision  int64
	Succeeded bool
	Results   []result
}

type result struct {
	Count  int64
	Values []pair
}

type pair struct {
	Key int
	entry
}

func (s *state) apply(r *Request) (next state, succeeded bool, results []result) {
	next = *s
	succeeded = !r.Compare || s.keys[r.Key].mod == r.Mod
	actions := r.Else
	if succeeded {
		actions = r.Then
	}
	changed := false
	for _, a := range actions {
		var got result
		first, last := a.Key, a.Key+1
		if a.Kind == "all" || a.Kind == "deleteAll" {
			first, last = 0, keyCount
		}
		for key := first; key < last; key++ {
			held := next.keys[key]
			if held.value != 0 {
				got.Values = append(got.Values, pair{key, held})
			}
			switch a.Kind {
			case "put":
				entry := entry{a.Value, held.create, s.revision + 1, held.version + 1}
				if held.value == 0 {
					entry.create = s.revision + 1
				}
				next.keys[key], changed = entry, true
			case "delete", "deleteAll":
				if held.value != 0 {
					next.keys[key], changed = entry{}, true
				}
			}
		}
		got.Count = int64(len(got.Values))
		results = append(results, got)
	}
	if changed {
		next.revision++
	}
	return next, succeeded, results
}

func step(before, input, output any) (bool, any) {
	s, request, response := before.(state), input.(*Request), output.(*Response)
	next, succeeded, results := s.apply(request)
	if response.Unknown {
		if response.Applied != 0 {
			return next.revision == response.Applied && s.revision != next.revision, next
		}
		return true, next
	}
	if response.Revision != next.revision || response.Succeeded != succeeded || len(response.Results) != len(results) {
		return false, next
	}
	for i, got := range response.Results {
		if got.Count != results[i].Count || len(got.Values) != len(results[i].Values) {
			return false, next
		}
		for k := range got.Values {
			if got.Values[k] != results[i].Values[k] {
				return false, next
			}
		}
	}
	return true, next
}

var model = porcupine.Model{
	Init: func() any { return state{revision: 1} },
	Step: step,
	Hash: func(s any) uint64 {
		held := s.(state)
		hash := uint64(held.revision)
		for _, key := range held.keys {
			hash = hash*1000003 + uint64(key.value)
		}
		return hash
	},
	DescribeOperation: func(input, output any) string {
		return input.(*Request).String() + " → " + output.(*Response).String()
	},
	DescribeState: func(s any) string {
		held := s.(state)
		return fmt.Sprintf("revision %d: %v", held.revision, held.keys)
	},
}

func (r *Request) String() string {
	var words []string
	if r.Compare {
		words = append(words, fmt.Sprintf("if mod(%s)==%d", keyName(r.Key), r.Mod))
	}
	for i, actions := range [][]action{r.Then, r.Else} {
		if i == 1 && len(actions) > 0 {
			words = append(words, "else")
		}
		for _, a := range actions {
			words = append(words, fmt.Sprintf("%s %s", a.Kind, keyName(a.Key)))
			if a.Value != 0 {
				words = append(words, fmt.Sprint(a.Value))
			}
		}
	}
	return strings.Join(words, " ")
}

func (r *Response) String() string {
	if r.Unknown {
		return fmt.Sprintf("unknown (in the log at %d)", r.Applied)
	}
	return fmt.Sprintf("revision %d, %v %v", r.Revision, r.Succeeded, r.Results)
}

func keyName(key int) string { return fmt.Sprintf("k%d", key) }

func (a action) op() *pb.RequestOp {
	key := []byte(keyName(a.Key))
	everything, end := []byte("k"), []byte("l")
	switch a.Kind {
	case "put":
		put := &pb.PutRequest{Key: key, Value: fmt.Append(nil, a.Value), PrevKv: true}
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}}
	case "get":
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key}}}
	case "all":
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: everything, RangeEnd: end}}}
	case "delete":
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key, PrevKv: true}}}
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
		RequestDeleteRange: &pb.DeleteRangeRequest{Key: everything, RangeEnd: end, PrevKv: true}}}
}

func (r *Request) txn() *pb.TxnRequest {
	txn := &pb.TxnRequest{}
	if r.Compare {
		txn.Compare = []*pb.Compare{{Key: []byte(keyName(r.Key)), Target: pb.Compare_MOD, Result: pb.Compare_EQUAL,
			TargetUnion: &pb.Compare_ModRevision{ModRevision: r.Mod}}}
	}
	for _, a := range r.Then {
		txn.Success = append(txn.Success, a.op())
	}
	for _, a := range r.Else {
		txn.Failure = append(txn.Failure, a.op())
	}
	return txn
}

func entries(kvs []*mvccpb.KeyValue) (values []pair) {
	for _, kv := range kvs {
		if kv == nil {
			continue
		}
		var p pair
		_, errKey := fmt.Sscanf(string(kv.Key), "k%d", &p.Key)
		_, errValue := fmt.Sscan(string(kv.Value), &p.value)
		if errKey != nil || errValue != nil {
			p.value = -1 // what nobody wrote fits no state
		}
		p.create, p.mod, p.version = kv.CreateRevision, kv.ModRevision, kv.Version
		values = append(values, p)
	}
	return values
}

// resultOf reads one answer of a transaction. An earlier value counts as what was read.
func resultOf(op *pb.ResponseOp) result {
	switch r := op.Response.(type) {
	case *pb.ResponseOp_ResponsePut:
		values := entries([]*mvccpb.KeyValue{r.ResponsePut.PrevKv})
		return result{int64(len(values)), values}
	case *pb.ResponseOp_ResponseRange:
		return result{r.ResponseRange.Count, entries(r.ResponseRange.Kvs)}
	case *pb.ResponseOp_ResponseDeleteRange:
		return result{r.ResponseDeleteRange.Deleted, entries(r.ResponseDeleteRange.PrevKvs)}
	}
	return result{Count: -1}
}
