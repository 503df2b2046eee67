// Stands between kube-apiserver and etcd, lets one request through at a time, and writes what was asked and answered.
//
//	recorder --listen ADDRESS --etcd ADDRESS --out FILE
//
// SIGTERM ends it: the file is written then. See ../README.md for its form.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where kube-apiserver finds an etcd")
	upstream := flag.String("etcd", "", "where the etcd is")
	out := flag.String("out", "", "the file to write")
	flag.Parse()
	big := grpc.MaxCallRecvMsgSize(1 << 30)
	connection, err := grpc.NewClient(*upstream, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(big))
	if err != nil {
		log.Fatal(err)
	}
	record := newRecord()
	proxy := &proxy{
		record:      record,
		kv:          pb.NewKVClient(connection),
		lease:       pb.NewLeaseClient(connection),
		watch:       pb.NewWatchClient(connection),
		maintenance: pb.NewMaintenanceClient(connection),
	}
	if err := proxy.followAll(context.Background()); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(1<<30),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}))
	pb.RegisterKVServer(server, proxy)
	pb.RegisterLeaseServer(server, proxy)
	pb.RegisterWatchServer(server, proxy)
	pb.RegisterMaintenanceServer(server, proxy)
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Fatal(err)
		}
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	if err := record.write(*out); err != nil {
		log.Fatal(err)
	}
}
