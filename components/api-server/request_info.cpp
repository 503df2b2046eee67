#include "api-server/request_info.h"

#include <algorithm>

#include "http/header_text.h"

namespace rusternetes::api_server {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> out;
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const auto slash = path.find('/');
    out.push_back(percent_decode(path.substr(0, slash), false));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

std::string_view verb_of(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return "";
}

}  // namespace

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

Query Query::parse(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    if (!pair.empty()) {
      const auto equals = pair.find('=');
      query.values_.emplace(percent_decode(pair.substr(0, equals), true),
                            equals == std::string_view::npos ? "" : percent_decode(pair.substr(equals + 1), true));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return query;
}

std::string_view Query::get(std::string_view key) const {
  auto it = values_.find(key);
  return it == values_.end() ? std::string_view{} : std::string_view(it->second);
}

std::vector<std::string_view> Query::all(std::string_view key) const {
  std::vector<std::string_view> out;
  for (auto [it, end] = values_.equal_range(key); it != end; ++it) out.push_back(it->second);
  return out;
}

bool Query::boolean(std::string_view key) const {
  auto it = values_.find(key);
  if (it == values_.end()) return false;
  return it->second.empty() || it->second == "1" || it->second == "true" || it->second == "t" || it->second == "T" ||
         it->second == "True" || it->second == "TRUE";
}

// A list by `fieldSelector=metadata.name=x` is authorized for that name.
void take_name_from_selector(RequestInfo& info) {
  if ((info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection") && info.name.empty()) {
    const std::string_view selector = info.query.get("fieldSelector");
    constexpr std::string_view start = "metadata.name=";
    if (selector.starts_with(start) && selector.find(',') == std::string_view::npos) {
      auto value = selector.substr(start.size());
      if (value.starts_with('=')) value.remove_prefix(1);
      if (!value.empty() && value.find_first_of("\\!=") == std::string_view::npos) info.name = value;
    }
  }
}

RequestInfo parse_request(std::string_view method, std::string_view target) {
  RequestInfo info;
  const auto question = target.find('?');
  const auto raw_path = target.substr(0, question);
  info.path = percent_decode(raw_path, false);
  if (question != std::string_view::npos) info.query = Query::parse(target.substr(question + 1));
  info.verb = http::lower_case(method);
  auto parts = segments_of(raw_path);
  std::size_t at;
  if (parts.size() >= 2 && parts[0] == "api") {
    info.api_version = parts[1];
    at = 2;
  } else if (parts.size() >= 3 && parts[0] == "apis") {
    info.api_group = parts[1];
    info.api_version = parts[2];
    at = 3;
  } else {
    return info;
  }
  if (at == parts.size()) return info;  // discovery
  info.is_resource = true;
  info.verb = verb_of(method);
  bool is_deprecated_watch = false;
  if (parts[at] == "watch" && at + 1 < parts.size()) {
    is_deprecated_watch = true;
    ++at;
  } else if (parts[at] == "proxy" && at + 1 < parts.size()) {
    ++at;
  }
  if (parts[at] == "namespaces") {
    if (at + 1 < parts.size()) info.name_space = parts[at + 1];
    // "namespaces/x" is the namespace itself; behind it comes its subresource or a resource in it.
    if (at + 2 < parts.size() && parts[at + 2] != "finalize" && parts[at + 2] != "status") {
      at += 2;
    }
  }
  info.resource = parts[at];
  if (at + 1 < parts.size()) info.name = parts[at + 1];
  if (at + 2 < parts.size()) info.subresource = parts[at + 2];
  for (std::size_t i = at + 3; i < parts.size(); ++i) info.rest.push_back(parts[i]);
  if (info.name.empty() && info.verb == "get") info.verb = "list";
  if (info.verb == "list" && info.query.boolean("watch")) info.verb = "watch";
  if (is_deprecated_watch) info.verb = "watch";
  if (info.name.empty() && info.verb == "delete") info.verb = "deletecollection";
  take_name_from_selector(info);
  return info;
}

}  // namespace rusternetes::api_server
