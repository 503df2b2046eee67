package main

import (
	"context"
	"io"
	"log"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

type proxy struct {
	pb.UnimplementedKVServer
	pb.UnimplementedLeaseServer
	pb.UnimplementedWatchServer
	pb.UnimplementedMaintenanceServer
	record      *record
	kv          pb.KVClient
	lease       pb.LeaseClient
	watch       pb.WatchClient
	maintenance pb.MaintenanceClient
	turn        sync.Mutex // one request at a time, so that their order is the order of what they did
}

// Every call runs to its end once it has begun, whatever its caller does meanwhile: what etcd did is in the record.
func (p *proxy) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	answer, err := p.kv.Range(context.Background(), r)
	p.record.ranged(r, answer, err)
	return answer, err
}

func (p *proxy) Put(_ context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	answer, err := p.kv.Put(context.Background(), r)
	p.record.wasPut(r, answer, err)
	return answer, err
}

func (p *proxy) DeleteRange(_ context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	answer, err := p.kv.DeleteRange(context.Background(), r)
	p.record.deleted(r, answer, err)
	return answer, err
}

func (p *proxy) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	answer, err := p.kv.Txn(context.Background(), r)
	p.record.transacted(r, answer, err)
	return answer, err
}

func (p *proxy) Compact(_ context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	answer, err := p.kv.Compact(context.Background(), r)
	p.record.compacted(r, answer, err)
	return answer, err
}

func (p *proxy) LeaseGrant(_ context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	answer, err := p.lease.LeaseGrant(context.Background(), r)
	p.record.granted(r, answer, err)
	return answer, err
}

func (p *proxy) LeaseRevoke(context.Context, *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	log.Fatal("kube-apiserver revokes leases now: the record has no form for it")
	return nil, nil
}

func (p *proxy) Status(ctx context.Context, r *pb.StatusRequest) (*pb.StatusResponse, error) {
	return p.maintenance.Status(ctx, r)
}

func (p *proxy) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	return p.maintenance.Alarm(ctx, r)
}

func (p *proxy) Watch(client pb.Watch_WatchServer) error {
	// Not the client's context: when that ends, etcd is still asked how far the watches are.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	upstream, err := p.watch.Watch(ctx)
	if err != nil {
		return err
	}
	stream := &stream{record: p.record, watches: map[int64]*watch{}, created: make(chan bool, 1), progress: make(chan bool, 1)}
	defer stream.end(upstream)
	done := make(chan error, 1)
	go func() { done <- stream.down(upstream, client) }()
	for {
		request, err := client.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		create := request.GetCreateRequest()
		if create == nil {
			if request.GetCancelRequest() != nil {
				stream.learnProgress(upstream)
			}
			if err := upstream.Send(request); err != nil {
				return err
			}
			continue
		}
		p.turn.Lock()
		stream.expect(create)
		err = upstream.Send(request)
		if err == nil {
			select {
			case <-stream.created:
			case err = <-done:
			}
		}
		p.turn.Unlock()
		if err != nil {
			return err
		}
	}
}

// One watch, as it goes into the record when it ends.
type watch struct {
	id      int
	until   int64 // every event up to here is among `events`
	events  []string
	reason  string
	compact int64
}

type stream struct {
	record  *record
	mutex   sync.Mutex
	pending *pb.WatchCreateRequest
	watches map[int64]*watch
	created chan bool
	// One for every progress that etcd told of all watches at once, if there is room.
	progress chan bool
}

// Asks etcd how far the watches are, so that what is recorded of them is known to be whole up to there. It does not answer
// while one of them catches up; then less is known.
func (s *stream) learnProgress(upstream pb.Watch_WatchClient) {
	select {
	case <-s.progress:
	default:
	}
	ask := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
	if upstream.Send(ask) != nil {
		return
	}
	select {
	case <-s.progress:
	case <-time.After(time.Second):
	}
}

func (s *stream) expect(create *pb.WatchCreateRequest) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.pending = create
}

func (s *stream) down(upstream pb.Watch_WatchClient, client pb.Watch_WatchServer) error {
	for {
		answer, err := upstream.Recv()
		if err != nil {
			return err
		}
		s.take(answer)
		_ = client.Send(answer) // a client that is gone is noticed by its silence
	}
}

func (s *stream) take(answer *pb.WatchResponse) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if answer.Created {
		s.watches[answer.WatchId] = s.record.watched(s.pending, answer)
		s.pending = nil
		s.created <- true
		return
	}
	if answer.WatchId == -1 {
		defer func() {
			select {
			case s.progress <- true:
			default:
			}
		}()
	}
	for id, w := range s.watches {
		if id != answer.WatchId && answer.WatchId != -1 {
			continue
		}
		for _, event := range answer.Events {
			w.events = append(w.events, eventText(event))
			w.until = max(w.until, event.Kv.ModRevision)
		}
		if len(answer.Events) == 0 && !answer.Canceled {
			w.until = max(w.until, answer.Header.Revision) // progress
		}
		if answer.Canceled {
			if answer.CompactRevision != 0 {
				w.reason, w.compact = "Compacted", answer.CompactRevision
			}
			s.record.unwatched(w)
			delete(s.watches, id)
		}
	}
}

func (s *stream) end(upstream pb.Watch_WatchClient) {
	s.learnProgress(upstream)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for id, w := range s.watches {
		s.record.unwatched(w)
		delete(s.watches, id)
	}
}

// Follows every change, to know those that no request made: etcd's own removal of a lease's keys.
func (p *proxy) followAll(ctx context.Context) error {
	all, err := p.watch.Watch(ctx)
	if err != nil {
		return err
	}
	create := &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: 1, PrevKv: true}
	if err := all.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}); err != nil {
		return err
	}
	if _, err := all.Recv(); err != nil {
		return err
	}
	go func() {
		for {
			answer, err := all.Recv()
			if err != nil {
				return
			}
			for _, event := range answer.Events {
				if event.Type == mvccpb.DELETE && event.PrevKv != nil && event.PrevKv.Lease != 0 {
					p.record.removed(event.Kv.ModRevision, event.PrevKv.Lease)
				}
			}
		}
	}()
	return nil
}
