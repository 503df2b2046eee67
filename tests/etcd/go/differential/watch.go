package differential

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
)

// Where a difference is known to be, it is not waited for as long.
const (
	watchTimeout  = 15 * time.Second
	shrinkTimeout = 3 * time.Second
)

// watch is one watch of one stream, and what has come for it.
type watch struct {
	name        string // the same on both sides
	id, start   int64
	request     *pb.WatchCreateRequest
	created     time.Time
	events      []*mvccpb.Event // not compared yet; values were made short
	fragments   bool            // the last response was not the last of its revision
	lastRev     int64           // of an event
	headerRev   int64
	count       int     // events that have come, of all times
	expected    []stamp // from expected[0], the event number expectedAt, on
	expectedAt  int
	logAt       int
	canceled    []*pb.WatchResponse // by compaction, by us, or both
	compactable bool                // it began before what is compacted
}

// stream is one Watch call. All but the goroutine that receives hold `mu` when they look at what it has brought.
type stream struct {
	conn   *grpc.ClientConn
	client pb.Watch_WatchClient
	stop   context.CancelFunc

	mu       sync.Mutex
	pending  *pb.WatchCreateRequest
	live     map[int64]*watch
	all      []*watch
	answers  chan *pb.WatchResponse
	progress int64 // the highest revision told by progress notifications
	told     int   // number of them
	stray    []string
	err      error
	number   int
}

func newStream(conn *grpc.ClientConn) *stream {
	return &stream{conn: conn, live: map[int64]*watch{}, answers: make(chan *pb.WatchResponse, 100)}
}

func (t *stream) open() error {
	if t.client != nil {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	client, err := pb.NewWatchClient(t.conn).Watch(ctx, grpc.WaitForReady(true))
	if err != nil {
		stop()
		return err
	}
	t.client, t.stop = client, stop
	go t.receive(client)
	return nil
}

// close ends the stream; its watches are handed back to be compared.
func (t *stream) close() []*watch {
	if t.client == nil {
		return nil
	}
	t.stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.client = nil
	all := t.all
	t.all = nil
	return all
}

func (t *stream) receive(client pb.Watch_WatchClient) {
	for {
		response, err := client.Recv()
		t.mu.Lock()
		if err != nil {
			t.err = err
			t.mu.Unlock()
			return
		}
		clean(response.Header)
		t.take(response)
		t.mu.Unlock()
	}
}

func (t *stream) take(r *pb.WatchResponse) {
	if r.Created {
		if !r.Canceled {
			t.number++
			w := &watch{id: r.WatchId, request: t.pending, start: t.pending.StartRevision, created: time.Now(),
				name: fmt.Sprintf("watch %d (number %d)", r.WatchId, t.number)}
			if w.start == 0 {
				w.start = r.Header.Revision + 1
			}
			t.live[w.id] = w
			t.all = append(t.all, w)
		}
		t.answers <- r
		return
	}
	if r.WatchId == -1 && len(r.Events) == 0 && !r.Canceled {
		t.told++
		t.progress = max(t.progress, r.Header.Revision)
		return
	}
	w := t.live[r.WatchId]
	if w == nil || w.canceled != nil && !r.Canceled {
		t.stray = append(t.stray, "unexpected: "+shorten(r.String()))
		return
	}
	if r.Canceled {
		w.canceled = append(w.canceled, r)
		return
	}
	if len(r.Events) == 0 {
		t.progress = max(t.progress, r.Header.Revision)
		return
	}
	t.takeEvents(w, r)
}

func (t *stream) takeEvents(w *watch, r *pb.WatchResponse) {
	for i, event := range r.Events {
		rev := event.Kv.ModRevision
		if rev < w.lastRev || (i == 0 && rev == w.lastRev && !w.fragments) {
			t.stray = append(t.stray, fmt.Sprintf("%s: revision %d after %d, in another response", w.name, rev, w.lastRev))
		}
		w.lastRev = rev
		if len(event.Kv.Value) > 100 {
			event.Kv.Value = fmt.Appendf(nil, "%d bytes", len(event.Kv.Value))
		}
	}
	if r.Header.Revision < w.lastRev || r.Header.Revision < w.headerRev {
		t.stray = append(t.stray, fmt.Sprintf("%s: header revision %d, after %d, with events up to %d", w.name, r.Header.Revision,
			w.headerRev, w.lastRev))
	}
	w.headerRev, w.fragments = r.Header.Revision, r.Fragment
	if r.Fragment && !w.request.Fragment {
		t.stray = append(t.stray, w.name+": a fragment that was not asked for")
	}
	w.events = append(w.events, r.Events...)
	w.count += len(r.Events)
}

func (s *Side) createWatch(number int, r *pb.WatchCreateRequest) Result {
	t := s.streams[number]
	if err := t.open(); err != nil {
		return s.result(nil, err)
	}
	t.mu.Lock()
	t.pending = r
	t.mu.Unlock()
	return s.control(t, &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}}, func(created *pb.WatchResponse) {
		if w := t.live[created.WatchId]; w != nil && !created.Canceled {
			w.name = fmt.Sprintf("stream %d, %s {%s}", number, w.name, r)
			w.compactable = r.StartRevision > 0 && r.StartRevision < s.compacted
			w.logAt = s.log.index(w.start)
		}
	})
}

// control sends a create request and waits for the answer that each has exactly one of.
func (s *Side) control(t *stream, request *pb.WatchRequest, then func(*pb.WatchResponse)) Result {
	_ = t.client.Send(request) // a stream that is gone is seen below
	select {
	case answer := <-t.answers:
		t.mu.Lock()
		defer t.mu.Unlock()
		if then != nil {
			then(answer)
		}
		return s.result(answer, nil)
	case <-time.After(s.patience):
		t.mu.Lock()
		defer t.mu.Unlock()
		s.problem("no answer to %s; the stream: %v", request, t.err)
		return Result{}
	}
}

// barrier is a watch that cannot be: once its refusal is there, so is all that was asked before.
func (s *Side) barrier(t *stream) Result {
	return s.control(t, &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a")}}}, nil)
}

func (s *Side) cancelWatch(number int, r *pb.WatchCancelRequest) Result {
	t := s.streams[number]
	if err := t.open(); err != nil {
		return s.result(nil, err)
	}
	s.sync()
	_ = t.client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: r}})
	result := s.barrier(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.live[r.WatchId]; w != nil {
		if w.canceled == nil {
			s.problem("%s was not cancelled", w.name)
		}
		delete(t.live, r.WatchId)
	}
	return result
}

// progress: once all watches of a stream are told everything, a request is answered with the current revision. (etcd keeps
// silent while a watch begins in the future or is one that compaction has ended.)
func (s *Side) progress(number int) Result {
	t := s.streams[number]
	s.sync()
	if !t.answersProgress(s.current) {
		return Result{}
	}
	if told := s.askProgress(t); told != s.current && len(s.problems) == 0 {
		s.problem("stream %d: progress is told as revision %d, current is %d", number, told, s.current)
	}
	return Result{note: fmt.Sprintf("progress at %d", s.current)}
}

func (t *stream) answersProgress(current int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.live {
		if w.canceled != nil || w.start > current {
			return false
		}
	}
	return len(t.live) > 0
}

func (s *Side) askProgress(t *stream) int64 {
	t.mu.Lock()
	before := t.told
	t.mu.Unlock()
	for end := time.Now().Add(s.patience); time.Now().Before(end); {
		_ = t.client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
		for range 10 {
			time.Sleep(2 * time.Millisecond)
			t.mu.Lock()
			told, revision := t.told, t.progress
			t.mu.Unlock()
			if told > before {
				return revision
			}
		}
	}
	s.problem("no answer to progress requests")
	return 0
}

func encoded(event *mvccpb.Event) []byte {
	text, err := proto.Marshal(event)
	if err != nil {
		panic(err)
	}
	return text
}
