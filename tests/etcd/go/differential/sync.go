package differential

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"sort"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
)

// stamp is an event of the log, without its value.
type stamp struct {
	revision int64
	kind     mvccpb.Event_EventType
	key      string
	hash     uint64 // of the whole event
}

// eventLog is every event of one server since its beginning, from a watch of all keys. It says how much each other watch must
// have been told, and is compared with the other server's.
type eventLog struct {
	mu       sync.Mutex
	events   []stamp
	problem  string
	compared int
	cancel   context.CancelFunc
	ended    chan struct{}
}

func (l *eventLog) follow(conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(context.Background())
	client, err := pb.NewWatchClient(conn).Watch(ctx, grpc.WaitForReady(true))
	if err != nil {
		cancel()
		return err
	}
	request := &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: l.last() + 1}
	if err := client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}}); err != nil {
		cancel()
		return err
	}
	l.cancel, l.ended = cancel, make(chan struct{})
	go l.receive(client, l.ended)
	return nil
}

func (l *eventLog) receive(client pb.Watch_WatchClient, ended chan struct{}) {
	defer close(ended)
	for {
		response, err := client.Recv()
		if err != nil {
			return
		}
		l.mu.Lock()
		if response.Canceled {
			l.problem = "the watch of all keys was cancelled: " + response.String()
		}
		for _, event := range response.Events {
			hash := fnv.New64a()
			hash.Write(encoded(event))
			next := stamp{event.Kv.ModRevision, event.Type, string(event.Kv.Key), hash.Sum64()}
			last := int64(1)
			if len(l.events) > 0 {
				last = l.events[len(l.events)-1].revision
			}
			// Every revision has an event, of whatever key.
			if next.revision != last && next.revision != last+1 {
				l.problem = fmt.Sprintf("the watch of all keys tells revision %d after %d", next.revision, last)
			}
			l.events = append(l.events, next)
		}
		l.mu.Unlock()
	}
}

func (l *eventLog) stop() {
	l.cancel()
	<-l.ended
}

func (l *eventLog) last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return 1
	}
	return l.events[len(l.events)-1].revision
}

// index of the first event at or after a revision, as far as events have come.
func (l *eventLog) index(revision int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sort.Search(len(l.events), func(i int) bool { return l.events[i].revision >= revision })
}

func (l *eventLog) trouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

func (w *watch) wants(e stamp) bool {
	if e.revision < w.start {
		return false
	}
	for _, filter := range w.request.Filters {
		if (filter == pb.WatchCreateRequest_NOPUT) == (e.kind == mvccpb.PUT) {
			return false
		}
	}
	key, end := w.request.Key, w.request.RangeEnd
	if len(key) == 0 {
		key = []byte{0}
	}
	switch {
	case len(end) == 0:
		return e.key == string(key)
	case bytes.Equal(end, []byte{0}):
		return e.key >= string(key)
	}
	return e.key >= string(key) && e.key < string(end)
}

// expect extends what must have come by what the log has got.
func (w *watch) expect(l *eventLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; w.logAt < len(l.events); w.logAt++ {
		if w.wants(l.events[w.logAt]) {
			w.expected = append(w.expected, l.events[w.logAt])
		}
	}
}

// sync waits until every watch has been told all there is, and checks what it was told against the log.
func (s *Side) sync() {
	end := time.Now().Add(s.patience)
	until := func(done func() bool) bool {
		for pause := 50 * time.Microsecond; !done(); pause = min(pause*2, 2*time.Millisecond) {
			if time.Now().After(end) {
				return false
			}
			time.Sleep(pause)
		}
		return true
	}
	if !until(func() bool { return s.log.last() >= s.current || s.log.trouble() != "" }) {
		s.problem("the watch of all keys is at revision %d, current is %d", s.log.last(), s.current)
	}
	if trouble := s.log.trouble(); trouble != "" {
		s.problem("%s", trouble)
	}
	for _, t := range s.streams {
		if t.client != nil && len(s.problems) == 0 {
			s.syncStream(t, until)
		}
	}
}

func (s *Side) syncStream(t *stream, until func(func() bool) bool) {
	locked := func(check func() bool) func() bool {
		return func() bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			return check() || t.err != nil
		}
	}
	for _, w := range t.live {
		if w.compactable {
			if !until(locked(func() bool { return w.canceled != nil })) {
				s.problem("%s begins before what is compacted, and is not cancelled", w.name)
			}
			continue
		}
		w.expect(s.log)
		if !until(locked(func() bool { return w.canceled != nil || w.count >= w.expectedAt+len(w.expected) })) {
			s.problem("%s: %d events came, there are %d", w.name, w.count, w.expectedAt+len(w.expected))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.live {
		s.checkEvents(w)
	}
	if t.err != nil {
		s.problem("a stream broke: %v", t.err)
	}
	for _, stray := range t.stray {
		s.problem("%s", stray)
	}
	t.stray = nil
}

func (s *Side) checkEvents(w *watch) {
	if w.canceled != nil && !w.compactable {
		s.problem("%s was cancelled: %s", w.name, w.canceled)
		return
	}
	if w.compactable {
		if w.count > 0 {
			s.problem("%s begins before what is compacted, and has %d events", w.name, w.count)
		}
		return
	}
	fresh := w.events[len(w.events)-(w.count-w.expectedAt):]
	for i, event := range fresh {
		if i >= len(w.expected) {
			s.problem("%s: an event that is not its own: %s", w.name, event)
			return
		}
		if e := w.expected[i]; e.revision != event.Kv.ModRevision || e.key != string(event.Kv.Key) || e.kind != event.Type {
			s.problem("%s: event %d is %s, expected %s of %q at %d", w.name, w.expectedAt+i, event, e.kind, e.key, e.revision)
			return
		}
	}
	w.expected = w.expected[len(fresh):]
	w.expectedAt = w.count
}

// settle waits, besides, until no watch can be taken for one that has still to read the past: a compaction would end it. etcd
// tells by answering a progress request; where it does not, some time must pass (it looks every 100 ms).
func (s *Side) settle() {
	s.sync()
	for _, t := range s.streams {
		if t.client == nil || len(s.problems) > 0 {
			continue
		}
		var youngest time.Time
		t.mu.Lock()
		for _, w := range t.live {
			if w.request.StartRevision != 0 && w.count == 0 && w.created.After(youngest) {
				youngest = w.created
			}
		}
		t.mu.Unlock()
		if time.Since(youngest) > 3*time.Second {
			continue
		}
		if t.answersProgress(s.current) {
			s.askProgress(t)
		} else if wait := 400*time.Millisecond - time.Since(youngest); wait > 0 {
			time.Sleep(wait)
		}
	}
}
