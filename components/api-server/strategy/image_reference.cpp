#include "api-server/strategy/image_reference.h"

#include <algorithm>

namespace rusternetes::api_server {

namespace {

bool is_lower_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alphanumeric(char c) { return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Letters and digits, parted by '.', '_', '__' or any number of '-'.
bool is_path_component(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t start = i;
    while (i < text.size() && is_lower_alphanumeric(text[i])) ++i;
    if (i == start) return false;
    if (i == text.size()) return true;
    const char separator = text[i];
    std::size_t count = 0;
    while (i < text.size() && text[i] == separator) ++i, ++count;
    if (!(separator == '-' || (separator == '.' && count == 1) || (separator == '_' && count <= 2))) return false;
  }
  return false;
}

bool is_host(std::string_view host) {
  if (host.starts_with('[')) {  // an IPv6 address
    if (host.size() < 3 || !host.ends_with(']')) return false;
    return std::ranges::all_of(host.substr(1, host.size() - 2), [](char c) { return is_hex(c) || c == ':'; });
  }
  while (true) {
    const auto dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.empty() || !is_alphanumeric(label.front()) || !is_alphanumeric(label.back())) return false;
    if (!std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

bool is_domain(std::string_view domain) {
  const auto bracket = domain.rfind(']');
  const auto colon = domain.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return is_host(domain);
  const std::string_view port = domain.substr(colon + 1);
  return !port.empty() && std::ranges::all_of(port, is_digit) && is_host(domain.substr(0, colon));
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-') return false;
  return std::ranges::all_of(tag, [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_digest(std::string_view digest) {
  const auto colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view algorithm = digest.substr(0, colon), hex = digest.substr(colon + 1);
  if (!std::ranges::all_of(hex, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); })) return false;
  // Only the registered algorithms have a length to check; others are refused.
  return (algorithm == "sha256" && hex.size() == 64) || (algorithm == "sha384" && hex.size() == 96) ||
         (algorithm == "sha512" && hex.size() == 128);
}

}  // namespace

std::optional<ImageReference> parse_image_reference(std::string_view text) {
  if (text.size() == 64 && std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }))
    return std::nullopt;  // an image's identifier is no name
  ImageReference out;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    out.digest = text.substr(at + 1);
    if (!is_digest(out.digest)) return std::nullopt;
    text = text.substr(0, at);
  }
  // What stands before the first '/' is a registry if it looks like one.
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view first = text.substr(0, slash);
    const bool has_upper = std::ranges::any_of(first, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (first.find_first_of(".:") != std::string_view::npos || first == "localhost" || has_upper) {
      if (!is_domain(first)) return std::nullopt;
      text.remove_prefix(slash + 1);
    }
  }
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    out.tag = text.substr(colon + 1);
    if (!is_tag(out.tag)) return std::nullopt;
    text = text.substr(0, colon);
  }
  if (text.empty() || text.size() > 255) return std::nullopt;
  while (true) {
    const auto slash = text.find('/');
    if (!is_path_component(text.substr(0, slash))) return std::nullopt;
    if (slash == std::string_view::npos) return out;
    text.remove_prefix(slash + 1);
  }
}

bool is_latest_image(std::string_view image) {
  const auto reference = parse_image_reference(image);
  return reference && (reference->tag == "latest" || (reference->tag.empty() && reference->digest.empty()));
}

}  // namespace rusternetes::api_server
