#pragma once
// One connected stream socket, with or without TLS. Reads and writes never block: bytes to send are encrypted
// into one buffer and leave in as few system calls as the kernel allows. The layers above see only plain
// text. Internal to this folder; belongs to one executor.

#include <openssl/ssl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/task.h"
#include "http/tls.h"

namespace rusternetes::http {

class Transport final : public std::enable_shared_from_this<Transport> {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // `end`: the peer ended its half in an orderly way.
  enum class Io { ok, would_block, end, failed };

  // Hears of events without a coroutine. It must clear itself with set_owner(nullptr) before it dies.
  class Owner {
   public:
    virtual void on_readable() {}
    // Bytes that waited were sent, or sending failed.
    virtual void on_writable() {}
    virtual void on_timeout() = 0;

   protected:
    ~Owner() = default;
  };

  // Owns `fd`, which is non-blocking.
  Transport(asio::any_io_executor executor, int fd);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  void set_owner(Owner* owner) { owner_ = owner; }
  asio::any_io_executor executor() { return descriptor_.get_executor(); }
  int fd() { return descriptor_.native_handle(); }
  bool is_open() const { return is_open_; }
  SSL* ssl() const { return ssl_; }

  // TLS over the connected socket. `prepare` was done on the SSL by the caller (name, session).
  void use_tls(SSL* ssl);
  Task<Result<void>> handshake();
  // "h2", "http/1.1" or empty.
  std::string_view alpn() const;

  // After would_block, arm_read() or wait_readable() before the next read.
  Io read(std::span<char> to, std::size_t& length);
  // Looks at the socket even after a short read (for a connection that rested).
  void forget_short_read() { had_short_read_ = false; }
  // A buffer for read(), one a thread: its content is gone at the next suspension.
  static std::span<char> scratch();

  // Adds to what is to be sent. Nothing leaves before flush().
  void queue(std::string_view bytes);
  // ok: the kernel took all. would_block: the rest follows by itself and on_writable() tells.
  Io flush();
  // As flush(), once at the end of this turn of the loop, so that neighbours share a system call.
  void flush_soon();
  // Bytes queued and not taken by the kernel.
  std::size_t pending() const { return staged_.size() + (out_.size() - sent_); }
  // When the kernel last took bytes.
  Time last_progress() const { return last_progress_; }

  void arm_read();
  // False: closed or failed. Also returns at `until`.
  Task<bool> wait_readable(Time until = Time::max());
  Task<bool> wait_connected();
  // Flushes and returns when at most `below` bytes are pending.
  Task<bool> wait_pending(std::size_t below);
  // The next event of the outgoing side, or wake_writer(), or the end.
  Task<> wait_writable() { return writable_.wait(); }
  // Returns once the connection has broken (a reset, a peer that keepalive does not reach) or is closed, also while
  // nobody reads or writes. Not at the peer's orderly end. For one coroutine.
  Task<> wait_broken();
  void wake_writer() { writable_.set(); }
  void wake_reader() { readable_.set(); }

  // on_timeout() (without an owner: close()) at `deadline` unless it is moved; Time::max(): never.
  void set_deadline(Time deadline);
  bool has_timed_out() const { return has_timed_out_; }

  // Ends our half after what is queued: close_notify under TLS, FIN otherwise.
  Task<Result<void>> shutdown_write();
  // An orderly end: sends what is queued, ends our half, and swallows for a moment what the peer still sends,
  // so that a reset does not overtake our last bytes.
  Task<> linger();
  void close();

 private:
  static BIO_METHOD* bio_method();
  static int bio_write(BIO* bio, const char* bytes, int length);
  static int bio_read(BIO* bio, char* to, int length);
  static long bio_ctrl(BIO* bio, int command, long number, void* pointer);

  ssize_t receive(char* to, std::size_t capacity);
  void encrypt(std::string_view bytes);
  Io send_out();
  void note_broken();
  void arm_write();
  void on_write_ready(const boost::system::error_code& error);
  void arm_timer();
  void on_timer(const boost::system::error_code& error);

  asio::posix::stream_descriptor descriptor_;
  asio::steady_timer timer_;
  AsyncEvent readable_;
  AsyncEvent writable_;
  AsyncEvent broken_;
  Owner* owner_ = nullptr;
  SSL* ssl_ = nullptr;
  std::string staged_;  // plain text that waits for its TLS record
  std::string out_;     // what the socket gets
  std::size_t sent_ = 0;
  Time last_progress_;
  Time deadline_ = Time::max();
  Time armed_until_ = Time::max();
  bool is_open_ = true;
  bool is_broken_ = false;  // nothing can be sent any more
  bool is_read_armed_ = false;
  bool is_write_armed_ = false;
  bool is_error_armed_ = false;
  bool is_flush_posted_ = false;
  bool had_short_read_ = false;
  bool is_at_eof_ = false;
  bool has_timed_out_ = false;
};

// The status of a connection that broke.
Status connection_lost(std::string_view what);

}  // namespace rusternetes::http
