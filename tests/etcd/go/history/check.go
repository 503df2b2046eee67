package history

import (
	"bytes"
	"fmt"
	"sort"
	"time"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Owed is what of the log a watcher has to be told.
func (w *Watcher) Owed(log []*mvccpb.Event) (owed []*mvccpb.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == 0 {
		return nil
	}
	begin := sort.Search(len(log), func(i int) bool { return log[i].Kv.ModRevision >= w.first })
	for _, event := range log[begin:] {
		if wants(w.Request, event) {
			owed = append(owed, event)
		}
	}
	return owed
}

func wants(request *pb.WatchCreateRequest, event *mvccpb.Event) bool {
	for _, filter := range request.Filters {
		if (filter == pb.WatchCreateRequest_NOPUT) == (event.Type == mvccpb.PUT) {
			return false
		}
	}
	key, end := event.Kv.Key, request.RangeEnd
	switch {
	case len(end) == 0:
		return bytes.Equal(key, request.Key)
	case len(end) == 1 && end[0] == 0:
		return bytes.Compare(key, request.Key) >= 0
	}
	return bytes.Compare(key, request.Key) >= 0 && bytes.Compare(key, end) < 0
}

// WaitFor returns once all watchers have been told the last event that they are owed, or after the timeout.
func WaitFor(watchers []*Watcher, log []*mvccpb.Event, timeout time.Duration) {
	end := time.Now().Add(timeout)
	for _, w := range watchers {
		for time.Now().Before(end) {
			owed := w.Owed(log)
			if w.known() && (len(owed) == 0 || w.Last() >= owed[len(owed)-1].Kv.ModRevision) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	// What is told twice, or too much, would come after that.
	time.Sleep(200 * time.Millisecond)
}

func (w *Watcher) known() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first != 0
}

// Check holds what was told against etcd's guarantees: ordered, unique, reliable, atomic, resumable, bookmarkable. The watcher
// must not run any more.
func (w *Watcher) Check(log []*mvccpb.Event) (problems []string) {
	say := func(format string, words ...any) {
		if len(problems) < 10 {
			problems = append(problems, w.Name+": "+fmt.Sprintf(format, words...))
		}
	}
	if w.first == 0 {
		say("has never been created")
		return append(problems, w.problems...)
	}
	owed := w.Owed(log)
	at, last, bookmark := 0, int64(0), int64(0)
	for number, told := range w.told {
		if told.Progress {
			bookmark = max(bookmark, told.Revision)
			if at < len(owed) && owed[at].Kv.ModRevision <= told.Revision {
				say("bookmarkable: response %d tells progress at %d before the event %s", number, told.Revision, short(owed[at]))
			}
			continue
		}
		for i, event := range told.Events {
			rev := event.Kv.ModRevision
			switch {
			case rev < last:
				say("ordered: response %d of stream %d has revision %d after %d", number, told.Stream, rev, last)
			case rev == last && i == 0:
				say("atomic, unique: response %d of stream %d goes on with revision %d", number, told.Stream, rev)
			case rev <= bookmark:
				say("bookmarkable: response %d of stream %d has revision %d after progress at %d", number, told.Stream, rev, bookmark)
			case rev > told.Revision:
				say("response %d has revision %d, and %d in its header", number, rev, told.Revision)
			}
			last = max(last, rev)
			if at >= len(owed) || !w.isSame(owed[at], event) {
				expected := "nothing more"
				if at < len(owed) {
					expected = short(owed[at])
				}
				say("reliable, resumable: response %d of stream %d (the first owed is %d) has %s, owed is %s", number, told.Stream, w.first,
					short(event), expected)
				return append(problems, w.problems...)
			}
			at++
		}
	}
	if at < len(owed) {
		say("reliable: %d events of %d did not come, from %s on", len(owed)-at, len(owed), short(owed[at]))
	}
	return append(problems, w.problems...)
}

func (w *Watcher) isSame(logged, event *mvccpb.Event) bool {
	if !w.Request.PrevKv {
		logged = &mvccpb.Event{Type: logged.Type, Kv: logged.Kv}
	}
	return proto.Equal(logged, event)
}

func short(event *mvccpb.Event) string {
	text := event.String()
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

// Summary says how much came, and how.
func (w *Watcher) Summary() string {
	events, progress := 0, 0
	for _, told := range w.told {
		events += len(told.Events)
		if told.Progress {
			progress++
		}
	}
	return fmt.Sprintf("%s: %d events, %d of progress, %d streams", w.Name, events, progress, w.streams)
}

// Streams is how many streams came to an end, Events how many events came.
func (w *Watcher) Streams() int { return w.streams }

func (w *Watcher) Told() []Told { return w.told }
