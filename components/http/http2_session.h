#pragma once
// What both ends of an HTTP/2 connection share: nghttp2 over a Transport, bodies that leave as Slices without
// a copy of their own, one write a loop turn for whatever streams have to say. Internal to this folder.

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http/transport.h"

namespace rusternetes::http {

class Http2Session : public Transport::Owner, public std::enable_shared_from_this<Http2Session> {
 public:
  using Time = Transport::Time;

  // The outgoing side of one stream; nghttp2 points to it while the stream is open.
  struct Stream {
    virtual ~Stream() = default;
    std::int32_t id = -1;
    std::vector<Slice> out;
    std::size_t out_front = 0;     // the first slice not sent
    std::size_t out_offset = 0;    // bytes of it that were sent
    std::size_t out_bytes = 0;     // to be sent
    bool is_out_complete = false;  // nothing is added any more
    bool is_out_sent = false;      // END_STREAM has left
    bool is_deferred = false;
    bool is_closed = false;
    Time last_progress{};
    // out_bytes went down.
    virtual void on_out_progress() {}
  };

  virtual ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  // Sends at the end of this turn of the loop.
  void flush_soon();
  void add_data(Stream& stream, std::vector<Slice> slices, bool is_complete);
  void reset(Stream& stream, std::uint32_t code);
  bool is_lost() const { return is_lost_; }
  // Ends at once; on_lost() follows.
  void lose();

 protected:
  Http2Session(std::shared_ptr<Transport> transport, bool is_server);

  // Events out of nghttp2. None may send or receive.
  virtual void on_headers_begin(std::int32_t id, nghttp2_headers_category category) = 0;
  virtual void on_header(std::int32_t id, std::string_view name, std::string_view value) = 0;
  virtual void on_headers_end(std::int32_t id, nghttp2_headers_category category) = 0;
  virtual void on_data(std::int32_t id, std::string_view bytes) = 0;
  virtual void on_peer_end(std::int32_t id) = 0;
  virtual void on_stream_closed(std::int32_t id, std::uint32_t code) = 0;
  virtual void on_stream_out_sent(std::int32_t) {}
  virtual void on_goaway(std::int32_t) {}
  virtual void on_ping_ack() {}
  virtual void on_settings() {}
  // The connection is gone; all streams with it.
  virtual void on_lost() = 0;
  // Both sides have said all.
  virtual void on_finished() = 0;
  virtual Time next_deadline() = 0;

  void start_reading();
  void update_deadline() { transport_->set_deadline(next_deadline()); }
  nghttp2_data_provider provider(Stream& stream);
  Stream* find(std::int32_t id);

  std::shared_ptr<Transport> transport_;
  nghttp2_session* session_ = nullptr;
  Time last_received_;

 private:
  struct Callbacks;
  void flush();
  void on_readable() override;
  void on_writable() override { flush(); }
  void send_frame(Stream& stream, const std::uint8_t* frame_head, std::size_t length);

  bool is_lost_ = false;
  bool is_finished_ = false;
  bool is_flush_posted_ = false;
};

// Adds a field to a header list; nghttp2 copies it when it is submitted.
nghttp2_nv name_value(std::string_view name, std::string_view value);
// Fields that only mean something to one HTTP/1.1 connection (RFC 9113, 8.2.2).
bool is_connection_field(std::string_view name);

}  // namespace rusternetes::http
