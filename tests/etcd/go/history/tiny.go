package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The usual library has no window below 64 KiB, so this one speaks HTTP/2 itself: one Watch call on one connection.
type tinyStream struct {
	conn    net.Conn
	framer  *http2.Framer
	writing sync.Mutex
	data    bytes.Buffer // what has come of messages that are not whole yet
	delay   time.Duration
	hurry   func() bool
	wide    bool
}

const wideWindow = 16 << 20

// Tiny opens streams that let the server send `window` bytes at a time, and hand back what was read of them after `delay`;
// once `hurry` says so, they read as fast as they can.
func Tiny(window uint32, delay time.Duration, hurry func() bool) Opener {
	return func(ctx context.Context, address string, request *pb.WatchCreateRequest) (Stream, error) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		s := &tinyStream{conn: conn, framer: http2.NewFramer(conn, conn), delay: delay, hurry: hurry}
		if err := s.begin(address, window, request); err != nil {
			conn.Close()
			return nil, err
		}
		return s, nil
	}
}

func (s *tinyStream) begin(address string, window uint32, request *pb.WatchCreateRequest) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/etcdserverpb.Watch/Watch"},
		{":authority", address}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return err
		}
	}
	if _, err := s.conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	if err := s.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return err
	}
	if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}})
}

func (s *tinyStream) send(request *pb.WatchRequest) error {
	text, err := request.Marshal()
	if err != nil {
		return err
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text)))
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.framer.WriteData(1, false, append(message, text...))
}

func (s *tinyStream) RequestProgress() error {
	return s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
}

func (s *tinyStream) Close() { s.conn.Close() }

func (s *tinyStream) Recv() (*pb.WatchResponse, error) {
	for {
		if response, err := s.message(); response != nil || err != nil {
			return response, err
		}
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		if err := s.take(frame); err != nil {
			return nil, err
		}
	}
}

// message is the next whole one of what has come; nil if there is none.
func (s *tinyStream) message() (*pb.WatchResponse, error) {
	held := s.data.Bytes()
	if len(held) < 5 {
		return nil, nil
	}
	size := int(binary.BigEndian.Uint32(held[1:5]))
	if len(held) < 5+size {
		return nil, nil
	}
	if held[0] != 0 {
		return nil, errors.New("a compressed message")
	}
	response := &pb.WatchResponse{}
	err := response.Unmarshal(held[5 : 5+size])
	s.data.Next(5 + size)
	return response, err
}

func (s *tinyStream) take(frame http2.Frame) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return s.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return s.framer.WritePing(true, f.Data)
		}
	case *http2.DataFrame:
		s.data.Write(f.Data())
		if f.StreamEnded() {
			return errors.New("the stream ended")
		}
		return s.handBack(f.Length)
	case *http2.HeadersFrame:
		if f.StreamEnded() {
			return errors.New("the stream ended")
		}
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the stream was reset: %s", f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Errorf("the server goes away: %s", f.ErrCode)
	}
	return nil
}

func (s *tinyStream) handBack(size uint32) error {
	if size == 0 {
		return nil
	}
	switch {
	case !s.hurry():
		time.Sleep(s.delay)
	case !s.wide:
		s.wide, size = true, wideWindow
	}
	if err := s.framer.WriteWindowUpdate(0, size); err != nil {
		return err
	}
	return s.framer.WriteWindowUpdate(1, size)
}
