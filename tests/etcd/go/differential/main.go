package differential

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"rusternetes/tests/etcd/faults"
	"rusternetes/tests/etcd/servers"
)

// Main is the command `differential`; it returns the exit code: 0 without a difference, 1 with one, 2 if it could not be told.
func Main(arguments []string, out io.Writer) int {
	flags := flag.NewFlagSet("differential", flag.ExitOnError)
	a := flags.String("a", "etcd", "the one server: a program, or a command with {dir} {client} {peer} {name} {cluster}")
	b := flags.String("b", "", "the other")
	seed := flags.Uint64("seed", 0, "of the operations; one is drawn and printed without this")
	count := flags.Int("count", 100_000, "operations")
	slow := flags.Int("slow", 10, "how often, among them, each kind that takes seconds: leases that run out, restarts, events of megabytes")
	work := flags.String("work", "", "a folder for data and results; a temporary one without this")
	replay := flags.String("replay", "", "runs the operations of a file, and prints all answers")
	shrinking := flags.Duration("shrink-for", 5*time.Minute, "the longest time to look for a smaller case")
	fault := flags.String("fault", "", "what B's answers get wrong: "+faults.Names()+"; to see that it is found")
	ignoreHash := flags.Bool("ignore-hash", false, "HashKV's hash may differ")
	keepGoing := flags.Bool("keep-going", false, "lists differences that do not change a store, instead of ending with the first")
	_ = flags.Parse(arguments)

	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000_000) + 1
	}
	fail := func(err error) int {
		fmt.Fprintln(out, "ERROR:", err)
		return 2
	}
	var err error
	if *work == "" {
		if *work, err = os.MkdirTemp("", "etcd-differential-"); err != nil {
			return fail(err)
		}
	}
	pair, remove, err := newPair(*work, *a, *b, *fault, *seed)
	if err != nil {
		return fail(err)
	}
	defer remove()
	pair.Out, pair.IgnoreHash, pair.KeepGoing = out, *ignoreHash, *keepGoing
	if *replay != "" {
		ops, err := Load(*replay)
		if err != nil {
			return fail(err)
		}
		return explain(pair, ops, out, fail)
	}

	fmt.Fprintf(out, "seed %d, %d operations\n", *seed, *count)
	ops := Generate(*seed, *count, *slow)
	begin := time.Now()
	found, err := pair.Run(ops)
	if err != nil {
		return fail(err)
	}
	for _, noted := range pair.Noted {
		fmt.Fprintf(out, "NOTED at %d: %s\n\n", noted.Index, noted.Text)
	}
	if found == nil && len(pair.Noted) > 0 {
		fmt.Fprintf(out, "%d operations, with the differences above\n", len(ops))
		return 1
	}
	if found == nil {
		fmt.Fprintf(out, "%d operations, %d revisions, %d events: no difference, in %.0f s\n", len(ops), pair.A.current,
			len(pair.A.log.events), time.Since(begin).Seconds())
		return 0
	}
	fmt.Fprintf(out, "DIFFERENCE with seed %d after %.0f s, operation %d: %s\n", *seed, time.Since(begin).Seconds(), found.Index, found.Text)
	small, smallest, err := pair.Shrink(ops, found, *shrinking)
	if err != nil {
		return fail(err)
	}
	path := fmt.Sprintf("%s/case-%d.jsonl", *work, *seed)
	if err := Save(path, small); err != nil {
		return fail(err)
	}
	fmt.Fprintf(out, "\nthe smallest case that was found, %d operations, with %s's answers; --replay %s\n", len(small), pair.A.Name, path)
	explain(pair, small, out, fail)
	fmt.Fprintf(out, "found was: %s\n", smallest.Text)
	return 1
}

func newPair(work, a, b, fault string, seed uint64) (*Pair, func(), error) {
	options, err := faults.Options(fault, seed)
	if err != nil {
		return nil, nil, err
	}
	maker := func(label, server string) func(int) (*servers.Cluster, error) {
		return func(number int) (*servers.Cluster, error) {
			return servers.New(work, fmt.Sprintf("%s%d", label, number), server, 1)
		}
	}
	one, err := NewSide("A", maker("a", a))
	if err != nil {
		return nil, nil, err
	}
	two, err := NewSide("B", maker("b", b), options...)
	if err != nil {
		one.Remove()
		return nil, nil, err
	}
	remove := func() {
		one.Remove()
		two.Remove()
	}
	return &Pair{A: one, B: two, blockSize: blockSize}, remove, nil
}

func explain(pair *Pair, ops []*Op, out io.Writer, fail func(error) int) int {
	text, err := pair.Explain(ops)
	if err != nil {
		return fail(err)
	}
	fmt.Fprint(out, text)
	if pair.found {
		return 1
	}
	fmt.Fprintln(out, "no difference")
	return 0
}
