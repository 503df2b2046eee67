#include "api-server/proxy/proxy_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace rusternetes::api_server {
namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_unreserved(char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '~'; }

void append_escaped(std::string& out, char c) { fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c)); }

// As path.Join for an absolute path: no empty, "." and ".." parts.
std::string clean(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  std::string out;
  for (const auto part : parts) out.append("/").append(part);
  return out.empty() ? "/" : out;
}

}  // namespace

std::string escape_path(std::string_view text) {
  constexpr std::string_view allowed = "$&+,/:;=@";
  std::string out;
  for (const char c : text)
    if (is_unreserved(c) || allowed.find(c) != std::string_view::npos)
      out += c;
    else
      append_escaped(out, c);
  return out;
}

std::string escape_query(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (is_unreserved(c))
      out += c;
    else if (c == ' ')
      out += '+';
    else
      append_escaped(out, c);
  return out;
}

std::string backend_path(const RequestInfo& info) {
  std::string path;
  for (const auto& part : info.rest) path.append("/").append(part);
  if (info.path.ends_with('/') && !path.ends_with('/')) path += '/';
  if (path.empty()) return path;
  const bool is_folder = path.ends_with('/');
  path = clean(path);
  if (is_folder && !path.ends_with('/')) path += '/';
  return path;
}

std::string forwarded_path(std::string_view prefix, std::string_view path) {
  std::string out = clean(fmt::format("{}/{}", prefix, path));
  if ((path.empty() || path.ends_with('/')) && !out.ends_with('/')) out += '/';
  return escape_path(out);
}

std::string proxy_prefix(const RequestInfo& info) {
  std::string out = "/api/v1";
  if (!info.name_space.empty()) out.append("/namespaces/").append(info.name_space);
  return out.append("/").append(info.resource).append("/").append(info.name).append("/").append(info.subresource);
}

LinkRewriter::LinkRewriter(std::string prefix, std::string backend_host, std::string request_host)
    : prefix_(escape_path(prefix)), backend_host_(std::move(backend_host)), request_host_(std::move(request_host)) {}

LinkChange LinkRewriter::change(std::string_view link) const {
  if (std::any_of(link.begin(), link.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) return {};
  std::size_t at = 0;
  const auto colon = link.find_first_of(":/?#");
  if (colon != std::string_view::npos && colon > 0 && link[colon] == ':') {
    if (const auto scheme = link.substr(0, colon); scheme != "http" && scheme != "https") return {};
    at = colon + 1;
  }
  std::string_view host;
  if (link.substr(at).starts_with("//")) {
    const auto end = std::min(link.find_first_of("/?#", at + 2), link.size());
    host = link.substr(at + 2, end - at - 2);
    if (const auto user = host.rfind('@'); user != std::string_view::npos) host.remove_prefix(user + 1);
    at = end;
  }
  if (at >= link.size() || link[at] != '/') return {};  // relative, or no path at all
  if (!host.empty() && host != backend_host_ && host != request_host_) return {};
  const std::string_view path = link.substr(at);
  const bool keeps_host = !host.empty() && host == request_host_;
  const bool has_prefix = path.starts_with(prefix_);
  if (keeps_host) {
    if (has_prefix) return {};
    return {at, std::string(link.substr(0, at)) + prefix_};
  }
  // A path that begins with two slashes would be read as a host once its own is gone.
  const auto only = std::min(path.find_first_not_of('/'), path.size());
  return {at + only - 1, has_prefix ? "" : prefix_};
}

std::string LinkRewriter::rewrite(std::string_view link) const {
  LinkChange made = change(link);
  return made.inserted.append(link.substr(made.dropped));
}

}  // namespace rusternetes::api_server
