// Package crash kills the members of an etcd over and over while clients write, watch and hold leases, and then looks whether
// anything that was promised is missing.
package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/history"
	"rusternetes/tests/etcd/servers"
)

const callTimeout = 5 * time.Second

// change is one key's part of an acknowledged write.
type change struct {
	revision int64
	key      string
	value    string // shortened; "" is deleted
}

// writer writes keys of its own.
type writer struct {
	number int
	kv     pb.KVClient
	conn   *grpc.ClientConn
	rand   *rand.Rand
	size   int

	mu      sync.Mutex
	acked   []change
	last    int64 // revision that was acknowledged
	unknown int
}

func newWriter(number int, address string, seed uint64, size int, options []grpc.DialOption) (*writer, error) {
	conn, err := servers.Dial(address, options...)
	if err != nil {
		return nil, err
	}
	return &writer{number: number, kv: pb.NewKVClient(conn), conn: conn, rand: rand.New(rand.NewPCG(seed, uint64(number))), size: size}, nil
}

func (w *writer) run(ctx context.Context) {
	defer w.conn.Close()
	for number := 0; ctx.Err() == nil; number++ {
		w.write(number)
		time.Sleep(time.Duration(w.rand.IntN(3000)) * time.Microsecond)
	}
}

func (w *writer) key(n int) string { return fmt.Sprintf("w%d/%d", w.number, n%40) }

func (w *writer) value(number, part int) []byte {
	value := make([]byte, w.rand.IntN(w.size))
	for i := range value {
		value[i] = byte('a' + w.rand.IntN(26))
	}
	return append(fmt.Appendf(nil, "%d.%d.%d:", w.number, number, part), value...)
}

// write does one write, and notes it if it was acknowledged.
func (w *writer) write(number int) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	wait := grpc.WaitForReady(true)
	var header *pb.ResponseHeader
	var changes []change
	var err error
	switch pick := w.rand.IntN(10); {
	case pick < 7:
		put := &pb.PutRequest{Key: []byte(w.key(number)), Value: w.value(number, 0)}
		changes = []change{{key: string(put.Key), value: string(history.Shorten(put.Value))}}
		var answer *pb.PutResponse
		answer, err = w.kv.Put(ctx, put, wait)
		header = answer.GetHeader()
	case pick < 8:
		var answer *pb.DeleteRangeResponse
		answer, err = w.kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte(w.key(w.rand.IntN(40)))}, wait)
		header = answer.GetHeader()
	default:
		txn := &pb.TxnRequest{}
		for part := range 3 {
			put := &pb.PutRequest{Key: []byte(w.key(number + part)), Value: w.value(number, part)}
			txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
			changes = append(changes, change{key: string(put.Key), value: string(history.Shorten(put.Value))})
		}
		var answer *pb.TxnResponse
		answer, err = w.kv.Txn(ctx, txn, wait)
		header = answer.GetHeader()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.unknown++
		return
	}
	w.last = max(w.last, header.GetRevision())
	for _, c := range changes {
		c.revision = header.GetRevision()
		w.acked = append(w.acked, c)
	}
}

func (w *writer) acknowledged() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// lost compares what was acknowledged with the log.
func (w *writer) lost(logged map[int64][]*mvccpb.Event) (problems []string) {
	for _, c := range w.acked {
		found := false
		for _, event := range logged[c.revision] {
			found = found || string(event.Kv.Key) == c.key && string(event.Kv.Value) == c.value
		}
		if !found {
			problems = append(problems, fmt.Sprintf("an acknowledged write is lost: %s=%.40s at %d", c.key, c.value, c.revision))
		}
	}
	return problems
}
