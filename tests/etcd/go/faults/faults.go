// Package faults makes the answers of a sound server wrong on their way to the client, so that a checker can be seen to find
// what it is there for.
package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// A fault changes an answer to a unary call, or a response of a watch (nil takes it away).
type fault struct {
	unary  func(*state, any, any)
	watch  func(*state, *pb.WatchResponse) []*pb.WatchResponse
	errors func(error) error
	// swallow says that a request is answered with success, and never sent.
	swallow func(*state, any, any) bool
}

type state struct {
	mu   sync.Mutex
	rand *rand.Rand
	kept map[string]*pb.RangeResponse
	last int64
	held *pb.WatchResponse
}

func (s *state) chance(in int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.IntN(in) == 0
}

var all = map[string]fault{
	// Of answers.
	"version": {unary: func(_ *state, _, answer any) {
		if a, is := answer.(*pb.RangeResponse); is {
			for _, kv := range a.Kvs {
				if kv.Version >= 3 {
					kv.Version--
				}
			}
		}
	}},
	"count": {unary: func(_ *state, _, answer any) {
		if a, is := answer.(*pb.RangeResponse); is && a.More {
			a.Count = int64(len(a.Kvs))
		}
	}},
	"prev-kvs": {unary: func(_ *state, _, answer any) {
		if a, is := answer.(*pb.DeleteRangeResponse); is && len(a.PrevKvs) > 1 {
			a.PrevKvs = a.PrevKvs[:1]
		}
	}},
	"nested": {unary: func(_ *state, _, answer any) {
		if a, is := answer.(*pb.TxnResponse); is {
			for _, response := range a.Responses {
				if inner := response.GetResponseTxn(); inner != nil {
					inner.Succeeded = true
				}
			}
		}
	}},
	"lease-keys": {unary: func(_ *state, _, answer any) {
		if a, is := answer.(*pb.LeaseTimeToLiveResponse); is && len(a.Keys) > 1 {
			a.Keys = a.Keys[:1]
		}
	}},
	"error-text": {errors: func(err error) error {
		told := status.Convert(err)
		return status.Error(told.Code(), strings.ReplaceAll(told.Message(), "etcdserver: mvcc: ", ""))
	}},
	"stale-read": {unary: func(s *state, request, answer any) {
		r, is := request.(*pb.RangeRequest)
		if a, isAnswer := answer.(*pb.RangeResponse); is && isAnswer && len(r.RangeEnd) == 0 {
			again := s.chance(20)
			s.mu.Lock()
			defer s.mu.Unlock()
			old := s.kept[string(r.Key)]
			if again && old != nil {
				*a = *proto.Clone(old).(*pb.RangeResponse)
			} else if old == nil || s.rand.IntN(20) == 0 {
				s.kept[string(r.Key)] = proto.Clone(a).(*pb.RangeResponse)
			}
		}
	}},
	"lost-write": {swallow: func(s *state, request, answer any) bool {
		a, is := answer.(*pb.PutResponse)
		if !is || !s.chance(20) {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		a.Header = &pb.ResponseHeader{Revision: s.last + 1}
		return true
	}},
	// Of watches.
	"watch-drop": {watch: func(s *state, r *pb.WatchResponse) []*pb.WatchResponse {
		if len(r.Events) > 1 || len(r.Events) == 1 && s.chance(50) {
			r.Events = r.Events[1:]
		}
		return []*pb.WatchResponse{r}
	}},
	"watch-twice": {watch: func(s *state, r *pb.WatchResponse) []*pb.WatchResponse {
		if len(r.Events) > 0 && s.chance(50) {
			return []*pb.WatchResponse{r, proto.Clone(r).(*pb.WatchResponse)}
		}
		return []*pb.WatchResponse{r}
	}},
	"watch-order": {watch: func(s *state, r *pb.WatchResponse) []*pb.WatchResponse {
		// Two responses change places, if they tell of something.
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held != nil && len(r.Events) > 0 && r.WatchId == s.held.WatchId {
			held := s.held
			s.held = nil
			return []*pb.WatchResponse{r, held}
		}
		if s.held == nil && len(r.Events) > 0 && s.rand.IntN(30) == 0 {
			s.held = r
			return nil
		}
		return []*pb.WatchResponse{r}
	}},
	"watch-split": {watch: func(_ *state, r *pb.WatchResponse) []*pb.WatchResponse {
		for i := 1; i < len(r.Events); i++ {
			if r.Events[i].Kv.ModRevision == r.Events[i-1].Kv.ModRevision {
				rest := proto.Clone(r).(*pb.WatchResponse)
				r.Events, rest.Events = r.Events[:i], rest.Events[i:]
				return []*pb.WatchResponse{r, rest}
			}
		}
		return []*pb.WatchResponse{r}
	}},
	"watch-prev": {watch: func(_ *state, r *pb.WatchResponse) []*pb.WatchResponse {
		for _, event := range r.Events {
			if event.PrevKv != nil && event.PrevKv.Version > 1 {
				event.PrevKv.Version--
			}
		}
		return []*pb.WatchResponse{r}
	}},
	"watch-bookmark": {watch: func(_ *state, r *pb.WatchResponse) []*pb.WatchResponse {
		if len(r.Events) == 0 && !r.Created && !r.Canceled {
			r.Header.Revision += 3
		}
		return []*pb.WatchResponse{r}
	}},
}

// Names of all faults.
func Names() string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Options of a connection whose answers are at fault; none for "".
func Options(name string, seed uint64) ([]grpc.DialOption, error) {
	if name == "" {
		return nil, nil
	}
	f, known := all[name]
	if !known {
		return nil, fmt.Errorf("no fault %q; there are: %s", name, Names())
	}
	s := &state{rand: rand.New(rand.NewPCG(seed, 1)), kept: map[string]*pb.RangeResponse{}}
	unary := func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
		options ...grpc.CallOption) error {
		if f.swallow != nil && f.swallow(s, request, answer) {
			time.Sleep(time.Millisecond)
			return nil
		}
		err := invoke(ctx, method, request, answer, conn, options...)
		if err != nil && f.errors != nil {
			err = f.errors(err)
		}
		if err == nil {
			if a, is := answer.(interface{ GetHeader() *pb.ResponseHeader }); is {
				s.mu.Lock()
				s.last = max(s.last, a.GetHeader().GetRevision())
				s.mu.Unlock()
			}
			if f.unary != nil {
				f.unary(s, request, answer)
			}
		}
		return err
	}
	stream := func(ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer,
		options ...grpc.CallOption) (grpc.ClientStream, error) {
		inner, err := streamer(ctx, description, conn, method, options...)
		if err != nil || f.watch == nil || !strings.HasSuffix(method, "/Watch") {
			return inner, err
		}
		return &watchStream{ClientStream: inner, state: s, fault: f}, nil
	}
	return []grpc.DialOption{grpc.WithUnaryInterceptor(unary), grpc.WithStreamInterceptor(stream)}, nil
}

type watchStream struct {
	grpc.ClientStream
	state *state
	fault fault
	ready []*pb.WatchResponse
}

func (w *watchStream) RecvMsg(message any) error {
	for len(w.ready) == 0 {
		response := &pb.WatchResponse{}
		if err := w.ClientStream.RecvMsg(response); err != nil {
			return err
		}
		w.ready = w.fault.watch(w.state, response)
	}
	*message.(*pb.WatchResponse) = *w.ready[0]
	w.ready = w.ready[1:]
	return nil
}
