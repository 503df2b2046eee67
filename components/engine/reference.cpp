#include "engine/reference.h"

#include <algorithm>

#include "engine/types.h"

namespace rusternetes::engine {
namespace {

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

Status invalid(std::string_view text) {
  return Status{400, reason::kInvalidImageName,
                "invalid reference format: couldn't parse image name \"" + std::string(text) + "\"", nullptr};
}

// Lower-case alphanumerics, separated by one '.', one or two '_', or any number of '-'.
bool is_path_component(std::string_view part) {
  if (part.empty() || !is_lower_alnum(part.front()) || !is_lower_alnum(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (is_lower_alnum(part[i])) {
      ++i;
      continue;
    }
    std::size_t end = part.find_first_not_of(part[i], i);
    std::size_t run = end - i;
    if (part[i] == '-' || (part[i] == '.' && run == 1) || (part[i] == '_' && run <= 2)) {
      if (!is_lower_alnum(part[end])) return false;
      i = end;
    } else {
      return false;
    }
  }
  return true;
}

bool is_path(std::string_view path) {
  for (;;) {
    auto slash = path.find('/');
    if (!is_path_component(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool is_domain(std::string_view domain) {
  auto colon = domain.rfind(':');
  if (!domain.empty() && domain.front() == '[') return domain.find(']') != std::string_view::npos;
  auto host = domain.substr(0, colon);
  if (colon != std::string_view::npos) {
    auto port = domain.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return false;
  }
  if (host.empty() || !is_alnum(host.front()) || !is_alnum(host.back())) return false;
  return std::all_of(host.begin(), host.end(), [](char c) { return is_alnum(c) || c == '-' || c == '.'; });
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || !(is_alnum(tag.front()) || tag.front() == '_')) return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_digest(std::string_view digest) {
  auto colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  auto hex = digest.substr(colon + 1);
  return hex.size() >= 32 && std::all_of(hex.begin(), hex.end(), is_hex);
}

}  // namespace

std::string ImageReference::str() const {
  std::string text = repository();
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

Result<ImageReference> parse_reference(std::string_view text) {
  ImageReference reference;
  std::string_view rest = text;
  if (auto at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    if (!is_digest(reference.digest)) return invalid(text);
    rest = rest.substr(0, at);
  }
  auto last_slash = rest.rfind('/');
  auto colon = rest.rfind(':');
  if (colon != std::string_view::npos && (last_slash == std::string_view::npos || colon > last_slash)) {
    reference.tag = rest.substr(colon + 1);
    if (!is_tag(reference.tag)) return invalid(text);
    rest = rest.substr(0, colon);
  } else if (reference.digest.empty()) {
    reference.tag = "latest";
  }
  // The part before the first slash is a host if it looks like one; an upper-case letter cannot be in a path.
  auto slash = rest.find('/');
  auto first = rest.substr(0, slash);
  bool has_host = slash != std::string_view::npos &&
                  (first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
                   std::any_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  if (has_host) {
    reference.domain = first;
    reference.path = rest.substr(slash + 1);
  } else {
    reference.domain = "docker.io";
    reference.path = rest;
  }
  if (reference.domain == "index.docker.io") reference.domain = "docker.io";
  if (reference.domain == "docker.io" && reference.path.find('/') == std::string::npos)
    reference.path = "library/" + reference.path;
  if (!is_domain(reference.domain) || !is_path(reference.path) || reference.repository().size() > 255)
    return invalid(text);
  return reference;
}

bool is_image_id(std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  return text.size() == 64 && std::all_of(text.begin(), text.end(), is_hex);
}

std::string normalize_reference(std::string_view text) {
  if (is_image_id(text)) return std::string(text);
  auto reference = parse_reference(text);
  return reference ? reference->str() : std::string(text);
}

}  // namespace rusternetes::engine
