package differential

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	blockSize    = 256
	notedOfAKind = 2
)

// Difference is where two servers first do not do the same; nil is none.
type Difference struct {
	Index int    // of the operation, or of the last one before the difference was seen
	Class string // of what kind it is: a smaller case must show the same
	Text  string
}

// Pair is the two servers.
type Pair struct {
	A, B *Side
	// Out gets what is said on the way; nil is silence.
	Out io.Writer
	// IgnoreHash leaves the figure that HashKV yields out of the comparison.
	IgnoreHash bool
	// Trace prints every operation with its answers.
	Trace io.Writer
	// KeepGoing notes answers that differ without a change to either store, one of each kind of operation and error, and goes on.
	KeepGoing bool
	Noted     []*Difference
	found     bool // by Explain
	noted     map[string]int
	blockSize int
}

// Run begins with two empty servers and applies all operations to both.
func (p *Pair) Run(ops []*Op) (*Difference, error) {
	begin, told := time.Now(), time.Now()
	p.Noted, p.noted = nil, map[string]int{}
	if err := p.both(func(s *Side) error { return s.Fresh() }); err != nil {
		return nil, err
	}
	defer func() {
		p.A.disconnect()
		p.B.disconnect()
	}()
	for at := 0; at < len(ops); at += p.blockSize {
		block := ops[at:min(at+p.blockSize, len(ops))]
		if found := p.block(at, block); found != nil {
			return found, nil
		}
		if p.Out != nil && time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(p.Out, "%d operations, revision %d, %.0f a second\n", at+len(block), p.A.current,
				float64(at+len(block))/time.Since(begin).Seconds())
		}
	}
	return nil, nil
}

func (p *Pair) both(do func(*Side) error) error {
	done := make(chan error, 1)
	go func() { done <- do(p.A) }()
	err := do(p.B)
	if errA := <-done; errA != nil {
		return errA
	}
	return err
}

// block applies operations to both sides, each at its own pace, and then compares.
func (p *Pair) block(at int, ops []*Op) *Difference {
	results := map[*Side][]Result{}
	var resultsA, resultsB []Result
	_ = p.both(func(s *Side) error {
		got := s.Apply(ops)
		if len(s.problems) == 0 {
			s.sync()
		}
		if s == p.A {
			resultsA = got
		} else {
			resultsB = got
		}
		return nil
	})
	results[p.A], results[p.B] = resultsA, resultsB
	for i := 0; i < min(len(resultsA), len(resultsB)); i++ {
		a, b := resultsA[i], resultsB[i]
		if p.IgnoreHash && ops[i].Kind == "hashkv" {
			dropHash(a)
			dropHash(b)
		}
		if ops[i].Kind == "hashkv" && isRemembered(a, b) {
			continue
		}
		if p.Trace != nil {
			fmt.Fprintf(p.Trace, "%5d  %s\n       %s\n", at+i, a.request, a)
		}
		a.note, b.note = strings.TrimSuffix(a.note, " !"), strings.TrimSuffix(b.note, " !")
		if !same(a, b, p.A.restarted) {
			found := &Difference{at + i, "answer to " + ops[i].Kind, fmt.Sprintf("%s\n  %s: %s\n  %s: %s", a.request, p.A.Name, a, p.B.Name, b)}
			if !p.note(found, a, b) {
				return found
			}
		}
	}
	last := at + min(len(resultsA), len(resultsB)) - 1
	for _, s := range []*Side{p.A, p.B} {
		if len(s.problems) > 0 {
			return &Difference{at + len(results[s]) - 1, class(s.problems[0]), s.Name + ": " + strings.Join(s.problems, "\n  ")}
		}
	}
	for _, s := range []*Side{p.A, p.B} {
		if m := s.cluster.Members[0]; m.Died() {
			return &Difference{last, "end", s.Name + " ended by itself:\n" + m.LogTail()}
		}
	}
	if text := p.compareWatches(); text != "" {
		return &Difference{last, "watches", text}
	}
	if text := p.compareLogs(); text != "" {
		return &Difference{last, "log", text}
	}
	return nil
}

// note says whether one may go on after a difference: both sides refused, or both did, and what they hold is the same (if not,
// the logs of events will say so).
func (p *Pair) note(found *Difference, a, b Result) bool {
	if !p.KeepGoing || a.revision != b.revision || (a.err == "") != (b.err == "") {
		return false
	}
	kind := found.Class + " " + a.err + " " + b.err
	if p.noted[kind]++; p.noted[kind] <= notedOfAKind {
		p.Noted = append(p.Noted, found)
	}
	return true
}

// class of a problem: its letters up to the first figure of any kind, after the name of a watch.
func class(problem string) string {
	if at := strings.LastIndex(problem, "}: "); at >= 0 {
		problem = problem[at:]
	}
	return strings.TrimRight(problem[:min(len(problem), 1+strings.IndexAny(problem+"0", "0123456789"))], "0123456789")
}

func (s *Side) takeWatches() []*watch {
	all := s.finished
	s.finished = nil
	for _, t := range s.streams {
		t.mu.Lock()
		all = append(all, t.all...)
		// What was cancelled by us can be told nothing more.
		var kept []*watch
		for _, w := range t.all {
			if t.live[w.id] == w {
				kept = append(kept, w)
			}
		}
		t.all = kept
		t.mu.Unlock()
	}
	return all
}

func (p *Pair) compareWatches() string {
	all, other := p.A.takeWatches(), p.B.takeWatches()
	if len(all) != len(other) {
		return fmt.Sprintf("%d watches on %s, %d on %s", len(all), p.A.Name, len(other), p.B.Name)
	}
	for i, a := range all {
		b := other[i]
		for k := range min(len(a.events), len(b.events)) {
			if !sameMessage(a.events[k], b.events[k]) {
				return fmt.Sprintf("%s, event %d\n  %s: %s\n  %s: %s", a.name, a.count-len(a.events)+k, p.A.Name, a.events[k], p.B.Name, b.events[k])
			}
		}
		if len(a.events) != len(b.events) {
			return fmt.Sprintf("%s has %d events on %s, %d on %s", a.name, len(a.events), p.A.Name, len(b.events), p.B.Name)
		}
		a.events, b.events = nil, nil
		if fmt.Sprint(a.canceled) != fmt.Sprint(b.canceled) {
			return fmt.Sprintf("%s is cancelled\n  %s: %v\n  %s: %v", a.name, p.A.Name, a.canceled, p.B.Name, b.canceled)
		}
	}
	return ""
}

func (p *Pair) compareLogs() string {
	a, b := p.A.log, p.B.log
	for i := a.compared; i < min(len(a.events), len(b.events)); i++ {
		if a.events[i] != b.events[i] {
			return fmt.Sprintf("event %d of all\n  %s: %+v\n  %s: %+v", i, p.A.Name, a.events[i], p.B.Name, b.events[i])
		}
	}
	if len(a.events) != len(b.events) {
		return fmt.Sprintf("%d events on %s, %d on %s", len(a.events), p.A.Name, len(b.events), p.B.Name)
	}
	a.compared = len(a.events)
	return ""
}

// Explain replays the operations and prints all answers of both.
func (p *Pair) Explain(ops []*Op) (string, error) {
	var out bytes.Buffer
	p.Trace = &out
	defer func() { p.Trace = nil }()
	found, err := p.Run(ops)
	p.found = found != nil
	if found != nil {
		fmt.Fprintf(&out, "DIFFERENCE at %d: %s\n", found.Index, found.Text)
	}
	return out.String(), err
}
