package linearizability

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/servers"
)

// Record is one request of one client, with its times in nanoseconds since the beginning.
type Record struct {
	Client       int
	Call, Return int64
	Request      *Request
	Response     *Response
	Error        string `json:",omitempty"`
}

type client struct {
	number  int
	kv      pb.KVClient
	conn    *grpc.ClientConn
	rand    *rand.Rand
	begin   time.Time
	values  *atomic.Int64
	mods    [keyCount]int64 // what was last seen
	records []*Record
	timeout time.Duration
}

func newClient(number int, address string, seed uint64, begin time.Time, values *atomic.Int64, options []grpc.DialOption) (*client, error) {
	conn, err := servers.Dial(address, options...)
	if err != nil {
		return nil, err
	}
	return &client{number: number, kv: pb.NewKVClient(conn), conn: conn, rand: rand.New(rand.NewPCG(seed, uint64(number))), begin: begin,
		values: values, timeout: 5 * time.Second}, nil
}

// next is a random request.
func (c *client) next() *Request {
	key, other := c.rand.IntN(keyCount), c.rand.IntN(keyCount)
	value := c.values.Add(1)
	switch pick := c.rand.IntN(100); {
	case pick < 25:
		return &Request{Plain: true, Then: []action{{"put", key, value}}}
	case pick < 45:
		return &Request{Plain: true, Then: []action{{"get", key, 0}}}
	case pick < 55:
		return &Request{Plain: true, Then: []action{{"all", 0, 0}}}
	case pick < 62:
		return &Request{Plain: true, Then: []action{{"delete", key, 0}}}
	case pick < 64:
		return &Request{Plain: true, Then: []action{{"deleteAll", 0, 0}}}
	case pick < 85:
		return &Request{Compare: true, Key: key, Mod: c.mods[key], Then: []action{{"put", key, value}}, Else: []action{{"get", key, 0}}}
	case pick < 90:
		return &Request{Compare: true, Key: key, Mod: c.mods[key], Then: []action{{"delete", key, 0}}, Else: []action{{"get", key, 0}}}
	}
	if key == other {
		other = (key + 1) % keyCount
	}
	return &Request{Then: []action{{"put", key, value}, {"put", other, c.values.Add(1)}, {"get", key, 0}, {"all", 0, 0}}}
}

func (r *Request) writes() bool {
	for _, actions := range [][]action{r.Then, r.Else} {
		for _, a := range actions {
			if a.Kind != "get" && a.Kind != "all" {
				return true
			}
		}
	}
	return false
}

// do sends one request. A read that failed says nothing; a write that failed may have happened.
func (c *client) do() {
	record := &Record{Client: c.number, Request: c.next()}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	record.Call = int64(time.Since(c.begin))
	response, err := c.send(ctx, record.Request)
	record.Return = int64(time.Since(c.begin))
	if err != nil {
		record.Error = err.Error()
		if !record.Request.writes() {
			return
		}
		response = &Response{Unknown: true}
	}
	record.Response = response
	c.records = append(c.records, record)
	for _, got := range response.Results {
		for _, p := range got.Values {
			c.mods[p.Key] = p.mod
		}
	}
	if err == nil && response.Succeeded && len(record.Request.Then) == 1 && record.Request.Then[0].Kind == "put" {
		c.mods[record.Request.Then[0].Key] = response.Revision
	}
}

func (c *client) send(ctx context.Context, request *Request) (*Response, error) {
	wait := grpc.WaitForReady(true)
	if !request.Plain {
		answer, err := c.kv.Txn(ctx, request.txn(), wait)
		if err != nil {
			return nil, err
		}
		response := &Response{Revision: answer.Header.Revision, Succeeded: answer.Succeeded}
		for _, op := range answer.Responses {
			response.Results = append(response.Results, resultOf(op))
		}
		return response, nil
	}
	plain := func(header *pb.ResponseHeader, op *pb.ResponseOp) *Response {
		return &Response{Revision: header.GetRevision(), Succeeded: true, Results: []result{resultOf(op)}}
	}
	switch op := request.Then[0].op().Request.(type) {
	case *pb.RequestOp_RequestPut:
		answer, err := c.kv.Put(ctx, op.RequestPut, wait)
		if err != nil {
			return nil, err
		}
		return plain(answer.Header, &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: answer}}), nil
	case *pb.RequestOp_RequestRange:
		answer, err := c.kv.Range(ctx, op.RequestRange, wait)
		if err != nil {
			return nil, err
		}
		return plain(answer.Header, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: answer}}), nil
	case *pb.RequestOp_RequestDeleteRange:
		answer, err := c.kv.DeleteRange(ctx, op.RequestDeleteRange, wait)
		if err != nil {
			return nil, err
		}
		return plain(answer.Header, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: answer}}), nil
	}
	panic("a plain request of another kind")
}
