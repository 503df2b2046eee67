#include "rhino/front_bytes.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace rusternetes::rhino {
namespace {

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::uint8_t client_hello = 1;
constexpr std::uint64_t alpn_extension = 16;

// Reads numbers and byte strings off the front. What is short makes it bad, for good.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool is_good() const { return is_good_; }
  bool is_at_end() const { return bytes_.empty(); }
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    for (const char c : take(width)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  }
  std::string_view take(std::size_t length) {
    if (length > bytes_.size()) {
      is_good_ = false;
      bytes_ = {};
      return {};
    }
    const auto taken = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return taken;
  }
  // A byte string with its length in front.
  std::string_view vector(std::size_t width) { return take(number(width)); }

 private:
  std::string_view bytes_;
  bool is_good_ = true;
};

FirstBytes classify_protocols(std::string_view list) {
  Reader names(list);
  bool has_h2 = false;
  while (names.is_good() && !names.is_at_end()) {
    const auto name = names.vector(1);
    if (name == "http/1.1") return FirstBytes::http;
    has_h2 = has_h2 || name == "h2" || name == "grpc-exp";
  }
  return has_h2 && names.is_good() ? FirstBytes::grpc : FirstBytes::http;
}

FirstBytes classify_hello(std::string_view body) {
  Reader hello(body);
  hello.take(2 + 32);  // version, random
  hello.vector(1);     // session
  hello.vector(2);     // cipher suites
  hello.vector(1);     // compression
  Reader extensions(hello.vector(2));
  while (extensions.is_good() && !extensions.is_at_end()) {
    const auto type = extensions.number(2);
    Reader content(extensions.vector(2));
    if (type == alpn_extension) return classify_protocols(content.vector(2));
  }
  return FirstBytes::http;
}

}  // namespace

FirstBytes classify_plain(std::string_view bytes) {
  const auto length = std::min(bytes.size(), preface.size());
  if (bytes.substr(0, length) != preface.substr(0, length)) return FirstBytes::http;
  return length == preface.size() ? FirstBytes::grpc : FirstBytes::undecided;
}

FirstBytes classify_tls(std::string_view bytes) {
  // A handshake message may be cut into several records.
  std::string message;
  std::optional<std::size_t> whole;
  while (!whole || message.size() < *whole) {
    if (bytes.empty()) return FirstBytes::undecided;
    if (bytes.front() != tls_handshake) return FirstBytes::http;
    if (bytes.size() < 5) return FirstBytes::undecided;
    Reader header(bytes.substr(3, 2));
    const std::size_t length = header.number(2);
    if (length == 0) return FirstBytes::http;
    const auto fragment = bytes.substr(5, length);
    message += fragment;
    bytes.remove_prefix(5 + fragment.size());
    if (!whole && message.size() >= 4) {
      if (static_cast<std::uint8_t>(message[0]) != client_hello) return FirstBytes::http;
      whole = 4 + Reader(std::string_view(message).substr(1, 3)).number(3);
      if (*whole > most_first_bytes) return FirstBytes::http;
    }
    if (fragment.size() < length && (!whole || message.size() < *whole)) return FirstBytes::undecided;
  }
  return classify_hello(std::string_view(message).substr(4, *whole - 4));
}

}  // namespace rusternetes::rhino
