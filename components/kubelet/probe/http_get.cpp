#include "kubelet/probe/http_get.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cctype>
#include <charconv>
#include <memory>

#include "http/header_text.h"

namespace rusternetes::kubelet {

namespace {

constexpr std::size_t kBodyLimit = 10 * 1024;
constexpr int kRedirects = 10;
constexpr auto kForever = std::chrono::hours(24);

std::string join_host_port(std::string_view host, std::uint16_t port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

bool has_bad_escape(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i)
    if (path[i] == '%' && (i + 2 >= path.size() || !std::isxdigit(static_cast<unsigned char>(path[i + 1])) ||
                           !std::isxdigit(static_cast<unsigned char>(path[i + 2]))))
      return true;
  return false;
}

// What may not stand in a request line, and of `more`, is escaped.
std::string escape(std::string_view text, std::string_view more = {}) {
  constexpr std::string_view kNever = "\"<>\\^`{|}";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || kNever.find(c) != std::string_view::npos || more.find(c) != std::string_view::npos)
      out += fmt::format("%{:02X}", byte);
    else
      out += c;
  }
  return out;
}

std::string make_target(std::string_view path) {
  const auto end = path.find('#');
  const auto before_query = path.substr(0, std::min(path.find('?'), end));
  std::string out;
  if (has_bad_escape(before_query))
    out = escape(path, "%?#");  // no URL: a path of these very characters
  else
    out = escape(path.substr(0, end));
  if (!out.starts_with('/')) out.insert(0, "/");
  return out;
}

std::string without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  bool is_folder = false;
  for (std::size_t at = 1; at <= path.size();) {
    const auto slash = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, slash - at);
    at = slash + 1;
    is_folder = part.empty() || part == "." || part == "..";
    if (part == ".." && !kept.empty()) kept.pop_back();
    if (!is_folder || (part.empty() && slash < path.size())) kept.push_back(part);
  }
  std::string out;
  for (const auto part : kept) (out += '/') += part;
  if (is_folder || out.empty()) out += '/';
  return out;
}

bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

// What closes the connection when the time is over; outlives the coroutine that waits for it.
struct Watch {
  std::shared_ptr<http::Client> client;
  bool is_over = false;
};

std::string error_text(const HttpGet& get, const Status& status, bool is_over) {
  const std::string dial = "dial tcp " + join_host_port(get.host, get.port) + ": ";
  const bool is_dial_timeout = status.is("ConnectionFailed") && status.message.ends_with("timed out");
  if (is_dial_timeout) return dial + "i/o timeout (Client.Timeout exceeded while awaiting headers)";
  if (is_over || status.is("Timeout")) return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
  if (status.is("ConnectionRefused")) return dial + "connect: connection refused";
  if (status.is("ConnectionLost")) return "EOF";
  if (!status.is("ConnectionFailed")) return status.message;
  const auto colon = status.message.rfind(": ");
  return dial + "connect: " + http::uncapitalized(colon == std::string::npos ? status.message : status.message.substr(colon + 2));
}

Task<bool> read_body(http::ClientResponse& response, std::string& to) {
  while (to.size() < kBodyLimit) {
    auto piece = co_await response.read_some();
    if (!piece) co_return false;
    if (piece->empty()) break;
    to += *piece;
  }
  to.resize(std::min(to.size(), kBodyLimit));
  co_return true;
}

http::ClientRequest make_request(const HttpGet& get) {
  http::ClientRequest out;
  out.target = get.target;
  out.headers = get.headers;
  out.headers.set("connection", "close");
  return out;
}

Task<Result<std::unique_ptr<http::ClientResponse>>> send(http::OpenSocket open_socket, HttpGet get,
                                                         std::chrono::milliseconds timeout, std::shared_ptr<Watch> watch) {
  http::Endpoint endpoint;
  endpoint.url = fmt::format("{}://{}", get.is_https ? "https" : "http", get.authority());
  endpoint.tls.insecure_skip_verify = true;
  http::ClientOptions options;
  options.connect_timeout = timeout;
  options.max_idle_connections = 0;
  options.open_socket = std::move(open_socket);
  auto executor = co_await asio::this_coro::executor;
  auto client = http::Client::create(executor, std::move(endpoint), std::move(options));
  if (!client) co_return client.error();
  watch->client = *std::move(client);
  auto keep = watch->client;
  auto request = make_request(get);
  auto response = co_await keep->send(std::move(request));
  co_return response;
}

}  // namespace

std::string HttpGet::authority() const { return join_host_port(host, port); }
std::string HttpGet::url() const { return fmt::format("{}://{}{}", is_https ? "https" : "http", authority(), target); }

Result<std::uint16_t> container_port(const apimachinery::Value* port, const core_v1::Container& container) {
  std::int64_t number = -1;
  if (port && port->kind == apimachinery::ValueKind::integer) {
    number = port->integer;
  } else if (port) {
    const auto name = port->str();
    bool is_named = false;
    for (const auto one : container.ports()) {
      if (is_named || one.name() != name) continue;
      is_named = true;
      number = one.containerPort();
    }
    if (!is_named) {
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error != std::errc{} || end != name.data() + name.size())
        return internal_error(fmt::format("strconv.Atoi: parsing \"{}\": invalid syntax", name));
    }
  }
  if (number <= 0 || number > 65535) return internal_error(fmt::format("invalid port number: {}", number));
  return static_cast<std::uint16_t>(number);
}

Result<HttpGet> make_http_get(const core_v1::HTTPGetAction& action, const core_v1::Container& container, std::string_view pod_ip,
                              std::string_view purpose) {
  HttpGet out;
  out.is_https = http::lower_case(action.scheme()) == "https";
  out.host = action.host().empty() ? pod_ip : action.host();
  RN_TRY(out.port, container_port(action.port().value(), container));
  out.target = make_target(action.path());
  bool has_accept = false;
  for (const auto header : action.httpHeaders()) {
    const std::string name = http::lower_case(header.name());
    if (name == "accept") has_accept = true;
    if (name == "host")
      out.headers.set(name, std::string(header.value_()));  // there is but one
    else if (name != "accept" || !header.value_().empty())
      out.headers.add(name, std::string(header.value_()));
  }
  if (out.headers.get("host") && out.headers.get("host")->empty()) out.headers.remove("host");
  if (!out.headers.get("user-agent")) out.headers.add("user-agent", fmt::format("kube-{}/1.35", purpose));
  if (!has_accept) out.headers.add("accept", "*/*");
  return out;
}

Result<HttpGet> resolve_redirect(const HttpGet& from, std::string_view location) {
  HttpGet out = from;
  location = location.substr(0, location.find('#'));
  const auto scheme_end = location.find("://");
  bool is_absolute = scheme_end != std::string_view::npos && location.substr(0, scheme_end).find('/') == std::string_view::npos;
  if (is_absolute) {
    const std::string scheme = http::lower_case(location.substr(0, scheme_end));
    if (scheme != "http" && scheme != "https")
      return Status{400, "BadRequest", fmt::format("unsupported protocol scheme \"{}\"", scheme)};
    out.is_https = scheme == "https";
    out.headers.remove("host");
    location.remove_prefix(scheme_end + 1);
  }
  if (location.starts_with("//")) {
    location.remove_prefix(2);
    const auto end = std::min(location.find_first_of("/?"), location.size());
    auto authority = location.substr(0, end);
    location.remove_prefix(end);
    authority.remove_prefix(std::min(authority.rfind('@') + 1, authority.size()));  // npos + 1 is 0
    const auto bracket = authority.find(']');
    const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    auto host = authority.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    out.host = host;
    out.port = out.is_https ? 443 : 80;
    if (colon != std::string_view::npos && colon + 1 < authority.size()) {
      const auto text = authority.substr(colon + 1);
      const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), out.port);
      if (error != std::errc{} || last != text.data() + text.size())
        return Status{400, "BadRequest", fmt::format("invalid port \":{}\" after host", text)};
    }
    out.target = make_target(location);
    return out;
  }
  const std::string_view path = std::string_view(from.target).substr(0, from.target.find('?'));
  if (location.empty()) return out;
  if (location.starts_with('?')) {
    out.target = std::string(path) + escape(location);
    return out;
  }
  const auto query = std::min(location.find('?'), location.size());
  std::string joined = location.starts_with('/') ? std::string(location.substr(0, query))
                                                 : fmt::format("{}{}", path.substr(0, path.rfind('/') + 1), location.substr(0, query));
  out.target = escape(without_dots(joined)) + escape(location.substr(query));
  return out;
}

Task<HttpGetOutcome> http_get(http::OpenSocket open_socket, HttpGet get, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  HttpGetOutcome out;
  auto watch = std::make_shared<Watch>();
  const auto deadline = Clock::now() + (timeout.count() > 0 ? timeout : std::chrono::milliseconds(kForever));
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, deadline);
  timer.async_wait([watch](const boost::system::error_code& error) {
    if (error) return;
    watch->is_over = true;
    if (watch->client) watch->client->close();
  });
  const std::string host = get.host;
  std::string failed;
  for (int redirects = 0;; ++redirects) {
    const auto left = std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()), std::chrono::milliseconds(1));
    auto response = co_await send(open_socket, get, left, watch);
    if (!response) {
      out.is_plain_answer = get.is_https && response.error().message.find("wrong version number") != std::string::npos;
      failed = out.is_plain_answer ? "http: server gave HTTP response to HTTPS client" : error_text(get, response.error(), watch->is_over);
      break;
    }
    const auto& head = (*response)->head();
    out.status = head.status;
    const auto location = head.headers.get("location");
    if (is_redirect(head.status) && location && !location->empty()) {
      auto next = resolve_redirect(get, *location);
      if (!next) {
        failed = next.error().message;
        break;
      }
      if (next->host == host) {
        if (redirects + 1 >= kRedirects) {
          failed = "stopped after 10 redirects";
          get = *std::move(next);
          break;
        }
        get = *std::move(next);
        continue;
      }
    }
    const bool is_whole = co_await read_body(**response, out.body);
    if (is_whole) {
      out.is_answered = true;
      co_return out;
    }
    out.is_body_broken = true;
    out.error = watch->is_over ? "context deadline exceeded (Client.Timeout or context cancellation while reading body)" : "unexpected EOF";
    co_return out;
  }
  out.error = fmt::format("Get \"{}\": {}", get.url(), failed);
  co_return out;
}

}  // namespace rusternetes::kubelet
