package differential

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"rusternetes/tests/etcd/servers"
)

const (
	callTimeout      = 30 * time.Second
	parallelReads    = 8
	softSeconds      = 5 // how far two remaining times to live may be apart
	nothingCompacted = -1
)

// Result is what one side answered to one operation, without what may differ between two servers.
type Result struct {
	request  string // as it was sent, with absolute revisions
	messages []proto.Message
	err      string
	note     string
	revision int64 // that the side knew after it
	seconds  int64 // a remaining time to live, compared with some tolerance
}

func (r Result) String() string {
	text := r.err + r.note
	for _, message := range r.messages {
		text += "{" + shorten(message.String()) + "}"
	}
	if r.seconds != 0 {
		text += fmt.Sprintf(" (%d s left)", r.seconds)
	}
	return text
}

// Side is one of the two servers and what is known of it.
type Side struct {
	Name    string
	make    func(number int) (*servers.Cluster, error)
	options []grpc.DialOption
	cluster *servers.Cluster // in use
	all     []*servers.Cluster
	pool    chan prepared // empty servers that run

	conn        *grpc.ClientConn
	kv          pb.KVClient
	leases      pb.LeaseClient
	maintenance pb.MaintenanceClient
	keepalive   pb.Lease_LeaseKeepAliveClient

	current, compacted int64
	restarted          bool
	patience           time.Duration // how long to wait for what a watch is owed
	log                *eventLog
	streams            [streams]*stream
	finished           []*watch // of streams that are closed; compared with the next block
	mu                 sync.Mutex
	problems           []string
}

type prepared struct {
	cluster *servers.Cluster
	err     error
}

// NewSide has one server, made by `make`; grow adds others.
func NewSide(name string, make_ func(number int) (*servers.Cluster, error), options ...grpc.DialOption) (*Side, error) {
	s := &Side{Name: name, make: make_, options: options, patience: watchTimeout, pool: make(chan prepared, 1+spares)}
	return s, s.grow(1)
}

// grow starts servers until there are `count`, so that an empty one is at hand while others still start.
func (s *Side) grow(count int) error {
	for len(s.all) < count {
		cluster, err := s.make(len(s.all))
		if err != nil {
			return err
		}
		s.all = append(s.all, cluster)
		s.prepare(cluster)
	}
	return nil
}

func (s *Side) prepare(cluster *servers.Cluster) {
	go func() { s.pool <- prepared{cluster, cluster.Fresh()} }()
}

// Fresh begins anew with an empty server.
func (s *Side) Fresh() error {
	s.disconnect()
	if s.cluster != nil {
		s.prepare(s.cluster)
	}
	next := <-s.pool
	s.cluster = next.cluster
	if next.err != nil {
		return next.err
	}
	s.current, s.compacted, s.restarted, s.finished, s.problems = 1, nothingCompacted, false, nil, nil
	s.log = &eventLog{}
	return s.connect()
}

// Remove ends all servers.
func (s *Side) Remove() {
	s.disconnect()
	waiting := len(s.all)
	if s.cluster != nil {
		waiting--
	}
	for range waiting {
		<-s.pool
	}
	for _, cluster := range s.all {
		cluster.Remove(true)
	}
}

func (s *Side) connect() error {
	conn, err := servers.Dial(s.cluster.Members[0].Address(), s.options...)
	if err != nil {
		return err
	}
	s.conn, s.kv, s.leases, s.maintenance = conn, pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewMaintenanceClient(conn)
	for i := range s.streams {
		s.streams[i] = newStream(s.conn)
	}
	s.keepalive = nil
	return s.log.follow(conn)
}

func (s *Side) disconnect() {
	if s.conn == nil {
		return
	}
	for _, stream := range s.streams {
		s.finished = append(s.finished, stream.close()...)
	}
	s.log.stop()
	s.conn.Close()
	s.conn = nil
}

func (s *Side) problem(format string, words ...any) {
	s.mu.Lock() // reads run in parallel
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, words...))
}

// Apply carries out the operations in order; reads that follow one another are on their way at the same time.
func (s *Side) Apply(ops []*Op) []Result {
	results := make([]Result, len(ops))
	for i := 0; i < len(ops); {
		end := i
		for end < len(ops) && ops[end].Kind == "range" && end-i < parallelReads {
			end++
		}
		if end-i < 2 {
			results[i] = s.do(ops[i])
			i++
		} else {
			var wait sync.WaitGroup
			for k := i; k < end; k++ {
				wait.Add(1)
				go func() {
					defer wait.Done()
					results[k] = s.do(ops[k])
				}()
			}
			wait.Wait()
			i = end
		}
		if len(s.problems) > 0 {
			results[i-1].note += " !"
			return results[:i]
		}
	}
	return results
}

func (s *Side) do(op *Op) Result {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var req proto.Message
	if op.Req != nil {
		req = resolved(op.Req, s.current, s.compacted)
	}
	result := s.dispatch(ctx, op, req)
	result.request, result.revision = op.text(req), s.current
	return result
}

func (s *Side) dispatch(ctx context.Context, op *Op, req proto.Message) Result {
	wait := grpc.WaitForReady(true)
	switch r := req.(type) {
	case *pb.RangeRequest:
		answer, err := s.kv.Range(ctx, r, wait)
		if err == nil {
			s.checkRange(r, answer)
		}
		return s.parallelResult(answer, err)
	case *pb.PutRequest:
		return s.result(s.kv.Put(ctx, r, wait))
	case *pb.DeleteRangeRequest:
		return s.result(s.kv.DeleteRange(ctx, r, wait))
	case *pb.TxnRequest:
		answer, err := s.kv.Txn(ctx, r, wait)
		if err == nil {
			s.checkTxn(r, answer)
		}
		return s.result(answer, err)
	case *pb.CompactionRequest:
		s.settle()
		answer, err := s.kv.Compact(ctx, r, wait)
		if err == nil {
			s.compacted = r.Revision
		}
		return s.result(answer, err)
	case *pb.HashKVRequest:
		return s.result(s.maintenance.HashKV(ctx, r, wait))
	case *pb.LeaseRevokeRequest:
		return s.result(s.leases.LeaseRevoke(ctx, r, wait))
	case *pb.LeaseTimeToLiveRequest:
		return s.timeToLive(ctx, r)
	case *pb.LeaseKeepAliveRequest:
		return s.keepAlive(r)
	case *pb.LeaseGrantRequest:
		if op.Kind == "expire" {
			return s.expire(ctx, r)
		}
		return s.result(s.leases.LeaseGrant(ctx, r, wait))
	case *pb.WatchCreateRequest:
		return s.createWatch(op.Stream, r)
	case *pb.WatchCancelRequest:
		return s.cancelWatch(op.Stream, r)
	}
	switch op.Kind {
	case "progress":
		return s.progress(op.Stream)
	case "close":
		s.sync()
		s.finished = append(s.finished, s.streams[op.Stream].close()...)
		s.streams[op.Stream] = newStream(s.conn)
		return Result{}
	case "leases":
		return s.listLeases(ctx)
	case "grantauto":
		return s.grantAuto(ctx)
	case "restart":
		return s.restart(op.N)
	case "big":
		return s.big(ctx, op.N)
	default:
		return s.misc(ctx, op.N)
	}
}

type answer interface {
	proto.Message
	GetHeader() *pb.ResponseHeader
}

// result takes out what is one server's own, and learns the revision.
func (s *Side) result(a answer, err error) Result {
	if err == nil && a.GetHeader().GetRevision() > s.current {
		s.current = a.GetHeader().Revision
	}
	return s.parallelResult(a, err)
}

func (s *Side) parallelResult(a answer, err error) Result {
	if err != nil {
		told := status.Convert(err)
		return Result{err: fmt.Sprintf("error %s: %s", told.Code(), told.Message())}
	}
	clean(a.GetHeader())
	return Result{messages: []proto.Message{a}}
}

func clean(header *pb.ResponseHeader) {
	if header != nil {
		header.ClusterId, header.MemberId, header.RaftTerm = 0, 0, 0
	}
}

// restart ends the server, in one way or the other, and starts it on its data.
func (s *Side) restart(n int64) Result {
	s.settle()
	s.disconnect()
	m := s.cluster.Members[0]
	if n%2 == 0 {
		m.End(syscall.SIGKILL)
	} else {
		m.End(syscall.SIGTERM)
	}
	if err := m.Run(); err != nil {
		s.problem("cannot be started again: %v", err)
	} else if err = m.WaitReady(callTimeout); err != nil {
		s.problem("does not come back: %v", err)
	} else if err = s.connect(); err != nil {
		s.problem("cannot be reached: %v", err)
	}
	s.restarted = true
	return Result{}
}
