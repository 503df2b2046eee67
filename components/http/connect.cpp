#include "http/connect.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "http/listen.h"

namespace rusternetes::http {
namespace {

using Time = std::chrono::steady_clock::time_point;
using Connected = Result<std::shared_ptr<Transport>>;

Status connect_failed(const std::string& where, int error) {
  return Status{503, error == ECONNREFUSED ? "ConnectionRefused" : "ConnectionFailed",
                fmt::format("connect {}: {}", where, std::strerror(error))};
}

Status timed_out(const std::string& where) {
  return Status{503, "ConnectionFailed", fmt::format("connect {}: timed out", where)};
}

Task<Connected> connect_socket(asio::any_io_executor executor, const sockaddr* to, socklen_t length,
                               std::string where, Time deadline, OpenSocket open_socket = {}) {
  int fd = -1;
  if (open_socket) {
    RN_CO_TRY(fd, open_socket(to->sa_family));
  } else {
    fd = ::socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) co_return connect_failed(where, errno);
  }
  auto transport = std::make_shared<Transport>(executor, fd);
  if (to->sa_family != AF_UNIX) prepare_tcp(fd);
  const int error = co_await connect_transport(transport, to, length, deadline);
  if (error && !transport->is_open()) co_return timed_out(where);
  if (error) co_return connect_failed(where, error);
  co_return transport;
}

Task<Connected> connect_unix(asio::any_io_executor executor, std::string path, Time deadline) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path) co_return connect_failed(path, ENAMETOOLONG);
  std::memcpy(to.sun_path, path.data(), path.size());
  auto connected =
      co_await connect_socket(executor, reinterpret_cast<const sockaddr*>(&to), sizeof to, path, deadline);
  co_return connected;
}

Task<Connected> connect_tcp(asio::any_io_executor executor, Address address, Time deadline,
                            OpenSocket open_socket) {
  const std::string where = fmt::format("{}:{}", address.host, address.port);
  std::vector<asio::ip::tcp::endpoint> endpoints;
  boost::system::error_code error;
  if (const auto literal = asio::ip::make_address(address.host, error); !error) {
    endpoints.emplace_back(literal, address.port);
  } else {
    auto resolver = std::make_shared<asio::ip::tcp::resolver>(executor);
    asio::steady_timer limit(executor, deadline);
    limit.async_wait([resolver](const boost::system::error_code& e) {
      if (!e) resolver->cancel();
    });
    auto found = co_await resolver->async_resolve(address.host, std::to_string(address.port),
                                                  asio::ip::resolver_base::numeric_service,
                                                  asio::redirect_error(asio::use_awaitable, error));
    if (error)
      co_return Status{503, "ConnectionFailed", fmt::format("resolve {}: {}", address.host, error.message())};
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  Connected result = timed_out(where);
  for (const auto& endpoint : endpoints) {
    result = co_await connect_socket(executor, endpoint.data(), static_cast<socklen_t>(endpoint.size()),
                                     where, deadline, open_socket);
    if (result || std::chrono::steady_clock::now() >= deadline) break;
  }
  co_return result;
}

void forget_state(void*, void* pointer, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::weak_ptr<ClientTlsState>*>(pointer);
}

// Where OpenSSL's callback finds the client's state.
int state_index() {
  static const int index = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &forget_state);
  return index;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* state = static_cast<std::weak_ptr<ClientTlsState>*>(::SSL_get_ex_data(ssl, state_index()));
  auto strong = state ? state->lock() : nullptr;
  if (!strong) return 0;
  strong->session = std::shared_ptr<SSL_SESSION>(session, &::SSL_SESSION_free);
  return 1;
}

Task<Result<void>> secure(std::shared_ptr<Transport> transport, std::shared_ptr<ClientTlsState> tls,
                          std::string alpn) {
  SSL* ssl = ::SSL_new(tls->context.get());
  if (!ssl) co_return internal_error(openssl_errors());
  transport->use_tls(ssl);
  ::SSL_set_connect_state(ssl);
  if (tls->is_verified) {
    RN_CO_CHECK(expect_server_name(ssl, tls->server_name));
  }
  if (!alpn.empty())
    ::SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                          static_cast<unsigned>(alpn.size()));
  ::SSL_set_ex_data(ssl, state_index(), new std::weak_ptr<ClientTlsState>(tls));
  ::SSL_CTX_sess_set_new_cb(tls->context.get(), keep_session);
  if (tls->session) ::SSL_set_session(ssl, tls->session.get());
  Result<void> done = co_await transport->handshake();
  co_return done;
}

}  // namespace

Task<int> connect_transport(std::shared_ptr<Transport> transport, const sockaddr* to, socklen_t length,
                            Time deadline) {
  const int fd = transport->fd();
  transport->set_deadline(deadline);
  int rc = ::connect(fd, to, length);
  // A unix listener with a full queue says EAGAIN and gives nothing to wait for.
  while (rc != 0 && errno == EAGAIN && std::chrono::steady_clock::now() < deadline) {
    co_await sleep_for(std::chrono::milliseconds(10));
    if (!transport->is_open()) co_return ETIMEDOUT;
    rc = ::connect(fd, to, length);
  }
  if (rc == 0) co_return 0;
  if (errno != EINPROGRESS) co_return errno;
  const bool is_up = co_await transport->wait_connected();
  if (!is_up) co_return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) co_return errno;
  co_return error;
}

Result<Address> parse_url(const std::string& url) {
  Address address;
  std::string_view rest = url;
  const auto bad = [&] { return Status{400, "BadRequest", fmt::format("not a usable URL: {}", url)}; };
  if (rest.starts_with("unix://")) {
    address.is_unix = true;
    address.host = rest.substr(7);
    address.authority = "localhost";
    if (address.host.empty()) return bad();
    return address;
  }
  if (rest.starts_with("https://")) {
    address.is_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad();
  }
  rest = rest.substr(0, rest.find_first_of("/?#"));
  address.authority = rest;
  address.port = address.is_tls ? 443 : 80;
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return bad();
    address.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad();
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const auto colon = rest.find(':');
    address.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc{} || end != port.data() + port.size()) return bad();
  }
  if (address.host.empty()) return bad();
  return address;
}

Task<Connected> connect(asio::any_io_executor executor, Address address, std::shared_ptr<ClientTlsState> tls,
                        std::string alpn, std::chrono::milliseconds timeout, OpenSocket open_socket) {
  const Time deadline = std::chrono::steady_clock::now() + timeout;
  Connected connected = connection_lost("");
  if (address.is_unix)
    connected = co_await connect_unix(executor, address.host, deadline);
  else
    connected = co_await connect_tcp(executor, address, deadline, std::move(open_socket));
  if (!connected) co_return connected;
  auto transport = *connected;
  if (address.is_tls) {
    Result<void> secured = co_await secure(transport, tls, alpn);
    if (!secured) {
      Status status = secured.error();
      status.message = fmt::format("connect {}: {}", address.authority, status.message);
      transport->close();
      co_return status;
    }
  }
  transport->set_deadline(Time::max());
  co_return transport;
}

}  // namespace rusternetes::http
