package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/status"
)

type object = map[string]any

type line struct {
	revision int64 // etcd's, when it had answered
	what     object
}

type record struct {
	mutex   sync.Mutex
	lines   []line
	newest  int64
	watches int
	written map[int64]bool  // revisions that a request made
	expired map[int64]int64 // revision to lease, of every removal of a key with a lease
}

func newRecord() *record {
	return &record{written: map[int64]bool{}, expired: map[int64]int64{}, newest: 1}
}

func (r *record) add(revision int64, what object) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.newest = max(r.newest, revision)
	r.lines = append(r.lines, line{r.newest, what})
}

// Keys are written as they are: those of Kubernetes are ASCII, and what ends a range may hold a zero byte.
func key(b []byte) string {
	for _, c := range b {
		if c > 0x7e {
			log.Fatalf("the key %q is not ASCII", b)
		}
	}
	return string(b)
}

// A value stands for itself if it is short and can be read, else for its digest: equal ones stay equal.
func value(b []byte) string {
	if len(b) <= 24 && strings.IndexFunc(string(b), func(c rune) bool { return c < 0x20 || c > 0x7e }) < 0 {
		return string(b)
	}
	sum := sha256.Sum256(b)
	return "#" + hex.EncodeToString(sum[:5])
}

// As storage/suite's shape() writes it.
func text(kv *mvccpb.KeyValue, keysOnly bool) string {
	out := key(kv.Key)
	if !keysOnly {
		out += "=" + value(kv.Value)
	}
	out += fmt.Sprintf(" %d/%d/%d", kv.CreateRevision, kv.ModRevision, kv.Version)
	if kv.Lease != 0 {
		out += fmt.Sprintf(" lease %d", kv.Lease)
	}
	return strings.ReplaceAll(out, "\x00", "\\x00")
}

func eventText(event *mvccpb.Event) string {
	out := "put " + text(event.Kv, false)
	if event.Type == mvccpb.DELETE {
		out = fmt.Sprintf("remove %s @%d", key(event.Kv.Key), event.Kv.ModRevision)
	}
	if event.PrevKv != nil {
		out += " was " + text(event.PrevKv, false)
	}
	return out
}

func texts(kvs []*mvccpb.KeyValue, keysOnly bool) []string {
	out := []string{}
	for _, kv := range kvs {
		out = append(out, text(kv, keysOnly))
	}
	return out
}

var reasons = map[string]string{
	"etcdserver: mvcc: required revision has been compacted":   "Compacted",
	"etcdserver: mvcc: required revision is a future revision": "FutureRevision",
	"etcdserver: requested lease not found":                    "LeaseNotFound",
	"etcdserver: lease already exists":                         "LeaseExists",
	"etcdserver: key not found":                                "KeyNotFound",
	"etcdserver: key is not provided":                          "EmptyKey",
}

// The answer if there is one, else the error by the store's word for it.
func (r *record) answered(what object, header func() (*pb.ResponseHeader, object), err error) {
	if err != nil {
		reason, known := reasons[status.Convert(err).Message()]
		if !known {
			log.Fatalf("an answer that the record has no word for: %v to %v", err, what)
		}
		what["answer"] = object{"error": reason}
		r.add(0, what)
		return
	}
	head, answer := header()
	answer["revision"] = head.Revision
	what["answer"] = answer
	r.add(head.Revision, what)
}

func set[T comparable](o object, name string, v T) {
	var zero T
	if v != zero {
		o[name] = v
	}
}

func rangeRequest(q *pb.RangeRequest) object {
	if q.SortOrder != pb.RangeRequest_NONE || q.MinModRevision != 0 || q.MaxModRevision != 0 || q.MinCreateRevision != 0 || q.MaxCreateRevision != 0 {
		log.Fatalf("a range that the store has no request for: %v", q)
	}
	o := object{"key": key(q.Key)}
	set(o, "end", key(q.RangeEnd))
	set(o, "limit", q.Limit)
	set(o, "revision", q.Revision)
	set(o, "keys_only", q.KeysOnly)
	set(o, "count_only", q.CountOnly)
	return o
}

func rangeAnswer(q *pb.RangeRequest, a *pb.RangeResponse) object {
	o := object{"count": a.Count, "kvs": texts(a.Kvs, q.KeysOnly)}
	set(o, "more", a.More)
	return o
}

func putRequest(q *pb.PutRequest) object {
	o := object{"key": key(q.Key), "value": value(q.Value)}
	set(o, "lease", q.Lease)
	set(o, "previous", q.PrevKv)
	set(o, "ignore_value", q.IgnoreValue)
	set(o, "ignore_lease", q.IgnoreLease)
	return o
}

func putAnswer(a *pb.PutResponse) object {
	o := object{}
	if a.PrevKv != nil {
		o["previous"] = text(a.PrevKv, false)
	}
	return o
}

func deleteRequest(q *pb.DeleteRangeRequest) object {
	o := object{"key": key(q.Key)}
	set(o, "end", key(q.RangeEnd))
	set(o, "previous", q.PrevKv)
	return o
}

func deleteAnswer(a *pb.DeleteRangeResponse) object {
	o := object{"deleted": a.Deleted}
	if len(a.PrevKvs) > 0 {
		o["previous"] = texts(a.PrevKvs, false)
	}
	return o
}

func compare(c *pb.Compare) object {
	o := object{"key": key(c.Key), "target": strings.ToLower(c.Target.String()), "relation": strings.ToLower(c.Result.String())}
	set(o, "end", key(c.RangeEnd))
	switch u := c.TargetUnion.(type) {
	case *pb.Compare_Version:
		o["number"] = u.Version
	case *pb.Compare_CreateRevision:
		o["number"] = u.CreateRevision
	case *pb.Compare_ModRevision:
		o["number"] = u.ModRevision
	case *pb.Compare_Lease:
		o["number"] = u.Lease
	case *pb.Compare_Value:
		if c.Result != pb.Compare_EQUAL && c.Result != pb.Compare_NOT_EQUAL {
			log.Fatalf("an order of values does not outlive their shortening: %v", c)
		}
		o["text"] = value(u.Value)
	}
	return o
}

func operations(ops []*pb.RequestOp) []object {
	out := []object{}
	for _, op := range ops {
		switch q := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			out = append(out, object{"range": rangeRequest(q.RequestRange)})
		case *pb.RequestOp_RequestPut:
			out = append(out, object{"put": putRequest(q.RequestPut)})
		case *pb.RequestOp_RequestDeleteRange:
			out = append(out, object{"delete": deleteRequest(q.RequestDeleteRange)})
		default:
			log.Fatalf("kube-apiserver nests transactions now: %v", op)
		}
	}
	return out
}

// The answers of a transaction's branch, and whether it wrote.
func responses(ops []*pb.RequestOp, answers []*pb.ResponseOp) (out []object, wrote bool) {
	out = []object{}
	for i, answer := range answers {
		switch a := answer.Response.(type) {
		case *pb.ResponseOp_ResponseRange:
			out = append(out, object{"range": rangeAnswer(ops[i].GetRequestRange(), a.ResponseRange)})
		case *pb.ResponseOp_ResponsePut:
			out = append(out, object{"put": putAnswer(a.ResponsePut)})
			wrote = true
		case *pb.ResponseOp_ResponseDeleteRange:
			out = append(out, object{"delete": deleteAnswer(a.ResponseDeleteRange)})
			wrote = wrote || a.ResponseDeleteRange.Deleted > 0
		}
	}
	return out, wrote
}

func (r *record) wrote(revision int64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.written[revision] = true
}

func (r *record) ranged(q *pb.RangeRequest, a *pb.RangeResponse, err error) {
	r.answered(object{"range": rangeRequest(q)}, func() (*pb.ResponseHeader, object) { return a.Header, rangeAnswer(q, a) }, err)
}

func (r *record) wasPut(q *pb.PutRequest, a *pb.PutResponse, err error) {
	if err == nil {
		r.wrote(a.Header.Revision)
	}
	r.answered(object{"put": putRequest(q)}, func() (*pb.ResponseHeader, object) { return a.Header, putAnswer(a) }, err)
}

func (r *record) deleted(q *pb.DeleteRangeRequest, a *pb.DeleteRangeResponse, err error) {
	if err == nil && a.Deleted > 0 {
		r.wrote(a.Header.Revision)
	}
	r.answered(object{"delete": deleteRequest(q)}, func() (*pb.ResponseHeader, object) { return a.Header, deleteAnswer(a) }, err)
}

func (r *record) transacted(q *pb.TxnRequest, a *pb.TxnResponse, err error) {
	compares := []object{}
	for _, c := range q.Compare {
		compares = append(compares, compare(c))
	}
	what := object{"txn": object{"compare": compares, "success": operations(q.Success), "failure": operations(q.Failure)}}
	r.answered(what, func() (*pb.ResponseHeader, object) {
		ops := q.Success
		if !a.Succeeded {
			ops = q.Failure
		}
		out, wrote := responses(ops, a.Responses)
		if wrote {
			r.wrote(a.Header.Revision)
		}
		return a.Header, object{"succeeded": a.Succeeded, "responses": out}
	}, err)
}

func (r *record) compacted(q *pb.CompactionRequest, a *pb.CompactionResponse, err error) {
	r.answered(object{"compact": object{"revision": q.Revision}}, func() (*pb.ResponseHeader, object) { return a.Header, object{} }, err)
}

func (r *record) granted(q *pb.LeaseGrantRequest, a *pb.LeaseGrantResponse, err error) {
	what := object{"grant": object{"ttl": q.TTL}}
	r.answered(what, func() (*pb.ResponseHeader, object) {
		what["grant"].(object)["id"] = a.ID
		return a.Header, object{}
	}, err)
}

func (r *record) watched(q *pb.WatchCreateRequest, a *pb.WatchResponse) *watch {
	if len(q.Filters) > 0 {
		log.Fatalf("a watch that the store has no request for: %v", q)
	}
	r.mutex.Lock()
	r.watches++
	w := &watch{id: r.watches}
	r.mutex.Unlock()
	o := object{"id": w.id, "key": key(q.Key)}
	set(o, "end", key(q.RangeEnd))
	set(o, "start", q.StartRevision)
	set(o, "previous", q.PrevKv)
	r.add(a.Header.Revision, object{"watch": o})
	return w
}

func (r *record) unwatched(w *watch) {
	o := object{"id": w.id}
	set(o, "until", w.until)
	set(o, "error", w.reason)
	set(o, "compact_revision", w.compact)
	if len(w.events) > 0 {
		o["events"] = w.events
	}
	r.add(0, object{"unwatch": o})
}

func (r *record) removed(revision, lease int64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.expired[revision] = lease
}

// The ends of leases go before the first line that saw their revision.
func (r *record) write(path string) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var ends []int64
	for revision := range r.expired {
		if !r.written[revision] {
			ends = append(ends, revision)
		}
	}
	sort.Slice(ends, func(i, j int) bool { return ends[i] < ends[j] })
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, l := range r.lines {
		for len(ends) > 0 && l.revision >= ends[0] {
			if err := encoder.Encode(object{"revoke": object{"id": r.expired[ends[0]]}, "answer": object{"revision": ends[0]}}); err != nil {
				return err
			}
			ends = ends[1:]
		}
		if err := encoder.Encode(l.what); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}
