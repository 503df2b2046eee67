package differential

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/gogo/protobuf/proto"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

func (s *Side) timeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) Result {
	answer, err := s.leases.LeaseTimeToLive(ctx, r, grpc.WaitForReady(true))
	result := s.result(answer, err)
	if err == nil {
		sort.Slice(answer.Keys, func(i, j int) bool { return string(answer.Keys[i]) < string(answer.Keys[j]) })
		if answer.TTL > 0 {
			if answer.TTL > answer.GrantedTTL {
				s.problem("more time to live than was granted: %s", answer)
			}
			result.seconds, answer.TTL = answer.TTL, 0
		}
	}
	return result
}

func (s *Side) listLeases(ctx context.Context) Result {
	answer, err := s.leases.LeaseLeases(ctx, &pb.LeaseLeasesRequest{}, grpc.WaitForReady(true))
	if err == nil {
		sort.Slice(answer.Leases, func(i, j int) bool { return answer.Leases[i].ID < answer.Leases[j].ID })
	}
	return s.result(answer, err)
}

// grantAuto lets the server choose the ID, which is its own.
func (s *Side) grantAuto(ctx context.Context) Result {
	answer, err := s.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: leaseTTL}, grpc.WaitForReady(true))
	result := s.result(answer, err)
	if err != nil {
		return result
	}
	if answer.ID <= 0 {
		s.problem("a lease was given the ID %d", answer.ID)
	}
	revoked := s.result(s.leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: answer.ID}))
	answer.ID = 1
	result.messages = append(result.messages, revoked.messages...)
	result.err += revoked.err
	return result
}

func (s *Side) keepAlive(r *pb.LeaseKeepAliveRequest) Result {
	if s.keepalive == nil {
		stream, err := s.leases.LeaseKeepAlive(context.Background(), grpc.WaitForReady(true))
		if err != nil {
			return s.result(nil, err)
		}
		s.keepalive = stream
	}
	if err := s.keepalive.Send(r); err != nil {
		s.keepalive = nil
		return s.result(nil, err)
	}
	type received struct {
		answer *pb.LeaseKeepAliveResponse
		err    error
	}
	got := make(chan received, 1)
	go func(stream pb.Lease_LeaseKeepAliveClient) {
		answer, err := stream.Recv()
		got <- received{answer, err}
	}(s.keepalive)
	select {
	case r := <-got:
		if r.err != nil {
			s.keepalive = nil
		}
		return s.result(r.answer, r.err)
	case <-time.After(callTimeout):
		s.problem("no answer to a keep-alive")
		return Result{}
	}
}

// expire grants a short lease, puts keys under it and waits until they are gone: not too early, and not much too late.
func (s *Side) expire(ctx context.Context, r *pb.LeaseGrantRequest) Result {
	begin := time.Now()
	granted, err := s.leases.LeaseGrant(ctx, r, grpc.WaitForReady(true))
	result := s.result(granted, err)
	if err != nil {
		return result
	}
	if granted.TTL > 20 {
		s.problem("a time to live of %d s became %d s", r.TTL, granted.TTL)
		return result
	}
	keys := [][]byte{{'b'}, {'a', 0}, {0xff, 'x'}}
	for _, key := range keys {
		put := s.result(s.kv.Put(ctx, &pb.PutRequest{Key: key, Value: []byte("short"), Lease: granted.ID}))
		result.messages = append(result.messages, put.messages...)
		result.err += put.err
	}
	deadline := begin.Add(time.Duration(granted.TTL)*time.Second + 15*time.Second)
	for {
		left := s.result(s.kv.Range(ctx, &pb.RangeRequest{Key: keys[0], KeysOnly: true}))
		if left.err != "" || len(left.messages[0].(*pb.RangeResponse).Kvs) == 0 {
			result.messages = append(result.messages, left.messages...)
			result.err += left.err
			break
		}
		if time.Now().After(deadline) {
			s.problem("a lease of %d s has not run out after %v", granted.TTL, time.Since(begin))
			return result
		}
		time.Sleep(20 * time.Millisecond)
	}
	// What is granted counts from the grant's arrival at the server, at the earliest `begin`.
	if lived := time.Since(begin); lived < time.Duration(granted.TTL)*time.Second {
		s.problem("a lease of %d s ran out after %v", granted.TTL, lived)
	}
	gone := s.timeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: granted.ID, Keys: true})
	result.messages = append(result.messages, gone.messages...)
	result.err += gone.err
	return result
}

// big makes a history that does not fit into one message, and looks at how it is told to a watch that begins in the past.
func (s *Side) big(ctx context.Context, n int64) Result {
	var result Result
	var first int64
	for i := range 4 {
		value := make([]byte, 600_000+int(n)%100*1000*i)
		put := s.result(s.kv.Put(ctx, &pb.PutRequest{Key: []byte(fmt.Sprintf("big%d", i)), Value: value}, grpc.WaitForReady(true)))
		if put.err != "" {
			return put
		}
		if i == 0 {
			first = s.current
		}
	}
	request := &pb.WatchCreateRequest{Key: []byte("big"), RangeEnd: []byte("bih"), StartRevision: first, Fragment: n%3 != 0, PrevKv: n%4 == 0}
	for range 5 {
		var fragmented bool
		var err error
		if result.messages, fragmented, err = s.tellBig(ctx, request); err != nil {
			return s.result(nil, err)
		}
		// etcd does not cut what it has found before the watch's creation was told, which is a matter of luck.
		if fragmented || !request.Fragment {
			break
		}
	}
	last := s.result(s.kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("big"), RangeEnd: []byte("bih")}))
	result.messages = append(result.messages, last.messages...)
	result.err += last.err
	return result
}

// tellBig is what a watch is told of the four big events, and whether any of it was a fragment.
func (s *Side) tellBig(ctx context.Context, request *pb.WatchCreateRequest) (messages []proto.Message, fragmented bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := pb.NewWatchClient(s.conn).Watch(ctx, grpc.WaitForReady(true))
	if err != nil {
		return nil, false, err
	}
	_ = client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}})
	for events := 0; events < 4; {
		response, err := client.Recv()
		if err != nil {
			return nil, false, err
		}
		events += len(response.Events)
		fragmented = fragmented || response.Fragment
		// Values would fill memory: their lengths tell enough.
		for _, event := range response.Events {
			event.Kv.Value = fmt.Appendf(nil, "%d bytes", len(event.Kv.Value))
			if event.PrevKv != nil {
				event.PrevKv.Value = fmt.Appendf(nil, "%d bytes", len(event.PrevKv.Value))
			}
		}
		clean(response.Header)
		messages = append(messages, response)
	}
	return messages, fragmented, nil
}

// misc asks what etcd answers without users, alarms or other members.
func (s *Side) misc(ctx context.Context, n int64) Result {
	wait := grpc.WaitForReady(true)
	auth := pb.NewAuthClient(s.conn)
	switch n % 12 {
	case 0:
		answer, err := pb.NewClusterClient(s.conn).MemberList(ctx, &pb.MemberListRequest{Linearizable: n%2 == 0}, wait)
		if err == nil {
			count := len(answer.Members)
			answer.Members = nil
			result := s.result(answer, nil)
			result.note = fmt.Sprintf("%d members", count)
			return result
		}
		return s.result(answer, err)
	case 1:
		return s.result(s.maintenance.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_GET}, wait))
	case 2:
		return s.result(auth.AuthStatus(ctx, &pb.AuthStatusRequest{}, wait))
	case 3:
		return s.result(auth.UserList(ctx, &pb.AuthUserListRequest{}, wait))
	case 4:
		return s.result(auth.RoleList(ctx, &pb.AuthRoleListRequest{}, wait))
	case 5:
		return s.result(auth.UserGet(ctx, &pb.AuthUserGetRequest{Name: "nobody"}, wait))
	case 6:
		return s.result(auth.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: "nothing"}, wait))
	case 7:
		return s.result(auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: "nobody", Password: "p"}, wait))
	case 8:
		return s.result(auth.AuthEnable(ctx, &pb.AuthEnableRequest{}, wait))
	case 9:
		return s.result(s.maintenance.Defragment(ctx, &pb.DefragmentRequest{}, wait))
	case 10:
		return s.result(s.maintenance.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, Alarm: pb.AlarmType_NOSPACE}, wait))
	}
	answer, err := s.maintenance.Status(ctx, &pb.StatusRequest{}, wait)
	if err != nil {
		return s.result(nil, err)
	}
	s.result(answer, nil)
	if answer.DbSize <= 0 || answer.DbSizeInUse <= 0 || answer.DbSizeInUse > answer.DbSize || answer.Leader == 0 || answer.Version == "" {
		s.problem("an odd status: %s", answer)
	}
	told := proto.Message(&pb.StatusResponse{Header: answer.Header, Errors: answer.Errors, IsLearner: answer.IsLearner})
	return Result{messages: []proto.Message{told}}
}
