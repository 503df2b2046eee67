// Package servers starts, kills and wipes etcd v3 servers of one or more members, by a command line.
package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

const startTimeout = 60 * time.Second

// Member is one server process with its data folder; it may run or not.
type Member struct {
	Name, Dir, Client, Peer string

	command []string
	process *exec.Cmd
	ended   chan struct{}
	logPath string
}

// Cluster is the members of one etcd; one member is a cluster, too.
type Cluster struct {
	Members []*Member
	work    string
}

// Template turns what a user names as a server into a command line. A text with "{dir}" is one already; of anything else,
// the path of a program, the base name says which flags it needs.
func Template(server string) string {
	if strings.Contains(server, "{dir}") {
		return server
	}
	command := server + " --data-dir {dir} --listen-client-urls {client} --advertise-client-urls {client}"
	if strings.HasPrefix(filepath.Base(server), "etcd") {
		command += " --name {name} --listen-peer-urls {peer} --initial-advertise-peer-urls {peer}" +
			" --initial-cluster {cluster} --log-level warn"
	}
	return command
}

// New lays out `members` members below `work`; Start runs them. The words {dir}, {client}, {peer}, {name} and {cluster} in
// the command stand for the data folder, the URLs of a member, its name, and --initial-cluster of all of them.
func New(work, label, server string, members int) (*Cluster, error) {
	// Two runs may share a folder.
	cluster := &Cluster{work: filepath.Join(work, fmt.Sprintf("%s-%d", label, os.Getpid()))}
	if err := os.MkdirAll(cluster.work, 0o700); err != nil {
		return nil, err
	}
	var initial []string
	taken := map[int]bool{}
	for i := range members {
		client, peer := freePort(taken), freePort(taken)
		name := fmt.Sprintf("m%d", i)
		m := &Member{Name: name, Dir: filepath.Join(cluster.work, name), logPath: filepath.Join(cluster.work, name+".log"),
			Client: fmt.Sprintf("http://127.0.0.1:%d", client), Peer: fmt.Sprintf("http://127.0.0.1:%d", peer)}
		initial = append(initial, m.Name+"="+m.Peer)
		cluster.Members = append(cluster.Members, m)
	}
	for _, m := range cluster.Members {
		words := strings.NewReplacer("{dir}", m.Dir, "{client}", m.Client, "{peer}", m.Peer, "{name}", m.Name,
			"{cluster}", strings.Join(initial, ","))
		for _, word := range strings.Fields(Template(server)) {
			m.command = append(m.command, words.Replace(word))
		}
	}
	return cluster, nil
}

// freePort is below the range of ports that outgoing connections take: a killed server must find its port free again.
func freePort(taken map[int]bool) int {
	for {
		port := 20000 + rand.IntN(12000)
		if taken[port] {
			continue
		}
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			listener.Close()
			taken[port] = true
			return port
		}
	}
}

// Start runs all members and waits until each answers.
func (c *Cluster) Start() error {
	for _, m := range c.Members {
		if err := m.Run(); err != nil {
			return err
		}
	}
	for _, m := range c.Members {
		if err := m.WaitReady(startTimeout); err != nil {
			return err
		}
	}
	return nil
}

// Fresh starts all members anew, without any data.
func (c *Cluster) Fresh() error {
	c.Kill()
	for _, m := range c.Members {
		if err := os.RemoveAll(m.Dir); err != nil {
			return err
		}
	}
	return c.Start()
}

// Kill ends every member at once, as a power cut does to processes.
func (c *Cluster) Kill() {
	for _, m := range c.Members {
		m.End(syscall.SIGKILL)
	}
}

// Remove ends all members and takes their data away; the logs stay where they are with `keepLogs`.
func (c *Cluster) Remove(keepLogs bool) {
	c.Kill()
	for _, m := range c.Members {
		os.RemoveAll(m.Dir)
		if !keepLogs {
			os.Remove(m.logPath)
		}
	}
	os.Remove(c.work)
}

// Addresses of all members for gRPC.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, m := range c.Members {
		all = append(all, m.Address())
	}
	return all
}

func (m *Member) Address() string { return strings.TrimPrefix(m.Client, "http://") }

// Run starts the process; WaitReady says when it serves.
func (m *Member) Run() error {
	log, err := os.OpenFile(m.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	m.process = exec.Command(m.command[0], m.command[1:]...)
	m.process.Stdout, m.process.Stderr = log, log
	// Nothing outlives this program, however it ends.
	m.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.process.Start(); err != nil {
		return err
	}
	m.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(m.process, m.ended)
	return nil
}

// End sends the signal and waits for the end of the process; a server that does not heed it within 30 s is killed.
func (m *Member) End(signal syscall.Signal) {
	if m.process == nil {
		return
	}
	_ = m.process.Process.Signal(signal)
	select {
	case <-m.ended:
	case <-time.After(30 * time.Second):
		_ = m.process.Process.Kill()
		<-m.ended
	}
	m.process = nil
}

// Died says whether the process has ended without being told to.
func (m *Member) Died() bool {
	if m.process == nil {
		return false
	}
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// LogTail is the end of what the server wrote.
func (m *Member) LogTail() string {
	text, _ := os.ReadFile(m.logPath)
	if len(text) > 3000 {
		text = text[len(text)-3000:]
	}
	return string(text)
}

// WaitReady returns once the member answers a linearizable read.
func (m *Member) WaitReady(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := Dial(m.Address())
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		attempt, done := context.WithTimeout(ctx, 5*time.Second)
		_, err := pb.NewKVClient(conn).Range(attempt, &pb.RangeRequest{Key: []byte("ready"), CountOnly: true}, grpc.WaitForReady(true))
		done()
		if err == nil {
			return nil
		}
		if m.Died() {
			return fmt.Errorf("%s ended by itself:\n%s", strings.Join(m.command, " "), m.LogTail())
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s does not answer: %w\n%s", strings.Join(m.command, " "), err, m.LogTail())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Dial makes a connection that comes back quickly once a killed server is there again.
func Dial(address string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	if address == "" {
		return nil, errors.New("no address")
	}
	return grpc.NewClient("passthrough:///"+address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second,
			Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 200 * time.Millisecond}}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)),
	}, options...)...)
}
