#include "http/transport.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

namespace rusternetes::http {
namespace {

constexpr std::size_t kRecord = 16 * 1024;  // plain text in one TLS record
constexpr std::size_t kKeep = 64 * 1024;    // an empty outgoing buffer larger than this is given back
constexpr std::size_t kLingerBytes = 8 << 20;
constexpr std::chrono::seconds kLinger{1};

}  // namespace

Status connection_lost(std::string_view what) {
  return Status{503, "ConnectionLost", fmt::format("connection lost: {}", what)};
}

Transport::Transport(asio::any_io_executor executor, int fd)
    : descriptor_(executor, fd),
      timer_(executor),
      readable_(executor),
      writable_(executor),
      broken_(executor),
      last_progress_(std::chrono::steady_clock::now()) {}

Transport::~Transport() {
  if (!ssl_) return;
  // Without this OpenSSL gives the session up as broken, and a client could not resume it.
  ::SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  ::SSL_free(ssl_);
}

std::span<char> Transport::scratch() {
  thread_local const std::unique_ptr<char[]> buffer(new char[64 * 1024]);
  return {buffer.get(), 64 * 1024};
}

// --- the BIO under OpenSSL: reads the socket, writes into out_

BIO_METHOD* Transport::bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rusternetes transport");
    ::BIO_meth_set_write(made, &Transport::bio_write);
    ::BIO_meth_set_read(made, &Transport::bio_read);
    ::BIO_meth_set_ctrl(made, &Transport::bio_ctrl);
    return made;
  }();
  return method;
}

int Transport::bio_write(BIO* bio, const char* bytes, int length) {
  static_cast<Transport*>(::BIO_get_data(bio))->out_.append(bytes, static_cast<std::size_t>(length));
  return length;
}

int Transport::bio_read(BIO* bio, char* to, int length) {
  BIO_clear_retry_flags(bio);
  const ssize_t got =
      static_cast<Transport*>(::BIO_get_data(bio))->receive(to, static_cast<std::size_t>(length));
  if (got < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long Transport::bio_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return static_cast<Transport*>(::BIO_get_data(bio))->is_at_eof_ ? 1 : 0;
  return 0;
}

void Transport::use_tls(SSL* ssl) {
  ssl_ = ssl;
  BIO* bio = ::BIO_new(bio_method());
  ::BIO_set_data(bio, this);
  ::BIO_set_init(bio, 1);
  ::SSL_set_bio(ssl_, bio, bio);
}

Task<Result<void>> Transport::handshake() {
  auto self = shared_from_this();
  for (;;) {
    ::ERR_clear_error();
    const int done = ::SSL_do_handshake(ssl_);
    const int error = done == 1 ? SSL_ERROR_NONE : ::SSL_get_error(ssl_, done);
    const Io sent = flush();
    if (done == 1) co_return Result<void>{};
    if (error != SSL_ERROR_WANT_READ) {
      const long verified = ::SSL_get_verify_result(ssl_);
      if (verified != X509_V_OK)
        co_return Status{503, "ConnectionFailed",
                         fmt::format("TLS handshake: {}", ::X509_verify_cert_error_string(verified))};
      co_return Status{503, "ConnectionFailed",
                       is_at_eof_ ? "TLS handshake: the peer closed the connection"
                                  : fmt::format("TLS handshake: {}", openssl_errors())};
    }
    if (sent == Io::failed) co_return Status{503, "ConnectionFailed", "TLS handshake: the connection broke"};
    const bool is_up = co_await wait_readable();
    if (!is_up)
      co_return Status{
          503, "ConnectionFailed",
          has_timed_out_ ? "TLS handshake: timed out" : "TLS handshake: the connection was closed"};
  }
}

std::string_view Transport::alpn() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  if (ssl_) ::SSL_get0_alpn_selected(ssl_, &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

// --- reading

// A read that came back short emptied the socket: the next one answers EAGAIN without asking the kernel.
// Waiting for readability sees whatever came since, so nothing is missed.
ssize_t Transport::receive(char* to, std::size_t capacity) {
  if (had_short_read_) {
    had_short_read_ = false;
    errno = EAGAIN;
    return -1;
  }
  ssize_t got;
  do got = ::recv(descriptor_.native_handle(), to, capacity, 0);
  while (got < 0 && errno == EINTR);
  if (got == 0) is_at_eof_ = true;
  if (got < 0 && errno != EAGAIN) note_broken();
  had_short_read_ = got > 0 && static_cast<std::size_t>(got) < capacity;
  return got;
}

Transport::Io Transport::read(std::span<char> to, std::size_t& length) {
  length = 0;
  if (!is_open_) return Io::failed;
  if (!ssl_) {
    const ssize_t got = receive(to.data(), to.size());
    if (got > 0) {
      length = static_cast<std::size_t>(got);
      return Io::ok;
    }
    if (got == 0) return Io::end;
    return errno == EAGAIN ? Io::would_block : Io::failed;
  }
  ::ERR_clear_error();
  if (::SSL_read_ex(ssl_, to.data(), to.size(), &length) == 1) return Io::ok;
  switch (::SSL_get_error(ssl_, 0)) {
    case SSL_ERROR_WANT_READ:
      return Io::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return Io::end;
    default:
      return Io::failed;
  }
}

void Transport::arm_read() {
  if (is_read_armed_ || !is_open_) return;
  is_read_armed_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code&) {
                           self->is_read_armed_ = false;
                           if (!self->is_open_) return;
                           self->had_short_read_ = false;
                           self->readable_.set();
                           if (self->owner_) self->owner_->on_readable();
                         });
}

Task<bool> Transport::wait_readable(Time until) {
  auto self = shared_from_this();
  if (!is_open_) co_return false;
  arm_read();
  if (until == Time::max())
    co_await readable_.wait();
  else
    (void)co_await readable_.wait_until(until);
  co_return is_open_;
}

// --- writing

void Transport::encrypt(std::string_view bytes) {
  ::ERR_clear_error();
  while (!bytes.empty()) {
    std::size_t written = 0;
    if (::SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) != 1) {
      is_broken_ = true;  // the BIO never refuses, so the session itself is unusable
      return;
    }
    bytes.remove_prefix(written);
  }
}

void Transport::queue(std::string_view bytes) {
  if (!is_open_ || is_broken_) return;
  if (!ssl_) {
    out_.append(bytes);
    return;
  }
  if (!staged_.empty()) {
    const std::size_t part = std::min(bytes.size(), kRecord - staged_.size());
    staged_.append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    if (staged_.size() < kRecord) return;
    encrypt(staged_);
    staged_.clear();
  }
  const std::size_t whole = bytes.size() / kRecord * kRecord;
  if (whole) encrypt(bytes.substr(0, whole));
  staged_.append(bytes.substr(whole));
}

Transport::Io Transport::flush() {
  if (!is_open_ || is_broken_) return Io::failed;
  if (!staged_.empty()) {
    encrypt(staged_);
    staged_.clear();
    if (staged_.capacity() > kRecord) staged_.shrink_to_fit();
    if (is_broken_) return Io::failed;
  }
  return is_write_armed_ ? Io::would_block : send_out();
}

void Transport::flush_soon() {
  if (is_flush_posted_) return;
  is_flush_posted_ = true;
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] {
    self->is_flush_posted_ = false;
    if (self->is_open_) self->flush();
  });
}

Transport::Io Transport::send_out() {
  bool has_progress = false;
  Io result = Io::ok;
  while (sent_ < out_.size()) {
    const ssize_t sent =
        ::send(descriptor_.native_handle(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (sent >= 0) {
      sent_ += static_cast<std::size_t>(sent);
      has_progress = true;
    } else if (errno == EAGAIN) {
      arm_write();
      result = Io::would_block;
      break;
    } else if (errno != EINTR) {
      note_broken();
      result = Io::failed;
      break;
    }
  }
  if (has_progress) last_progress_ = std::chrono::steady_clock::now();
  if (sent_ == out_.size() || is_broken_) {
    out_.clear();
    sent_ = 0;
    if (out_.capacity() > kKeep) std::string().swap(out_);
  } else if (sent_ > kKeep) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  return result;
}

// The kernel tells an error once: who waits for it has to hear from whoever was told.
void Transport::note_broken() {
  const int error = errno;
  is_broken_ = true;
  broken_.set();
  errno = error;
}

void Transport::arm_write() {
  if (is_write_armed_) return;
  is_write_armed_ = true;
  descriptor_.async_wait(
      asio::posix::stream_descriptor::wait_write,
      [self = shared_from_this()](const boost::system::error_code& error) { self->on_write_ready(error); });
}

void Transport::on_write_ready(const boost::system::error_code&) {
  is_write_armed_ = false;
  if (!is_open_) return;
  send_out();
  writable_.set();
  if (owner_) owner_->on_writable();
}

Task<bool> Transport::wait_connected() {
  auto self = shared_from_this();
  arm_write();
  while (is_open_ && is_write_armed_) co_await writable_.wait();
  co_return is_open_;
}

Task<bool> Transport::wait_pending(std::size_t below) {
  auto self = shared_from_this();
  for (;;) {
    const Io sent = flush();
    if (sent == Io::failed) co_return false;
    if (sent == Io::ok || pending() <= below) co_return true;
    co_await writable_.wait();
  }
}

// Hang-ups do not count: both halves may have ended while there is still something to read. They would end each wait for
// an error at once, so after one nothing is armed: what breaks then is found by sending or reading.
Task<> Transport::wait_broken() {
  auto self = shared_from_this();
  while (is_open_ && !is_broken_) {
    pollfd look{fd(), 0, 0};
    (void)::poll(&look, 1, 0);
    if (look.revents & POLLERR) co_return;
    if (!(look.revents & POLLHUP) && !std::exchange(is_error_armed_, true))
      descriptor_.async_wait(asio::posix::stream_descriptor::wait_error,
                             [self](const boost::system::error_code&) {
                               self->is_error_armed_ = false;
                               self->broken_.set();
                             });
    co_await broken_.wait();
  }
}

// --- time and the end

void Transport::set_deadline(Time deadline) {
  deadline_ = deadline;
  if (deadline_ < armed_until_ && is_open_) arm_timer();
}

void Transport::arm_timer() {
  armed_until_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (auto self = weak.lock()) self->on_timer(error);
  });
}

// The timer is not moved for each new deadline, only looked at when it fires: most deadlines are only ever
// put off.
void Transport::on_timer(const boost::system::error_code& error) {
  if (error || !is_open_) return;
  armed_until_ = Time::max();
  if (deadline_ == Time::max()) return;
  if (std::chrono::steady_clock::now() < deadline_) return arm_timer();
  deadline_ = Time::max();
  has_timed_out_ = true;
  if (owner_)
    owner_->on_timeout();
  else
    close();
}

Task<Result<void>> Transport::shutdown_write() {
  auto self = shared_from_this();
  if (ssl_) {
    flush();
    ::ERR_clear_error();
    ::SSL_shutdown(ssl_);  // into out_; reading goes on
  }
  const bool is_sent = co_await wait_pending(0);
  if (!is_sent) co_return connection_lost("cannot send");
  if (!ssl_ && ::shutdown(fd(), SHUT_WR) != 0) co_return errno_error("shutdown", errno);
  co_return Result<void>{};
}

Task<> Transport::linger() {
  auto self = shared_from_this();
  Result<void> ended = co_await shutdown_write();
  if (!ended) {
    close();
    co_return;
  }
  if (ssl_) ::shutdown(fd(), SHUT_WR);
  owner_ = nullptr;
  set_deadline(std::chrono::steady_clock::now() + kLinger);
  for (std::size_t total = 0; total < kLingerBytes;) {
    std::size_t length = 0;
    const ssize_t got = ::recv(fd(), scratch().data(), scratch().size(), 0);
    if (got > 0) length = static_cast<std::size_t>(got);
    total += length;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (got > 0) continue;
    const bool is_up = co_await wait_readable();
    if (!is_up) break;
  }
  close();
}

void Transport::close() {
  if (!is_open_) return;
  is_open_ = false;
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  timer_.cancel();
  readable_.set();
  writable_.set();
  broken_.set();
}

}  // namespace rusternetes::http
