package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/servers"
)

// Stream is one Watch call with one watch on it.
type Stream interface {
	Recv() (*pb.WatchResponse, error)
	RequestProgress() error
	Close()
}

// Opener opens a stream with one watch.
type Opener func(ctx context.Context, address string, request *pb.WatchCreateRequest) (Stream, error)

// Told is one response: events, or the progress that it told.
type Told struct {
	Events   []*mvccpb.Event
	Revision int64 // of the header
	Progress bool
	Stream   int // how many streams there were before
	At       time.Time
}

// Watcher watches for as long as a test lasts, on one stream after another: each begins after what the last one told, be it by
// events or by progress.
type Watcher struct {
	Name      string
	Request   *pb.WatchCreateRequest
	Addresses []string
	Open      Opener
	// Delay is how long it takes to look at one response; Reconnect how long a stream lasts. 0 is no delay, and no end.
	Delay, Reconnect time.Duration
	// Progress asks for progress as often as this; 0 is never.
	Progress time.Duration

	mu       sync.Mutex
	first    int64 // revision from which on events are owed; 0 is not known yet
	told     []Told
	streams  int
	lastRev  int64
	problems []string
	hurry    bool
}

// Hurry ends all delays, so that the watcher catches up.
func (w *Watcher) Hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurry = true
}

// Run returns when the context ends.
func (w *Watcher) Run(ctx context.Context) {
	next := w.Request.StartRevision
	w.first = next
	for number := rand.IntN(len(w.Addresses)); ctx.Err() == nil; number++ {
		request := *w.Request
		request.StartRevision = next
		next = w.stream(ctx, w.Addresses[number%len(w.Addresses)], &request, next)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stream runs one stream to its end; it returns the revision where the next one begins.
func (w *Watcher) stream(ctx context.Context, address string, request *pb.WatchCreateRequest, next int64) int64 {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.Reconnect > 0 {
		time.AfterFunc(time.Duration(rand.Int64N(int64(2*w.Reconnect))), func() {
			if !w.Hurries() {
				cancel()
			}
		})
	}
	stream, err := w.Open(ctx, address, request)
	if err != nil {
		return next
	}
	defer stream.Close()
	if w.Progress > 0 {
		go w.askForProgress(ctx, stream)
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			break
		}
		next = w.take(response, next)
		if w.Delay > 0 && !w.Hurries() {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(rand.Int64N(int64(2 * w.Delay)))):
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams++
	return next
}

// Hurries says that Hurry was called.
func (w *Watcher) Hurries() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hurry
}

func (w *Watcher) askForProgress(ctx context.Context, stream Stream) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.Progress):
		}
		if stream.RequestProgress() != nil {
			return
		}
	}
}

func (w *Watcher) take(r *pb.WatchResponse, next int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Created {
		if w.first == 0 {
			w.first = r.Header.Revision + 1
		}
		return max(next, w.first)
	}
	if r.Canceled {
		w.problems = append(w.problems, fmt.Sprintf("%s was cancelled: %s", w.Name, r))
		return next
	}
	shortenAll(r.Events)
	w.told = append(w.told, Told{Events: r.Events, Revision: r.Header.Revision, Progress: len(r.Events) == 0, Stream: w.streams,
		At: time.Now()})
	if len(r.Events) == 0 {
		return max(next, r.Header.Revision+1)
	}
	w.lastRev = r.Events[len(r.Events)-1].Kv.ModRevision
	return max(next, w.lastRev+1)
}

// Last is the revision of the last event that came.
func (w *Watcher) Last() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastRev
}

type grpcStream struct {
	conn   *grpc.ClientConn
	client pb.Watch_WatchClient
	mu     sync.Mutex
}

// GRPC opens streams in the usual manner; the options are of the connection, which is the stream's own.
func GRPC(options ...grpc.DialOption) Opener {
	return func(ctx context.Context, address string, request *pb.WatchCreateRequest) (Stream, error) {
		conn, err := servers.Dial(address, options...)
		if err != nil {
			return nil, err
		}
		client, err := pb.NewWatchClient(conn).Watch(ctx, grpc.WaitForReady(true))
		if err == nil {
			err = client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}})
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		return &grpcStream{conn: conn, client: client}, nil
	}
}

func (s *grpcStream) Recv() (*pb.WatchResponse, error) { return s.client.Recv() }

func (s *grpcStream) RequestProgress() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
}

func (s *grpcStream) Close() { s.conn.Close() }
