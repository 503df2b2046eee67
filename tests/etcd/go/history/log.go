// Package history holds what watchers of an etcd were told against the whole list of events of that etcd.
package history

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/servers"
)

// ReadLog reads every event from revision 1 on, up to the current revision, with the previous values. Nothing may be compacted.
func ReadLog(address string, timeout time.Duration) ([]*mvccpb.Event, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := servers.Dial(address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	now, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte{0}, CountOnly: true}, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	client, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		return nil, err
	}
	request := &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: 1, PrevKv: true}
	if err := client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}}); err != nil {
		return nil, err
	}
	var log []*mvccpb.Event
	for last := int64(1); last < now.Header.Revision; {
		response, err := client.Recv()
		if err != nil {
			return nil, fmt.Errorf("the log ends at revision %d of %d: %w", last, now.Header.Revision, err)
		}
		if response.Canceled {
			return nil, fmt.Errorf("the watch of the whole log was cancelled: %s", response)
		}
		for _, event := range response.Events {
			if rev := event.Kv.ModRevision; rev != last && rev != last+1 {
				return nil, fmt.Errorf("the log has revision %d after %d", rev, last)
			}
			last = event.Kv.ModRevision
		}
		shortenAll(response.Events)
		log = append(log, response.Events...)
	}
	return log, nil
}

// CheckLog replays the log: versions, revisions of creation and previous values must follow from one another, and what is left
// at the end must be what a read of everything yields.
func CheckLog(log []*mvccpb.Event, address string) (problems []string) {
	held := map[string]*mvccpb.KeyValue{}
	for _, event := range log {
		key, kv := string(event.Kv.Key), event.Kv
		before := held[key]
		if (before == nil) != (event.PrevKv == nil) || before != nil && !proto.Equal(before, event.PrevKv) {
			problems = append(problems, fmt.Sprintf("log: %s, but the previous is %s", event, before))
		}
		if event.Type == mvccpb.DELETE {
			if before == nil {
				problems = append(problems, fmt.Sprintf("log: %s deletes what is not there", event))
			}
			delete(held, key)
			continue
		}
		version, created := int64(1), kv.ModRevision
		if before != nil {
			version, created = before.Version+1, before.CreateRevision
		}
		if kv.Version != version || kv.CreateRevision != created {
			problems = append(problems, fmt.Sprintf("log: %s, expected version %d and create_revision %d", event, version, created))
		}
		held[key] = kv
	}
	conn, err := servers.Dial(address)
	if err != nil {
		return append(problems, err.Error())
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}, grpc.WaitForReady(true))
	if err != nil {
		return append(problems, err.Error())
	}
	if len(log) > 0 && all.Header.Revision != log[len(log)-1].Kv.ModRevision {
		return problems // something is still going on; nothing of it can be told
	}
	if len(all.Kvs) != len(held) {
		problems = append(problems, fmt.Sprintf("%d keys are there, the log says %d", len(all.Kvs), len(held)))
	}
	for _, kv := range all.Kvs {
		kv.Value = Shorten(kv.Value)
		if logged := held[string(kv.Key)]; logged == nil || !proto.Equal(logged, kv) {
			problems = append(problems, fmt.Sprintf("read: %s, the log says %s", kv, logged))
		}
	}
	return problems
}

// Shorten gives a long value's beginning and hash, so that a long history fits into memory many times.
func Shorten(value []byte) []byte {
	if len(value) <= 48 {
		return value
	}
	hash := fnv.New64a()
	hash.Write(value)
	return fmt.Appendf(nil, "%s…%d bytes, %x", value[:16], len(value), hash.Sum64())
}

func shortenAll(events []*mvccpb.Event) {
	for _, event := range events {
		event.Kv.Value = Shorten(event.Kv.Value)
		if event.PrevKv != nil {
			event.PrevKv.Value = Shorten(event.PrevKv.Value)
		}
	}
}
