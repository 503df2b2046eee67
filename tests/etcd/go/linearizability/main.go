package linearizability

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/faults"
	"rusternetes/tests/etcd/history"
	"rusternetes/tests/etcd/servers"
)

type run struct {
	cluster                    *servers.Cluster
	options                    []grpc.DialOption
	clients, operations, kills int
	seed                       uint64
	work                       string
	out                        io.Writer
	timeout                    time.Duration
}

// Main is the command `linearizability`; it returns the exit code: 0 if all holds, 1 if not, 2 if it could not be told.
func Main(arguments []string, out io.Writer) int {
	flags := flag.NewFlagSet("linearizability", flag.ExitOnError)
	server := flags.String("server", "etcd", "a program, or a command with {dir} {client} {peer} {name} {cluster}")
	members := flags.Int("members", 1, "of the cluster")
	r := &run{out: out}
	flags.IntVar(&r.clients, "clients", 8, "at the same time")
	flags.IntVar(&r.operations, "operations", 10_000, "of all clients together")
	flags.IntVar(&r.kills, "kills", 5, "kill -9 and start again, one member after the other, while clients work")
	flags.Uint64Var(&r.seed, "seed", 0, "of the clients' requests; one is drawn and printed without this")
	flags.StringVar(&r.work, "work", "", "a folder for data and results; a temporary one without this")
	flags.DurationVar(&r.timeout, "check-for", 5*time.Minute, "the longest time for Porcupine")
	fault := flags.String("fault", "", "what answers get wrong: "+faults.Names()+"; to see that it is found")
	_ = flags.Parse(arguments)
	if r.seed == 0 {
		r.seed = rand.Uint64N(1_000_000_000) + 1
	}
	var err error
	if r.work == "" {
		r.work, err = os.MkdirTemp("", "etcd-linearizability-")
	}
	if err == nil {
		r.options, err = faults.Options(*fault, r.seed)
	}
	if err == nil {
		r.cluster, err = servers.New(r.work, "server", *server, *members)
	}
	if err == nil {
		defer r.cluster.Remove(true)
		err = r.cluster.Fresh()
	}
	if err != nil {
		fmt.Fprintln(out, "ERROR:", err)
		return 2
	}
	fmt.Fprintf(out, "seed %d\n", r.seed)
	return r.run()
}

func (r *run) run() int {
	ctx, stop := context.WithCancel(context.Background())
	watchers := r.watchers()
	var watching sync.WaitGroup
	for _, w := range watchers {
		watching.Add(1)
		go func() {
			defer watching.Done()
			w.Run(ctx)
		}()
	}
	begin := time.Now()
	records, err := r.load(begin)
	took := time.Since(begin)
	var log []*mvccpb.Event
	if err == nil {
		log, err = history.ReadLog(r.cluster.Members[0].Address(), 2*time.Minute)
	}
	if err == nil {
		history.WaitFor(watchers, log, 30*time.Second)
	}
	stop()
	watching.Wait()
	if err != nil {
		fmt.Fprintln(r.out, "ERROR:", err)
		return 2
	}
	return r.judge(records, watchers, log, took)
}

func (r *run) watchers() []*history.Watcher {
	open, addresses := history.GRPC(r.options...), r.cluster.Addresses()
	all := func() *pb.WatchCreateRequest {
		return &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: 1, PrevKv: true}
	}
	one, deletes, now := all(), all(), all()
	one.Key, one.RangeEnd, one.ProgressNotify = []byte("k1"), nil, true
	deletes.Filters = []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}
	now.StartRevision, now.PrevKv = 0, false
	return []*history.Watcher{
		{Name: "all keys", Request: all(), Addresses: addresses, Open: open, Progress: 20 * time.Millisecond},
		{Name: "one key, bookmarks", Request: one, Addresses: addresses, Open: open, Progress: 10 * time.Millisecond,
			Reconnect: 400 * time.Millisecond},
		{Name: "all keys from now on, reconnecting", Request: now, Addresses: addresses, Open: open, Reconnect: 200 * time.Millisecond},
		{Name: "deletions, slow", Request: deletes, Addresses: addresses, Open: open, Delay: 20 * time.Millisecond},
	}
}

// load runs the clients until all operations are done; the kills are spread over them.
func (r *run) load(begin time.Time) ([]*Record, error) {
	var values, done atomic.Int64
	var working sync.WaitGroup
	var clients []*client
	addresses := r.cluster.Addresses()
	for i := range r.clients {
		c, err := newClient(i, addresses[i%len(addresses)], r.seed, begin, &values, r.options)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
		working.Add(1)
		go func() {
			defer working.Done()
			defer c.conn.Close()
			for done.Add(1) <= int64(r.operations) {
				c.do()
			}
		}()
	}
	var err error
	for kill := range r.kills {
		for err == nil && done.Load() < int64(r.operations*(kill+1)/(r.kills+1)) {
			time.Sleep(5 * time.Millisecond)
		}
		if err == nil {
			err = history.KillNext(r.cluster, kill)
		}
	}
	if err != nil {
		done.Store(int64(r.operations))
	}
	working.Wait()
	var records []*Record
	for _, c := range clients {
		records = append(records, c.records...)
	}
	return records, err
}

// judge is what all this was for.
func (r *run) judge(records []*Record, watchers []*history.Watcher, log []*mvccpb.Event, took time.Duration) int {
	problems := history.CheckLog(log, r.cluster.Members[0].Address())
	for _, w := range watchers {
		problems = append(problems, w.Check(log)...)
	}
	operations, unknown, more := settle(records, log)
	problems = append(problems, more...)
	begin := time.Now()
	verdict := porcupine.CheckOperationsTimeout(model, operations, r.timeout)
	fmt.Fprintf(r.out, "%d operations (%d unknown), %d revisions, %d kills in %.1f s; Porcupine: %s in %.1f s\n", len(operations), unknown,
		lastRevision(log), r.kills, took.Seconds(), verdict, time.Since(begin).Seconds())
	for _, w := range watchers {
		fmt.Fprintln(r.out, w.Summary())
	}
	if verdict != porcupine.Ok {
		problems = append(problems, "the history is not linearizable: "+string(verdict))
		_, information := porcupine.CheckOperationsVerbose(model, operations, time.Minute)
		path := r.work + "/history.html"
		if err := porcupine.VisualizePath(model, information, path); err == nil {
			fmt.Fprintln(r.out, "see", path)
		}
	}
	if len(problems) == 0 {
		return 0
	}
	path := r.work + "/history.jsonl"
	if err := save(path, records); err != nil {
		fmt.Fprintln(r.out, "ERROR:", err)
	}
	fmt.Fprintf(r.out, "VIOLATION with seed %d; the history is in %s\n", r.seed, path)
	for i, problem := range problems {
		if i == 20 {
			fmt.Fprintf(r.out, "… and %d more\n", len(problems)-i)
			break
		}
		fmt.Fprintln(r.out, "  "+problem)
	}
	return 1
}

// settle makes Porcupine's history. What is not known of a write is looked up in the log: each value is written once. A write
// whose value is not there has never happened (if somebody read that value all the same, the history will not be linearizable).
func settle(records []*Record, log []*mvccpb.Event) (operations []porcupine.Operation, unknown int, problems []string) {
	revisions, at := map[string]int64{}, map[int64]int{}
	for i, event := range log {
		if event.Type == mvccpb.PUT {
			revisions[string(event.Kv.Value)] = event.Kv.ModRevision
		}
		if _, known := at[event.Kv.ModRevision]; !known {
			at[event.Kv.ModRevision] = i
		}
	}
	written := map[string]bool{}
	for i, record := range records {
		operation := porcupine.Operation{ClientId: record.Client, Input: record.Request, Call: record.Call, Output: record.Response,
			Return: record.Return}
		if record.Response.Unknown {
			unknown++
			value := firstValue(record.Request)
			record.Response.Applied = revisions[value]
			if value != "" && record.Response.Applied == 0 {
				continue
			}
			// Nobody knows when it ended; and its client went on meanwhile, as if it were another.
			operation.Return, operation.ClientId = math.MaxInt64, len(records)+i
		} else if record.Response.Succeeded {
			for _, a := range record.Request.Then {
				if value := fmt.Sprint(a.Value); a.Kind == "put" && revisions[value] != record.Response.Revision {
					problems = append(problems, fmt.Sprintf("an acknowledged write is lost: %s → %s, in the log at %d", record.Request,
						record.Response, revisions[value]))
				}
			}
			problems = append(problems, deletions(record, log, at)...)
		}
		for _, a := range record.Request.Then {
			written[fmt.Sprint(a.Value)] = true
		}
		operations = append(operations, operation)
	}
	for value, revision := range revisions {
		if !written[value] {
			problems = append(problems, fmt.Sprintf("nobody wrote %s, in the log at %d", value, revision))
		}
	}
	return operations, unknown, problems
}

func deletions(record *Record, log []*mvccpb.Event, at map[int64]int) (problems []string) {
	for i, a := range record.Request.Then {
		if a.Kind != "delete" && a.Kind != "deleteAll" || i >= len(record.Response.Results) {
			continue
		}
		for _, gone := range record.Response.Results[i].Values {
			found := false
			for k := at[record.Response.Revision]; k < len(log) && log[k].Kv.ModRevision == record.Response.Revision; k++ {
				found = found || log[k].Type == mvccpb.DELETE && string(log[k].Kv.Key) == keyName(gone.Key)
			}
			if !found {
				problems = append(problems, fmt.Sprintf("an acknowledged deletion is lost: %s → %s", record.Request, record.Response))
			}
		}
	}
	return problems
}

func firstValue(r *Request) string {
	for _, a := range r.Then {
		if a.Kind == "put" {
			return fmt.Sprint(a.Value)
		}
	}
	return ""
}

func lastRevision(log []*mvccpb.Event) int64 {
	if len(log) == 0 {
		return 1
	}
	return log[len(log)-1].Kv.ModRevision
}

func save(path string, records []*Record) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	encoder := json.NewEncoder(file)
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return err
		}
	}
	return nil
}
