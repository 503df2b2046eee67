// Command etcd-check holds an etcd v3 server against etcd itself, against a model of it, and against what etcd promises of
// watches, while the server is killed and started again.
package main

import (
	"fmt"
	"os"

	"rusternetes/tests/etcd/crash"
	"rusternetes/tests/etcd/differential"
	"rusternetes/tests/etcd/linearizability"
)

func main() {
	commands := map[string]func([]string) int{
		"differential":    func(words []string) int { return differential.Main(words, os.Stdout) },
		"linearizability": func(words []string) int { return linearizability.Main(words, os.Stdout) },
		"crash":           func(words []string) int { return crash.Main(words, os.Stdout) },
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: etcd-check differential|linearizability|crash [FLAG...] (--help shows the flags of each)")
		os.Exit(2)
	}
	os.Exit(commands[os.Args[1]](os.Args[2:]))
}
