package crash

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"rusternetes/tests/etcd/faults"
	"rusternetes/tests/etcd/history"
	"rusternetes/tests/etcd/servers"
)

type run struct {
	cluster              *servers.Cluster
	options              []grpc.DialOption
	writers, kills, size int
	limit                time.Duration
	seed                 uint64
	out                  io.Writer
	problems             []string
	done                 int // kills
}

// Main is the command `crash`; it returns the exit code: 0 if nothing is missing, 1 if something is, 2 if it could not be told.
func Main(arguments []string, out io.Writer) int {
	flags := flag.NewFlagSet("crash", flag.ExitOnError)
	server := flags.String("server", "etcd", "a program, or a command with {dir} {client} {peer} {name} {cluster}")
	members := flags.Int("members", 1, "of the cluster")
	work := flags.String("work", "", "a folder for the data; a temporary one without this")
	r := &run{out: out}
	flags.IntVar(&r.writers, "writers", 4, "at the same time")
	flags.IntVar(&r.kills, "kills", 20, "kill -9 and start again, one member after the other")
	flags.DurationVar(&r.limit, "for", 5*time.Minute, "no more kills after this")
	flags.IntVar(&r.size, "value-size", 2000, "the longest value")
	flags.Uint64Var(&r.seed, "seed", 0, "of what is written; one is drawn and printed without this")
	fault := flags.String("fault", "", "what answers get wrong: "+faults.Names()+"; to see that it is found")
	_ = flags.Parse(arguments)
	if r.seed == 0 {
		r.seed = rand.Uint64N(1_000_000_000) + 1
	}
	var err error
	if *work == "" {
		*work, err = os.MkdirTemp("", "etcd-crash-")
	}
	if err == nil {
		r.options, err = faults.Options(*fault, r.seed)
	}
	if err == nil {
		r.cluster, err = servers.New(*work, "server", *server, *members)
	}
	if err == nil {
		defer r.cluster.Remove(true)
		err = r.cluster.Fresh()
	}
	if err == nil {
		fmt.Fprintf(out, "seed %d\n", r.seed)
		err = r.run()
	}
	if err != nil {
		fmt.Fprintln(out, "ERROR:", err)
		return 2
	}
	if len(r.problems) == 0 {
		return 0
	}
	fmt.Fprintf(out, "VIOLATION with seed %d\n", r.seed)
	for i, problem := range r.problems {
		if i == 20 {
			fmt.Fprintf(out, "… and %d more\n", len(r.problems)-i)
			break
		}
		fmt.Fprintln(out, "  "+problem)
	}
	return 1
}

// startWatchers runs them: the first is told everything at once.
func (r *run) startWatchers(ctx context.Context, running *sync.WaitGroup) (all []*history.Watcher) {
	addresses, open := r.cluster.Addresses(), history.GRPC(r.options...)
	add := func(w *history.Watcher, key string, previous bool) *history.Watcher {
		w.Request = &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: 1, PrevKv: previous}
		if key != "" {
			w.Request.Key, w.Request.RangeEnd = []byte(key), append([]byte(key[:len(key)-1]), key[len(key)-1]+1)
		}
		w.Addresses = addresses
		if w.Open == nil {
			w.Open = open
		}
		all = append(all, w)
		return w
	}
	add(&history.Watcher{Name: "quick"}, "", false)
	add(&history.Watcher{Name: "slow", Delay: 150 * time.Millisecond}, "", true)
	add(&history.Watcher{Name: "slow, small windows", Delay: 30 * time.Millisecond, Open: history.GRPC(append([]grpc.DialOption{
		grpc.WithStaticStreamWindowSize(65535), grpc.WithStaticConnWindowSize(65535)}, r.options...)...)}, "", false)
	tiny := add(&history.Watcher{Name: "tiny windows"}, "", true)
	tiny.Open = history.Tiny(256, 2*time.Millisecond, tiny.Hurries)
	add(&history.Watcher{Name: "reconnecting", Reconnect: 300 * time.Millisecond}, "", false)
	add(&history.Watcher{Name: "reconnecting with bookmarks", Reconnect: 300 * time.Millisecond, Progress: 20 * time.Millisecond}, "w1/", true)
	add(&history.Watcher{Name: "reconnecting, tiny windows", Reconnect: time.Second, Progress: 100 * time.Millisecond,
		Open: history.Tiny(1000, time.Millisecond, tiny.Hurries)}, "w0/1", false)
	for _, w := range all {
		running.Add(1)
		go func() {
			defer running.Done()
			w.Run(ctx)
		}()
	}
	return all
}

func (r *run) run() error {
	begin := time.Now()
	watching, stopWatching := context.WithCancel(context.Background())
	var watchersRun, writersRun sync.WaitGroup
	watchers := r.startWatchers(watching, &watchersRun)
	defer func() {
		stopWatching()
		watchersRun.Wait()
	}()
	writing, stopWriting := context.WithCancel(context.Background())
	defer stopWriting()
	var writers []*writer
	for i := range r.writers {
		addresses := r.cluster.Addresses()
		w, err := newWriter(i, addresses[i%len(addresses)], r.seed, r.size, r.options)
		if err != nil {
			return err
		}
		writers = append(writers, w)
		writersRun.Go(func() { w.run(writing) })
	}
	leases := &holder{addresses: r.cluster.Addresses()}
	writersRun.Go(func() { leases.run(writing) })
	err := r.chaos(begin, writers)
	stopWriting()
	writersRun.Wait()
	if err != nil {
		return err
	}
	took := time.Since(begin)
	for _, w := range watchers {
		w.Hurry()
	}
	leases.waitForShort()
	log, err := history.ReadLog(r.cluster.Members[0].Address(), 2*time.Minute)
	if err != nil {
		return err
	}
	history.WaitFor(watchers, log, 90*time.Second)
	stopWatching()
	watchersRun.Wait()
	r.judge(log, writers, watchers, leases, took)
	return nil
}

// chaos kills members while everybody works. After each return, nothing that had been acknowledged may be missing.
func (r *run) chaos(begin time.Time, writers []*writer) error {
	for r.done < r.kills && time.Since(begin) < r.limit {
		time.Sleep(time.Duration(300+rand.IntN(1200)) * time.Millisecond)
		acknowledged := int64(0)
		for _, w := range writers {
			acknowledged = max(acknowledged, w.acknowledged())
		}
		if err := history.KillNext(r.cluster, r.done); err != nil {
			return err
		}
		r.done++
		revision, err := currentRevision(r.cluster.Members[(r.done-1)%len(r.cluster.Members)].Address())
		if err != nil {
			return err
		}
		if revision < acknowledged {
			r.problems = append(r.problems, fmt.Sprintf("after kill %d the revision is %d, %d had been acknowledged", r.done, revision,
				acknowledged))
		}
	}
	time.Sleep(500 * time.Millisecond)
	return nil
}

func currentRevision(address string) (int64, error) {
	conn, err := servers.Dial(address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		answer, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte{0}, CountOnly: true}, grpc.WaitForReady(true))
		if err == nil {
			return answer.Header.Revision, nil
		}
		if ctx.Err() != nil {
			return 0, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *run) judge(log []*mvccpb.Event, writers []*writer, watchers []*history.Watcher, leases *holder, took time.Duration) {
	logged := map[int64][]*mvccpb.Event{}
	for _, event := range log {
		logged[event.Kv.ModRevision] = append(logged[event.Kv.ModRevision], event)
	}
	acked, unknown := 0, 0
	for _, w := range writers {
		r.problems = append(r.problems, w.lost(logged)...)
		acked, unknown = acked+len(w.acked), unknown+w.unknown
	}
	r.problems = append(r.problems, history.CheckLog(log, r.cluster.Members[0].Address())...)
	for _, w := range watchers {
		r.problems = append(r.problems, w.Check(log)...)
	}
	r.problems = append(r.problems, leases.check(log, watchers[0])...)
	fmt.Fprintf(r.out, "%d kills in %.0f s: %d puts acknowledged, %d writes unknown, %d events, %d leases\n", r.done, took.Seconds(), acked,
		unknown, len(log), len(leases.held))
	for _, w := range watchers {
		fmt.Fprintln(r.out, w.Summary())
	}
}
