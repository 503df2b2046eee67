package crash

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/history"
	"rusternetes/tests/etcd/servers"
)

const (
	longTTL, keptTTL, shortTTL = 3600, 15, 2
	keptID                     = 777
)

// lease is one that was granted, with the keys whose puts were acknowledged.
type lease struct {
	id      int64
	ttl     int64
	begin   time.Time // before it was asked for
	keys    []string
	revoked bool
}

// holder grants leases of four kinds: long ones, one that is kept alive, short ones that run out, and some that are revoked.
type holder struct {
	addresses []string
	problems  []string
	held      []*lease
	number    int64
}

func (h *holder) call(do func(context.Context, *grpc.ClientConn) error) error {
	h.number++
	conn, err := servers.Dial(h.addresses[h.number%int64(len(h.addresses))])
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return do(ctx, conn)
}

// run makes a lease of another kind every now and then.
func (h *holder) run(ctx context.Context) {
	kept := h.grant(keptID, keptTTL, "l/kept", 1)
	for number := int64(0); ctx.Err() == nil; number++ {
		if kept == nil {
			kept = h.grant(keptID, keptTTL, "l/kept", 1)
		} else {
			h.keepAlive(keptID)
		}
		switch id := 1000 + number; number % 4 {
		case 0:
			h.grant(id, longTTL, fmt.Sprintf("l/long%d", number), 3)
		case 1:
			h.grant(id, shortTTL, fmt.Sprintf("l/short%d", number), 2)
		case 2:
			h.revoke(h.grant(id, longTTL, fmt.Sprintf("l/revoked%d", number), 2))
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// grant returns nil if it is not known whether the lease is there.
func (h *holder) grant(id, ttl int64, prefix string, keys int) *lease {
	l := &lease{id: id, ttl: ttl, begin: time.Now()}
	err := h.call(func(ctx context.Context, conn *grpc.ClientConn) error {
		answer, err := pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl}, grpc.WaitForReady(true))
		if err == nil {
			l.ttl = answer.TTL
		}
		return err
	})
	if err != nil && !strings.Contains(err.Error(), "lease already exists") {
		return nil
	}
	for i := range keys {
		key := fmt.Sprintf("%s/%d", prefix, i)
		err := h.call(func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := pb.NewKVClient(conn).Put(ctx, &pb.PutRequest{Key: []byte(key), Value: []byte("leased"), Lease: id}, grpc.WaitForReady(true))
			return err
		})
		if err == nil {
			l.keys = append(l.keys, key)
		} else if strings.Contains(err.Error(), "lease not found") && time.Since(l.begin) < time.Duration(l.ttl)*time.Second {
			h.problems = append(h.problems, fmt.Sprintf("lease %d of %d s was granted, and is not there after %v", id, l.ttl, time.Since(l.begin)))
		}
	}
	h.held = append(h.held, l)
	return l
}

func (h *holder) revoke(l *lease) {
	if l == nil {
		return
	}
	err := h.call(func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := pb.NewLeaseClient(conn).LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: l.id}, grpc.WaitForReady(true))
		return err
	})
	if err == nil || strings.Contains(err.Error(), "lease not found") {
		l.revoked = true
	} else {
		l.keys = nil // it may be revoked, or not
		l.id = 0
	}
}

func (h *holder) keepAlive(id int64) {
	_ = h.call(func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err == nil && answer.TTL == 0 {
			h.problems = append(h.problems, "the lease that is kept alive is gone")
		}
		return err
	})
}

// waitForShort returns once every short lease's keys are gone; a restart may begin the time anew.
func (h *holder) waitForShort() {
	end := time.Now().Add(30 * time.Second)
	for {
		left := int64(0)
		err := h.call(func(ctx context.Context, conn *grpc.ClientConn) error {
			answer, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte("l/short"), RangeEnd: []byte("l/shoru"), CountOnly: true})
			left = answer.GetCount()
			return err
		})
		if err == nil && left == 0 {
			return
		}
		if time.Now().After(end) {
			h.problems = append(h.problems, fmt.Sprintf("%d keys of leases of %d s are still there (%v)", left, shortTTL, err))
			return
		}
		h.keepAlive(keptID)
		time.Sleep(200 * time.Millisecond)
	}
}

// check looks at every lease, and at what the log says of its keys. `live` is a watcher that was told things at once.
func (h *holder) check(log []*mvccpb.Event, live *history.Watcher) []string {
	deleted := map[string]time.Time{}
	for _, told := range live.Told() {
		for _, event := range told.Events {
			if event.Type == mvccpb.DELETE {
				deleted[string(event.Kv.Key)] = told.At
			}
		}
	}
	final := map[string]*mvccpb.KeyValue{}
	for _, event := range log {
		final[string(event.Kv.Key)] = event.Kv
		if event.Type == mvccpb.DELETE {
			delete(final, string(event.Kv.Key))
		}
	}
	for _, l := range h.held {
		if l.id != 0 {
			h.checkLease(l, final, deleted)
		}
	}
	return h.problems
}

func (h *holder) checkLease(l *lease, final map[string]*mvccpb.KeyValue, deleted map[string]time.Time) {
	say := func(format string, words ...any) {
		h.problems = append(h.problems, fmt.Sprintf("lease %d of %d s: ", l.id, l.ttl)+fmt.Sprintf(format, words...))
	}
	stays := !l.revoked && l.ttl != shortTTL
	for _, key := range l.keys {
		if kv := final[key]; (kv != nil) != stays {
			say("%s is %v at the end", key, kv)
		} else if kv != nil && kv.Lease != l.id {
			say("%s has lease %d", key, kv.Lease)
		}
		if at, gone := deleted[key]; gone && !l.revoked && at.Sub(l.begin) < time.Duration(l.ttl)*time.Second {
			say("%s was deleted after %v", key, at.Sub(l.begin))
		}
	}
	var answer *pb.LeaseTimeToLiveResponse
	err := h.call(func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		answer, err = pb.NewLeaseClient(conn).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: l.id, Keys: true}, grpc.WaitForReady(true))
		return err
	})
	switch {
	case err != nil:
		say("%v", err)
	case (answer.TTL > 0) != stays:
		say("%s at the end", answer)
	case stays:
		var names []string
		for _, key := range answer.Keys {
			names = append(names, string(key))
		}
		sort.Strings(names)
		for _, key := range l.keys {
			if at := sort.SearchStrings(names, key); at == len(names) || names[at] != key {
				say("%s is not attached: %v", key, names)
			}
		}
		if answer.GrantedTTL != l.ttl {
			say("granted are %d s", answer.GrantedTTL)
		}
	}
}
