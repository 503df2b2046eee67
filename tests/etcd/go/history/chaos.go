package history

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"rusternetes/tests/etcd/servers"
)

// KillNext ends one member, the next one at each call, and starts it again after a moment; it returns once the member serves.
func KillNext(cluster *servers.Cluster, number int) error {
	m := cluster.Members[number%len(cluster.Members)]
	if m.Died() {
		return fmt.Errorf("%s ended by itself:\n%s", m.Name, m.LogTail())
	}
	m.End(syscall.SIGKILL)
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	if err := m.Run(); err != nil {
		return err
	}
	return m.WaitReady(60 * time.Second)
}
