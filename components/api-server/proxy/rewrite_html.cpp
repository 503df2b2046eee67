#include "api-server/proxy/rewrite_html.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "http/header_text.h"

namespace rusternetes::api_server {
namespace {

constexpr std::size_t kLongestTag = 64 * 1024;
constexpr std::size_t kForget = 64 * 1024;

// The attributes that are URLs (HTML 4.01, index of attributes; HTML 5).
const std::set<std::string_view>& url_attributes(std::string_view element) {
  static const std::set<std::string_view> none, href{"href"}, src{"src"}, cite{"cite"}, codebase{"codebase"}, background{"background"},
      formaction{"formaction"}, icon{"icon"}, action{"action"}, frame{"longdesc", "src"}, profile{"profile"}, manifest{"manifest"},
      img{"longdesc", "src", "usemap"}, input{"src", "usemap", "formaction"}, object{"classid", "codebase", "data", "usemap"},
      video{"poster", "src"};
  struct Row {
    std::string_view element;
    const std::set<std::string_view>* attributes;
  };
  static const Row rows[] = {{"a", &href},          {"applet", &codebase}, {"area", &href},     {"audio", &src},   {"base", &href},
                             {"blockquote", &cite}, {"body", &background}, {"button", &formaction}, {"command", &icon}, {"del", &cite},
                             {"embed", &src},       {"form", &action},     {"frame", &frame},   {"head", &profile}, {"html", &manifest},
                             {"iframe", &frame},    {"img", &img},         {"input", &input},   {"ins", &cite},    {"link", &href},
                             {"object", &object},   {"q", &cite},          {"script", &src},    {"source", &src},  {"video", &video}};
  for (const auto& row : rows)
    if (row.element == element) return *row.attributes;
  return none;
}

bool is_raw_text(std::string_view element) {
  for (const std::string_view one : {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"})
    if (one == element) return true;
  return false;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string escape_attribute(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c == '&') out += "&amp;";
    else if (c == '"') out += "&#34;";
    else if (c == '\'') out += "&#39;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else out += c;
  return out;
}

}  // namespace

void HtmlRewriter::pass(std::string& out, std::size_t count) {
  out.append(held_, at_, count);
  at_ += count;
  scanned_ = 0;
}

// Whether the tag's '>' is there; scanned_ is behind it then.
bool HtmlRewriter::scan_tag() {
  while (at_ + scanned_ < held_.size()) {
    const char c = held_[at_ + scanned_++];
    if (quote_) {
      if (c == quote_) quote_ = 0;
    } else if (c == '>') {
      return true;
    } else if (is_value_ && (c == '"' || c == '\'')) {
      quote_ = c;
      is_value_ = false;
    } else if (c == '=') {
      is_value_ = true;
    } else if (!is_space(c)) {
      is_value_ = false;
    }
  }
  return false;
}

void HtmlRewriter::rewrite_tag(std::string& out, std::string_view tag) {
  std::size_t at = 1;
  while (at < tag.size() && !is_space(tag[at]) && tag[at] != '>' && tag[at] != '/') ++at;
  const std::string element = http::lower_case(tag.substr(1, at - 1));
  if (is_raw_text(element)) {
    state_ = State::raw_text;
    raw_element_ = "</" + element;
  }
  const auto& urls = url_attributes(element);
  std::size_t copied = 0;
  while (!urls.empty() && at < tag.size()) {
    while (at < tag.size() && (is_space(tag[at]) || tag[at] == '/')) ++at;
    const std::size_t name_at = at;
    while (at < tag.size() && !is_space(tag[at]) && tag[at] != '=' && tag[at] != '>' && tag[at] != '/') ++at;
    if (at == name_at) {
      ++at;  // a '>' or a '=' out of place
      continue;
    }
    const std::string name = http::lower_case(tag.substr(name_at, at - name_at));
    std::size_t value_at = at;
    while (value_at < tag.size() && is_space(tag[value_at])) ++value_at;
    if (value_at >= tag.size() || tag[value_at] != '=') continue;
    ++value_at;
    while (value_at < tag.size() && is_space(tag[value_at])) ++value_at;
    if (value_at >= tag.size()) break;
    const char quote = tag[value_at] == '"' || tag[value_at] == '\'' ? tag[value_at] : 0;
    if (quote) ++value_at;
    std::size_t value_end = value_at;
    while (value_end < tag.size() && (quote ? tag[value_end] != quote : !is_space(tag[value_end]) && tag[value_end] != '>')) ++value_end;
    at = value_end + (quote ? 1 : 0);
    if (!urls.contains(name)) continue;
    const auto value = tag.substr(value_at, value_end - value_at);
    const LinkChange change = links_.change(value);
    if (change.is_none()) continue;
    out.append(tag.substr(copied, value_at - copied));
    if (!quote) out += '"';
    out += escape_attribute(change.inserted);
    out.append(value.substr(change.dropped));
    if (!quote) out += '"';
    copied = value_end;
  }
  out.append(tag.substr(copied));
}

bool HtmlRewriter::step_text(std::string& out, bool is_end) {
  const std::string_view rest = std::string_view(held_).substr(at_);
  const auto open = rest.find('<');
  if (open != 0) {
    pass(out, std::min(open, rest.size()));
    return open != std::string_view::npos;
  }
  constexpr std::string_view comment = "<!--";
  if (rest.size() < comment.size() && comment.starts_with(rest) && !is_end) return false;
  if (rest.starts_with(comment)) {
    state_ = State::comment;
    pass(out, comment.size());
    return true;
  }
  if (rest.size() < 2 || !is_letter(rest[1])) {
    pass(out, 1);
    return true;
  }
  if (scanned_ == 0) {
    quote_ = 0;
    is_value_ = false;
  }
  return step_tag(out, is_end);
}

bool HtmlRewriter::step_tag(std::string& out, bool is_end) {
  if (scan_tag()) {
    const std::size_t size = scanned_;
    if (state_ == State::long_tag) {
      state_ = State::text;
      pass(out, size);
      return true;
    }
    rewrite_tag(out, std::string_view(held_).substr(at_, size));
    at_ += size;
    scanned_ = 0;
    return true;
  }
  if (state_ == State::text && !is_end && scanned_ < kLongestTag) return false;
  state_ = State::long_tag;
  pass(out, held_.size() - at_);
  return false;
}

// Something passed, and there may be more to do.
bool HtmlRewriter::step(std::string& out, bool is_end) {
  if (at_ >= held_.size()) return false;
  if (state_ == State::text) return step_text(out, is_end);
  if (state_ == State::long_tag) return step_tag(out, is_end);
  const std::string_view rest = std::string_view(held_).substr(at_);
  const std::string_view end = state_ == State::comment ? std::string_view("-->") : std::string_view(raw_element_);
  const auto found = std::search(rest.begin(), rest.end(), end.begin(), end.end(),
                                 [](char a, char b) { return http::lower_case(a) == b; });
  if (found != rest.end()) {
    pass(out, static_cast<std::size_t>(found - rest.begin()) + (state_ == State::comment ? end.size() : 0));
    state_ = State::text;
    return true;
  }
  if (is_end) {
    pass(out, rest.size());
  } else if (rest.size() >= end.size()) {
    pass(out, rest.size() - end.size() + 1);  // the end may begin in what is held
  }
  return false;
}

std::string HtmlRewriter::feed(std::string_view bytes) {
  std::string out;
  held_ += bytes;
  while (step(out, false)) {
  }
  if (at_ == held_.size() || at_ > kForget) {
    held_.erase(0, at_);
    at_ = 0;
  }
  return out;
}

std::string HtmlRewriter::finish() {
  std::string out;
  while (step(out, true)) {
  }
  held_.clear();
  at_ = scanned_ = 0;
  return out;
}

struct GzipHtmlRewriter::Streams {
  z_stream in{}, out{};
  bool is_at_end = false;
};

GzipHtmlRewriter::GzipHtmlRewriter(LinkRewriter links) : rewriter_(std::move(links)), streams_(std::make_unique<Streams>()) {
  RN_ASSERT(inflateInit2(&streams_->in, 15 + 16) == Z_OK, "zlib");
  RN_ASSERT(deflateInit2(&streams_->out, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib");
}
GzipHtmlRewriter::~GzipHtmlRewriter() {
  inflateEnd(&streams_->in);
  deflateEnd(&streams_->out);
}

std::string GzipHtmlRewriter::deflate(std::string_view page, bool is_end) {
  std::string out;
  char buffer[16 * 1024];
  z_stream& stream = streams_->out;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(page.data()));
  stream.avail_in = static_cast<uInt>(page.size());
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    ::deflate(&stream, is_end ? Z_FINISH : Z_SYNC_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  } while (stream.avail_out == 0);
  return out;
}

Result<std::string> GzipHtmlRewriter::feed(std::string_view bytes) {
  input_.erase(0, std::exchange(used_, 0));
  input_ += bytes;
  char buffer[64 * 1024];
  z_stream& stream = streams_->in;
  // The next of several members (RFC 1952, 2.2).
  if (streams_->is_at_end && !input_.empty()) {
    ::inflateReset(&stream);
    streams_->is_at_end = false;
  }
  has_more_ = false;
  if (streams_->is_at_end) return std::string();
  stream.next_in = reinterpret_cast<Bytef*>(input_.data());
  stream.avail_in = static_cast<uInt>(input_.size());
  stream.next_out = reinterpret_cast<Bytef*>(buffer);
  stream.avail_out = sizeof buffer;
  const int rc = ::inflate(&stream, Z_NO_FLUSH);
  if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return Status(502, "", "the backend's gzip stream is broken");
  used_ = input_.size() - stream.avail_in;
  streams_->is_at_end = rc == Z_STREAM_END;
  has_more_ = rc == Z_STREAM_END ? stream.avail_in > 0 : rc == Z_OK && stream.avail_out == 0;
  const std::string page = rewriter_.feed({buffer, sizeof buffer - stream.avail_out});
  return page.empty() ? std::string() : deflate(page, false);
}

Result<std::string> GzipHtmlRewriter::finish() {
  if (!streams_->is_at_end && streams_->in.total_in) return Status(502, "", "the backend's gzip stream ended early");
  return deflate(rewriter_.finish(), true);
}

}  // namespace rusternetes::api_server
