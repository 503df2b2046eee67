package differential

import (
	"fmt"
	"time"
)

const (
	spares  = 4  // servers that start while others are in use
	slowest = 64 // sequences as short as this are compared after every operation
)

// shrinker looks for a shorter sequence with a difference; each try begins with empty servers.
type shrinker struct {
	pair  *Pair
	end   time.Time
	ops   []*Op
	found *Difference
	fine  bool // compared after every operation
	tries int
	kept  int // tries that were shorter
}

// Shrink takes operations out as long as some difference stays, for at most `limit`: first all that is long before it, then by
// delta debugging (Zeller's ddmin, in passes).
func (p *Pair) Shrink(ops []*Op, found *Difference, limit time.Duration) ([]*Op, *Difference, error) {
	for _, s := range []*Side{p.A, p.B} {
		if err := s.grow(spares); err != nil {
			return nil, nil, err
		}
		s.patience = shrinkTimeout
	}
	s := &shrinker{pair: p, end: time.Now().Add(limit), ops: ops[:found.Index+1], found: found}
	before := p.blockSize
	defer func() { p.blockSize = before }()
	err := s.shrink()
	return s.ops, s.found, err
}

func (s *shrinker) shrink() error {
	for size := 16; size < len(s.ops) && s.time(); size *= 4 {
		if kept, err := s.keep(s.ops[len(s.ops)-size:]); kept || err != nil {
			if err != nil {
				return err
			}
			break
		}
	}
	// Requests that ask for less may need fewer others before them.
	for before := -1; before != s.kept && s.time(); {
		before = s.kept
		if err := s.passes(); err != nil {
			return err
		}
		if err := s.simplify(); err != nil {
			return err
		}
	}
	return nil
}

// passes is delta debugging, with ever smaller parts.
func (s *shrinker) passes() error {
	for size := len(s.ops) / 2; size > 0 && s.time(); {
		if !s.fine && len(s.ops) <= slowest {
			// Where exactly it is seen can be told now, if it is still seen in this way.
			s.fine, s.pair.blockSize = true, 1
			kept, err := s.keep(s.ops)
			if err != nil {
				return err
			}
			if !kept {
				s.pair.blockSize = blockSize
			}
		}
		shorter, err := s.pass(size)
		if err != nil {
			return err
		}
		if size = min(size, len(s.ops)); size > 1 {
			size /= 2
		} else if !shorter {
			break
		}
	}
	return nil
}

// simplify makes the requests of what is left smaller.
func (s *shrinker) simplify() error {
	for i := 0; i < len(s.ops) && len(s.ops) <= slowest && s.time(); {
		again := false
		for _, req := range simpler(s.ops[i].Req) {
			if req == nil || !s.time() {
				continue
			}
			op := *s.ops[i]
			op.Req = req
			candidate := append([]*Op(nil), s.ops...)
			candidate[i] = &op
			kept, err := s.keep(candidate)
			if err != nil {
				return err
			}
			if again = kept; kept {
				break
			}
		}
		if !again {
			i++
		}
	}
	return nil
}

func (s *shrinker) time() bool { return time.Now().Before(s.end) }

// pass tries once to do without each `size` operations in a row.
func (s *shrinker) pass(size int) (shorter bool, err error) {
	for at := 0; at < len(s.ops) && len(s.ops) > 1 && s.time(); {
		rest := append(append([]*Op(nil), s.ops[:at]...), s.ops[min(at+size, len(s.ops)):]...)
		kept := false
		if len(rest) > 0 {
			if kept, err = s.keep(rest); err != nil {
				return shorter, err
			}
		}
		if kept {
			shorter = true
		} else {
			at += size
		}
	}
	return shorter, nil
}

func (s *shrinker) keep(candidate []*Op) (bool, error) {
	s.tries++
	out := s.pair.Out
	s.pair.Out = nil
	found, err := s.pair.Run(candidate)
	s.pair.Out = out
	if found == nil || err != nil || found.Class != s.found.Class {
		return false, err // another difference is for another day
	}
	s.kept++
	s.ops, s.found = candidate[:min(found.Index+1, len(candidate))], found
	if out != nil && s.tries%10 == 0 {
		fmt.Fprintf(out, "shrunk to %d operations (%d tries)\n", len(s.ops), s.tries)
	}
	return true, nil
}
