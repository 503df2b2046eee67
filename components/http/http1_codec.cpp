#include "http/http1_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <ctime>

#include "http/http1_body.h"

namespace rusternetes::http {
namespace {

namespace beast = boost::beast::http;

Status bad_message(std::string_view why) {
  return Status{400, "BadRequest", fmt::format("malformed HTTP message: {}", why)};
}

template <bool IsRequest>
class Decoder final : public Http1Decoder {
 public:
  Decoder(std::size_t header_limit, bool is_head) : header_limit_(header_limit) {
    parser_.header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(header_limit, UINT32_MAX)));
    parser_.body_limit(boost::none);
    if (is_head) parser_.skip(true);
  }

  Result<std::size_t> feed_head(std::string_view bytes) override {
    std::size_t consumed = 0;
    while (consumed < bytes.size() && !parser_.is_header_done()) {
      boost::system::error_code error;
      const std::size_t n =
          parser_.put(boost::asio::const_buffer(bytes.data() + consumed, bytes.size() - consumed), error);
      consumed += n;
      head_size_ += n;
      // Beast looks at its limit only while the end of the head is missing.
      if (error == beast::error::header_limit || head_size_ > header_limit_)
        return Status{431, "RequestHeaderFieldsTooLarge", "request header fields too large"};
      if (error == beast::error::need_more) break;
      if (error) return bad_message(error.message());
    }
    if (parser_.is_header_done()) choose_body();
    return consumed;
  }

  Result<std::size_t> feed_body(std::string_view bytes, std::string& out, std::size_t room) override {
    return body_.feed(bytes, out, room);
  }

  Result<void> feed_end() override {
    if (!parser_.is_header_done()) return bad_message("unexpected end");
    return body_.feed_end();
  }

  bool is_head_done() const override { return parser_.is_header_done(); }
  bool is_done() const override { return parser_.is_header_done() && body_.is_done(); }
  bool is_keep_alive() const override { return parser_.keep_alive(); }
  bool is_http10() const override { return parser_.get().version() < 11; }
  std::optional<std::uint64_t> content_length() const override {
    auto length = parser_.content_length();
    if (!length) return std::nullopt;
    return *length;
  }

  RequestHead take_request() override {
    RequestHead head;
    if constexpr (IsRequest) {
      auto& message = parser_.get();
      head.method.assign(message.method_string());
      head.target.assign(message.target());
      for (const auto& field : message) {
        const auto name = field.name_string();
        head.headers.add(std::string(name), std::string(field.value()));
      }
      if (auto host = head.headers.get("host")) head.authority = *host;
      split_absolute_form(head);
    }
    return head;
  }

  ResponseHead take_response() override {
    ResponseHead head;
    if constexpr (!IsRequest) {
      auto& message = parser_.get();
      head.status = static_cast<int>(message.result_int());
      for (const auto& field : message)
        head.headers.add(std::string(field.name_string()), std::string(field.value()));
    }
    return head;
  }

 private:
  // Beast knows which messages have none: it is done after their heads.
  void choose_body() {
    if (parser_.is_done())
      body_ = BodyDecoder::none();
    else if (parser_.chunked())
      body_ = BodyDecoder::chunked();
    else if (const auto length = parser_.content_length())
      body_ = BodyDecoder::of_length(*length);
    else
      body_ = BodyDecoder::to_the_end();
  }

  // RFC 9112, 3.2.2: a server accepts "http://host/path" and takes the authority from it.
  static void split_absolute_form(RequestHead& head) {
    for (std::string_view scheme : {"http://", "https://"}) {
      if (!std::string_view(head.target).starts_with(scheme)) continue;
      std::string rest = head.target.substr(scheme.size());
      const auto slash = rest.find_first_of("/?");
      head.authority = rest.substr(0, slash);
      head.target = slash == std::string::npos ? "/" : rest.substr(slash);
      if (head.target.front() == '?') head.target.insert(0, 1, '/');
      return;
    }
  }

  std::size_t header_limit_;
  std::size_t head_size_ = 0;
  beast::parser<IsRequest, beast::empty_body> parser_;
  BodyDecoder body_ = BodyDecoder::none();
};

}  // namespace

std::unique_ptr<Http1Decoder> Http1Decoder::for_request(std::size_t header_limit) {
  return std::make_unique<Decoder<true>>(header_limit, false);
}
std::unique_ptr<Http1Decoder> Http1Decoder::for_response(std::size_t header_limit, bool is_head) {
  return std::make_unique<Decoder<false>>(header_limit, is_head);
}

std::string_view reason_phrase(int status) {
  if (status == 431) return "Request Header Fields Too Large";
  const auto text = beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

void append_status_line(std::string& out, int status) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  const std::size_t start = out.size();
  out.append(value);
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(start), out.end(),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  out.append("\r\n");
}

void append_fields(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers.fields()) append_field(out, name, value);
}

std::string_view http_date() {
  thread_local std::time_t second = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now == second) return text;
  second = now;
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days[utc.tm_wday], utc.tm_mday,
                     months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text;
}

bool is_bodiless(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace rusternetes::http
