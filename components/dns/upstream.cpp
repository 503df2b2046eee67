#include "dns/upstream.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>

namespace rusternetes::dns {

using asio::ip::tcp;
using asio::ip::udp;

namespace {

constexpr std::size_t most_servers = 15;
constexpr std::uint16_t announced_udp_size = 1232;

Status failed(const ServerAddress& server, const boost::system::error_code& error, bool is_late) {
  if (is_late) return {504, "Timeout", fmt::format("{} does not answer", server.to_string())};
  return internal_error(fmt::format("{}: {}", server.to_string(), error.message()));
}

std::string query_bytes(const Question& question, std::uint16_t id, bool has_edns) {
  std::string out(header_size, '\0');
  write16(&out[0], id);
  write16(&out[2], static_cast<std::uint16_t>(flag_recursion_desired |
                                              (question.disables_checking ? flag_checking_disabled : 0)));
  write16(&out[4], 1);
  out += question.name;
  char rest[4];
  write16(rest, question.type);
  write16(rest + 2, question.klass);
  out.append(rest, 4);
  if (!has_edns) return out;
  write16(&out[10], 1);
  char opt[11] = {0, 0, type_opt};
  write16(opt + 3, announced_udp_size);
  opt[7] = static_cast<char>(question.wants_dnssec ? 0x80 : 0);
  return out.append(opt, sizeof opt);
}

// Whether it answers this question; others are not for us, or forged.
bool is_answer(const Walk& walk, const Question& question, std::uint16_t id) {
  return walk.id == id && (walk.flags & flag_response) && !(walk.flags & mask_opcode) &&
         walk.name == question.name && walk.type == question.type && walk.klass == question.klass;
}

// What is left of an answer that was cut anywhere: its header and question.
Result<Exchanged> without_records(std::string_view message) {
  std::size_t at = header_size;
  if (!read_name(message, at, nullptr) || at + 4 > message.size()) return internal_error("no question");
  std::string rest(message.substr(0, at + 4));
  std::fill(rest.begin() + 6, rest.begin() + header_size, '\0');
  RN_TRY(auto walk, walk_message(rest));
  return Exchanged{std::move(rest), std::move(walk)};
}

// A socket of the namespace, already of the right family; NoSocket otherwise.
Result<int> make_socket(int family, int kind, const std::optional<network::NetworkNamespace>& where) {
  const auto make = [&]() -> Result<int> {
    const int fd = ::socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno_error("make a socket", errno);
    return fd;
  };
  auto made = where ? network::inside(*where, make) : make();
  if (!made) return Status{500, "NoSocket", made.error().message};
  return made;
}

// Ends what the socket waits for at the deadline.
template <class Socket>
class Deadline {
 public:
  Deadline(std::shared_ptr<Socket> socket, std::chrono::steady_clock::time_point when)
      : timer_(socket->get_executor(), when), is_late_(std::make_shared<bool>(false)) {
    timer_.async_wait([socket, late = is_late_](boost::system::error_code error) {
      if (error) return;
      *late = true;
      boost::system::error_code ignored;
      socket->close(ignored);
    });
  }
  bool is_late() const { return *is_late_; }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> is_late_;
};

Task<Result<Exchanged>> over_udp(ServerAddress server, Question question, ExchangeOptions options) {
  const udp::endpoint peer(server.address, server.port);
  auto made = make_socket(peer.protocol().family(), SOCK_DGRAM, options.name_space);
  if (!made) co_return made.error();
  auto socket = std::make_shared<udp::socket>(co_await asio::this_coro::executor, peer.protocol(), *made);
  boost::system::error_code error;
  // The kernel chooses the source port at random and lets in only what comes from the peer.
  socket->connect(peer, error);
  if (error) co_return failed(server, error, false);
  const Deadline<udp::socket> deadline(socket, options.deadline);
  const auto id = static_cast<std::uint16_t>(unguessable());
  const std::string query = query_bytes(question, id, options.has_edns);
  co_await socket->async_send(asio::buffer(query), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failed(server, error, deadline.is_late());
  std::string buffer(4096, '\0');  // more than was announced
  for (;;) {
    const std::size_t size = co_await socket->async_receive(asio::buffer(buffer),
                                                            asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return failed(server, error, deadline.is_late());
    const std::string_view message(buffer.data(), size);
    // Forged ones must not end the wait for the real one, so nonsense with our id is passed over, too.
    if (size < header_size || read16(&buffer[0]) != id) continue;
    auto walk = walk_message(message);
    if (walk && is_answer(*walk, question, id)) co_return Exchanged{std::string(message), std::move(*walk)};
    if (walk || !(read16(&buffer[2]) & flag_truncated)) continue;
    auto rest = without_records(message);
    if (rest && is_answer(rest->walk, question, id)) co_return rest;
  }
}

Task<Result<Exchanged>> over_tcp(ServerAddress server, Question question, ExchangeOptions options) {
  const tcp::endpoint peer(server.address, server.port);
  auto made = make_socket(peer.protocol().family(), SOCK_STREAM, options.name_space);
  if (!made) co_return made.error();
  auto socket = std::make_shared<tcp::socket>(co_await asio::this_coro::executor, peer.protocol(), *made);
  const Deadline<tcp::socket> deadline(socket, options.deadline);
  boost::system::error_code error;
  co_await socket->async_connect(peer, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failed(server, error, deadline.is_late());
  const auto id = static_cast<std::uint16_t>(unguessable());
  std::string query = query_bytes(question, id, options.has_edns);
  char length[2];
  write16(length, static_cast<std::uint16_t>(query.size()));
  query.insert(0, length, 2);
  co_await asio::async_write(*socket, asio::buffer(query), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failed(server, error, deadline.is_late());
  co_await asio::async_read(*socket, asio::buffer(length), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failed(server, error, deadline.is_late());
  std::string message(read16(length), '\0');
  co_await asio::async_read(*socket, asio::buffer(message), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failed(server, error, deadline.is_late());
  auto walk = walk_message(message);
  if (!walk) co_return walk.error();
  if (!is_answer(*walk, question, id))
    co_return internal_error(fmt::format("{} answered something else", server.to_string()));
  co_return Exchanged{std::move(message), std::move(*walk)};
}

}  // namespace

std::string ServerAddress::to_string() const {
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), port)
                         : fmt::format("{}:{}", address.to_string(), port);
}

Result<ServerAddress> parse_server(std::string_view text) {
  const Status wrong{
      400, "BadRequest",
      fmt::format("\"{}\" is not the address of a DNS server like 10.0.0.1 or [fd00::1]:53", text)};
  std::string_view host = text, port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return wrong;
    host = text.substr(1, end - 1);
    if (end + 1 < text.size()) {
      if (text[end + 1] != ':' || end + 2 == text.size()) return wrong;
      port = text.substr(end + 2);
    }
  } else if (std::ranges::count(text, ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
    if (port.empty()) return wrong;
  }
  ServerAddress out;
  boost::system::error_code error;
  out.address = asio::ip::make_address(std::string(host), error);
  if (error) return wrong;
  if (!port.empty()) {
    const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (problem != std::errc{} || end != port.data() + port.size() || out.port == 0) return wrong;
  }
  return out;
}

std::vector<ServerAddress> parse_resolv_conf(std::string_view text) {
  std::vector<ServerAddress> out;
  while (!text.empty() && out.size() < most_servers) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    constexpr std::string_view blanks = " \t\r", keyword = "nameserver";
    if (!line.starts_with(keyword)) continue;  // resolv.conf(5): the keyword begins the line
    line.remove_prefix(keyword.size());
    const auto from = line.find_first_not_of(blanks);
    if (from == 0 || from == line.npos) continue;
    line.remove_prefix(from);
    boost::system::error_code error;
    ServerAddress server;
    server.address = asio::ip::make_address(std::string(line.substr(0, line.find_first_of(blanks))), error);
    if (!error && std::ranges::find(out, server) == out.end()) out.push_back(server);
  }
  return out;
}

std::uint64_t unguessable() {
  std::uint64_t out = 0;
  RN_ASSERT(::getrandom(&out, sizeof out, 0) == sizeof out, "the kernel gives random bytes");
  return out;
}

Task<Result<Exchanged>> exchange(ServerAddress server, Question question, ExchangeOptions options) {
  auto answer = co_await over_udp(server, question, options);
  if (!answer || !(answer->walk.flags & flag_truncated)) co_return answer;
  auto whole = co_await over_tcp(server, std::move(question), std::move(options));
  if (whole) co_return whole;
  co_return answer;
}

}  // namespace rusternetes::dns
